//! Consoles by every way they are reached, each with a real other end: pseudo-terminals, sockets, ser2net, a shell.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serialport::{SerialPort, TTYPort};
use stoop_lab::Explained;
use stoop_lab::connection::{Address, Connection, Error, Event, Options};
use stoop_samples::machine::{Port, skipped};

/// Longer than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(20);

fn never_again() -> Options {
    Options { reopen: None, ..Options::default() }
}

/// Collects bytes until they end with `text`; everything else that happens is an error.
fn expect(connection: &Connection, text: &str) {
    let mut all = Vec::new();
    while !all.ends_with(text.as_bytes()) {
        match connection.next(LONG) {
            Some(Event::Bytes(bytes)) => all.extend(bytes),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

fn expect_vanished(connection: &Connection) {
    loop {
        match connection.next(LONG) {
            Some(Event::Vanished(_)) => return,
            Some(Event::Bytes(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn read_exactly(from: &mut dyn Read, text: &str) {
    let mut bytes = vec![0; text.len()];
    from.read_exact(&mut bytes).expect("bytes");
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

/// A pseudo-terminal's board end and its user end's name.
fn pty() -> (TTYPort, String) {
    let (mut board, user) = TTYPort::pair().expect("a pseudo-terminal");
    board.set_timeout(LONG).expect("a timeout");
    let name = user.name().expect("a name");
    (board, name)
}

/// A named pipe in this folder.
fn fifo(folder: &Path) -> PathBuf {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    pipe
}

fn device(path: &Path) -> Address {
    Address::Device(path.to_owned())
}

#[test]
fn a_pseudo_terminal_carries_every_byte_both_ways() {
    let (mut board, name) = pty();
    let connection = Connection::open(&device(Path::new(&name)), never_again()).expect("a connection");
    // Also those that a terminal's line discipline would act upon.
    let all: Vec<u8> = (0..=255).collect();
    connection.sender().send(&all).expect("sent");
    let mut back = vec![0; all.len()];
    board.read_exact(&mut back).expect("bytes");
    assert_eq!(back, all);
    board.write_all(b"\x03\x04 Hit any key\r\n=> ").expect("written");
    expect(&connection, "\x03\x04 Hit any key\r\n=> ");
    connection.sender().set_speed(57_600).expect("a speed");
    assert_eq!(board.baud_rate().expect("a speed"), 57_600);
}

#[test]
fn a_port_that_another_has_open_is_refused_by_name() {
    let (_board, name) = pty();
    let address = device(Path::new(&name));
    let first = Connection::open(&address, never_again()).expect("a connection");
    match Connection::open(&address, never_again()) {
        Err(error @ Error::Busy { .. }) => {
            assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
            assert_eq!((error.code(), error.exit_code()), ("L013", 75));
        }
        other => panic!("{:?}", other.err()),
    }
    drop(first);
    Connection::open(&address, never_again()).expect("free again");
}

#[test]
fn a_port_that_vanishes_is_opened_again_by_its_stable_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("usb-adapter");
    let (board, name) = pty();
    symlink(&name, &link).expect("a link");
    let connection = Connection::open(&device(&link), Options::default()).expect("a connection");
    // The name first: once the board is gone, another test may be given the pseudo-terminal of that number.
    std::fs::remove_file(&link).expect("removed");
    drop(board);
    expect_vanished(&connection);
    let lost = connection.sender().send(b"x").expect_err("nobody is there");
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
    let (mut board, name) = pty();
    symlink(&name, &link).expect("a link");
    assert!(matches!(connection.next(LONG), Some(Event::Back)));
    board.write_all(b"U-Boot 2023.01").expect("written");
    expect(&connection, "U-Boot 2023.01");
    connection.sender().send(b"\n").expect("sent");
    read_exactly(&mut board, "\n");
}

#[test]
fn a_port_that_stays_away_ends_the_connection_with_what_is_missing() {
    let (board, name) = pty();
    let reopen = Some(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("usb-adapter");
    symlink(&name, &link).expect("a link");
    let connection = Connection::open(&device(&link), Options { reopen, ..Options::default() }).expect("a connection");
    std::fs::remove_file(&link).expect("removed");
    drop(board);
    expect_vanished(&connection);
    match connection.next(LONG) {
        Some(Event::Closed(Some(error @ Error::Lost { .. }))) => {
            assert!(error.to_string().ends_with(&format!(": there is no {}", link.display())), "{error}");
            assert_eq!((error.code(), error.exit_code()), ("L017", 75));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let error = Connection::open(&device(Path::new("/dev/ttyNOWHERE7")), never_again()).err().expect("an error");
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

#[test]
fn a_tcp_console_carries_bytes_and_is_opened_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: Address = format!("tcp://{}", listener.local_addr().expect("an address")).parse().expect("an address");
    let connection = Connection::open(&address, Options::default()).expect("a connection");
    let (mut board, _) = listener.accept().expect("a client");
    board.write_all(b"=> ").expect("written");
    expect(&connection, "=> ");
    connection.sender().send(b"version\n").expect("sent");
    read_exactly(&mut board, "version\n");
    let error = connection.sender().send_break().expect_err("TCP has no break");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    drop(board);
    expect_vanished(&connection);
    let (mut board, _) = listener.accept().expect("the client again");
    board.write_all(b"again").expect("written");
    assert!(matches!(connection.next(LONG), Some(Event::Back)));
    expect(&connection, "again");
}

#[test]
fn a_refused_tcp_port_is_no_answer() {
    let port = Port::new().expect("a port");
    let address: Address = format!("tcp://{}", port.address()).parse().expect("an address");
    let error = Connection::open(&address, never_again()).err().expect("an error");
    assert!(matches!(error, Error::Open { .. }), "{error}");
}

#[test]
fn a_command_is_a_console_and_its_end_is_the_consoles_end() {
    let command = "printf '=> '; read line; printf 'got %s' \"$line\"";
    let address: Address = format!("exec:{command}").parse().expect("an address");
    let connection = Connection::open(&address, Options::default()).expect("a connection");
    expect(&connection, "=> ");
    connection.sender().send(b"printenv\n").expect("sent");
    expect(&connection, "got printenv");
    // A command is not started again: who knows what it would do.
    assert!(matches!(connection.next(LONG), Some(Event::Closed(None))));
}

#[test]
fn a_command_that_fails_is_a_console_that_was_lost() {
    for (command, how) in
        [("exit 7", "exit code 7"), ("kill -9 $$", "signal 9"), ("stoop-nobody-has-this 2>/dev/null", "exit code 127")]
    {
        let address: Address = format!("exec:{command}").parse().expect("an address");
        let connection = Connection::open(&address, Options::default()).expect("a connection");
        match connection.next(LONG) {
            Some(Event::Closed(Some(error))) => {
                assert!(error.to_string().ends_with(how), "{error}");
                assert_eq!((error.code(), error.exit_code()), ("L017", 75));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn dropping_a_command_ends_everything_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = fifo(folder.path());
    // What is started inherits the pipe's writing end, so the reader sees its end.
    let command = format!("exec:exec 3>{}; sleep 1000 & echo ready; wait", pipe.display());
    let connection = Connection::open(&command.parse().expect("an address"), never_again()).expect("a connection");
    let mut held = std::fs::File::open(&pipe).expect("the pipe");
    expect(&connection, "ready\n");
    drop(connection);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(held.read(&mut [0]).expect("the pipe")));
    assert_eq!(end.recv_timeout(LONG), Ok(0), "the last process that held the pipe ended");
}

/// ser2net on a loopback port of its own, serving a pseudo-terminal by RFC 2217.
struct Ser2net {
    child: Child,
    port: Port,
    _folder: tempfile::TempDir,
}

impl Ser2net {
    /// It listens already; `None` without the program.
    fn start(device: &str) -> Option<Ser2net> {
        let port = Port::new().expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ser2net.yaml");
        let text = format!(
            "connection: &board\n  accepter: telnet(rfc2217),tcp,127.0.0.1,{}\n  connector: serialdev,{device},9600n81,local\n",
            port.address().port()
        );
        std::fs::write(&file, text).expect("a file");
        // It writes its number once it listens; a pipe tells when.
        let number = fifo(folder.path());
        // `-u` leaves out its own lock files; `-n` stays in the foreground.
        let mut command = Command::new("ser2net");
        command.args(["-n", "-u", "-c"]).arg(&file).arg("-P").arg(&number).stdin(Stdio::null()).stderr(Stdio::null());
        let server = Ser2net { child: command.spawn().ok()?, port, _folder: folder };
        let (listens, heard) = mpsc::channel();
        std::thread::spawn(move || listens.send(std::fs::read(&number).is_ok()));
        assert_eq!(heard.recv_timeout(LONG), Ok(true), "ser2net listens");
        Some(server)
    }
}

impl Drop for Ser2net {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_console_server_that_speaks_rfc2217_takes_the_speed_and_every_byte() {
    let (mut board, name) = pty();
    let Some(server) = Ser2net::start(&name) else {
        return skipped("ser2net is not installed");
    };
    let address: Address = format!("rfc2217://{}", server.port.address()).parse().expect("an address");
    let connection = Connection::open(&address, never_again()).expect("a connection");
    assert_eq!(board.baud_rate().expect("a speed"), 115_200, "not ser2net's own 9600");
    let all: Vec<u8> = (0..=255).collect();
    connection.sender().send(&all).expect("sent");
    let mut back = vec![0; all.len()];
    board.read_exact(&mut back).expect("bytes");
    assert_eq!(back, all, "0xff is doubled on the wire and nowhere else");
    board.write_all(&all).expect("written");
    let mut came = Vec::new();
    while came.len() < all.len() {
        match connection.next(LONG) {
            Some(Event::Bytes(bytes)) => came.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(came, all);
    connection.sender().send_break().expect("a break");
}

#[test]
fn a_port_of_bare_bytes_is_not_taken_for_rfc2217() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: Address =
        format!("rfc2217://{}", listener.local_addr().expect("an address")).parse().expect("an address");
    let error = Connection::open(&address, never_again()).err().expect("an error");
    assert!(matches!(error, Error::Rfc2217 { .. }), "{error}");
}

#[test]
fn as_streams_it_reads_to_the_end_and_tells_what_else_happens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: Address = format!("tcp://{}", listener.local_addr().expect("an address")).parse().expect("an address");
    let connection = Connection::open(&address, never_again()).expect("a connection");
    let (mut board, _) = listener.accept().expect("a client");
    let (notes, told) = mpsc::channel();
    let (mut from, mut to) = connection.into_streams(move |event| notes.send(format!("{event:?}")).expect("told"));
    to.write_all(b"reset\n").expect("written");
    read_exactly(&mut board, "reset\n");
    board.write_all(b"resetting ...").expect("written");
    drop(board);
    let mut all = String::new();
    from.read_to_string(&mut all).expect("text");
    assert_eq!(all, "resetting ...");
    assert_eq!(told.recv_timeout(LONG).as_deref(), Ok("Closed(None)"));
}

#[test]
fn dropping_the_sending_stream_closes_the_port_before_it_returns() {
    let (_board, name) = pty();
    let address = device(Path::new(&name));
    for _ in 0..3 {
        let connection = Connection::open(&address, never_again()).expect("free");
        let (mut from, to) = connection.into_streams(|_| {});
        let reader = std::thread::spawn(move || from.read(&mut [0]).expect("the end"));
        drop(to);
        // It is opened again although the receiving half may still be there.
        drop(Connection::open(&address, never_again()).expect("free again"));
        assert_eq!(reader.join().expect("no panic"), 0);
    }
}
