//! Faults on purpose: each ends with its code, its exit code, and the board's power off where it was to be switched off. The table
//! of `docs/desk.md` has the same lines.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stoop_ci::{Failure, Result, run};
use stoop_hil_tests::desk::{Desk, collected, no_tftp};
use stoop_hil_tests::stand::Emulated;
use stoop_hil_tests::stand::played::{Played, Script};
use stoop_hil_tests::{program, skip};
use stoop_lab::Explained;
use stoop_lab::flash::Job;

const BOARD: &str = "qemu-malta-le";
const PROMPT: &str = "maltael #";

/// A board of the right kind with these answers; `dhcp` works.
fn script(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Script {
    Script::of(PROMPT, "256 MiB", "4 MiB", move |line| match line {
        "dhcp" => Some("DHCP client bound to address 127.0.0.9 (1 ms)\r\n".into()),
        line => answer(line),
    })
}

/// Boots a small image on it; the code and the exit code of how it fails.
fn fault(desk: &Desk) -> Result<(&'static str, u8)> {
    let mut console = desk.console()?;
    let error = match desk.netboot(&mut console, &program::uimage(false), &collected().0) {
        Ok(()) => return Err(Failure::new("nothing went wrong")),
        Err(error) => error,
    };
    println!("{}: {error}\n  next: {}", error.code(), error.next_step().unwrap_or_default());
    Ok((error.code(), error.exit_code()))
}

fn played(script: Script) -> Result<Desk> {
    let mut desk = Desk::played(BOARD, Box::new(Played(script)))?;
    desk.patience.attention = Duration::from_secs(3);
    desk.patience.command = Duration::from_secs(3);
    desk.patience.echo = Duration::from_secs(1);
    Ok(desk)
}

/// Asserts that the script ends in this code and exit code; skipped where TFTP cannot be served.
fn ends(script: Script, code: &str, exit: u8) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    assert_eq!(fault(&played(script)?)?, (code, exit));
    Ok(())
}

#[test]
fn a_board_that_says_nothing() -> Result<()> {
    ends(Script { start: Vec::new(), prompt: None, ..script(|_| None) }, "L041", 3)
}

#[test]
fn noise_on_the_line() -> Result<()> {
    let noise = (0..500_u32).map(|number| (number.wrapping_mul(0x9e37_79b9) >> 24) as u8 | 0x80).collect();
    ends(Script { start: noise, prompt: None, ..script(|_| None) }, "L042", 3)
}

#[test]
fn a_bootloader_that_never_prompts() -> Result<()> {
    ends(Script { prompt: None, ..script(|_| None) }, "L043", 3)
}

#[test]
fn a_board_with_another_prompt() -> Result<()> {
    ends(Script { prompt: Some("MT7621 #"), ..script(|_| None) }, "L044", 75)
}

#[test]
fn a_board_with_another_amount_of_ram() -> Result<()> {
    ends(Script::of(PROMPT, "64 MiB", "4 MiB", |_| Some(String::new())), "L044", 75)
}

#[test]
fn every_seventh_typed_character_is_lost() -> Result<()> {
    let line = |number: usize, byte| if number % 7 == 6 { Vec::new() } else { vec![byte] };
    ends(Script { line, ..script(|_| Some(String::new())) }, "L045", 3)
}

#[test]
fn a_command_that_never_returns() -> Result<()> {
    ends(script(|line| if line == "bdinfo" { None } else { Some(String::new()) }), "L046", 3)
}

#[test]
fn a_board_that_restarts_in_the_middle() -> Result<()> {
    let restarted = |line: &str| (line == "flinfo").then(|| "resetting ...\r\n".to_owned()).or(Some(String::new()));
    ends(script(restarted), "L047", 3)
}

#[test]
fn a_console_that_ends_while_the_bootloader_is_talked_to() -> Result<()> {
    let mut desk = played(script(|_| None))?;
    // It shows the prompt, and goes with the first byte that is typed.
    let console = format!("exec:printf '\\n{PROMPT} '; exec head -c 1 > /dev/null");
    desk.place.serial = console.parse().map_err(stoop_lab::Error::from)?;
    assert_eq!(fault(&desk)?, ("L048", 75));
    Ok(())
}

#[test]
fn a_cable_that_is_not_plugged_in() -> Result<()> {
    let said = "eth0: link down\r\n";
    ends(script(move |line| Some(if line.starts_with("tftpboot") { said.into() } else { String::new() })), "L061", 3)
}

#[test]
fn no_dhcp_server() -> Result<()> {
    let said = "BOOTP broadcast 1\r\nRetry time exceeded; starting again\r\n";
    let script = Script::of(PROMPT, "256 MiB", "4 MiB", move |line| {
        Some(if line == "dhcp" { said.into() } else { String::new() })
    });
    ends(script, "L062", 3)
}

#[test]
fn nobody_answers_arp() -> Result<()> {
    let said = "\r\nARP Retry count exceeded; starting again\r\n";
    ends(script(move |line| Some(if line.starts_with("tftpboot") { said.into() } else { String::new() })), "L064", 3)
}

#[test]
fn a_request_that_never_arrives() -> Result<()> {
    let said = "Loading: T T T T T\r\nRetry count exceeded; starting again\r\n";
    ends(script(move |line| Some(if line.starts_with("tftpboot") { said.into() } else { String::new() })), "L065", 3)
}

/// A board whose TFTP client sends this request and, to the first answer, `further`; the boot ends in this code.
fn client_ends(request: &'static [u8], further: &'static [u8], said: &'static str, code: &str) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    // The desk has the server's address only when the board is there.
    let server: Arc<Mutex<String>> = Arc::default();
    let known = Arc::clone(&server);
    let desk = played(script(move |line| {
        if !line.starts_with("tftpboot") {
            return Some(String::new());
        }
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.send_to(request, format!("{}:69", known.lock().ok()?)).ok()?;
        let (_, from) = socket.recv_from(&mut [0; 2048]).ok()?;
        if !further.is_empty() {
            socket.connect(from).ok()?;
            socket.send(further).ok()?;
            // The server has closed the transfer's port when it has heard: before the bootloader's words are judged.
            socket.set_read_timeout(Some(Duration::from_millis(20))).ok()?;
            while !matches!(socket.send(b"?").and_then(|_| socket.recv(&mut [0; 2048])), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
            {
            }
        }
        Some(said.into())
    }))?;
    *server.lock().expect("no panic") = desk.place.server.map(|ip| ip.to_string()).unwrap_or_default();
    assert_eq!(fault(&desk)?, (code, 3));
    Ok(())
}

#[test]
fn a_client_that_asks_for_another_file() -> Result<()> {
    client_ends(b"\0\x01other.bin\0octet\0", b"", "TFTP error: 'File not found' (1)\r\n", "L069")
}

#[test]
fn a_client_that_writes() -> Result<()> {
    client_ends(b"\0\x02image.bin\0octet\0", b"", "TFTP error: 'Read-only server' (2)\r\n", "L070")
}

#[test]
fn a_client_that_gives_up_with_its_own_words() -> Result<()> {
    client_ends(b"\0\x01image.bin\0octet\0", b"\0\x05\0\x03Disk full\0", "Abort\r\n", "L071")
}

#[test]
fn a_client_that_hears_no_answer() -> Result<()> {
    client_ends(b"\0\x01image.bin\0octet\0", b"", "Retry count exceeded; starting again\r\n", "L067")
}

#[test]
fn an_image_that_the_bootloader_does_not_start() -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let machine = Emulated::new(BOARD, work.path(), work.path())?;
    let desk = Desk::played(BOARD, Box::new(machine))?;
    let mut console = desk.console()?;
    let mut image = program::uimage(false);
    // The payload's own sum: U-Boot finds out, the tool does not look.
    let last = image.len() - 1;
    image[last] ^= 1;
    let error = desk.netboot(&mut console, &image, &collected().0).expect_err("a bad sum");
    assert_eq!((error.code(), error.exit_code()), ("L073", 3), "{error}");
    Ok(())
}

/// What a played board says to a command that flashing needs; flash is never as the file at first.
fn flash_answer(line: &str, size: usize) -> String {
    let command = line.split(' ').next().unwrap_or_default();
    match command {
        "tftpboot" => format!("Bytes transferred = {size} ({size:x} hex)\r\n"),
        "crc32" => "CRC32 for be090000 ... be09ffff ==> 00000000\r\n".into(),
        "erase" => "\r\n. done\r\nErased 1 sectors\r\n".into(),
        "cp.b" => "Copy to Flash... done\r\n".into(),
        "cmp.b" => {
            "byte at 0x81000800 (0x5a) != byte at 0xbe090800 (0xff)\r\nTotal of 2048 byte(s) were the same\r\n".into()
        }
        _ => String::new(),
    }
}

/// Writes one block on a board that says `said` to `command`; the error.
fn flash_fault(command: &'static str, said: &'static str) -> Result<stoop_lab::Error> {
    let bytes = [0x5a; 0x1000];
    let job = Job::of(&stoop_image::board::load(BOARD)?, &bytes, false).map_err(stoop_lab::Error::from);
    let job = job.map_err(Failure::from)?;
    let size = job.file.len();
    let mut desk = played(script(move |line| {
        let is_asked = line.split(' ').next() == Some(command);
        Some(if is_asked { said.to_owned() } else { flash_answer(line, size) })
    }))?;
    // Nothing is fetched: the board only says so.
    desk.served_by_qemu()?;
    match desk.flash(&job, &collected().0) {
        Ok(()) => Err(Failure::new("nothing went wrong")),
        Err(error) => Ok(error),
    }
}

#[test]
fn flash_whose_driver_gives_up_in_the_middle() -> Result<()> {
    let error = flash_fault("cp.b", "Copy to Flash... Timeout writing to Flash\r\n")?;
    assert_eq!((error.code(), error.exit_code()), ("L086", 3), "{error}");
    assert!(error.to_string().ends_with("Timeout writing to Flash; it differs first at 0xbe090800"), "{error}");
    Ok(())
}

#[test]
fn flash_whose_driver_says_done_and_wrote_only_a_part() -> Result<()> {
    let error = flash_fault("protect", "")?;
    assert_eq!((error.code(), error.exit_code()), ("L087", 3), "{error}");
    assert!(error.to_string().contains("0xbe090800: 0xff, not 0x5a"), "{error}");
    Ok(())
}

#[test]
fn flash_that_its_chip_protects() -> Result<()> {
    let error = flash_fault("erase", "- Warning: 1 protected sectors will not be erased!\r\n done\r\n")?;
    assert_eq!((error.code(), error.exit_code()), ("L085", 3), "{error}");
    Ok(())
}

/// Sends a process a signal at the first `erase`, as Ctrl-C does, and says nothing more.
fn interrupting(size: usize, process: Receiver<Pid>) -> Script {
    let process = Mutex::new(process);
    script(move |line| match line.split(' ').next() {
        Some("erase") => {
            let process = process.lock().expect("no panic").recv().expect("a process");
            kill_process(process, Signal::TERM).err().map(|error| error.to_string())
        }
        _ => Some(flash_answer(line, size)),
    })
}

/// In a process of its own: the signal would end what other tests do in this one.
#[test]
fn an_interruption_says_what_of_flash_is_not_whole() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let image = folder.path().join("image");
    std::fs::write(&image, program::uimage(false)).map_err(|error| Failure::io(&image, &error))?;
    let (started, process) = channel();
    let mut desk = Desk::played(BOARD, Box::new(Played(interrupting(0x1_0000, process))))?;
    // Nothing is fetched: the board only says so.
    let served = desk.served_by_qemu()?;
    let mut stoop = run::stoop();
    stoop.args(["flash", "--board", BOARD, "--yes", "--tftp-folder"]).args([served, image]).args(desk.flags());
    // Cargo, which becomes the command.
    let stoop = stoop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cargo");
    started.send(Pid::from_child(&stoop)).expect("a board");
    let output = stoop.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let error = said.lines().find(|line| line.contains("L099")).unwrap_or_default();
    assert!(error.ends_with("[0x90000, 0xa0000) of firmware-a is not whole"), "{said}");
    Ok(())
}

#[test]
fn another_file_in_the_other_servers_folder_is_kept_and_the_same_one_is_used() -> Result<()> {
    let mut desk =
        played(script(|line| Some(if line.starts_with("tftpboot") { "TFTP error: 'x' (1)\r\n" } else { "" }.into())))?;
    let there = desk.served_by_qemu()?.join("image.bin");
    for (contents, code) in [(b"somebody's".to_vec(), ("L075", 2)), (program::uimage(false), ("L074", 3))] {
        std::fs::write(&there, &contents).map_err(|error| Failure::io(&there, &error))?;
        assert_eq!(fault(&desk)?, code);
        assert!(std::fs::read(&there).is_ok_and(|left| left == contents), "it is as it was");
    }
    Ok(())
}

#[test]
fn a_server_elsewhere_that_does_not_have_the_image() -> Result<()> {
    let said = "TFTP error: 'File not found' (1)\r\nNot retrying...\r\n";
    let mut desk =
        played(script(move |line| Some(if line.starts_with("tftpboot") { said.to_owned() } else { String::new() })))?;
    desk.served_by_qemu()?;
    assert_eq!(fault(&desk)?, ("L074", 3));
    Ok(())
}
