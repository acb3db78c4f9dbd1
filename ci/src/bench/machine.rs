//! The machines that count: what differs between them, as data.

use stoop_image::input::kernel::{Kernel, Overrides};
use stoop_image::machine::Machine;
use stoop_image::plan::{Format, HandoffChoice};
use stoop_image::progress::Quiet;
use stoop_image::shim_image::{self, Form, Header, Variant};
use stoop_samples::failure::{Failure, Result};

use crate::lab::Lab;
use crate::lab::arm64::Arm64;
use crate::prebuilt;
use crate::{cache, run};

/// Bytes of arm64 code: near what Debian's kernel for Malta has.
/// A linked program.
pub const PROGRAM: &str = "program.elf";
/// The same without its header.
pub const FLAT: &str = "program.bin";
/// What budgets for the whole way are about: a kernel of a router.
pub const KERNEL: usize = 3_400_000;
/// The smaller of the two payloads; the larger is all there is.
pub const SMALL: usize = 8 << 20;
const ARM64_PAYLOAD: usize = 16 << 20;

/// A real kernel's code.
pub struct Payload {
    /// What it is.
    pub name: String,
    /// All of it; what is measured are its first bytes.
    pub bytes: Vec<u8>,
}

/// Machines that get the same payload, and are counted alike.
pub struct Family {
    /// The heading.
    pub name: &'static str,
    /// What QEMU emulates.
    pub emulated: &'static str,
    /// The counter that is read.
    pub counter: &'static str,
    /// Instructions of a tick of it under `-icount shift=0`.
    pub per_tick: u64,
    /// In the order of the columns.
    pub machines: &'static [Machine],
    payload: fn(&Lab) -> Result<Payload>,
    /// Other loaders', measured in the same way (docs/codecs.md): bytes with LZMA, then instructions per byte of LZMA, of 8
    /// MiB and of everything.
    pub peers: [&'static str; 3],
    /// OpenWrt's loader, without any check: codec, bytes, instructions from its first to the kernel's, counted in the same way on other bytes of
    /// the same kernel.
    pub totals: &'static [(&'static str, usize, &'static str)],
    /// The folder of its programs, beside this file.
    pub programs: &'static str,
    /// For `gcc -c`.
    pub flags: &'static [&'static str],
    /// Where programs are linked: on MIPS as kernels for the board are; on arm64 an Image runs anywhere.
    pub linked: u64,
    /// Where the blank shim is called, far from where it unpacks itself to.
    pub image: u64,
    /// The same place as QEMU's loader counts, physical.
    pub image_physical: u64,
    /// More options for QEMU where the shim is called by a program of ours.
    pub calling: &'static [&'static str],
    /// The linked program as `stoop pack` wants a kernel: the file's name in the bench's folder.
    pub kernel: &'static str,
    /// In which the shim is packed.
    pub format: Format,
    /// How the kernel is called.
    pub handoff: HandoffChoice,
    /// QEMU passes a device tree of its own.
    pub own_tree: bool,
}

/// All of them.
pub const FAMILIES: [Family; 2] = [
    Family {
        name: "MIPS",
        emulated: "Malta (24Kf)",
        counter: "CP0 Count",
        // 200 MHz of instructions, Count at a sixth (a loop of 3,000,000 instructions counts 500,000).
        per_tick: 6,
        machines: &[Machine::MipsLe, Machine::MipsBe],
        payload: malta,
        peers: ["OpenWrt 5,724 to 5,884; rt-loader 12,263", "OpenWrt 77.6", "OpenWrt 79.2; rt-loader 156.5"],
        totals: &[
            ("lzma", KERNEL, "OpenWrt 77.2 a byte"),
            ("lzma", SMALL, "OpenWrt 651 million"),
            ("lzma", 16_679_280, "OpenWrt 1,339 million, for 16 MiB"),
        ],
        programs: "mips",
        flags: &["-march=mips32r2", "-mno-abicalls", "-fno-pic"],
        linked: 0x8010_0000,
        image: 0x8200_0000,
        image_physical: 0x200_0000,
        calling: &[],
        kernel: PROGRAM,
        format: Format::Elf,
        handoff: HandoffChoice::Uhi,
        own_tree: false,
    },
    Family {
        name: "arm64",
        emulated: "virt (Cortex-A57)",
        counter: "CNTVCT",
        // 1 GHz of instructions, the counter at 62.5 MHz (a loop of 8,000,000 instructions counts 500,000).
        per_tick: 16,
        machines: &[Machine::Arm64],
        payload: debian_arm64,
        peers: [""; 3],
        totals: &[],
        programs: "arm64",
        flags: &[],
        linked: 0x4200_0000,
        image: 0x4400_0000,
        image_physical: 0x4400_0000,
        // call.S catches the shim's last instruction from EL2.
        calling: &["-machine", "virtualization=on"],
        kernel: FLAT,
        format: Format::Image,
        handoff: HandoffChoice::Auto,
        own_tree: true,
    },
];

/// Where a MIPS shim unpacks itself to; one for arm64 stays where it is.
const RUN: usize = 0x8300_0000;

impl Family {
    /// What its shims deliver.
    ///
    /// # Errors
    /// The lab lacks it.
    pub fn payload(&self, lab: &Lab) -> Result<Payload> {
        (self.payload)(lab)
    }
}

/// The kernel inside Debian's vmlinuz for Malta.
fn malta(lab: &Lab) -> Result<Payload> {
    let kernel = debian(&lab.debian_kernel("4kc-malta")?)?;
    let proper = kernel.proper().ok_or_else(|| Failure::new("nothing was found in Debian's vmlinuz"))?;
    Ok(Payload { name: format!("the kernel in Debian's {}", file_name(&kernel)), bytes: proper.0.into_owned() })
}

/// The first bytes of Debian's oldest arm64 kernel, which is an Image.
fn debian_arm64(_: &Lab) -> Result<Payload> {
    let kernels = Arm64::open()?.debian_kernels()?;
    let kernel = debian(kernels.first().ok_or_else(|| Failure::new("the lab has no arm64 kernel of Debian's"))?)?;
    let name = format!("the first {} MiB of Debian's {}", ARM64_PAYLOAD >> 20, file_name(&kernel));
    let bytes = kernel.image.get(..ARM64_PAYLOAD).ok_or_else(|| Failure::new(format!("too short: {name}")))?;
    Ok(Payload { name, bytes: bytes.to_vec() })
}

fn debian(package: &std::path::Path) -> Result<Kernel> {
    run::step("bench: reading Debian's kernel", || Ok(Kernel::read(package, Overrides::default(), &mut Quiet)?))
}

fn file_name(kernel: &Kernel) -> String {
    format!("vmlinuz-{}", kernel.version.as_deref().unwrap_or("?"))
}

/// As in tables and JSON.
pub fn name(machine: Machine) -> &'static str {
    match machine {
        Machine::MipsLe => "le",
        Machine::MipsBe => "be",
        Machine::Arm64 => machine.name(),
    }
}

/// The board that QEMU plays.
pub fn board(machine: Machine) -> &'static str {
    match machine {
        Machine::MipsLe => "qemu-malta-le",
        Machine::MipsBe => "qemu-malta-be",
        Machine::Arm64 => "qemu-virt-arm64",
    }
}

/// The prefix of Debian's cross tools.
pub fn cross(machine: Machine) -> &'static str {
    match machine {
        Machine::MipsLe => "mipsel-linux-gnu-",
        Machine::MipsBe => "mips-linux-gnu-",
        Machine::Arm64 => "aarch64-linux-gnu-",
    }
}

/// The front of an image whose params are blank.
///
/// # Errors
/// The prebuilt shim is none.
pub fn blank(machine: Machine, variant: Variant) -> Result<Vec<u8>> {
    let elf = cache::read(&prebuilt::shim(variant, machine))?;
    let header = match machine {
        Machine::MipsLe | Machine::MipsBe => Header::Mips { run_address: RUN },
        Machine::Arm64 => Header::Arm64 { text_offset: 0, image_size: shim_image::run_size(&elf)? },
    };
    Ok(shim_image::front(&elf, header, &[], Form::Squeezed)?.bytes)
}
