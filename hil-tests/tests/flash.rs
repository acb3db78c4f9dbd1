//! `stoop flash` as people call it, against U-Boot in QEMU on a pseudo-terminal: `--backup` keeps what is overwritten, `--read` brings a
//! partition back.

use clap::Parser;
use stoop::command::Cli;
use stoop_ci::{Failure, Result};
use stoop_hil_tests::desk::{Desk, no_tftp};
use stoop_hil_tests::packed::lab;
use stoop_hil_tests::skip;
use stoop_hil_tests::stand::Wiring;

const BOARD: &str = "qemu-malta-le";

/// What the bootloader starts, for all that flash knows; less than an erase block.
fn contents(seed: u32) -> Vec<u8> {
    (0..0x1234_u32).flat_map(|number| (number ^ seed).wrapping_mul(0x9e37_79b9).to_be_bytes()).collect()
}

/// The same as a whole erase block of flash holds it.
fn block(contents: &[u8]) -> Vec<u8> {
    let mut block = contents.to_vec();
    block.resize(0x1_0000, 0xff);
    block
}

struct Bench {
    desk: Desk,
    folder: tempfile::TempDir,
}

impl Bench {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }

    /// Runs `stoop flash` with these words and the desk's flags.
    fn flash(&self, words: &[&str]) -> Result<()> {
        let flags = self.desk.flags();
        let line = ["stoop", "flash", "--board", BOARD].into_iter().chain(words.iter().copied());
        Ok(Cli::try_parse_from(line.chain(flags.iter().map(String::as_str))).expect("a command line").run()?)
    }
}

fn bench() -> Result<Option<Bench>> {
    if lab()?.is_none() {
        return Ok(None);
    }
    if let Some(reason) = no_tftp() {
        return skip(&reason).map(|()| None);
    }
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    Ok(Some(Bench { desk: Desk::emulated(BOARD, Wiring::Pty, true)?, folder }))
}

#[test]
fn a_backup_holds_what_was_overwritten_and_a_partition_is_read_back_whole() -> Result<()> {
    let Some(bench) = bench()? else { return Ok(()) };
    let (first, second) = (contents(1), contents(2));
    let image = bench.put("first", &first);
    bench.flash(&[&image, "--yes"])?;
    let (image, backup) = (bench.put("second", &second), bench.path("backup"));
    bench.flash(&[&image, "--yes", "--backup", &backup])?;
    assert!(bench.read("backup") == block(&first), "what was there before");

    // A backup can be flashed again.
    bench.flash(&[&backup, "--yes", "--backup", &bench.path("newer")])?;
    assert!(bench.read("newer") == block(&second));

    let out = bench.path("rootfs-a");
    bench.flash(&["--read", "rootfs-a", "-o", &out])?;
    assert_eq!(bench.read("rootfs-a").len(), 0x2_0000, "the whole partition");
    assert!(bench.read("rootfs-a").iter().all(|byte| *byte == 0xff), "nothing behind the image was written");
    Ok(())
}

#[test]
fn what_cannot_be_read_is_refused_before_the_board_is_switched_on() -> Result<()> {
    let Some(bench) = bench()? else { return Ok(()) };
    let out = bench.path("out");
    let unknown = bench.flash(&["--read", "no-such", "-o", &out]).expect_err("no partition");
    assert!(unknown.to_string().contains("firmware-a"), "{unknown}");
    assert!(!bench.desk.is_on());
    assert!(!std::path::Path::new(&out).exists());
    Ok(())
}
