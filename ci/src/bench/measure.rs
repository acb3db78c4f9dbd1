//! Boots images whose kernel says what CP0 Count was when it was called.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop::image::{self, Built};
use stoop::input::kernel::{Kernel, Overrides};
use stoop::plan::{CodecWish, Format, HandoffWish, PhramChoice, Plan, Request};
use stoop::qemu::{Emulator, Options, Target};
use stoop::shim_image::Variant;
use stoop::ui::Quiet;
use stoop::{Failure, Result, shim_image};
use tempfile::TempDir;

use super::{Decode, EndianFigures};
use crate::lab::{Endian, Lab};
use crate::prebuilt;
use crate::{cache, run};

/// Instructions per tick of CP0 Count in QEMU's 24Kf under `-icount shift=0`: 200 MHz of instructions, Count at a sixth
/// (a loop of 3,000,000 instructions counts 500,000).
pub const PER_TICK: u64 = 6;

/// No payload to speak of; the assembler takes 0 for all.
const LEAST: usize = 4;
/// The smaller of the two payloads; the larger is all there is.
const SMALL: usize = 8 << 20;
/// Where the payload is linked, as kernels for this board are.
const KERNEL: u64 = 0x8010_0000;
/// Where the blank shim is called, far from where it unpacks itself to.
const IMAGE: usize = 0x8200_0000;
/// Where it unpacks itself to.
const RUN: usize = 0x8300_0000;
/// A machine that has not answered by then is broken.
const PATIENCE: Duration = Duration::from_secs(600);

/// A real kernel's code.
pub struct Payload {
    /// What it is.
    pub name: String,
    bytes: Vec<u8>,
}

impl Payload {
    /// The kernel inside Debian's vmlinuz for Malta.
    ///
    /// # Errors
    /// The lab lacks it.
    pub fn of(lab: &Lab) -> Result<Payload> {
        let path = lab.debian_kernel("4kc-malta")?;
        let kernel = run::step("bench: reading Debian's kernel", || {
            Kernel::read(&path, Overrides { load_address: None, entry_point: None, config: None }, &mut Quiet)
        })?;
        let proper = kernel.proper().ok_or_else(|| Failure::new("nothing was found in Debian's vmlinuz"))?;
        let name = format!("the kernel in Debian's vmlinuz-{}", kernel.version.as_deref().unwrap_or("?"));
        Ok(Payload { name, bytes: proper.0.into_owned() })
    }
}

/// Counts of one run.
#[derive(Clone, Copy)]
struct Counts {
    entry: u32,
    report: u32,
    kernel: u32,
}

impl Counts {
    fn to_report(self) -> u64 {
        u64::from(self.report.wrapping_sub(self.entry)) * PER_TICK
    }
}

/// Everything of one byte order.
///
/// # Errors
/// A machine does not answer.
pub fn endian(endian: Endian, payload: &Payload) -> Result<EndianFigures> {
    let bench = Bench::new(endian)?;
    cache::write(&bench.path(PAYLOAD), &payload.bytes)?;
    let whole = payload.bytes.len();
    let (empty, built) = bench.boot(LEAST, CodecWish::Store)?;
    let small = bench.boot(SMALL, CodecWish::Store)?.0;
    let large = bench.boot(whole, CodecWish::Store)?.0;
    let crc = (large.to_report() - small.to_report()) * 1000 / (whole - SMALL) as u64;
    let mut full = 0;
    let mut decode = Vec::new();
    for (codec, wish) in [("lz4", CodecWish::Lz4), ("lzma", CodecWish::Lzma)] {
        // The same shim with next to nothing to decode.
        let empty = bench.boot(LEAST, wish)?.0;
        for size in [SMALL, whole] {
            let (counts, built) = bench.boot(size, wish)?;
            full = built.shim;
            let stored = built.payloads[0].stored;
            let spent = counts.to_report() - empty.to_report() - crc * stored as u64 / 1000;
            decode.push(Decode { codec, stored, decoded: size, milli: spent * 1000 / size as u64 });
        }
    }
    Ok(EndianFigures {
        endian: endian.tag(),
        shim_bytes: [built.shim, full],
        unpack: [bench.unpack(Variant::Store)?, bench.unpack(Variant::Full)?],
        entry_to_report: empty.to_report(),
        report_to_kernel: u64::from(empty.kernel.wrapping_sub(empty.report)) * PER_TICK,
        crc_milli: crc,
        decode,
    })
}

/// Files of the folder.
const PAYLOAD: &str = "payload.bin";
const PROGRAM: &str = "program.elf";

/// A Malta, and a folder for its files.
struct Bench {
    endian: Endian,
    folder: TempDir,
}

impl Bench {
    fn new(endian: Endian) -> Result<Bench> {
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        Ok(Bench { endian, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Assembles one of this folder's programs and links it to where kernels are.
    fn assemble(&self, name: &str, defines: &[String]) -> Result<()> {
        let source = crate::repository().join("ci/src/bench").join(name);
        let (object, program) = (self.path("program.o"), self.path(PROGRAM));
        let tool = |name: &str| run::command(format!("{}{name}", self.endian.cross()));
        run::output(
            tool("gcc")
                .args(["-c", "-x", "assembler-with-cpp", "-march=mips32r2", "-mno-abicalls", "-fno-pic"])
                .args(defines)
                .arg("-o")
                .args([&object, &source]),
        )?;
        // Notes that the linker would put into segments of their own.
        run::output(tool("objcopy").args(["-R", ".MIPS.abiflags", "-R", ".reginfo"]).arg(&object))?;
        // -N: no headers in front of the code.
        let text = format!("-Ttext={KERNEL:#x}");
        run::output(tool("ld").args(["-N", "-e", "_start", &text, "-o"]).args([&program, &object]))?;
        Ok(())
    }

    /// Packs a kernel with so many bytes of the payload and boots it.
    fn boot(&self, size: usize, codec: CodecWish) -> Result<(Counts, Built)> {
        let payload = self.path(PAYLOAD);
        self.assemble("stub.S", &[format!("-DPAYLOAD=\"{}\"", payload.display()), format!("-DSIZE={size}")])?;
        let file = self.path("image.elf");
        let request = Request {
            board: self.board().into(),
            kernel: self.path(PROGRAM),
            codec,
            format: Some(Format::Elf),
            handoff: HandoffWish::Uhi,
            phram: PhramChoice::Off,
            ..Request::default()
        };
        let title = format!("bench: {} {:?}, {} bytes", self.endian.tag(), codec, size);
        run::step(&title, || {
            let built = image::build(&Plan::resolve(&request, &mut Quiet)?, &mut Quiet)?;
            cache::write(&file, &built.file)?;
            let said = self.run(&file, &[])?;
            Ok((counts(&said).ok_or_else(|| damaged(&said))?, built))
        })
    }

    /// Instructions by which a shim with blank params has moved and unpacked itself.
    fn unpack(&self, variant: Variant) -> Result<u64> {
        let elf = cache::read(&prebuilt::shim(variant, self.endian))?;
        let blank = self.path("blank.bin");
        cache::write(&blank, &shim_image::front(&elf, RUN, &[])?.bytes)?;
        self.assemble("call.S", &[format!("-DIMAGE={IMAGE:#x}")])?;
        let physical = IMAGE & 0x1fff_ffff;
        let loader = format!("loader,file={},addr={physical:#x},force-raw=on", blank.display());
        let said = self.run(&self.path(PROGRAM), &["-device".into(), loader])?;
        let ticks = u32::from_str_radix(&said, 16).map_err(|_| damaged(&said))?;
        Ok(u64::from(ticks) * PER_TICK)
    }

    /// Starts a program; what it says between `[` and `]`.
    fn run(&self, elf: &Path, extra: &[String]) -> Result<String> {
        let board = stoop::board::load(self.board())?;
        let mut target = Target::of(&board, PATIENCE)?;
        target.machine.uboot = None;
        let mut words = vec!["-icount".to_owned(), "shift=0".to_owned()];
        words.extend_from_slice(extra);
        let mut emulator = Emulator::new(target, Options { extra: words, ..Options::default() })?;
        emulator.power_on_with(elf, None)?;
        let seen = emulator.console()?.expect(r"\[([0-9a-f]*)\]", PATIENCE);
        let seen = seen.map_err(|failure| emulator.explain(failure))?;
        Ok(seen.groups.get(1).cloned().unwrap_or_default())
    }

    fn board(&self) -> &'static str {
        match self.endian {
            Endian::Little => "qemu-malta-le",
            Endian::Big => "qemu-malta-be",
        }
    }
}

fn damaged(said: &str) -> Failure {
    Failure::new(format!("the program in the machine said {said:?}")).next("read ci/src/bench/stub.S and call.S")
}

/// The kernel's count, and those in the report of the tree that it got.
fn counts(said: &str) -> Option<Counts> {
    let bytes: Option<Vec<u8>> =
        said.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect();
    let bytes = bytes?;
    let (kernel, tree) = bytes.split_first_chunk()?;
    let tree = fdt::Fdt::new(tree).ok()?;
    let report = tree.find_node("/chosen/stoop")?;
    let count = |name| report.property(name)?.as_usize();
    Some(Counts {
        entry: count("count-entry")? as u32,
        report: count("count-handoff")? as u32,
        kernel: u32::from_be_bytes(*kernel),
    })
}
