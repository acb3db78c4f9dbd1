//! `cargo ci pack-bench`: what packing costs the host, in time and memory, next to `mkimage` on the same bytes. The commands take
//! turns and the median of their times counts, so that other work on the machine slows down all alike.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use stoop_samples::failure::{Failure, Result};

use crate::{cache, repository, run};

const MIB: usize = 1 << 20;
/// Of the kernel's code, and of the root filesystem.
const SIZES: [usize; 2] = [8 * MIB, 16 * MIB];
/// Runs of each command; odd, so that one is in the middle.
const RUNS: usize = 15;
/// What packing may take beside the root filesystem's 1.5 times, in KiB.
const MEMORY: usize = 40 * 1024;

/// Builds `stoop` as it is released, and prints the table.
///
/// # Errors
/// A program is missing or fails, or a budget is exceeded.
pub fn run() -> Result<()> {
    run::shown(run::command("cargo").current_dir(repository()).args(["build", "--release", "--package", "stoop"]))?;
    let stoop = repository().join("target/release/stoop");
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let work = Work::new(folder.path(), stoop)?;
    let names = ["mkimage", "pack, store", "inspect", "simulate"];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); names.len()];
    for _ in 0..RUNS {
        for (times, name) in times.iter_mut().zip(names) {
            let mut command = work.command(name);
            let start = Instant::now();
            run::output(&mut command)?;
            times.push(start.elapsed());
        }
    }
    println!("| an 8 MiB kernel and a 16 MiB root filesystem | median, ms | peak memory, KiB |\n|---|---|---|");
    let mut medians = Vec::new();
    for (mut times, name) in times.into_iter().zip(names) {
        times.sort();
        let (median, memory) = (times[RUNS / 2], memory(&work.command(name))?);
        println!("| {name} | {:.1} | {memory} |", median.as_secs_f64() * 1e3);
        medians.push((median, memory));
    }
    for name in ["pack, LZMA, first time", "pack, LZMA, again"] {
        let start = Instant::now();
        run::output(&mut work.command("pack, lzma"))?;
        println!("| {name} | {:.1} | {} |", start.elapsed().as_secs_f64() * 1e3, memory(&work.command("pack, lzma"))?);
    }
    let ratio = medians[1].0.as_secs_f64() / medians[0].0.as_secs_f64();
    println!("\npack takes {ratio:.2} times as long as mkimage; 1.2 are the budget");
    let rootfs = SIZES[1] / 1024;
    let budget = [(1, rootfs * 3 / 2 + MEMORY), (2, rootfs * 6 / 5 + MEMORY), (3, rootfs * 6 / 5 + MEMORY)];
    for (at, budget) in budget {
        if medians[at].1 > budget {
            return Err(Failure::new(format!(
                "{} takes {} KiB of memory, the budget is {budget}",
                names[at], medians[at].1
            )));
        }
    }
    if ratio > 1.2 {
        return Err(Failure::new(format!("pack takes {ratio:.2} times as long as mkimage")));
    }
    Ok(())
}

struct Work {
    folder: PathBuf,
    stoop: PathBuf,
}

impl Work {
    fn new(folder: &Path, stoop: PathBuf) -> Result<Work> {
        let work = Work { folder: folder.to_owned(), stoop };
        let rootfs = squashfs(SIZES[1]);
        let kernel = code(SIZES[0]);
        cache::write(&work.path("kernel.bin"), &kernel)?;
        cache::write(&work.path("root.squashfs"), &rootfs)?;
        cache::write(&work.path("both"), &[kernel, rootfs].concat())?;
        let config = "CONFIG_CPU_BIG_ENDIAN=y\nCONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n\
            CONFIG_MTD=y\nCONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\nCONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\n\
            CONFIG_DEVTMPFS=y\n";
        cache::write(&work.path("config"), config.as_bytes())?;
        run::output(&mut work.command("pack, store"))?;
        Ok(work)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command(&self, name: &str) -> Command {
        let mut stoop = Command::new(&self.stoop);
        let pack = ["pack", "--board", "qemu-malta-be", "--kernel", "kernel.bin", "--load-address", "0x80100000"];
        let more =
            ["--entry-point", "0x80100000", "--config", "config", "--rootfs", "root.squashfs", "--format", "uimage"];
        match name {
            "mkimage" => {
                let mut mkimage = Command::new("mkimage");
                mkimage.args(["-A", "mips", "-O", "linux", "-T", "kernel", "-C", "none", "-a", "0x80100000"]);
                mkimage.args(["-e", "0x80100000", "-n", "stoop", "-d", "both", "mkimage.out"]);
                stoop = mkimage;
            }
            "pack, store" => _ = stoop.args(pack).args(more).args(["--codec", "store", "-o", "image"]),
            "pack, lzma" => _ = stoop.args(pack).args(more).args(["--codec", "lzma", "-o", "image.lzma"]),
            name => _ = stoop.args([name, "image"]),
        }
        stoop.current_dir(&self.folder).env("XDG_CACHE_HOME", self.path("cache"));
        stoop
    }
}

/// The most memory that a command has at one time, in KiB, by GNU time.
fn memory(command: &Command) -> Result<usize> {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%M", "-o", "memory"]).arg(command.get_program()).args(command.get_args());
    let folder = command.get_current_dir().unwrap_or(Path::new("."));
    time.current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    run::output(&mut time)?;
    let said = String::from_utf8_lossy(&cache::read(&folder.join("memory"))?).trim().to_owned();
    said.parse().map_err(|error| Failure::new(format!("/usr/bin/time said {said:?}: {error}")))
}

/// Bytes that compress about as code does, and say of which version and byte order the kernel is.
fn code(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    // `addiu $sp, $sp, -32`, `addiu $sp, $sp, 32`, `jr $ra`: what a compiler emits by the thousand.
    for word in [0x27bd_ffe0u32, 0x27bd_0020, 0x03e0_0008].repeat(64) {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(b"Linux version 6.12.117 (bench)\0\0");
    let mut state = 1u32;
    while bytes.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = 0x2400_0000 | (state >> 8 & 0x0003_f000) | (state >> 28);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A root filesystem of bytes that do not compress.
fn squashfs(size: usize) -> Vec<u8> {
    stoop_samples::squashfs_of(stoop_samples::noise(size))
}
