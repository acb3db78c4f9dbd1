//! Boots images whose kernel says what the CPU's counter was when it was called.

use std::path::{Path, PathBuf};
use std::time::Duration;
use stoop_image::machine::Machine;

use stoop_image::image::{self, Built};
use stoop_image::plan::{CodecChoice, PhramChoice, Plan, Request};
use stoop_image::progress::Quiet;
use stoop_image::shim_image::Variant;
use stoop_lab::qemu::{Emulator, Options, Target};
use stoop_samples::failure::{Failure, Result};
use tempfile::TempDir;

use super::figures::{Decode, Reported, ShimFigures, Total};
use super::machine::{self, FLAT, Family, KERNEL, PROGRAM, Payload, SMALL};
use crate::{cache, run};

/// No payload to speak of; the assembler takes 0 for all.
const LEAST: usize = 4;
/// The packed device tree, the same for all so that they can be compared: Malta's.
const TREE: &str = "boards/dts/qemu-malta.dtb";
/// A machine that has not answered by then is broken.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the counter was.
#[derive(Clone, Copy)]
struct Counts {
    entry: u32,
    report: u32,
    kernel: u32,
    /// Bytes of the final device tree.
    tree: usize,
}

/// Everything of one shim.
///
/// # Errors
/// A machine does not answer.
pub fn shim(family: &'static Family, machine: Machine, payload: &Payload) -> Result<ShimFigures> {
    let bench = Bench::new(family, machine)?;
    cache::write(&bench.path(PAYLOAD), &payload.bytes)?;
    let whole = payload.bytes.len();
    let (empty, built) = bench.boot(LEAST, CodecChoice::Store)?;
    let mut totals = Vec::new();
    let mut stored = |size| -> Result<Counts> {
        let (counts, built) = bench.boot(size, CodecChoice::Store)?;
        totals.push(bench.total("store", size, counts, &built));
        Ok(counts)
    };
    let [_, small, large] = [stored(KERNEL)?, stored(SMALL)?, stored(whole)?];
    let crc = (bench.to_report(large) - bench.to_report(small)) * 1000 / (whole - SMALL) as u64;
    let mut full = 0;
    let mut decode = Vec::new();
    for (codec, choice) in [("lz4", CodecChoice::Lz4), ("lzma", CodecChoice::Lzma)] {
        // The same shim with next to nothing to decode.
        let empty = bench.boot(LEAST, choice)?.0;
        for size in [KERNEL, SMALL, whole] {
            let (counts, built) = bench.boot(size, choice)?;
            full = built.shim;
            totals.push(bench.total(codec, size, counts, &built));
            if size == KERNEL {
                continue;
            }
            let stored = built.payloads[0].stored;
            let spent = bench.to_report(counts) - bench.to_report(empty) - crc * stored as u64 / 1000;
            decode.push(Decode { codec, stored, decoded: size, milli: spent * 1000 / size as u64 });
        }
    }
    let reported = |counts: Counts| Reported { tree: counts.tree, instructions: bench.to_report(counts) };
    let own = match family.own_tree {
        true => Some(bench.boot_with(LEAST, CodecChoice::Store, None)?.0),
        false => None,
    };
    Ok(ShimFigures {
        machine,
        shim: machine::name(machine),
        shim_bytes: [built.shim, full],
        unpack: [bench.unpack(Variant::Store)?, bench.unpack(Variant::Full)?],
        entry_to_report: reported(empty),
        with_own_tree: own.map(reported),
        report_to_kernel: [bench.to_kernel(empty), bench.to_kernel(large)],
        crc_milli: crc,
        decode,
        totals,
    })
}

/// Files of the folder.
const PAYLOAD: &str = "payload.bin";
/// A machine, and a folder for its files.
struct Bench {
    family: &'static Family,
    machine: Machine,
    folder: TempDir,
}

impl Bench {
    fn new(family: &'static Family, machine: Machine) -> Result<Bench> {
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        Ok(Bench { family, machine, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn instructions(&self, from: u32, to: u32) -> u64 {
        u64::from(to.wrapping_sub(from)) * self.family.per_tick
    }

    fn to_report(&self, counts: Counts) -> u64 {
        self.instructions(counts.entry, counts.report)
    }

    fn to_kernel(&self, counts: Counts) -> u64 {
        self.instructions(counts.report, counts.kernel)
    }

    fn total(&self, codec: &'static str, decoded: usize, counts: Counts, built: &Built) -> Total {
        let stored = built.payloads.first().map_or(0, |payload| payload.stored);
        Total { codec, stored, decoded, instructions: self.instructions(counts.entry, counts.kernel) }
    }

    /// Assembles one of the family's programs and links it to where kernels are.
    fn assemble(&self, name: &str, defines: &[String]) -> Result<()> {
        let source = crate::repository().join("ci/src/bench").join(self.family.programs).join(name);
        let (object, program) = (self.path("program.o"), self.path(PROGRAM));
        let tool = |name: &str| run::command(format!("{}{name}", machine::cross(self.machine)));
        run::output(
            tool("gcc")
                .args(["-c", "-x", "assembler-with-cpp"])
                .args(self.family.flags)
                .args(defines)
                .arg("-o")
                .args([&object, &source]),
        )?;
        // Notes that the linker would put into segments of their own.
        run::output(tool("objcopy").args(["-R", ".MIPS.abiflags", "-R", ".reginfo"]).arg(&object))?;
        // -N: no headers in front of the code.
        let text = format!("-Ttext={:#x}", self.family.linked);
        run::output(tool("ld").args(["-N", "-e", "_start", &text, "-o"]).args([&program, &object]))?;
        run::output(tool("objcopy").args(["-O", "binary"]).args([&program, &self.path(FLAT)]))?;
        Ok(())
    }

    /// Packs a kernel with so many bytes of the payload and boots it.
    fn boot(&self, size: usize, codec: CodecChoice) -> Result<(Counts, Built)> {
        self.boot_with(size, codec, Some(TREE))
    }

    /// The same with that device tree, or without one: the bootloader's.
    fn boot_with(&self, size: usize, codec: CodecChoice, tree: Option<&str>) -> Result<(Counts, Built)> {
        let payload = self.path(PAYLOAD);
        self.assemble("stub.S", &[format!("-DPAYLOAD=\"{}\"", payload.display()), format!("-DSIZE={size}")])?;
        let file = self.path("image");
        // The payload's bytes have the words of a platform that takes no device tree; what is called is the program in front of them.
        let config = self.machine.is_mips().then(|| self.path("kernel.config"));
        if let Some(config) = &config {
            cache::write(
                config,
                b"CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_USE_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n",
            )?;
        }
        let request = Request {
            board: machine::board(self.machine).into(),
            kernel: self.path(self.family.kernel),
            config,
            codec,
            format: Some(self.family.format),
            handoff: self.family.handoff,
            phram: PhramChoice::Off,
            dtb: tree.map(|tree| crate::repository().join(tree)),
            ..Request::default()
        };
        let title = format!("bench: {} {codec:?}, {size} bytes", machine::name(self.machine));
        run::step(&title, || {
            let built = image::build(&Plan::resolve(&request, &mut Quiet)?, &mut Quiet)?;
            cache::write(&file, &built.file)?;
            let said = self.run(&file, &[])?;
            Ok((counts(&said).ok_or_else(|| self.damaged(&said))?, built))
        })
    }

    /// Instructions by which a shim with blank params has moved and unpacked itself.
    fn unpack(&self, variant: Variant) -> Result<u64> {
        let blank = self.path("blank.bin");
        cache::write(&blank, &machine::blank(self.machine, variant)?)?;
        let family = self.family;
        self.assemble("call.S", &[format!("-DIMAGE={:#x}", family.image)])?;
        let loader = format!("loader,file={},addr={:#x},force-raw=on", blank.display(), family.image_physical);
        let said = self.run(&self.path(PROGRAM), &[&["-device", &loader], family.calling].concat())?;
        let ticks = u32::from_str_radix(&said, 16).map_err(|_| self.damaged(&said))?;
        Ok(self.instructions(0, ticks))
    }

    /// Starts a program; what it says between `[` and `]`.
    fn run(&self, program: &Path, extra: &[&str]) -> Result<String> {
        let board = stoop_image::board::load(machine::board(self.machine))?;
        let mut target = Target::of(&board, PATIENCE)?;
        target.machine.uboot = None;
        let words = ["-icount", "shift=0"].iter().chain(extra).map(|&word| word.to_owned()).collect();
        let mut emulator = Emulator::new(target, Options { extra: words, ..Options::default() })?;
        emulator.power_on_with(program, None)?;
        let seen = emulator.console()?.expect(r"\[([0-9a-f]*)\]", PATIENCE);
        let seen = seen.map_err(|failure| emulator.explain(failure))?;
        Ok(seen.groups.get(1).cloned().unwrap_or_default())
    }

    fn damaged(&self, said: &str) -> Failure {
        let programs = self.family.programs;
        Failure::new(format!("the program in the machine said {said:?}"))
            .next(format!("read stub.S and call.S in ci/src/bench/{programs}"))
    }
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
        tree: tree.total_size(),
    })
}
