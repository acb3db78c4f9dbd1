//! What boards do that QEMU's do not: a slow or dead UART, RAM that wraps, flash that changes, registers full of nonsense.

use stoop_core::params::Policy;
use stoop_image::board::{self, Board};
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_image::watchdog::WatchdogChoice;
use stoop_model::boot::{Boot, Ran};
use stoop_model::bootloader::Enter;
use stoop_model::core::Stop;
use stoop_model::judge::Judge;
use stoop_model::kernel::{Line, Parts};
use stoop_model::machine::{Machine, Watchdog};
use stoop_model::suite::{Tally, pack, usual};
use stoop_samples::failure::Result;

const BOARDS: [&str; 2] = ["gl-ar750", "gl-mt300n-v2"];

/// Boots a raw image of the usual parts on each board, with this change to it.
fn on_both(change: fn(&mut Machine), judge: impl Fn(&Board, &mut Ran, Judge<'_>) -> Result<()>) -> Result<()> {
    for name in BOARDS {
        let board = board::load(name)?;
        let parts = Parts::new()?;
        let (plan, built) = pack(&raw(&parts, &board, CodecChoice::Store)?, None)?;
        let boot = Boot { change: Some(change), ..usual(&board, &built.file, 3) };
        let mut ran = boot.run()?;
        judge(&board, &mut ran, Judge { boot: &boot, plan: &plan, built: &built, wrong: Vec::new() })?;
    }
    Ok(())
}

/// Everything, as a raw image.
fn raw(parts: &Parts, board: &Board, codec: CodecChoice) -> Result<Request> {
    Ok(Request { format: Some(Format::Raw), codec, ..parts.request(board, Line::FromTree)? })
}

#[test]
fn a_transmitter_that_is_busy_for_long_loses_no_character() -> Result<()> {
    on_both(
        |machine| {
            machine.busy_polls = 5_000;
            asleep(machine);
        },
        |_, ran, mut judge| {
            judge.compare(ran)?;
            assert_eq!(judge.wrong, [""; 0]);
            Ok(())
        },
    )
}

#[test]
fn a_transmitter_that_never_gets_ready_keeps_nothing_from_booting() -> Result<()> {
    on_both(
        |machine| {
            machine.deaf = true;
            asleep(machine);
        },
        |_, ran, mut judge| {
            assert!(matches!(ran.stop, Stop::Arrived { .. }), "{}", ran.stop);
            assert!(ran.core.machine.said.is_empty());
            judge.compare(ran)?;
            assert!(judge.wrong.iter().all(|wrong| wrong.starts_with("the UART: ")), "{:?}", judge.wrong);
            Ok(())
        },
    )
}

#[test]
fn nonsense_in_the_registers_boots_with_the_images_own_line() -> Result<()> {
    let mut tally = Tally::default();
    for name in BOARDS {
        let board = board::load(name)?;
        let parts = Parts::new()?;
        let (plan, built) = pack(&raw(&parts, &board, CodecChoice::Store)?, None)?;
        for seed in 100..200 {
            let boot = Boot { enter: Enter::Nonsense, ..usual(&board, &built.file, seed) };
            tally.boot(&format!("{name}, seed {seed}"), &boot, &plan, &built)?;
        }
    }
    println!("nonsense: {} boots, {} instructions", tally.boots, tally.instructions);
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}

#[test]
fn an_image_that_is_loaded_elsewhere_boots_or_says_why_not() -> Result<()> {
    let mut tally = Tally::default();
    for name in BOARDS {
        let board = board::load(name)?;
        let parts = Parts::new()?;
        for codec in [CodecChoice::Store, CodecChoice::Lzma] {
            let request = Request { rootfs: None, initrd: None, ..raw(&parts, &board, codec)? };
            let (plan, built) = pack(&request, Some(Policy::Return))?;
            for load in [0x0080_0000, 0x0123_4560, 0x0200_0004, 0x03ff_f000] {
                let enter = Enter::Go("liminix".into());
                let boot = Boot { enter, load: Some(load), ..usual(&board, &built.file, load as u64) };
                tally.boot(&format!("{name} {codec:?} at 0x{load:08x}"), &boot, &plan, &built)?;
            }
        }
    }
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}

/// Bytes of the stack that no boot may touch.
const STACK_RESERVE: u32 = 512;

#[test]
fn the_stack_is_never_used_up() -> Result<()> {
    on_both(
        |_| (),
        |_, ran, judge| {
            let run = judge.built.places.run;
            // The stack is the last part of the region; .bss is in front of it.
            let top = run.end() as u32;
            let shim = stoop_model::stack(judge.plan.shim([stoop_core::codec::Codec::Store]), judge.plan.arch())?;
            let low = (top - shim..top).step_by(4).find(|at| ran.core.was_written(*at)).unwrap_or(top);
            println!("the stack of 0x{shim:x} bytes is used for 0x{:x}", top - low);
            assert!(low >= top - shim + STACK_RESERVE, "the stack is used down to 0x{low:08x}");
            Ok(())
        },
    )
}

/// A watchdog is fed, stopped, or started and fed: what `choice` says.
fn watched(choice: fn(&Board) -> Option<WatchdogChoice>, is: fn(&Watchdog) -> bool) -> Result<()> {
    for name in ["gl-ar750", "gl-mt300n-v2", "zbt-wg3526", "gl-mt300a"] {
        let board = board::load(name)?;
        let parts = Parts::new()?;
        let watchdog = choice(&board);
        let request = Request { watchdog, ..raw(&parts, &board, CodecChoice::Lzma)? };
        let (plan, built) = pack(&request, None)?;
        // One that is started did not run.
        let change = matches!(watchdog, Some(WatchdogChoice::Start(_))).then_some(asleep as fn(&mut Machine));
        let boot = Boot { change, ..usual(&board, &built.file, 3) };
        let mut ran = boot.run()?;
        let mut judge = Judge { boot: &boot, plan: &plan, built: &built, wrong: Vec::new() };
        judge.compare(&mut ran)?;
        assert_eq!(judge.wrong, [""; 0], "{name}");
        let dog = ran.core.machine.watchdog.as_ref().expect("these boards have one");
        assert!(is(dog), "{name}: {dog:?}");
    }
    Ok(())
}

fn asleep(machine: &mut Machine) {
    machine.watchdog.iter_mut().for_each(|dog| dog.runs = false);
}

#[test]
fn a_watchdog_that_runs_is_fed_in_time_unless_asked_otherwise() -> Result<()> {
    watched(|_| None, |dog| dog.runs && dog.feeds > 3)
}

#[test]
fn a_watchdog_is_stopped_before_anything_takes_long() -> Result<()> {
    watched(|_| Some(WatchdogChoice::Stop), |dog| !dog.runs && dog.feeds == 0)
}

#[test]
fn a_watchdog_is_started_and_fed() -> Result<()> {
    watched(
        |board| board.watchdog.as_ref().and_then(|dog| dog.longest).map(WatchdogChoice::Start),
        |dog| dog.runs && dog.feeds > 3,
    )
}
