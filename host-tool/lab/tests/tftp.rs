//! The TFTP server against the clients that people have: curl, atftp, tftp-hpa and U-Boot; and against bare packets, for what
//! no well-meaning client does.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use stoop_lab::Explained;
use stoop_lab::tftp::{Break, Error, Event, File, PORT, Refusal, Server};
use stoop_samples::machine::skipped;

mod support;

use support::{LONG, UBoot, bytes};

fn start_on(address: &str, bytes: &[u8]) -> Result<(Server, Receiver<Event>), Error> {
    let (sender, events) = mpsc::channel();
    let file = File { name: "image.bin".into(), bytes: bytes.into() };
    let tell = move |event| drop(sender.send(event));
    Ok((Server::start(address.parse().expect("an address"), file, tell)?, events))
}

fn start(bytes: &[u8]) -> (Server, Receiver<Event>) {
    start_on("127.0.0.1:0", bytes).expect("a server")
}

/// The next event that is no progress.
fn next(events: &Receiver<Event>) -> Event {
    loop {
        match events.recv_timeout(LONG).expect("an event") {
            Event::Acknowledged { .. } => {}
            other => return other,
        }
    }
}

/// A client made of bare packets.
struct Bare {
    socket: UdpSocket,
    server: SocketAddr,
    newest: RefCell<Vec<u8>>,
}

impl Bare {
    fn new(server: &Server) -> Bare {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(LONG)).expect("a timeout");
        Bare { socket, server: server.address(), newest: RefCell::default() }
    }

    fn ask(&self, request: &[u8]) {
        self.socket.send_to(request, self.server).expect("sent");
    }

    /// Whatever comes next.
    fn receive_any(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 2048];
        let (count, from) = self.socket.recv_from(&mut buffer).expect("an answer");
        (buffer[..count].to_vec(), from)
    }

    /// The next that is not the last one again: the server repeats what is not answered soon, which a busy machine does not do.
    fn receive(&self) -> (Vec<u8>, SocketAddr) {
        loop {
            let (packet, from) = self.receive_any();
            if self.newest.replace(packet.clone()) != packet {
                return (packet, from);
            }
        }
    }

    /// All that came and was not received yet.
    fn rest(&self) -> Vec<Vec<u8>> {
        self.socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 2048];
        let packets = std::iter::from_fn(|| self.socket.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
        packets.collect()
    }

    fn acknowledge(&self, block: u16, to: SocketAddr) {
        self.socket.send_to(&[&[0, 4], &block.to_be_bytes()[..]].concat(), to).expect("sent");
    }
}

const READ: &[u8] = b"\0\x01image.bin\0octet\0";

fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, 3], &block.to_be_bytes()[..], bytes].concat()
}

#[test]
fn a_client_without_options_gets_blocks_of_512_from_the_address_it_asked() {
    let file = bytes(600);
    let (server, events) = start_on("127.0.0.7:0", &file).expect("a server");
    let client = Bare::new(&server);
    client.ask(READ);
    let (first, from) = client.receive();
    assert_eq!(first, data(1, &file[..512]));
    assert_eq!(from.ip(), server.address().ip());
    assert_ne!(from.port(), server.address().port(), "a transfer has its own port");
    client.acknowledge(1, from);
    assert_eq!(client.receive(), (data(2, &file[512..]), from));
    client.acknowledge(2, from);
    assert!(matches!(next(&events), Event::Began { .. }));
    assert!(matches!(next(&events), Event::Done { .. }));
}

#[test]
fn progress_is_told_in_acknowledged_bytes_up_to_the_last() {
    let (server, events) = start(&bytes(600));
    let client = Bare::new(&server);
    client.ask(READ);
    let (_, from) = client.receive();
    client.acknowledge(1, from);
    client.receive();
    client.acknowledge(2, from);
    let bytes: Vec<_> = events.iter().take_while(|event| !matches!(event, Event::Done { .. })).collect();
    let told = bytes.iter().filter_map(|event| match event {
        Event::Acknowledged { bytes, size, .. } => Some((*bytes, *size)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(512, 600), (600, 600)]);
}

#[test]
fn requests_for_anything_else_are_refused_and_told() {
    let (server, events) = start(&bytes(10));
    for (request, answer, name, reason) in [
        (&b"\0\x01other.bin\0octet\0"[..], &b"\0\x05\0\x01File not found\0"[..], "other.bin", Refusal::Name),
        (b"\0\x02image.bin\0octet\0", b"\0\x05\0\x02Read-only server\0", "image.bin", Refusal::Write),
        (b"\0\x01image.bin\0netascii\0", b"\0\x05\0\x04Only octet mode is served\0", "image.bin", Refusal::Mode),
    ] {
        let client = Bare::new(&server);
        client.ask(request);
        assert_eq!(client.receive().0, answer);
        match next(&events) {
            Event::Refused { name: told, reason: why, .. } => assert_eq!((told.as_str(), why), (name, reason)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn slashes_in_front_of_the_name_do_not_count() {
    let (server, _events) = start(b"x");
    let client = Bare::new(&server);
    client.ask(b"\0\x01/image.bin\0octet\0");
    assert_eq!(client.receive().0, data(1, b"x"));
}

#[test]
fn a_new_request_from_the_same_address_replaces_the_old_transfer() {
    let file = bytes(2000);
    let (server, events) = start(&file);
    let (old, new) = (Bare::new(&server), Bare::new(&server));
    old.ask(READ);
    let (_, old_port) = old.receive();
    new.ask(READ);
    let (first, new_port) = new.receive();
    assert_eq!(first, data(1, &file[..512]));
    // To an old transfer that lived, this would be worth its second block.
    old.acknowledge(1, old_port);
    new.acknowledge(1, new_port);
    for block in [2, 3, 4_u16] {
        let bytes = &file[usize::from(block - 1) * 512..];
        assert_eq!(new.receive(), (data(block, &bytes[..bytes.len().min(512)]), new_port));
        new.acknowledge(block, new_port);
    }
    assert!(matches!(next(&events), Event::Began { .. }));
    assert!(matches!(next(&events), Event::Began { .. }));
    assert!(matches!(next(&events), Event::Done { .. }));
    // The first one may have come again before there was a new request.
    assert!(old.rest().iter().all(|packet| *packet == first), "nobody waits for the old one");
}

#[test]
fn the_clients_own_error_reaches_the_caller() {
    let (server, events) = start(&bytes(2000));
    let client = Bare::new(&server);
    client.ask(READ);
    let (_, from) = client.receive();
    client.socket.send_to(b"\0\x05\0\x03Disk full\x1b[2J\0", from).expect("sent");
    assert!(matches!(next(&events), Event::Began { .. }));
    match next(&events) {
        Event::ClientError { code: 3, text, .. } => assert_eq!(text, "Disk full\x1b[2J"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_closes_its_port_is_noticed_at_once() {
    let (server, events) = start(&bytes(20_000));
    let client = Bare::new(&server);
    client.ask(READ);
    let (_, from) = client.receive();
    client.acknowledge(1, from);
    // Else the server might hear of the closed port, when it repeats the first block, before it takes this answer.
    while !matches!(events.recv_timeout(LONG).expect("an event"), Event::Acknowledged { bytes: 512, .. }) {}
    drop(client);
    match next(&events) {
        Event::Broken { bytes: 512, reason: Break::Gone, .. } => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_block_without_an_answer_is_sent_again() {
    let file = bytes(100);
    let (server, _events) = start(&file);
    let client = Bare::new(&server);
    client.ask(READ);
    assert_eq!(client.receive_any(), client.receive_any());
}

#[test]
fn garbage_disturbs_nobody() {
    let file = bytes(100);
    let (server, _events) = start(&file);
    let client = Bare::new(&server);
    for garbage in [&b""[..], b"\0", b"\0\x01", b"\0\x01no end", b"\0\x09\0\0", &[0xff; 2000]] {
        client.ask(garbage);
    }
    client.ask(READ);
    let (first, from) = client.receive();
    assert_eq!(first, data(1, &file));
    for garbage in [&b""[..], b"\0\x04", b"\0\x04\x12\x34", b"\0\x03\0\x01", READ] {
        client.socket.send_to(garbage, from).expect("sent");
    }
    client.acknowledge(1, from);
}

#[test]
fn every_address_at_once_and_foreign_addresses_are_refused() {
    assert!(matches!(start_on("0.0.0.0:0", b""), Err(Error::Unspecified { .. })));
    // TEST-NET-3: nobody's.
    assert!(matches!(start_on("203.0.113.1:0", b""), Err(Error::NotOurs { .. })));
    let (server, _events) = start(b"");
    let taken = start_on(&server.address().to_string(), b"").err().expect("an error");
    assert!(matches!(taken, Error::Taken { .. }), "{taken}");
    let next = taken.next_step().expect("a step");
    assert!(next.contains(&format!("sport = :{}", server.address().port())), "{next}");
    assert_eq!((taken.code(), taken.exit_code()), ("L020", 1));
}

#[test]
fn a_port_that_this_user_may_not_have_is_refused_with_the_setting_that_allows_it() {
    let limit = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("Linux's limit");
    let limit: u16 = limit.trim().parse().expect("a port");
    // Only of this thread, which may be root's.
    let mut may = capabilities(None).expect("capabilities");
    may.effective.remove(CapabilitySet::NET_BIND_SERVICE);
    set_capabilities(None, may).expect("fewer capabilities");
    let (port, error) = match limit.saturating_sub(1).min(PORT) {
        // As in some containers, every port is allowed: as Linux would say it.
        0 => (PORT, Error::listen(SocketAddr::from(([127, 69, 0, 2], PORT)), io::ErrorKind::PermissionDenied.into())),
        port => (port, start_on(&format!("127.69.0.2:{port}"), b"").err().expect("an error")),
    };
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    assert_eq!((error.code(), error.exit_code()), ("L021", 1));
    let next = error.next_step().expect("a step");
    assert!(next.ends_with(&format!("`sudo sysctl net.ipv4.ip_unprivileged_port_start={port}`")), "{next}");
}

/// Runs a client that leaves the file at a path; `None` when it is not installed.
fn fetched(command: &mut Command, to: &Path) -> Option<Vec<u8>> {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {output:?}");
            Some(std::fs::read(to).expect("the file"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skipped(&format!("{} is not installed", command.get_program().to_string_lossy()));
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

#[test]
fn curl_gets_the_file_with_any_block_size() {
    let file = bytes(300_000);
    let (server, events) = start(&file);
    let folder = tempfile::tempdir().expect("a folder");
    for (number, size) in ["512", "1468", "65464"].into_iter().enumerate() {
        let to = folder.path().join(number.to_string());
        let mut curl = Command::new("curl");
        curl.args(["-s", "-S", "--tftp-blksize", size, "-o"])
            .arg(&to)
            .arg(format!("tftp://{}/image.bin", server.address()));
        let Some(got) = fetched(&mut curl, &to) else { return };
        assert_eq!(got, file, "{size}");
        match next(&events) {
            Event::Began { granted, .. } => assert_eq!(granted.block_size().to_string(), size),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next(&events), Event::Done { .. }));
    }
}

#[test]
fn atftp_gets_the_file_with_a_window() {
    let file = bytes(300_000);
    let (server, events) = start(&file);
    let folder = tempfile::tempdir().expect("a folder");
    for (asked, granted_window) in [(1, 1), (8, 8), (64, 8)] {
        let to = folder.path().join(asked.to_string());
        let mut atftp = Command::new("atftp");
        atftp.args([
            "--option",
            &format!("windowsize {asked}"),
            "--option",
            "blksize 1468",
            "-g",
            "-r",
            "image.bin",
            "-l",
        ]);
        atftp.arg(&to).args(["127.0.0.1", &server.address().port().to_string()]);
        let Some(got) = fetched(&mut atftp, &to) else { return };
        assert_eq!(got, file, "{asked}");
        match next(&events) {
            Event::Began { granted, .. } => assert_eq!(granted.window(), granted_window),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next(&events), Event::Done { .. }));
    }
}

#[test]
fn tftp_hpa_gets_more_blocks_than_their_numbers_count() {
    let file = bytes(512 * 65536 + 700);
    let (server, events) = start(&file);
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("file");
    let mut tftp = Command::new("tftp");
    let port = server.address().port().to_string();
    tftp.args(["-m", "binary", "127.0.0.1", &port, "-c", "get", "image.bin"]).arg(&to);
    let Some(got) = fetched(&mut tftp, &to) else { return };
    assert!(got == file);
    assert!(matches!(next(&events), Event::Began { .. }));
    assert!(matches!(next(&events), Event::Done { .. }));
}

#[test]
fn a_file_comes_whole_through_a_network_that_loses_packets() {
    let file = bytes(200_000);
    let (server, _events) = start(&file);
    for window in [1_u16, 8] {
        let client = Bare::new(&server);
        client.ask(&[READ, b"windowsize\0", window.to_string().as_bytes(), b"\0timeout\x001\0"].concat());
        let (options, from) = client.receive();
        assert_eq!(options[..2], [0, 6]);
        client.acknowledge(0, from);
        let (mut got, mut packets, mut newest) = (Vec::<u8>::new(), 0_u32, 0_u16);
        while got.len() < file.len() {
            let (packet, _) = client.receive_any();
            packets += 1;
            // Every 97th is lost, on the way here or as the answer to it.
            if packets % 97 == 0 {
                continue;
            }
            let block = u16::from_be_bytes([packet[2], packet[3]]);
            if block == newest.wrapping_add(1) {
                newest = block;
                got.extend(&packet[4..]);
                if newest % window != 0 && got.len() < file.len() {
                    continue;
                }
            } else if window == 1 {
                continue;
            }
            client.acknowledge(newest, from);
        }
        assert!(got == file, "window {window}");
    }
}

#[test]
fn u_boot_gets_the_file_with_windows_and_names_what_it_does_not_get() {
    let file = bytes(3_000_000);
    // U-Boot knows no other port. The address is this test's, since other servers have that port too.
    let (server, events) = match start_on(&format!("127.69.0.1:{PORT}"), &file) {
        Ok(started) => started,
        Err(error @ (Error::Forbidden { .. } | Error::Taken { .. })) => {
            return skipped(&format!("{error}: {}", error.next_step().unwrap_or_default()));
        }
        Err(error) => panic!("{error}"),
    };
    let Some(board) = UBoot::start() else { return };
    board.network(&server.address().ip().to_string());
    for window in [1, 8, 64] {
        board.typed(&format!("setenv tftpwindowsize {window}"));
        let transfer = board.typed("tftpboot 0x40400000 image.bin");
        assert!(transfer.contains("Bytes transferred = 3000000 (2dc6c0 hex)"), "{transfer}");
        let sum = board.typed("crc32 0x40400000 0x2dc6c0");
        assert!(sum.contains(&format!("==> {:08x}", crc32(&file))), "{sum}");
        match next(&events) {
            Event::Began { granted, .. } => assert_eq!((granted.window(), granted.block_size()), (window.min(8), 1468)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next(&events), Event::Done { .. }));
    }
    let missing = board.typed("tftpboot 0x40400000 other.bin");
    assert!(missing.contains("TFTP error: 'File not found' (1)"), "{missing}");
    assert!(matches!(next(&events), Event::Refused { reason: Refusal::Name, .. }));
}

/// As U-Boot's `crc32`.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}
