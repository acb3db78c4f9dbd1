//! The board starts from flash: the shim beside U-Boot, two slots, and an update that loses power in every erase and every write.
//! U-Boot's own erase and cp.b write the flash; its own bootm starts it.

use std::time::Duration;

use stoop_ci::lab::{Endian, Lab};
use stoop_ci::{Failure, Result};
use stoop_core::Code;
use stoop_hil_tests::packed::{board, lab};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::slots::{flashing, small_root, system};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, see, slots};
use stoop_image::image::flash::Map;
use stoop_image::simulate::{Entry, Input, run_from_flash, shown};
use stoop_lab::qemu::uboot;

const PATIENCE: Duration = Duration::from_secs(600);
const STARTING: [Cap; 2] = [Cap::Uboot, Cap::NorWrite];
const FLASHING: [Cap; 4] = [Cap::Uboot, Cap::NorWrite, Cap::UbootNorWrite, Cap::PowerLoss];

/// The bench of one board: what is in its flash, and what that does.
struct Bench<'a> {
    rig: &'a mut dyn Rig,
    lab: &'a Lab,
    endian: Endian,
    /// A root file system that fits a partition of its own: the lab's init.
    root: tempfile::NamedTempFile,
}

impl Bench<'_> {
    fn packed(&self, slot: char, name: &str) -> Result<Packed> {
        slots::packed(self.lab, self.endian, self.root.path(), slot, name)
    }

    /// Flashes it from outside.
    fn install(&mut self, packed: &Packed) -> Result<()> {
        let flashing = flashing(packed);
        for write in [&flashing.boot].into_iter().chain(&flashing.update) {
            self.rig.write_nor(write.area.offset(), &packed.built.file[write.from..][..write.area.size()])?;
        }
        Ok(())
    }

    /// Flips one bit.
    fn damage(&mut self, offset: usize) -> Result<()> {
        let byte = self.rig.read_nor()?[offset];
        self.rig.write_nor(offset, &[byte ^ 0x10])
    }

    /// Starts what is in flash, and compares it with what `simulate` predicts of these very bytes; gives the name of the
    /// system that runs and its slot.
    fn boot(&mut self, bootargs: Option<&str>) -> Result<(String, char)> {
        let flash = self.rig.read_nor()?;
        let at = Map::of(self.rig.board())?.boot.offset();
        let entry = Entry::Argv(bootargs.unwrap_or_default().into());
        let predicted = run_from_flash(&flash[at..], &Input { entry, load: None }, &flash)?;
        let line = self.rig.board().bootloader.flash_command.clone().expect("Malta starts from flash");
        let what = Boot { image: std::path::Path::new(""), bootargs, files: &[], via: Via::Command(line) };
        let booted = predicted.result.map_err(|error| Failure::new(format!("the shim would give up: {error}")))?;
        let seen = see(self.rig, &what, PATIENCE)?;
        let said = self.rig.power_off()?;
        for (slot, error) in &predicted.failed {
            let reason = format!("stoop: {error}, slot {slot}");
            assert!(said.contains(&reason), "{reason:?} is not on the console: {said}");
        }
        assert_eq!(seen.cmdline(), shown(&booted.cmdline));
        let reported = (seen.text("chosen/stoop/slot"), seen.text("chosen/stoop/verdict"));
        assert_eq!(reported, (booted.slot.to_string(), booted.verdict.text().to_owned()));
        Ok((system(&seen), booted.slot))
    }
}

fn on(endian: Endian, test: fn(&mut Bench<'_>) -> Result<()>) -> Result<()> {
    with(endian, &STARTING, test)
}

fn with(endian: Endian, caps: &[Cap], test: fn(&mut Bench<'_>) -> Result<()>) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps, ..BootRequest::default() })? else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    let root = small_root(&lab, endian)?;
    test(&mut Bench { rig: rig.as_mut(), lab: &lab, endian, root })
}

fn slots_in_their_order(bench: &mut Bench<'_>) -> Result<()> {
    let (a, b) = (bench.packed('a', "one")?, bench.packed('b', "two")?);
    bench.install(&b)?;
    bench.install(&a)?;
    assert_eq!(bench.boot(None)?, ("one".into(), 'a'));
    assert_eq!(bench.boot(Some("liminix x.y=1"))?, ("one".into(), 'a'));
    // A bit of the kernel, as flash loses them.
    let slot = flashing(&a).update[1].area.offset();
    bench.damage(slot + 0x8_0000)?;
    assert_eq!(bench.boot(Some("root=31:03"))?, ("two".into(), 'b'));
    // And one of the root file system in its own partition.
    bench.install(&a)?;
    assert_eq!(bench.boot(None)?, ("one".into(), 'a'));
    bench.damage(flashing(&a).update[0].area.offset() + 0x100)?;
    assert_eq!(bench.boot(None)?, ("two".into(), 'b'));
    Ok(())
}

#[test]
fn a_little_endian_board_boots_slot_a_and_when_that_is_damaged_b() -> Result<()> {
    on(Endian::Little, slots_in_their_order)
}

#[test]
fn a_big_endian_board_boots_slot_a_and_when_that_is_damaged_b() -> Result<()> {
    on(Endian::Big, slots_in_their_order)
}

/// With nothing that boots the board comes back to U-Boot: no silent halt.
fn resets(bench: &mut Bench<'_>) -> Result<()> {
    let a = bench.packed('a', "one")?;
    bench.install(&a)?;
    let slot = flashing(&a).update[1].area.offset();
    bench.damage(slot)?;
    let flash = bench.rig.read_nor()?;
    let at = Map::of(bench.rig.board())?.boot.offset();
    let predicted = run_from_flash(&flash[at..], &Input::default(), &flash)?;
    let codes: Vec<_> = predicted.failed.iter().map(|(slot, error)| (*slot, error.code())).collect();
    assert_eq!(codes, [('a', Code::NoManifest), ('b', Code::NoManifest)]);
    let line = bench.rig.board().bootloader.flash_command.clone().expect("Malta starts from flash");
    let what = Boot { image: std::path::Path::new(""), bootargs: None, files: &[], via: Via::Command(line) };
    let last = format!("^stoop: {}, slot b\r?\n", predicted.failed[1].1);
    stoop_hil_tests::boot(bench.rig, &what, &last, PATIENCE)?;
    bench.rig.wait_end(PATIENCE)
}

#[test]
fn a_board_with_no_slot_that_boots_says_why_of_each_and_resets() -> Result<()> {
    on(Endian::Little, resets)?;
    on(Endian::Big, resets)
}

/// What U-Boot writes at once, for each of which it prints one mark (`ci/src/lab/uboot.rs`).
const BUFFER: usize = 0x800;

/// One erase or one block's write of an update, in the order in which pack prints them.
struct Step {
    /// What is typed at U-Boot.
    line: String,
    /// From the start of the flash.
    offset: usize,
    /// What is there afterwards.
    bytes: Vec<u8>,
    erases: bool,
}

impl Step {
    /// What U-Boot says in the middle of it: that the block is erased, or that so many buffers are written, each with a mark.
    fn cut(&self, buffers: usize) -> String {
        if self.erases { r"^\.".into() } else { format!(r"Copy to Flash\.\.\. [0-9.]{{{buffers}}}") }
    }

    /// What U-Boot says at its end.
    fn end(&self) -> &'static str {
        if self.erases { "Erased 1 sectors" } else { "done" }
    }

    /// How many bytes of it are in this flash, of which everything else must be as in `before`.
    fn progress(&self, before: &[u8], flash: &[u8]) -> usize {
        let block = self.offset..self.offset + self.bytes.len();
        let elsewhere = |bytes: &[u8]| [&bytes[..block.start], &bytes[block.end..]].concat();
        assert!(elsewhere(before) == elsewhere(flash), "{} changed bytes elsewhere", self.line);
        let pairs = flash[block.clone()].iter().zip(&self.bytes);
        let written = pairs.take_while(|(is, shall)| is == shall).count();
        let rest = block.start + written..block.end;
        assert!(flash[rest.clone()] == before[rest], "{}: half a block is not its front", self.line);
        written
    }
}

fn steps(packed: &Packed, fetched: u32) -> Vec<Step> {
    let typed = |offset: usize| 0xbe00_0000 + offset;
    let erase = |offset: usize, size: usize| Step {
        line: format!("erase {:#x} +{size:#x}", typed(offset)),
        offset,
        bytes: vec![0xff; size],
        erases: true,
    };
    let mut steps = Vec::new();
    for write in &flashing(packed).update {
        let (block, start) = (write.area.erase_size(), write.area.offset());
        let mut blocks: Vec<usize> = (0..write.area.size()).step_by(block).collect();
        steps.extend(blocks.iter().map(|at| erase(start + at, block)));
        // The manifest's block last.
        blocks.rotate_left(1);
        steps.extend(blocks.iter().map(|at| {
            let from = fetched as usize + write.from + at;
            let line = format!("cp.b {from:#x} {:#x} {block:#x}", typed(start + at));
            let bytes = packed.built.file[write.from + at..][..block].to_vec();
            Step { line, offset: start + at, bytes, erases: false }
        }));
    }
    steps.extend(flashing(packed).before.iter().map(|area| erase(area.offset(), area.size())));
    steps
}

/// Switches the board on, with the update in RAM and the flash unlocked, and takes these steps of it.
fn update(bench: &mut Bench<'_>, packed: &Packed, steps: &[Step]) -> Result<()> {
    let facts = bench.rig.bootloader().clone();
    let file = &packed.built.file;
    bench.rig.stage("update.bin", file)?;
    bench.rig.power_cycle()?;
    let console = bench.rig.console()?;
    uboot::attach(console, &facts)?;
    uboot::network(console, &facts)?;
    uboot::fetch(console, &facts, facts.tftp_address, "update.bin", file.len())?;
    uboot::command(console, &facts, "protect off all")?;
    for step in steps {
        let said = uboot::command(console, &facts, &step.line)?;
        assert!(said.contains(step.end()), "{}: {said}", step.line);
    }
    Ok(())
}

/// Old system in slot a, an older one in b: b becomes new. The plug is pulled inside of every erase and of every block's write, the
/// update begun anew each time; the board then boots the old system until the last erase, and from then on the new one, as `simulate`
/// predicts of the bytes that are in flash. All erases and writes are U-Boot's.
fn power_fails(bench: &mut Bench<'_>) -> Result<()> {
    let (old, older, new) = (bench.packed('a', "old")?, bench.packed('b', "older")?, bench.packed('b', "new")?);
    bench.install(&older)?;
    bench.install(&old)?;
    assert_eq!(bench.boot(None)?, ("old".into(), 'a'));
    let steps = steps(&new, bench.rig.bootloader().tftp_address);
    let switch = steps.len() - 1;
    // The flash as all steps before the cut leave it, and as it was when it was booted last.
    let mut before = bench.rig.read_nor()?;
    let mut booted = before.clone();
    let mut inside = 0;
    for (cut, step) in steps.iter().enumerate() {
        update(bench, &new, &steps[..cut])?;
        if cut == switch {
            bench.rig.power_off()?;
            assert!(bench.rig.read_nor()? == before, "all is written");
            assert_eq!(bench.boot(None)?, ("old".into(), 'a'), "b is whole, and a comes first");
            update(bench, &new, &steps[..cut])?;
        }
        bench.rig.console()?.send(format!("{}\n", step.line).as_bytes())?;
        // At another place in every block: from the first buffer on, up to the last.
        let buffers = 1 + cut * 7 % (step.bytes.len() / BUFFER);
        bench.rig.power_off_at(&step.cut(buffers), PATIENCE)?;
        let flash = bench.rig.read_nor()?;
        let (written, size) = (step.progress(&before, &flash), step.bytes.len());
        assert!(written >= if step.erases { size } else { buffers * BUFFER }, "{}: 0x{written:x} bytes", step.line);
        inside += usize::from(written < size);
        let what =
            format!("power fails in step {cut} of {}, {}, 0x{written:x} of 0x{size:x} bytes", steps.len(), step.line);
        if flash == booted {
            println!("{what}: the bytes that were booted before");
        } else {
            let (system, slot) = bench.boot(None)?;
            println!("{what}: slot {slot}, {system}");
            let right = if cut == switch { ("new", 'b') } else { ("old", 'a') };
            assert_eq!((system.as_str(), slot), right, "{what}");
            booted = flash;
        }
        before[step.offset..][..size].copy_from_slice(&step.bytes);
    }
    println!("{inside} of {} blocks' writes were cut inside", steps.iter().filter(|step| !step.erases).count());
    let (flash, file) = (bench.rig.read_nor()?, &new.built.file);
    for write in &flashing(&new).update {
        let written = &flash[write.area.offset()..][..write.area.size()];
        assert!(written == &file[write.from..][..write.area.size()], "{} is in flash byte for byte", write.what);
    }
    Ok(())
}

#[test]
fn a_little_endian_update_that_loses_power_anywhere_leaves_the_old_or_the_new_system() -> Result<()> {
    with(Endian::Little, &FLASHING, power_fails)
}

#[test]
fn a_big_endian_update_that_loses_power_anywhere_leaves_the_old_or_the_new_system() -> Result<()> {
    with(Endian::Big, &FLASHING, power_fails)
}
