//! `bisect.sh` finds the bad commit of a series of small programs that stand for kernels, booted in QEMU.

use std::path::Path;

use super::{command, done, has, recipes};
use crate::bench::{Bench, Kernel};

/// MIPS32: prints `K` or nothing on Malta's UART, and resets the board.
fn program(prints: bool) -> [u32; 12] {
    [
        0x3c12_b800,                                    // lui   s2, 0xb800    the UART behind PCI I/O
        0x3652_03f8,                                    // ori   s2, s2, 0x3f8
        if prints { 0x2404_004b } else { 0x1000_0006 }, // li    a0, 'K'       or b reset
        0x9248_0005,                                    // wait: lbu t0, 5(s2)  line status: transmitter empty
        0x3108_0020,                                    // andi  t0, t0, 0x20
        0x1100_fffd,                                    // beqz  t0, wait
        0x0000_0000,                                    // nop
        if prints { 0xa244_0000 } else { 0 },           // sb    a0, 0(s2)
        0x0000_0000,                                    // nop
        0x3c08_bf00,                                    // reset: lui t0, 0xbf00  SOFTRES at 0x500
        0x2409_0042,                                    // li    t1, 0x42
        0xad09_0500,                                    // sw    t1, 0x500(t0); what follows runs until the reset
    ]
}

/// A kernel whose first instruction jumps to that program behind its configuration.
fn kernel(prints: bool) -> Vec<u8> {
    const HEADERS: usize = 84;
    let kernel = Kernel::new(false);
    let mut elf = kernel.elf();
    let at = (elf.len() - kernel.filler).next_multiple_of(4);
    let jump = 0x1000_0000 | ((at - HEADERS) / 4 - 1) as u32; // b program
    let stay = 0x1000_ffff; // b .
    let mut put = |at: usize, word: u32| elf[at..at + 4].copy_from_slice(&word.to_le_bytes());
    put(HEADERS, jump);
    put(HEADERS + 4, 0);
    for (index, word) in program(prints).into_iter().chain([stay, 0]).enumerate() {
        put(at + index * 4, word);
    }
    elf
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut git = command("git", folder);
    for (name, value) in [("NAME", "x"), ("EMAIL", "x@example.org")] {
        git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    done(&git.env("GIT_CONFIG_GLOBAL", "/dev/null").args(words).output().unwrap())
}

#[test]
fn the_commit_after_which_nothing_boots_is_found_and_one_that_does_not_build_is_skipped() {
    if !has("git") || !has("qemu-system-mipsel") {
        return;
    }
    let bench = Bench::new();
    let place = bench.path(".");
    git(&place, &["init", "--quiet", "."]);
    let mut commits = Vec::new();
    for number in 0..7 {
        // The third has no program at all: `cp` fails.
        let _ = std::fs::remove_file(bench.path("program"));
        if number != 2 {
            bench.put("program", &kernel(number < 4));
        }
        bench.put("number", &[number]);
        git(&place, &["add", "--all"]);
        git(&place, &["commit", "--quiet", "--message", &format!("number {number}")]);
        commits.push(git(&place, &["rev-parse", "HEAD"]).trim().to_owned());
    }
    git(&place, &["bisect", "start", &commits[6], &commits[0]]);
    let script = recipes().join("ci/bisect.sh");
    let mut run = command("git", &place);
    run.args(["bisect", "run", script.to_str().unwrap(), "--format", "elf"]);
    run.envs([("BOARD", "qemu-malta-le"), ("UNTIL", "^K"), ("BUILD", "cp program vmlinux"), ("VIA", "direct")]);
    let said = done(&run.output().unwrap());
    assert!(said.contains(&format!("{} is the first bad commit", commits[4])), "{said}");
}

#[test]
fn a_wrong_command_line_ends_the_search() {
    if !has("git") {
        return;
    }
    let bench = Bench::new();
    bench.put("vmlinux", &kernel(true));
    let mut run = command(recipes().join("ci/bisect.sh"), &bench.path("."));
    run.arg("--no-such-option").envs([("BOARD", "qemu-malta-le"), ("UNTIL", "K"), ("BUILD", "true")]);
    assert_eq!(run.output().unwrap().status.code(), Some(128));
}
