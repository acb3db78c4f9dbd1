//! Images for the tests: packed in this process from the lab's parts, and what the shim must do with them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use stoop_image::machine::Machine;

use stoop_ci::lab::arm64::Arm64;
use stoop_ci::lab::{Endian, Flavour, Lab};
use stoop_ci::{Failure, Result};
use stoop_core::crc32::Crc32;
use stoop_image::image::{self, Built};
use stoop_image::layout::PAGE;
use stoop_image::plan::{Plan, Request};
use stoop_image::progress::Quiet;
use stoop_image::simulate::{self, Booted, Entry, Input, Outcome};
use tempfile::NamedTempFile;

use crate::seen::{END, Seen, Sum};
use crate::{Boot, Rig, Via, boot, oracle};

/// A packed image, and its file.
pub struct Packed {
    /// What it was made from.
    pub plan: Plan,
    /// The image.
    pub built: Built,
    file: NamedTempFile,
}

impl Packed {
    /// Packs what `request` asks for.
    ///
    /// # Errors
    /// As for [`Plan::resolve`] and [`image::build`].
    pub fn of(request: &Request) -> Result<Packed> {
        Packed::with(request, |_| ())
    }

    /// As [`Packed::of`], with a plan that no request leads to.
    ///
    /// # Errors
    /// As for [`Packed::of`].
    pub fn with(request: &Request, change: impl FnOnce(&mut Plan)) -> Result<Packed> {
        let mut plan = Plan::resolve(request, &mut Quiet)?;
        change(&mut plan);
        Packed::planned(plan)
    }

    /// Packs by this plan.
    ///
    /// # Errors
    /// As for [`image::build`].
    pub fn planned(plan: Plan) -> Result<Packed> {
        let built = image::build(&plan, &mut Quiet)?;
        let file = file(&built.file)?;
        Ok(Packed { plan, built, file })
    }

    /// The image's file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What the shim does when it is entered so.
    ///
    /// # Errors
    /// It would give up.
    pub fn simulate(&self, entry: Entry) -> Result<Booted> {
        outcome(&self.built.file, entry)?.result.map_err(|error| Failure::new(format!("the shim gives up: {error}")))
    }
}

/// A finished boot and what it should have been.
pub struct Booting {
    /// The console from the start command on.
    pub console: String,
    /// What init saw.
    pub seen: Seen,
    /// What `simulate` says.
    pub simulated: Booted,
    /// How it was started.
    pub via: Via,
}

impl Booting {
    /// Boots `packed` until init has reported, and simulates the same.
    ///
    /// # Errors
    /// It did not boot, or would not, or init's report is damaged.
    pub fn of(
        rig: &mut dyn Rig,
        packed: &Packed,
        bootargs: Option<&str>,
        via: Via,
        patience: Duration,
    ) -> Result<Booting> {
        let simulated = packed.simulate(entry(rig, packed, &via, bootargs)?)?;
        let what = Boot { image: packed.path(), bootargs, files: &[], via };
        let mut console = boot(rig, &what, &format!("{END}[\r\n]"), patience)?;
        let Boot { via, .. } = what;
        if let (Via::Kexec(_), Some((_, behind))) = (&via, console.rsplit_once("Starting new kernel")) {
            console = behind.to_owned();
        }
        rig.power_off()?;
        let seen = Seen::read(&console)
            .map_err(|damage| Failure::new(damage.to_string()).next("look at the console's log"))?;
        Ok(Booting { console, seen, simulated, via })
    }

    /// In what the kernel saw and what `simulate` says differ; empty when they agree.
    pub fn differences(&self, packed: &Packed) -> Vec<String> {
        let (seen, simulated) = (&self.seen, &self.simulated);
        let mut differences = Differences::default();
        let cmdline = stoop_image::simulate::shown(&simulated.cmdline);
        differences.unless_equal("/proc/cmdline", &seen.cmdline(), &cmdline);
        let version = env!("CARGO_PKG_VERSION");
        let report = [
            ("version", version.to_owned()),
            ("verdict", simulated.verdict.text().to_owned()),
            ("entry", simulated.entry.text().to_owned()),
            ("slot", simulated.slot.to_string()),
        ];
        if packed.plan.tree_is_seen() {
            differences.unless_equal("/chosen/bootargs", &seen.text("chosen/bootargs"), &cmdline);
            for (name, value) in report {
                differences.unless_equal(name, &seen.text(&format!("chosen/stoop/{name}")), &value);
            }
            // An arm64 bootloader's tree is not what `simulate` was given in its place.
            if packed.plan.dtb.is_some() || packed.plan.arch() != Machine::Arm64 {
                let tree = seen.sum("fdt").map(|sum| sum.size as usize);
                differences.unless_equal("bytes of the device tree", &tree, &Some(simulated.tree.len()));
            }
        }
        let said = format!(
            "stoop {version}: entry {}, slot {}, bootargs {}",
            simulated.entry.text(),
            simulated.slot,
            simulated.verdict.text()
        );
        differences.unless_equal("the shim's line on the console", &self.line(&said), &said);
        let arm64 = packed.plan.arch() == Machine::Arm64;
        match (&packed.plan.rootfs, simulated.phram) {
            (Some(rootfs), Some(phram)) => {
                let alias = phram.alias.map_or(0, u32::from);
                let (start, size) = (phram.region.start(), phram.region.size());
                differences.unless_equal("root", &seen.text("root"), &format!("31:{alias}"));
                let row = format!("mtd{alias}: {size:08x} ");
                differences.unless_equal("a row of /proc/mtd", &self.row_of_mtd(&row), &row);
                let mut bytes = rootfs.bytes().unwrap_or_default();
                bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
                let sum = Sum { size: bytes.len() as u32, crc: Crc32::new().of(&bytes) };
                differences.unless_equal("the root device's bytes", &seen.sum("root/data"), &Some(sum));
                let start = start.wrapping_add(if arm64 { self.moved(packed) } else { 0 });
                let digits = if arm64 { 16 } else { 8 };
                let reserved = format!("reserved mem: 0x{start:0digits$x}..0x{:0digits$x}", start + size - 1);
                differences.unless_equal("the kernel's line on the console", &self.line(&reserved), &reserved);
            }
            (None, None) => {}
            (Some(_), None) => differences.0.push("simulate knows no phram".into()),
            (None, Some(_)) => differences.0.push("simulate invents a phram".into()),
        }
        differences.0
    }

    /// How far an arm64 image lay from where it was laid out for, modulo the address space.
    fn moved(&self, packed: &Packed) -> usize {
        match &self.via {
            // QEMU itself takes the first place in RAM that the header allows, from 2 MiB on if that is below its own start
            // code (hw/arm/boot.c: load_aarch64_image).
            Via::Direct => packed.plan.board.ram.start().wrapping_sub(packed.built.places.head.start() & !0x1f_ffff),
            // kexec finds one in the running kernel's memory. The new kernel's code begins with its Image
            // (arch/arm64/kernel/setup.c: request_standard_resources).
            Via::Kexec(_) => {
                let iomem = self.seen.text("iomem");
                let range = iomem.lines().find_map(|line| line.trim_start().strip_suffix(" : Kernel code"));
                let code = range.and_then(|range| usize::from_str_radix(range.split('-').next()?, 16).ok());
                let kernel = self.simulated.regions.iter().find(|(name, _)| *name == "kernel");
                code.unwrap_or_default().wrapping_sub(kernel.map_or(0, |(_, region)| region.start()))
            }
            // U-Boot leaves it where it was laid out for.
            _ => 0,
        }
    }

    /// `text` when the console has it, else what the console has in its place: nothing.
    fn line(&self, text: &str) -> String {
        if self.console.contains(text) { text.to_owned() } else { String::new() }
    }

    fn row_of_mtd(&self, start: &str) -> String {
        let mtd = self.seen.text("mtd");
        if mtd.lines().any(|line| line.starts_with(start)) { start.to_owned() } else { mtd }
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn unless_equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, seen: &T, wanted: &T) {
        if seen != wanted {
            self.0.push(format!("{what}: seen {seen:?}, simulated {wanted:?}"));
        }
    }
}

/// How the shim is entered; bootargs for `go` and `bootelf` have no quotes, backslashes or double blanks.
fn entry(rig: &dyn Rig, packed: &Packed, via: &Via, bootargs: Option<&str>) -> Result<Entry> {
    let line = bootargs.unwrap_or_default();
    Ok(match via {
        // On arm64 kexec puts the bootargs into the tree as they are.
        Via::Kexec(_) if packed.plan.arch() != Machine::Arm64 => {
            let tree = rig.board().dtb.clone().ok_or_else(|| Failure::new("the board brings no device tree"))?;
            let words = kexec_words(packed, bootargs);
            Entry::Uhi(oracle::with_bootargs(&tree.bytes, Some(&words))?)
        }
        Via::BootmTree(tree) => Entry::Uhi(tree.clone()),
        // U-Boot replaces its bootargs only by some.
        Via::BootiTree(tree) if line.is_empty() => Entry::Uhi(tree.clone()),
        // argv[0] is the first word.
        Via::Bootelf => match line.split_once(' ') {
            Some((_, rest)) => Entry::Argv(rest.into()),
            None if line.is_empty() => Entry::None,
            None => Entry::Argv(Vec::new()),
        },
        _ => Entry::Argv(line.into()),
    })
}

/// What the script makes of bootargs for kexec-tools on MIPS, with the blank that those add.
pub fn kexec_words(packed: &Packed, bootargs: Option<&str>) -> String {
    let line = String::from_utf8_lossy(&packed.built.line).into_owned();
    let root = line.split(' ').rfind(|word| word.starts_with("root=")).unwrap_or_default();
    match bootargs {
        Some(bootargs) if bootargs.contains("root=") => format!("{bootargs} "),
        Some(bootargs) => format!("{bootargs} {root} "),
        None => format!("{root} "),
    }
}

/// The board that boots this endianness.
pub fn board(endian: Endian) -> &'static str {
    match endian {
        Endian::Little => "qemu-malta-le",
        Endian::Big => "qemu-malta-be",
    }
}

/// The board that boots arm64.
pub const ARM64_BOARD: &str = "qemu-virt-arm64";

/// The lab's kernel with its root in RAM.
pub fn arm64_request(lab: &Arm64) -> Request {
    Request { board: ARM64_BOARD.into(), kernel: lab.image(), rootfs: Some(lab.squashfs()), ..Request::default() }
}

/// The tree that QEMU makes for [`ARM64_BOARD`] with these options; without firmware it would name a device that is not there
/// with it.
///
/// # Errors
/// QEMU is missing or fails.
pub fn machine_tree(emulator: &[&str]) -> Result<Vec<u8>> {
    let uboot = stoop_image::board::load(ARM64_BOARD)?.qemu.and_then(|qemu| qemu.u_boot).unwrap_or_default();
    let place = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let file = place.path().join("virt.dtb");
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.arg("-M").arg(format!("virt,dumpdtb={}", file.display()));
    qemu.args(["-cpu", "cortex-a57", "-m", "512", "-display", "none", "-nic", "none", "-bios", &uboot]);
    let output = qemu.args(emulator).output().map_err(|error| Failure::new(format!("cannot start QEMU: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("QEMU writes no device tree: {}", String::from_utf8_lossy(&output.stderr))));
    }
    std::fs::read(&file).map_err(|error| Failure::io(&file, &error))
}

/// As [`lab`], for arm64.
///
/// # Errors
/// As for [`crate::skip`].
pub fn arm64_lab() -> Result<Option<Arm64>> {
    match Arm64::open() {
        Ok(lab) => Ok(Some(lab)),
        Err(failure) => crate::skip(&failure.to_string()).map(|()| None),
    }
}

/// The lab's kernel with its root in RAM.
pub fn lab_request(lab: &Lab, endian: Endian) -> Request {
    Request {
        board: board(endian).into(),
        kernel: lab.vmlinux(endian, Flavour::Lab),
        rootfs: Some(lab.squashfs(endian)),
        ..Request::default()
    }
}

/// One of Debian's own kernels (`stoop_ci::lab::DEBIAN_KERNELS`), with the lab's initramfs.
///
/// # Errors
/// The lab does not have it.
pub fn debian_request(lab: &Lab, kernel: &str) -> Result<Request> {
    Ok(Request {
        board: board(Endian::Little).into(),
        kernel: lab.debian_kernel(kernel)?,
        initrd: Some(lab.initramfs(Endian::Little)),
        ..Request::default()
    })
}

/// The lab; `None`, after a line `HIL-SKIP: reason`, when it is not complete.
///
/// # Errors
/// As for [`crate::skip`].
pub fn lab() -> Result<Option<Lab>> {
    match Lab::open() {
        Ok(lab) => Ok(Some(lab)),
        Err(failure) => crate::skip(&failure.to_string()).map(|()| None),
    }
}

/// The device trees that Debian ships for arm64 boards; `None`, after a line `HIL-SKIP: reason`, when they are not there.
///
/// # Errors
/// As for [`crate::skip`]; a package cannot be unpacked.
pub fn debian_trees() -> Result<Option<Vec<PathBuf>>> {
    match Arm64::open() {
        Ok(lab) => lab.device_trees().map(Some),
        Err(failure) => crate::skip(&failure.to_string()).map(|()| None),
    }
}

/// What the shim does with these bytes, entered so.
///
/// # Errors
/// They are no image.
pub fn outcome(image: &[u8], entry: Entry) -> Result<Outcome> {
    Ok(simulate::run(image, &Input { entry, load: None })?)
}

/// A temporary file with these bytes.
///
/// # Errors
/// It cannot be written.
pub fn file(bytes: &[u8]) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(|error| Failure::io(file.path(), &error))?;
    Ok(file)
}
