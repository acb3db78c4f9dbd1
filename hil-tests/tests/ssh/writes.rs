//! What is written, by each tool, boots.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;

use stoop_ci::lab::{Endian, Flavour};
use stoop_ci::{Result, run};
use stoop_core::Region;
use stoop_hil_tests::Packed;
use stoop_hil_tests::desk::collected;
use stoop_hil_tests::linux::{BOARD, HOST};
use stoop_hil_tests::slots::flashing;
use stoop_image::Explained;
use stoop_lab::flash::{self, Job, Step, ssh};

use super::{Bench, assert_holds};

impl Bench {
    /// Writes a job by the library; gives the steps.
    fn write(&self, job: &Job) -> Result<Receiver<Step>> {
        let (tell, steps) = collected();
        let host = ssh::Host::new(HOST).with_config(&self.linux.config());
        flash::ssh::write(&host, &self.board, job, &tell)?;
        Ok(steps)
    }

    fn job(&self, packed: &Packed, switch: bool) -> Result<Job> {
        Ok(Job::for_linux(&self.board, &packed.built.file, switch)?)
    }
}

/// The commands that wrote flash, each by its first word.
fn programs(steps: &Receiver<Step>) -> Vec<String> {
    let typed = steps.try_iter().filter_map(|step| if let Step::Typed(line) = step { Some(line) } else { None });
    typed.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn slots_written_by_a_linux_that_runs_boot_from_flash() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    let (one, two) = (bench.packed('a', "one")?, bench.packed('b', "two")?);
    bench.flash(&one)?;
    // Nothing is written again.
    let steps = bench.write(&bench.job(&one, false)?)?;
    let kept = steps.try_iter().map(|step| matches!(step, Step::Kept { .. })).collect::<Vec<_>>();
    assert!(kept.len() == 3 && kept.iter().all(|kept| *kept), "shim, root and slot are kept: {kept:?}");
    bench.flash(&two)?;
    let flash = bench.flash_when_off()?;
    assert_holds(&flash, &one);
    assert_holds(&flash, &two);
    assert_eq!(bench.boot_from_flash()?, ("one".into(), "a".into()));
    bench.linux.start_again()?;
    bench.flash_with(&two, &bench.linux.config(), &["--switch"])?;
    assert_eq!(bench.boot_from_flash()?, ("two".into(), "b".into()));
    Ok(())
}

#[test]
fn each_tool_of_mtd_utils_writes_and_the_front_comes_last() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    let mut last = None;
    for (name, tool, gone) in
        [("one", "flashcp", ""), ("two", "flash_erase", "flashcp"), ("three", "mtd_debug", "flash_erase")]
    {
        bench.linux.type_line(&format!("rm -f /usr/sbin/{gone}"))?;
        let packed = bench.packed('a', name)?;
        let programs = programs(&bench.write(&bench.job(&packed, false)?)?);
        // Shim and root file system are of the first image, an erase block each, and what is erased already needs no tool.
        let expected = if last.is_none() { vec!["dd", "dd", tool, "dd"] } else { vec![tool, "dd"] };
        assert_eq!(programs, expected, "{name}");
        last = Some(packed);
    }
    let files = bench.linux.type_line("ls /tmp")?;
    assert!(!files.contains("stoop-flash"), "nothing is left in memory: {files}");
    assert_holds(&bench.flash_when_off()?, &last.expect("three were written"));
    assert_eq!(bench.boot_from_flash()?, ("three".into(), "a".into()));
    Ok(())
}

/// Packs a slot b as people do, into `image` of this folder; the lines that it prints for a Linux.
fn printed_for_linux(bench: &Bench, folder: &Path) -> Vec<String> {
    let mut stoop = run::stoop();
    stoop.args(["pack", "--json", "--board", BOARD, "--format", "nor", "--slot", "b", "--rootfs-in", "flash"]);
    stoop.args(["--append", "system=printed"]);
    stoop.arg("--kernel").arg(bench.lab.vmlinux(Endian::Little, Flavour::Lab)).arg("--rootfs").arg(bench.root.path());
    let output = stoop.arg("-o").arg(folder.join("image")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = value["flash"]["linux"].as_array().expect("lines");
    lines.iter().map(|line| line.as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_lines_that_pack_prints_for_linux_write_a_slot_that_boots() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    bench.flash(&bench.packed('a', "one")?)?;
    let folder = tempfile::tempdir().expect("a folder");
    let lines = printed_for_linux(&bench, folder.path());
    let image = File::open(folder.path().join("image")).expect("an image");
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(bench.linux.config()).args([HOST, "cat > /tmp/image"]).stdin(image);
    assert!(ssh.status().expect("ssh").success());
    bench.linux.type_line("cd /tmp")?;
    for line in &lines {
        // The echo of the line has quotes where the answer has none.
        let said = bench.linux.type_line(&format!("{line} || echo 'it fai''led'"))?;
        assert!(!said.contains("it failed"), "{line}: {said}");
    }
    // The last one erased the front of slot a.
    assert_eq!(bench.boot_from_flash()?, ("printed".into(), "b".into()));
    Ok(())
}

#[test]
fn flash_that_only_a_driver_reaches_is_written_by_the_names_of_its_partitions() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    // As on boards whose SPI flash no CPU reads as memory: nothing but the names of /proc/mtd says where the partition is.
    let flash = bench.board.flash.as_mut().expect("flash");
    flash.window = Region::EMPTY;
    let firmware = flash.image(None).expect("a partition for images").clone();
    let image: Vec<u8> = (0..0x2_1234_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    assert_eq!(Job::of(&bench.board, &image, false).expect_err("no window").code(), "L081");
    let job = Job::for_linux(&bench.board, &image, false)?;
    bench.write(&job)?;
    let flash = bench.flash_when_off()?;
    assert!(flash[firmware.offset..][..image.len()] == image, "the whole image is there");
    let packed = bench.packed('a', "one")?;
    let boot = flashing(&packed).boot.area.offset();
    assert!(flash[boot..firmware.offset].iter().all(|byte| *byte == 0xff), "and nothing beside it");
    Ok(())
}
