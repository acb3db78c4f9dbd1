//! Faults on purpose: each ends `stoop` itself with its message, its code, its exit code, and the board's power off. The table of
//! `docs/desk.md` has the same lines.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use stoop_ci::{Failure, Result};
use stoop_hil_tests::desk::{Desk, Plug, no_tftp};
use stoop_hil_tests::fault::Fault;
use stoop_hil_tests::stand::Emulated;
use stoop_hil_tests::stand::nor::Nor;
use stoop_hil_tests::stand::played::{Played, Script};
use stoop_hil_tests::{program, skip};
use stoop_lab::flash::Job;

const BOARD: &str = "qemu-malta-le";
const PROMPT: &str = "maltael #";

/// How a boot of a small image ends there.
fn fault(desk: &Desk) -> Result<Fault> {
    fault_of(desk, &program::uimage(false))
}

fn fault_of(desk: &Desk, image: &[u8]) -> Result<Fault> {
    let image = desk.file("image.bin", image)?;
    let patience = desk.patience.attention.as_secs().to_string();
    // What boots all the same ends as well.
    desk.fault(&["netboot", &image, "--prompt-timeout", &patience, "--until", "never", "--timeout", "1"])
}

/// A board that says this when it is to fetch a file.
fn fetching(said: &'static str) -> Script {
    Script::malta(move |line| Some(if line.starts_with("tftpboot") { said } else { "" }.to_owned()))
}

/// A prompt that never comes is not waited for as long as one that is only late.
fn played(script: Script) -> Result<Desk> {
    let comes = script.prompt.is_some();
    let mut desk = Desk::played(BOARD, Box::new(Played(script)))?;
    if !comes {
        desk.patience.attention = Duration::from_secs(3);
    }
    Ok(desk)
}

/// Asserts that the script ends in this code and exit code; skipped where TFTP cannot be served.
fn ends(script: Script, code: &str, exit: u8) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    assert_eq!(fault(&played(script)?)?.codes(), (code, exit));
    Ok(())
}

#[test]
fn a_board_that_says_nothing() -> Result<()> {
    ends(Script { start: Vec::new(), prompt: None, ..Script::malta(|_| None) }, "L041", 3)
}

#[test]
fn noise_on_the_line() -> Result<()> {
    let noise = (0..500_u32).map(|number| (number.wrapping_mul(0x9e37_79b9) >> 24) as u8 | 0x80).collect();
    ends(Script { start: noise, prompt: None, ..Script::malta(|_| None) }, "L042", 3)
}

#[test]
fn a_bootloader_that_never_prompts() -> Result<()> {
    ends(Script { prompt: None, ..Script::malta(|_| None) }, "L043", 3)
}

#[test]
fn a_board_with_another_prompt() -> Result<()> {
    ends(Script { prompt: Some("MT7621 #"), ..Script::malta(|_| None) }, "L044", 75)
}

#[test]
fn a_board_with_another_amount_of_ram() -> Result<()> {
    ends(Script::of(PROMPT, "64 MiB", "4 MiB", |_| Some(String::new())), "L044", 75)
}

#[test]
fn every_seventh_typed_character_is_lost() -> Result<()> {
    let line = |number: usize, byte| if number % 7 == 6 { Vec::new() } else { vec![byte] };
    ends(Script { line, ..Script::malta(|_| Some(String::new())) }, "L045", 3)
}

#[test]
fn a_command_that_never_returns() -> Result<()> {
    ends(Script::malta(|line| if line == "bdinfo" { None } else { Some(String::new()) }), "L046", 3)
}

#[test]
fn a_board_that_restarts_in_the_middle() -> Result<()> {
    let restarted = |line: &str| (line == "flinfo").then(|| "resetting ...\r\n".to_owned()).or(Some(String::new()));
    ends(Script::malta(restarted), "L047", 3)
}

#[test]
fn a_console_that_ends_while_the_bootloader_is_talked_to() -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let mut desk = played(Script::malta(|_| None))?;
    // It shows the prompt, and goes with the first byte that is typed.
    let console = format!("exec:printf '\\n{PROMPT} '; exec head -c 1 > /dev/null");
    desk.place.serial = console.parse().map_err(stoop_lab::Error::from)?;
    assert_eq!(fault(&desk)?.codes(), ("L048", 75));
    Ok(())
}

#[test]
fn a_cable_that_is_not_plugged_in() -> Result<()> {
    let said = "eth0: link down\r\n";
    ends(fetching(said), "L061", 3)
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
    ends(fetching(said), "L064", 3)
}

#[test]
fn a_request_that_never_arrives() -> Result<()> {
    let said = "Loading: T T T T T\r\nRetry count exceeded; starting again\r\n";
    ends(fetching(said), "L065", 3)
}

/// Sends a request to that TFTP server as a board does, and waits for the first answer and where it comes from.
fn asked(server: &IpAddr, request: &[u8]) -> Option<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.send_to(request, (*server, stoop_lab::tftp::PORT)).ok()?;
    let (_, from) = socket.recv_from(&mut [0; 2048]).ok()?;
    Some((socket, from))
}

/// A board whose TFTP client sends this request and, to the first answer, `further`; the boot ends in this code.
fn client_ends(request: &'static [u8], further: &'static [u8], said: &'static str, code: &str) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    // The desk has the server's address only when the board is there.
    let server: Arc<OnceLock<IpAddr>> = Arc::default();
    let known = Arc::clone(&server);
    let desk = played(Script::malta(move |line| {
        if !line.starts_with("tftpboot") {
            return Some(String::new());
        }
        let (socket, from) = asked(known.get()?, request)?;
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
    server.set(desk.place.server.expect("a desk has one")).expect("once");
    assert_eq!(fault(&desk)?.codes(), (code, 3));
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
    let mut image = program::uimage(false);
    // The payload's own sum: U-Boot finds out, the tool does not look.
    let last = image.len() - 1;
    image[last] ^= 1;
    assert_eq!(fault_of(&desk, &image)?.codes(), ("L073", 3));
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

/// Writes one block on a board that says `said` to `command`.
fn flash_fault(command: &'static str, said: &'static str) -> Result<Fault> {
    let bytes = [0x5a; 0x1000];
    let size = 0x1_0000;
    let mut desk = played(Script::malta(move |line| {
        let is_asked = line.split(' ').next() == Some(command);
        Some(if is_asked { said.to_owned() } else { flash_answer(line, size) })
    }))?;
    // Nothing is fetched: the board only says so.
    desk.served_by_qemu()?;
    let image = desk.file("image.bin", &bytes)?;
    desk.fault(&["flash", &image, "--yes", "--unchecked"])
}

#[test]
fn flash_whose_driver_gives_up_in_the_middle() -> Result<()> {
    let fault = flash_fault("cp.b", "Copy to Flash... Timeout writing to Flash\r\n")?;
    assert_eq!(fault.codes(), ("L086", 3));
    assert!(fault.fact().ends_with("Timeout writing to Flash; it differs first at 0xbe090800"), "{fault:?}");
    Ok(())
}

#[test]
fn flash_whose_driver_says_done_and_wrote_only_a_part() -> Result<()> {
    let fault = flash_fault("protect", "")?;
    assert_eq!(fault.codes(), ("L087", 3));
    assert!(fault.fact().contains("0xbe090800: 0xff, not 0x5a"), "{fault:?}");
    Ok(())
}

#[test]
fn flash_that_its_chip_protects() -> Result<()> {
    let fault = flash_fault("erase", "- Warning: 1 protected sectors will not be erased!\r\n done\r\n")?;
    assert_eq!(fault.codes(), ("L085", 3));
    Ok(())
}

#[test]
fn an_interruption_says_what_of_flash_is_not_whole() -> Result<()> {
    // Sent the signal at the first `erase`, as Ctrl-C sends it, which says nothing more.
    let stoop: Arc<OnceLock<rustix::process::Pid>> = Arc::default();
    let asked = Arc::clone(&stoop);
    let mut desk = played(Script::malta(move |line| match line.split(' ').next() {
        Some("erase") => {
            let sent = rustix::process::kill_process(*asked.get()?, rustix::process::Signal::TERM);
            sent.err().map(|error| error.to_string())
        }
        _ => Some(flash_answer(line, 0x1_0000)),
    }))?;
    // Nothing is fetched: the board only says so.
    desk.served_by_qemu()?;
    let image = desk.file("image.bin", &program::uimage(false))?;
    let mut command = desk.stoop(&["flash", &image, "--yes"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("cargo");
    stoop.set(rustix::process::Pid::from_child(&child)).expect("once");
    let fault = desk.judged(&child.wait_with_output().expect("a child"))?;
    assert_eq!(fault.codes(), ("L099", 130));
    assert!(fault.fact().ends_with("[0x90000, 0xa0000) of firmware-a is not whole"), "{fault:?}");
    Ok(())
}

#[test]
fn another_file_in_the_other_servers_folder_is_kept_and_the_same_one_is_used() -> Result<()> {
    let mut desk = played(fetching("TFTP error: 'x' (1)\r\n"))?;
    let there = desk.served_by_qemu()?.join("image.bin");
    for (contents, code) in [(b"somebody's".to_vec(), ("L075", 2)), (program::uimage(false), ("L074", 3))] {
        std::fs::write(&there, &contents).map_err(|error| Failure::io(&there, &error))?;
        assert_eq!(fault(&desk)?.codes(), code);
        assert!(std::fs::read(&there).is_ok_and(|left| left == contents), "it is as it was");
    }
    Ok(())
}

#[test]
fn a_server_elsewhere_that_does_not_have_the_image() -> Result<()> {
    let said = "TFTP error: 'File not found' (1)\r\nNot retrying...\r\n";
    let mut desk = played(fetching(said))?;
    desk.served_by_qemu()?;
    assert_eq!(fault(&desk)?.codes(), ("L074", 3));
    Ok(())
}

/// What a board is asked to run, behind the prompt.
type Ran = Arc<Mutex<Vec<String>>>;

/// A board without a cable on whose line this happens to what is typed; and what it is asked to run.
fn without_cable(line: fn(usize, u8) -> Vec<u8>) -> (Script, Ran) {
    let ran = Ran::default();
    let noted = Arc::clone(&ran);
    let answering = fetching("eth0: link down\r\n");
    let answer = Arc::clone(&answering.answer);
    let answer = move |line: &str| {
        noted.lock().expect("no panic").push(line.to_owned());
        answer(line)
    };
    (Script { line, answer: Arc::new(answer), ..answering }, ran)
}

/// The lines, without empty ones: those do nothing.
fn lines(ran: &Ran) -> Vec<String> {
    ran.lock().expect("no panic").iter().filter(|line| !line.is_empty()).cloned().collect()
}

#[test]
fn every_seventh_typed_character_comes_twice_and_nothing_runs_that_was_not_typed() -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    // What is typed where nothing is doubled; the address of the server is each board's own.
    let (script, typed) = without_cable(|_, byte| vec![byte]);
    assert_eq!(fault(&played(script)?)?.codes(), ("L061", 3));
    let (script, ran) = without_cable(|number, byte| vec![byte; if number % 7 == 6 { 2 } else { 1 }]);
    assert_eq!(fault(&played(script)?)?.codes(), ("L045", 3));
    for line in lines(&ran) {
        assert!(lines(&typed).contains(&line), "{line:?} ran, and was never typed: {:?}", lines(&typed));
    }

    // Of the first twenty characters only: the line is typed again, slowly, and all that follows.
    let (script, ran) = without_cable(|number, byte| vec![byte; if number < 20 && number % 7 == 6 { 2 } else { 1 }]);
    let desk = played(script)?;
    assert_eq!(fault(&desk)?.codes(), ("L061", 3), "what comes behind it");
    let server = |line: String| if line.starts_with("setenv serverip") { "setenv serverip".to_owned() } else { line };
    let both = [&typed, &ran].map(|lines_of| lines(lines_of).into_iter().map(server).collect::<Vec<_>>());
    assert_eq!(both[0], both[1], "each line once, whole");
    Ok(())
}

/// A played board whose console is unplugged by `pull`, which a script can have before there is a board.
fn unpluggable(script: impl FnOnce(Arc<OnceLock<Plug>>) -> Script) -> Result<Desk> {
    let plug = Arc::default();
    let desk = played(script(Arc::clone(&plug)))?;
    plug.set(desk.plug()).ok().expect("once");
    Ok(desk)
}

#[test]
fn a_pty_that_is_closed_in_the_middle_of_the_transfer() -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let server: Arc<OnceLock<IpAddr>> = Arc::default();
    let known = Arc::clone(&server);
    let desk = unpluggable(|plug| {
        Script::malta(move |line| {
            if !line.starts_with("tftpboot") {
                return Some(String::new());
            }
            // A block is on its way, and the console goes.
            asked(known.get()?, b"\0\x01image.bin\0octet\0")?;
            plug.get()?.pull();
            None
        })
    })?;
    server.set(desk.place.server.expect("a desk has one")).expect("once");
    assert_eq!(fault(&desk)?.codes(), ("L048", 75));
    Ok(())
}

/// A played board whose flash is `nor`, before each of whose lines `first` is called.
fn with_flash(nor: &Arc<Mutex<Nor>>, first: impl Fn(&str) -> Option<()> + Send + Sync + 'static) -> Script {
    let nor = Arc::clone(nor);
    Script::malta(move |line| {
        first(line)?;
        let answer = nor.lock().ok()?.answer(line);
        Some(answer.unwrap_or_default())
    })
}

/// The flash as it is now.
fn now(nor: &Arc<Mutex<Nor>>) -> Nor {
    nor.lock().expect("no panic").clone()
}

#[test]
fn a_pty_that_is_closed_while_flash_is_being_written() -> Result<()> {
    let contents: Vec<u8> = (0..0xb000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let job = Job::of(&stoop_image::board::load(BOARD)?, &contents, false).map_err(stoop_lab::Error::from)?;
    // What is there boots; the new one is one byte else in each block.
    let mut nor = Nor { file: job.file.clone(), ..Nor::erased(0x40_0000) };
    nor.flash[0x9_0000..][..job.file.len()].fill(0x11);
    let nor = Arc::new(Mutex::new(nor));
    let mut desk = unpluggable(|plug| {
        with_flash(&nor, move |line| {
            if line.starts_with("cp.b") {
                plug.get()?.pull();
            }
            Some(())
        })
    })?;
    desk.served_by_qemu()?;
    let image = desk.file("image.bin", &contents)?;
    assert_eq!(desk.fault(&["flash", &image, "--yes", "--unchecked"])?.codes(), ("L048", 75));
    let left = now(&nor);
    assert!(
        left.changes.last().is_some_and(|line| line.starts_with("cp.b")),
        "it was in the middle: {:?}",
        left.changes
    );
    assert!(left.flash[0x9_0000..0xa_0000].iter().all(|byte| *byte == 0xff), "nothing takes it for whole");
    Ok(())
}

/// `command`, whose files in `folder` are on a disk of 32 KiB that only it sees; prints what is left there, one name a line. `None` where
/// nothing can be mounted.
fn on_a_small_disk(command: &Command, folder: &std::path::Path) -> Option<Command> {
    let mount = "mount -t tmpfs -o size=32k tmpfs \"$0\" || exit 99; ";
    let unshared = |script: &str| {
        let mut unshare = Command::new("unshare");
        // Without it only root may.
        let maps = (!rustix::process::geteuid().is_root()).then_some("--map-root-user");
        unshare.arg("--mount").args(maps).args(["sh", "-c", &format!("{mount}{script}")]).arg(folder);
        unshare
    };
    if !unshared("").output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut small = unshared("\"$@\" >&2; code=$?; ls -A \"$0\"; exit $code");
    small.arg(command.get_program()).args(command.get_args());
    small.current_dir(command.get_current_dir().unwrap_or(folder));
    Some(small)
}

/// Asserts that `stoop` with these words, in which `FOLDER` is on a full disk, says so, leaves no file there and erases nothing; gives
/// what the board was asked to run.
fn full_disk(words: &[&str], flash: &Nor, tftp: bool) -> Result<Option<usize>> {
    let nor = Arc::new(Mutex::new(flash.clone()));
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let mut desk = played(with_flash(&nor, move |_| {
        *counted.lock().ok()? += 1;
        Some(())
    }))?;
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    desk.served_by_qemu()?;
    if tftp {
        desk.place.tftp_folder = Some(folder.path().to_owned());
    }
    let image = desk.file("image.bin", &flash.file)?;
    let words: Vec<_> = words
        .iter()
        .map(|word| word.replace("IMAGE", &image).replace("FOLDER", &folder.path().to_string_lossy()))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(mut stoop) = on_a_small_disk(&desk.stoop(&words), folder.path()) else {
        // Of no lab: in some containers not even root may.
        stoop_samples::machine::skipped("no file system of its own can be mounted for a process");
        return Ok(None);
    };
    let output = stoop.output().expect("unshare");
    let fault = desk.judged(&output)?;
    assert!(fault.fact().ends_with("No space left on device (os error 28)"), "{fault:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "it is left behind");
    let left = now(&nor);
    assert!(left.changes.is_empty() && left.flash == flash.flash, "flash is as it was: {:?}", left.changes);
    let asked = *asked.lock().expect("no panic");
    Ok(Some(asked))
}

#[test]
fn a_full_disk_ends_it_before_anything_is_erased_and_leaves_no_part_of_a_file() -> Result<()> {
    let mut nor = Nor { file: vec![0x5a; 0x1_0000], ..Nor::erased(0x40_0000) };
    nor.flash[0x9_0000..0xa_0000].fill(0x11);
    let Some(asked) = full_disk(&["flash", "--read", "data", "-o", "FOLDER/data"], &nor, false)? else { return Ok(()) };
    assert!(asked > 0, "it was read");
    full_disk(&["flash", "IMAGE", "--yes", "--unchecked", "--backup", "FOLDER/backup"], &nor, false)?;
    nor.file = program::uimage(false);
    nor.file.resize(0x1_0000, 0);
    for verb in [&["netboot", "IMAGE"][..], &["flash", "IMAGE", "--yes", "--unchecked"]] {
        assert_eq!(full_disk(verb, &nor, true)?, Some(0), "the board is not switched on");
    }
    Ok(())
}
