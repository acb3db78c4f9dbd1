//! What comes behind the start of `stoop netboot`: the monitor, on the connection over which the board was booted.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::terminal::Terminal;
use stoop_ci::lab::{Endian, Flavour};
use stoop_ci::{Failure, Result};
use stoop_hil_tests::desk::{Desk, no_tftp};
use stoop_hil_tests::packed::{self, lab, lab_request};
use stoop_hil_tests::stand::Wiring;
use stoop_hil_tests::stand::played::{Played, Script};
use stoop_hil_tests::{Packed, program, skip};
use stoop_image::plan::{Format, Request};

const BOARD: &str = "qemu-malta-le";

/// What a shim says that finds a damaged payload.
const SHIM: &str = "stoop 0.1.0, slot -, bootargs none\r\nstoop: E12 kernel crc 0x0badc0de, slot -\r\n";

/// A board that was switched on with a bootloader that fetches and starts anything, and then says [`SHIM`] and prompts again.
struct Damaged {
    desk: Desk,
    image: String,
    /// The lines that were typed at it.
    lines: Arc<Mutex<Vec<String>>>,
}

impl Damaged {
    fn new() -> Result<Damaged> {
        let image = program::uimage(false);
        let size = image.len();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        let script = Script::malta(move |line| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
            Some(match line.split(' ').next().unwrap_or_default() {
                "tftpboot" => format!("Bytes transferred = {size} ({size:x} hex)\r\n"),
                "bootm" => SHIM.into(),
                "ask" => "the answer\r\n".into(),
                _ => String::new(),
            })
        });
        let mut desk = Desk::played(BOARD, Box::new(Played(script)))?;
        // Nothing is fetched: the board only says so.
        desk.served_by_qemu()?;
        let image = desk.file("image.bin", &image)?;
        Ok(Damaged { desk, image, lines })
    }

    fn netboot(&self) -> Command {
        self.desk.stoop(&["netboot", &self.image])
    }
}

#[test]
fn on_a_terminal_netboot_goes_on_as_the_monitor_and_nothing_is_lost_or_shown_twice() -> Result<()> {
    let board = Damaged::new()?;
    let mut terminal = Terminal::with(&mut board.netboot());
    terminal.gives_keys();
    terminal.sees("E12: a payload is damaged");
    terminal.sees("\r\nmaltael # ");
    terminal.types("ask\n");
    terminal.sees("\r\nthe answer\r\nmaltael # ");
    terminal.types("\x1db");
    terminal.sees("break sent");
    terminal.types("\x1dr");
    terminal.sees("power was off and is on");
    // The bootloader's own words, which were not shown before the start.
    terminal.sees("DRAM:  256 MiB\r\n");
    let seen = terminal.leaves();
    assert!(!board.desk.is_on(), "--power-off");
    for once in ["bootm 0x81000000 \r\n", "stoop: E12 kernel crc 0x0badc0de, slot -", "ask\r\nthe answer"] {
        assert_eq!(seen.matches(once).count(), 1, "{once:?} in {seen:?}");
    }
    Ok(())
}

#[test]
fn without_a_terminal_netboot_reads_no_keys_and_adds_notes_only() -> Result<()> {
    let board = Damaged::new()?;
    let keys = packed::file(b"ask\n\x1dq")?;
    let keys = keys.reopen().map_err(|error| Failure::io(keys.path(), &error))?;
    let mut command = board.netboot();
    let output = command.args(["--until", "^maltael # "]).stdin(Stdio::from(keys)).output().expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Ctrl-]"), "{}: {said}", output.status);
    let shown = String::from_utf8_lossy(&output.stdout);
    let (notes, theirs): (Vec<&str>, Vec<&str>) =
        shown.split_inclusive('\n').partition(|line| line.starts_with("  = "));
    assert_eq!(theirs.concat(), format!("bootm 0x81000000 \r\n{SHIM}maltael # "));
    assert!(notes.concat().starts_with("  = E12: a payload is damaged"), "{notes:?}");
    let lines = board.lines.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        lines.iter().any(|line| line == "bootm 0x81000000") && !lines.iter().any(|line| line == "ask"),
        "{lines:?}"
    );
    Ok(())
}

#[test]
fn what_is_typed_goes_to_the_booted_kernel_and_the_addresses_in_its_answer_get_functions() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let initramfs = packed::file(&lab.router(&[("router.sh", b"echo the shell is ready; exec sh\n")])?)?;
    let vmlinux = lab.vmlinux(Endian::Little, Flavour::Crash);
    let packed = Packed::of(&Request {
        kernel: vmlinux.clone(),
        initrd: Some(initramfs.path().into()),
        rootfs: None,
        format: Some(Format::Uimage),
        ..lab_request(&lab, Endian::Little)
    })?;
    let desk = Desk::emulated(BOARD, Wiring::Pty, false)?;
    let mut command = desk.stoop(&["netboot", &packed.path().to_string_lossy(), "--prompt-timeout", "120"]);
    let mut terminal = Terminal::with(command.arg("--vmlinux").arg(vmlinux));
    terminal.gives_keys();
    terminal.sees("the shell is ready");
    terminal.types("echo $((6 * 7)) times\r");
    terminal.sees("42 times");
    // The stacks of all tasks, without names: this kernel has none (CONFIG_KALLSYMS is off).
    terminal.types("echo t > /proc/sysrq-trigger\r");
    terminal.sees("schedule+0x");
    let seen = terminal.leaves();
    assert_eq!(seen.matches("] Linux version ").count(), 1, "{seen}");
    assert!(!desk.is_on(), "--power-off");
    Ok(())
}
