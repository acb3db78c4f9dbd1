//! Caches of every geometry, in every state that a bootloader may leave them in: nothing stale is run or read, nothing dirty is
//! left, nothing that was never initialised is written back.

use stoop_image::board;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_model::boot::Boot;
use stoop_model::bootloader::{Caches, Enter};
use stoop_model::cpu;
use stoop_model::kernel::{Line, Parts};
use stoop_model::suite::{Tally, pack, usual};
use stoop_samples::failure::Result;

/// One board of each byte order.
const BOARDS: [&str; 2] = ["gl-ar750", "gl-mt300n-v2"];

fn on_every_core(caches: Caches) -> Result<()> {
    let parts = Parts::new()?;
    let mut tally = Tally::default();
    for name in BOARDS {
        let board = board::load(name)?;
        for (codec, line) in [(CodecChoice::Store, Line::FromBootloader), (CodecChoice::Lzma, Line::FromTree)] {
            let request = Request { format: Some(Format::Raw), codec, ..parts.request(&board, line)? };
            let (plan, built) = pack(&request, None)?;
            for cpu in cpu::ALL {
                let line = "liminix init=/bin/sh";
                let tree = stoop_samples::tree(b"liminix from=tree")?;
                let entries = [
                    Enter::Bootm(line.into()),
                    Enter::BootmCached(line.into()),
                    Enter::Go(line.into()),
                    Enter::Tree(tree),
                ];
                for (seed, enter) in (31..).zip(entries) {
                    for uncached in [false, true] {
                        let name = format!("{name} {} {codec:?} {} uncached {uncached}", cpu.name, enter.name());
                        // What is still in the data cache cannot be run from memory.
                        if uncached && matches!(enter, Enter::Go(_)) {
                            continue;
                        }
                        let enter = enter.clone();
                        let boot = Boot { cpu, enter, caches, uncached, ..usual(&board, &built.file, seed) };
                        tally.boot(&name, &boot, &plan, &built)?;
                    }
                }
            }
        }
    }
    println!("{caches:?}: {} boots, {} instructions", tally.boots, tally.instructions);
    assert!(tally.wrong.is_empty(), "{} things are wrong:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    Ok(())
}

#[test]
fn caches_full_of_the_bootloaders_data_and_old_code_do_no_harm() -> Result<()> {
    on_every_core(Caches::Used)
}

#[test]
fn kseg0_that_is_written_through_boots_as_well() -> Result<()> {
    on_every_core(Caches::WriteThrough)
}

#[test]
fn tags_that_nobody_initialised_are_never_written_back() -> Result<()> {
    on_every_core(Caches::NeverInitialised)
}

#[test]
fn caches_that_are_off_boot_as_well() -> Result<()> {
    on_every_core(Caches::Off)
}
