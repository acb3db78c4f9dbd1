//! RAM that is smaller than the board file says, flash that is read once and may change, and what a bootloader gets back.

use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Machine as Family, Manifest};
use stoop_core::params::Policy;
use stoop_image::board::{self, Board};
use stoop_image::image::{Built, flash};
use stoop_image::plan::{CodecChoice, Format, Plan, Request};
use stoop_model::boot::Boot;
use stoop_model::bootloader::{Caches, Enter};
use stoop_model::core::Stop;
use stoop_model::judge::Judge;
use stoop_model::kernel::{Line, Parts};
use stoop_model::machine::{Beyond, Machine, PERIOD};
use stoop_model::suite::{Tally, flash_with, pack, usual};
use stoop_samples::failure::Result;

/// One board of each byte order.
const BOARDS: [&str; 2] = ["gl-ar750", "gl-mt300n-v2"];

/// Halves the RAM; the controller lets addresses wrap.
fn half_of_the_ram(machine: &mut Machine) {
    let size = machine.ram.len() / 2;
    *machine = machine.clone().with_ram(size, Beyond::Wraps);
}

#[test]
fn ram_that_is_half_of_what_the_board_file_says_is_e18_with_both_sizes() -> Result<()> {
    for name in BOARDS {
        let board = board::load(name)?;
        let parts = Parts::new()?;
        let request = Request {
            format: Some(Format::Raw),
            codec: CodecChoice::Store,
            // What the bootloader leaves of its lower half.
            rootfs: None,
            initrd: None,
            ..parts.request(&board, Line::FromTree)?
        };
        let (_, built) = pack(&request, Some(Policy::Return))?;
        let boot = Boot { change: Some(half_of_the_ram), ..usual(&board, &built.file, 5) };
        let ran = boot.run()?;
        let size = board.ram.size();
        let said = format!("stoop: E18 ram smaller 0x{:08x} of 0x{size:08x}, slot -\r\n", size / 2);
        assert_eq!((ran.said(), &ran.stop), (said, &Stop::Halted), "{name}");
    }
    Ok(())
}

/// The boot of a slot in flash, with this change to the board.
fn from_flash(
    codec: CodecChoice,
    change: Option<fn(&mut Machine)>,
    also: impl Fn(&Machine, usize, usize),
) -> Result<()> {
    let mut boots = 0;
    for board in board::all()?.iter().filter(|board| board.arch.is_mips() && flash::Map::of(board).is_ok()) {
        let parts = Parts::new()?;
        let request =
            Request { format: Some(Format::Nor), codec, initrd: None, ..parts.request(board, Line::FromTree)? };
        let (plan, built) = pack(&request, None)?;
        let content = flash_with(board, &[&built])?;
        let boot = Boot {
            enter: Enter::Bootm("liminix".into()),
            flash: Some(content),
            // Flash may take most of the time.
            most: 200_000_000,
            change,
            ..usual(board, &built.file, 3)
        };
        let mut ran = boot.run()?;
        let mut judge = Judge { boot: &boot, plan: &plan, built: &built, wrong: Vec::new() };
        judge.compare(&mut ran)?;
        assert_eq!(judge.wrong, [""; 0], "{}", board.name);
        let update = built.flash.as_ref().and_then(|flash| flash.update.first()).expect("a slot is written");
        let start = update.area.offset();
        also(&ran.core.machine, start, start + update.area.size());
        boots += 1;
    }
    println!("from flash, {codec:?}: {boots} boots");
    assert!(boots > 0, "no board has flash that the shim can read");
    Ok(())
}

#[test]
fn every_byte_of_a_slots_payloads_is_read_from_flash_once() -> Result<()> {
    for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
        from_flash(codec, None, |machine, start, end| {
            // The manifest is read and then checked, and whole words are read at its end and at the payloads'.
            let head = start + stoop_core::manifest::SIZE;
            let often = (head..end).filter(|at| machine.flash_reads[*at] > 1).count();
            let once = (head..end).filter(|at| machine.flash_reads[*at] == 1).count();
            assert!(once > 0x1000, "0x{once:x} bytes are read");
            assert!(often <= 64, "0x{often:x} bytes are read more than once");
        })?;
    }
    Ok(())
}

#[test]
fn flash_that_changes_after_it_was_read_changes_nothing() -> Result<()> {
    /// Every cache line of the payloads that a payload has for itself: one that it shares may be read again for its neighbour.
    fn flaky(machine: &mut Machine) {
        const LINE: usize = 64;
        let magic = |bytes: &[u8]| bytes == b"STPM" || bytes == b"MPTS";
        let at = machine.flash.windows(4).rposition(magic).expect("a slot is in flash");
        let mut manifest = Manifest::BLANK;
        let start = machine.flash_at.start();
        let family = if machine.flash[at..].starts_with(b"STPM") { Family::MipsBe } else { Family::MipsLe };
        manifest.read(&machine.flash[at..], start + at, 0, family, &Crc32::new()).expect("a whole manifest");
        let lines = Kind::ALL.map(|kind| {
            let source = manifest.payload(kind).source;
            (source.start() - start).next_multiple_of(LINE)..(source.end() - start) / LINE * LINE
        });
        machine.flaky = lines.into_iter().filter(|lines| !lines.is_empty()).collect();
        assert!(!machine.flaky.is_empty());
    }
    from_flash(CodecChoice::Lzma, Some(flaky), |_, _, _| ())
}

#[test]
fn flash_that_takes_long_does_not_keep_the_shim_from_feeding_the_watchdog() -> Result<()> {
    /// So that a part of 4 KiB takes two thirds of the watchdog's period.
    fn slow(machine: &mut Machine) {
        machine.flash_wait = PERIOD * 2 / 3 / 0x1000;
    }
    let waited = std::sync::atomic::AtomicU64::new(0);
    for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
        from_flash(codec, Some(slow), |machine, _, _| {
            if machine.watchdog.as_ref().is_some_and(|watchdog| watchdog.runs && watchdog.feeds > 0) {
                waited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        })?;
    }
    assert!(waited.into_inner() > 0, "no board with such flash has a watchdog that is fed");
    Ok(())
}

/// A raw image that goes back to the bootloader when it does not boot, and the same with one bit of its kernel flipped.
fn whole_and_damaged(board: &Board) -> Result<(Plan, Built, Vec<u8>)> {
    let parts = Parts::new()?;
    let request =
        Request { format: Some(Format::Raw), codec: CodecChoice::Store, ..parts.request(board, Line::FromTree)? };
    let (plan, built) = pack(&request, Some(Policy::Return))?;
    let mut damaged = built.file.clone();
    let kernel = &plan.kernel.image;
    let at = damaged.windows(64).position(|bytes| bytes == &kernel[..64]).expect("it is stored as it is");
    damaged[at + 0x2000] ^= 0x10;
    Ok((plan, built, damaged))
}

#[test]
fn a_count_that_stands_still_hangs_neither_a_boot_nor_the_leds_waits() -> Result<()> {
    for name in BOARDS {
        let board = board::load(name)?;
        let (plan, built, damaged) = whole_and_damaged(&board)?;
        for file in [&built.file, &damaged] {
            let boot = Boot { enter: Enter::Go("liminix".into()), most: 12_000_000, ..usual(&board, file, 3) };
            let mut ran = boot.prepare()?;
            ran.core.stop_counting();
            ran.stop = ran.core.run(boot.most);
            let mut judge = Judge { boot: &boot, plan: &plan, built: &built, wrong: Vec::new() };
            judge.compare(&mut ran)?;
            assert_eq!(judge.wrong, [""; 0], "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_bootloader_that_gets_the_board_back_has_its_k0_and_status_again() -> Result<()> {
    let mut tally = Tally::default();
    for name in BOARDS {
        let board = board::load(name)?;
        let (plan, built, damaged) = whole_and_damaged(&board)?;
        for caches in [Caches::Used, Caches::WriteThrough, Caches::NeverInitialised, Caches::Off] {
            // `Judge` compares Status, Config and what a function saves with what they were.
            let enter = Enter::Bootm("x=1".into());
            let boot = Boot { enter, caches, most: 12_000_000, ..usual(&board, &damaged, 7) };
            tally.boot(&format!("{name} {caches:?}"), &boot, &plan, &built)?;
        }
    }
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}
