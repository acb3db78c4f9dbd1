//! The order in which a slot is written by a bootloader, seen by power that fails in each erase and each write in turn: what makes the slot
//! bootable comes last, the old system boots until then, and the next run completes it.

use std::sync::{Arc, Mutex};

use stoop_ci::Result;
use stoop_ci::lab::Endian;
use stoop_hil_tests::desk::{Desk, collected, no_tftp};
use stoop_hil_tests::fault::assert_documented;
use stoop_hil_tests::packed::lab;
use stoop_hil_tests::slots::{flashing, packed, small_root};
use stoop_hil_tests::stand::Wiring;
use stoop_hil_tests::stand::nor::Nor;
use stoop_hil_tests::stand::played::{Played, Script};
use stoop_hil_tests::{Packed, skip};
use stoop_image::image::flash::{Area, Flashing, Map, Write};
use stoop_image::simulate::{Input, run_from_flash};
use stoop_image::{Explained, board};
use stoop_lab::flash::{Job, Step};

const BOARD: &str = "qemu-malta-le";

/// What of an image goes where.
fn writes(packed: &Packed) -> impl Iterator<Item = &Write> {
    let Flashing { boot, update, .. } = flashing(packed);
    [boot].into_iter().chain(update)
}

/// Puts an image into flash.
fn install(flash: &mut [u8], packed: &Packed) {
    for write in writes(packed) {
        flash[write.area.offset()..][..write.area.size()]
            .copy_from_slice(&packed.built.file[write.from..][..write.area.size()]);
    }
}

/// Whether flash has all of an image.
fn holds(flash: &[u8], packed: &Packed) -> bool {
    writes(packed).all(|write| {
        flash[write.area.offset()..][..write.area.size()] == packed.built.file[write.from..][..write.area.size()]
    })
}

fn front<'a>(flash: &'a [u8], area: &Area) -> &'a [u8] {
    &flash[area.offset()..][..area.erase_size()]
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xff)
}

/// The slot that the shim in this flash starts.
fn started(flash: &[u8]) -> Result<Option<char>> {
    let at = Map::of(&board::load(BOARD)?)?.boot.offset();
    Ok(run_from_flash(&flash[at..], &Input::default(), flash)?.result.ok().map(|booted| booted.slot))
}

/// The same without slot a: whether b passes for good.
fn b_passes(flash: &[u8], a: &Area) -> Result<bool> {
    let mut alone = flash.to_vec();
    alone[a.offset()] ^= 1;
    Ok(started(&alone)? == Some('b'))
}

/// Flashes `job` on a played board with that flash, in whose `cut`th change power fails.
fn flashed(nor: Nor, cut: Option<usize>, job: &Job) -> Result<(Nor, stoop_lab::Result<()>, Vec<Step>)> {
    let nor = Arc::new(Mutex::new(Nor { cut, changes: Vec::new(), file: job.file.clone(), ..nor }));
    let memory = Arc::clone(&nor);
    let script = Script::malta(move |line| Some(memory.lock().ok()?.answer(line).unwrap_or_default()));
    let mut desk = Desk::played(BOARD, Box::new(Played(script)))?;
    // Nothing is fetched: the board only says so.
    desk.served_by_qemu()?;
    let (tell, steps) = collected();
    let done = desk.flash(job, &tell);
    let left = nor.lock().expect("no panic").clone();
    Ok((left, done, steps.try_iter().collect()))
}

#[test]
fn a_slots_front_is_erased_until_the_very_last_write_wherever_power_fails_and_the_next_run_completes_it() -> Result<()>
{
    let Some(lab) = lab()? else { return Ok(()) };
    let root = small_root(&lab, Endian::Little)?;
    let image = |slot, name| packed(&lab, Endian::Little, root.path(), slot, name);
    let (old, new) = (image('a', "old")?, image('b', "new")?);
    let a = flashing(&old).update.last().expect("a slot").area.clone();
    let b = flashing(&new).update.last().expect("a slot").area.clone();
    let mut before = Nor::erased(0x40_0000);
    install(&mut before.flash, &old);
    // In b and its root file system is something else, so that every block is erased and written.
    for write in &flashing(&new).update {
        before.flash[write.area.offset()..][..write.area.size()].fill(0x11);
    }
    assert_eq!(started(&before.flash)?, Some('a'));
    let job = Job::of(&board::load(BOARD)?, &new.built.file, true).map_err(stoop_lab::Error::from)?;

    let (after, done, steps) = flashed(before.clone(), None, &job)?;
    done?;
    assert_eq!(steps.last(), Some(&Step::Switched));
    assert!(holds(&after.flash, &new) && is_erased(front(&after.flash, &a)));
    assert!(
        started(&after.flash)? == Some('b') && b_passes(&after.flash, &a)?,
        "the one that was written, by the switch"
    );
    let changes = after.changes;
    let at = |start: &str, area: &Area| {
        let address = format!("0x{:08x}", 0xbe00_0000 + area.offset());
        changes.iter().position(|line| line.starts_with(start) && line.contains(&address)).expect("it is in there")
    };
    let (erased, marked, switched) = (at("erase", &b), at("cp.b", &b), at("erase", &a));
    assert_eq!(
        (marked, switched),
        (changes.len() - 2, changes.len() - 1),
        "the front is last, and then the switch: {changes:?}"
    );

    for (cut, line) in changes.iter().enumerate() {
        let (left, done, _) = flashed(before.clone(), Some(cut), &job)?;
        let lost = done.expect_err("power failed");
        assert_eq!((lost.code(), lost.exit_code()), ("L047", 3), "{line}: {lost}");
        assert_documented(lost.code(), lost.exit_code(), &lost.to_string());
        assert_eq!(left.changes, changes[..=cut], "the same way up to there, and no further");
        if (erased + 1..marked).contains(&cut) {
            assert!(is_erased(front(&left.flash, &b)), "{line}: the front is erased from its first change to its last");
        }
        assert!(!b_passes(&left.flash, &a)? || cut >= switched, "{line}: a slot that is not whole passes for good");
        assert_eq!(started(&left.flash)?, Some(if cut < switched { 'a' } else { 'b' }), "{line}: a system boots");
        let (whole, done, _) = flashed(left, None, &job)?;
        done?;
        assert!(holds(&whole.flash, &new) && is_erased(front(&whole.flash, &a)), "{line}: the next run completes it");
        println!(
            "power failed in `{line}`, half done; the run behind it made {} of {} changes",
            whole.changes.len(),
            changes.len()
        );
    }
    Ok(())
}

#[test]
fn u_boot_switches_to_the_slot_that_was_written() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let root = small_root(&lab, Endian::Little)?;
    let (one, two) = (
        packed(&lab, Endian::Little, root.path(), 'a', "one")?,
        packed(&lab, Endian::Little, root.path(), 'b', "two")?,
    );
    let desk = Desk::emulated(BOARD, Wiring::Pty, true)?;
    let write = |packed: &Packed, switch| -> Result<Vec<Step>> {
        let job = Job::of(&desk.board, &packed.built.file, switch).map_err(stoop_lab::Error::from)?;
        let (tell, steps) = collected();
        desk.flash(&job, &tell)?;
        Ok(steps.try_iter().collect())
    };
    assert!(!write(&one, false)?.contains(&Step::Switched));
    let a = flashing(&one).update.last().expect("a slot").area.clone();
    let steps = write(&two, true)?;
    let erases = |step: &&Step| matches!(step, Step::Typed(line) if line.starts_with("erase"));
    let last = format!("erase 0x{:08x} +0x{:x}", 0xbe00_0000 + a.offset(), a.erase_size());
    assert_eq!((steps.iter().rfind(erases), steps.last()), (Some(&Step::Typed(last)), Some(&Step::Switched)));
    let mut flash = vec![0xff; 0x40_0000];
    let start = Map::of(&desk.board)?.boot.offset();
    let read = desk.read(&[(0xbe00_0000 + start, 0x1_0000), (0xbe00_0000 + a.offset(), a.erase_size())])?;
    assert!(is_erased(&read[1]), "slot a does not boot any more");
    // What was verified by the bootloader's own sums is not read through the console again.
    install(&mut flash, &two);
    flash[start..][..read[0].len()].copy_from_slice(&read[0]);
    assert_eq!(started(&flash)?, Some('b'));
    Ok(())
}
