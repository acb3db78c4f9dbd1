//! What a crash leaves behind: the log in RAM over a reset (`pack --ramoops`).

use std::process::Command;
use std::time::Duration;

use stoop_ci::lab::arm64::Arm64;
use stoop_hil_tests::packed::{self, ARM64_BOARD, arm64_lab};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot, boot_again};
use stoop_image::plan::Request;
use stoop_image::{ErrorCode, Failure, Result};

const PATIENCE: Duration = Duration::from_secs(600);

/// Room for the log.
const SIZE: Option<usize> = Some(0x2_0000);

/// A reset by the board itself instead of the end of the emulator, and RAM as it was.
const RESETS: [&str; 2] = ["-action", "reboot=reset"];

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
         then ls /sys/fs/pstore; cat /sys/fs/pstore/*-ramoops-*; echo '{DONE}'\n\
         else echo '{MARK}' > /dev/kmsg; {then}\n\
         fi\n"
    )
}

/// Boots an image that crashes, and again what the same image shows of that.
fn log_of(rig: &mut dyn Rig, packed: &Packed, via: Via, crashed: &str) -> Result<String> {
    let what = Boot { image: packed.path(), bootargs: None, files: &[], via };
    boot(rig, &what, crashed, PATIENCE)?;
    let said = boot_again(rig, &what, &format!("^{DONE}\r?\n"), PATIENCE)?;
    rig.power_off()?;
    Ok(said)
}

/// Debian's own kernel has ramoops as a module: it comes with the ramdisk.
fn arm64(lab: &Arm64, commands: &str) -> Result<Packed> {
    let packages = lab.debian_kernels()?;
    let kernel = packages
        .first()
        .ok_or_else(|| Failure::new(ErrorCode::Repository, "the lab has no Debian kernel for arm64"))?;
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
fn module(package: &std::path::Path, name: &str) -> Result<Vec<u8>> {
    let script = format!("dpkg-deb --fsys-tarfile \"$0\" | tar -xO --wildcards '*/kernel/{name}'");
    let output = Command::new("sh").args(["-c", &script]).arg(package).output();
    let output = output.map_err(|error| Failure::new(ErrorCode::Repository, format!("dpkg-deb: {error}")))?;
    if output.stdout.is_empty() {
        return Err(Failure::new(ErrorCode::Repository, format!("{} has no {name}", package.display())));
    }
    Ok(output.stdout)
}

#[test]
fn on_arm64_debians_kernel_finds_the_log_of_a_panic_after_the_reset() -> Result<()> {
    let wish = BootRequest { caps: &[Cap::Uboot], emulator: &RESETS };
    let Some(mut rig) = rig::open(ARM64_BOARD, &wish)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let packed = arm64(&lab, &shows_or("echo c > /proc/sysrq-trigger"))?;
    let said = log_of(rig.as_mut(), &packed, Via::Booti, "Rebooting in 1 seconds")?;
    for words in ["dmesg-ramoops-0", "Panic#1", "Kernel panic - not syncing: sysrq triggered crash", MARK] {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
    Ok(())
}
