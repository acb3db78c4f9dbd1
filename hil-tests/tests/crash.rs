//! What a crash leaves behind: the log in RAM over a reset (`pack --ramoops`), and oopses put into words by the kernel's ELF.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stoop_ci::lab::arm64::Arm64;
use stoop_ci::lab::{Endian, Flavour, Lab};
use stoop_ci::{Failure, Result};
use stoop_hil_tests::packed::{self, ARM64_BOARD, arm64_lab, board, lab, lab_request};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot, boot_again};
use stoop_image::input::read_file;
use stoop_image::plan::Request;
use stoop_lab::crash_log::SHELL_WORDS;
use stoop_lab::notes::Annotator;
use stoop_lab::oops::{Decoder, Symbols};

const PATIENCE: Duration = Duration::from_secs(600);

/// Room for the log.
const SIZE: Option<usize> = Some(0x2_0000);

/// RAM is to be as it was after a reset.
const CAPS: [Cap; 2] = [Cap::Uboot, Cap::Resets];

/// Only the boot that crashes says it; the second one finds it in the first one's log.
const MARK: &str = "the mark of the first boot";

/// Printed when the log was shown.
const DONE: &str = "crash: done";

/// Shell words for a boot that shows the log of the one before, or if there is none does `then`.
fn shows_or(then: &str) -> String {
    format!(
        "mkdir -p /sys/fs/pstore; mount -t pstore pstore /sys/fs/pstore\n\
         mknod /dev/kmsg c 1 11\n\
         if ls /sys/fs/pstore/*-ramoops-* > /dev/null 2>&1\n\
         then {SHELL_WORDS}; echo '{DONE}'\n\
         else echo '{MARK}' > /dev/kmsg; {then}\n\
         fi\n"
    )
}

/// The logs of the crash by their names.
type Logs = BTreeMap<String, String>;

/// As the rig has kept them.
fn collected(folder: &Path) -> Result<Logs> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path())?))
    };
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::io(folder, &error))?;
    entries.map(read).collect::<std::io::Result<_>>().map_err(|error| Failure::io(folder, &error))
}

/// Boots an image that crashes, and again what the same image shows of that.
fn log_of(rig: &mut dyn Rig, packed: &Packed, via: Via, crashed: &str) -> Result<Logs> {
    let what = Boot { image: packed.path(), bootargs: None, files: &[], via };
    boot(rig, &what, crashed, PATIENCE)?;
    // The second boot shows the first one's panic.
    rig.console()?.clear_fatal();
    boot_again(rig, &what, &format!("^{DONE}\r?\n"), PATIENCE)?;
    rig.power_off()?;
    collected(&rig::crash_folder(&rig.board().name))
}

fn crash_request(lab: &Lab, endian: Endian) -> Request {
    Request { kernel: lab.vmlinux(endian, Flavour::Crash), ramoops: SIZE, ..lab_request(lab, endian) }
}

/// An image that runs the shell words, and resets a second after a panic.
fn mips(lab: &Lab, commands: &str) -> Result<Packed> {
    let initramfs = packed::file(&lab.router(&[("router.sh", commands.as_bytes())])?)?;
    let append = Some("panic=1".into());
    let initrd = Some(initramfs.path().into());
    Packed::of(&Request { append, initrd, rootfs: None, ..crash_request(lab, Endian::Little) })
}

#[test]
fn on_mips_the_log_of_a_panic_is_there_after_the_reset() -> Result<()> {
    let asked = BootRequest { caps: &CAPS, ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &asked)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = mips(&lab, &shows_or("echo c > /proc/sysrq-trigger"))?;
    let logs = log_of(rig.as_mut(), &packed, Via::Bootm, "Kernel panic - not syncing")?;
    let log = logs.get("dmesg-ramoops-0").expect("a record of the panic");
    for words in ["Panic#1", "Kernel panic - not syncing: sysrq triggered crash", MARK] {
        assert!(log.contains(words), "no {words:?} in: {log}");
    }
    Ok(())
}

#[test]
fn on_mips_the_console_is_there_after_a_reset_that_nobody_saw_coming() -> Result<()> {
    let asked = BootRequest { caps: &CAPS, ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &asked)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    // As a watchdog does it: nothing is written down any more.
    let packed = mips(&lab, &shows_or("echo b > /proc/sysrq-trigger"))?;
    let logs = log_of(rig.as_mut(), &packed, Via::Bootm, "sysrq: Resetting")?;
    let log = logs.get("console-ramoops-0").expect("the console");
    for words in ["Linux version", MARK] {
        assert!(log.contains(words), "no {words:?} in: {log}");
    }
    assert!(!logs.contains_key("dmesg-ramoops-0"), "{logs:?}");
    Ok(())
}

/// Debian's own kernel has ramoops as a module: it comes with the ramdisk.
fn arm64(lab: &Arm64, commands: &str) -> Result<Packed> {
    let packages = lab.debian_kernels()?;
    let kernel = packages.first().ok_or_else(|| Failure::new("the lab has no Debian kernel for arm64"))?;
    let modules = ["lib/reed_solomon/reed_solomon.ko", "fs/pstore/ramoops.ko"].map(|name| module(kernel, name));
    let [library, backend] = modules;
    let commands = format!("insmod /reed_solomon.ko; insmod /ramoops.ko\n{commands}");
    let files = [("reed_solomon.ko", &library?[..]), ("ramoops.ko", &backend?[..]), ("router.sh", commands.as_bytes())];
    let initramfs = packed::file(&lab.router(&files)?)?;
    Packed::of(&Request {
        board: ARM64_BOARD.into(),
        kernel: kernel.clone(),
        initrd: Some(initramfs.path().into()),
        append: Some("panic=1".into()),
        ramoops: SIZE,
        ..Request::default()
    })
}

/// A module out of Debian's package.
fn module(package: &Path, name: &str) -> Result<Vec<u8>> {
    let script = format!("dpkg-deb --fsys-tarfile \"$0\" | tar -xO --wildcards '*/kernel/{name}'");
    let output = Command::new("sh").args(["-c", &script]).arg(package).output();
    let output = output.map_err(|error| Failure::new(format!("dpkg-deb: {error}")))?;
    if output.stdout.is_empty() {
        return Err(Failure::new(format!("{} has no {name}", package.display())));
    }
    Ok(output.stdout)
}

#[test]
fn on_arm64_debians_kernel_finds_the_log_of_a_panic_after_the_reset() -> Result<()> {
    let asked = BootRequest { caps: &CAPS, ..BootRequest::default() };
    let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let packed = arm64(&lab, &shows_or("echo c > /proc/sysrq-trigger"))?;
    let logs = log_of(rig.as_mut(), &packed, Via::Booti, "Kernel panic - not syncing")?;
    let log = logs.get("dmesg-ramoops-0").expect("a record of the panic");
    for words in ["Panic#1", "Kernel panic - not syncing: sysrq triggered crash", MARK] {
        assert!(log.contains(words), "no {words:?} in: {log}");
    }
    Ok(())
}

/// What is said beside a line of the console that has `words`.
fn beside(notes: &[(String, String)], words: &str) -> String {
    let found = notes.iter().find(|(line, _)| line.contains(words));
    found.unwrap_or_else(|| panic!("nothing beside {words:?}: {notes:#?}")).1.clone()
}

/// What is said beside the lines of a kernel that reads a null pointer (drivers/misc/lkdtm/bugs.c: lkdtm_EXCEPTION) before there is any user
/// space; `None` where nothing can be booted.
fn notes_of_an_oops(endian: Endian, request: impl Fn(&Lab) -> Request) -> Result<Option<Vec<(String, String)>>> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(endian), &asked)? else { return Ok(None) };
    let Some(lab) = lab()? else { return Ok(None) };
    let append = "panic=1 oops=panic lkdtm.cpoint_name=DIRECT lkdtm.cpoint_type=EXCEPTION";
    let request = Request { append: Some(append.into()), ..request(&lab) };
    let packed = Packed::of(&request)?;
    let what = Boot { image: packed.path(), bootargs: None, files: &[], via: Via::Bootm };
    let said = boot(rig.as_mut(), &what, "---\\[ end trace [0-9a-f]+ \\]---\r?\n", PATIENCE)?;
    rig.power_off()?;
    let mut decoder = Decoder::new(Symbols::of(&request.kernel, &read_file(&request.kernel)?).map_err(Failure::from)?);
    let mut notes = Vec::new();
    for line in said.lines() {
        let found = decoder.line(line.trim_end_matches('\r'));
        assert!(found.below.is_empty(), "it is this kernel's file: {:?}", found.below);
        notes.extend(found.beside.map(|text| (line.to_owned(), text)));
    }
    assert!(notes.iter().any(|(line, text)| line.contains("[<8") && text.starts_with("do_one_initcall+0x")));
    Ok(Some(notes))
}

#[test]
fn an_oops_of_a_kernel_without_names_gets_its_functions() -> Result<()> {
    for endian in Endian::ALL {
        let Some(notes) = notes_of_an_oops(endian, |lab| crash_request(lab, endian))? else { continue };
        for (register, function) in [("epc   : ", "lkdtm_EXCEPTION+0x"), ("ra    : ", "lkdtm_do_action+0x")] {
            let text = beside(&notes, register);
            assert!(text.starts_with(function) && !text.contains(".c:"), "{text}");
        }
    }
    Ok(())
}

#[test]
fn an_oops_of_a_kernel_with_debug_information_gets_files_and_lines_too() -> Result<()> {
    let request = |lab: &Lab| Request {
        board: board(Endian::Little).into(),
        kernel: lab.vmlinux(Endian::Little, Flavour::Malta),
        ..Request::default()
    };
    let Some(notes) = notes_of_an_oops(Endian::Little, request)? else { return Ok(()) };
    let epc = beside(&notes, "epc   : ");
    assert!(epc.starts_with("lkdtm_EXCEPTION+0x") && epc.contains(" drivers/misc/lkdtm/bugs.c:"), "{epc}");
    let ra = beside(&notes, "ra    : ");
    assert!(ra.starts_with("lkdtm_do_action+0x") && ra.contains(" drivers/misc/lkdtm/core.c:"), "{ra}");
    Ok(())
}

/// Writes over the kernel's own code, which no mapping allows.
const WRITES_CODE: &str = "\
code=$(sed -n 's/^ *\\([0-9a-f]*\\)-.* : Kernel code/\\1/p' /proc/iomem)
mknod /dev/mem c 1 1
dd if=/init of=/dev/mem bs=4096 count=1 seek=$((0x$code / 4096)) conv=notrunc
";

#[test]
fn an_oops_of_an_arm64_kernel_gets_files_and_lines() -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let initramfs = packed::file(&lab.router(&[("router.sh", WRITES_CODE.as_bytes())])?)?;
    let packed = Packed::of(&Request {
        board: ARM64_BOARD.into(),
        kernel: lab.image(),
        initrd: Some(initramfs.path().into()),
        ..Request::default()
    })?;
    let what = Boot { image: packed.path(), bootargs: None, files: &[], via: Via::Booti };
    let said = boot(rig.as_mut(), &what, "---\\[ end trace [0-9a-f]+ \\]---\r?\n", PATIENCE)?;
    rig.power_off()?;
    let mut decoder = Decoder::new(Symbols::of(&lab.vmlinux(), &read_file(&lab.vmlinux())?)?);
    let mut notes = Vec::new();
    for line in said.lines() {
        let found = decoder.line(line.trim_end_matches('\r'));
        assert!(found.below.is_empty(), "it is this kernel's file: {:?}", found.below);
        notes.extend(found.beside.map(|text| (line.to_owned(), text)));
    }
    assert!(beside(&notes, "lr : write_mem+").contains("drivers/char/mem.c:"), "{notes:#?}");
    assert!(beside(&notes, " vfs_write+").contains("fs/read_write.c:"), "{notes:#?}");
    Ok(())
}
