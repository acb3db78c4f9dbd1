//! A test of the tests: our cores against the emulator library Unicorn, instruction by instruction over whole boots. Addresses,
//! every register, and every load and store have to be the same.

use std::path::{Path, PathBuf};

use stoop_image::board;
use stoop_image::image::{self, open};
use stoop_image::plan::{CodecChoice, Format, Plan, Request};
use stoop_image::progress::Quiet;
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::{EntryPath, Place};
use stoop_model::aarch64::case::Case;
use stoop_model::aarch64::parts as arm64;
use stoop_model::boot::Boot;
use stoop_model::bootloader::Enter;
use stoop_model::compare::compared;
use stoop_model::core::Stop;
use stoop_model::kernel::{Line, Parts};
use stoop_model::suite::usual;
use stoop_samples::failure::{Failure, Result};

/// The program that has the library; without it there is a line that says so, unless the lab is required.
fn program() -> Result<Option<PathBuf>> {
    match stoop_ci::emulator::open() {
        Ok(program) => Ok(Some(program)),
        Err(failure) if std::env::var_os("STOOP_LAB").is_some_and(|value| value == "required") => Err(failure),
        Err(failure) => {
            println!("HIL-SKIP: {failure}");
            Ok(None)
        }
    }
}

fn mips(program: &Path, board: &str, request: &Request, enter: Enter) -> Result<()> {
    let board = board::load(board)?;
    let plan = Plan::resolve(request, &mut Quiet)?;
    let built = image::build(&plan, &mut Quiet)?;
    let title = format!("{} {:?} {}", board.name, request.codec, enter.name());
    let boot = Boot { enter, ..usual(&board, &built.file, 7) };
    let ended = compared(&boot, program)?.map_err(|difference| Failure::new(difference).within(&title))?;
    println!("{title}: {} instructions", ended.same);
    assert!(matches!(ended.stop, Stop::Arrived { .. }), "{title}: {}", ended.stop);
    assert!(ended.same > 100_000, "{title}: only {} instructions", ended.same);
    Ok(())
}

#[test]
fn mips_of_both_byte_orders_does_what_the_library_does() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let parts = Parts::new()?;
    let line = "console=ttyS0 liminix a=1";
    // Big endian with a LED, little endian with a second level of caches.
    for name in ["gl-ar750", "zbt-wg3526"] {
        let board = board::load(name)?;
        for (codec, enter) in
            [(CodecChoice::Store, Enter::BootmCached(line.into())), (CodecChoice::Lzma, Enter::Bootm(line.into()))]
        {
            let request = Request { format: Some(Format::Uimage), codec, ..parts.request(&board, Line::FromTree)? };
            mips(&program, name, &request, enter)?;
        }
    }
    Ok(())
}

#[test]
fn arm64_does_what_the_library_does() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let parts = arm64::Parts::new()?;
    let tree = arm64::tree(b"console=ttyS0 liminix a=1")?;
    for (name, codec, level, packed_tree) in [
        ("openwrt-one", CodecChoice::Store, Level::El2, false),
        ("belkin-rt3200", CodecChoice::Lz4, Level::El1, true),
        ("qemu-virt-arm64", CodecChoice::Lzma, Level::El2Host, true),
    ] {
        let board = board::load(name)?;
        let request = parts.request(name, Format::Image, codec, packed_tree);
        let plan = Plan::resolve(&request, &mut Quiet)?;
        let built = image::build(&plan, &mut Quiet)?;
        let case = Case {
            board: &board,
            plan: &plan,
            file: &built.file,
            image: &open(&built.file)?,
            tree: Some(&tree),
            place: Place::InRam,
            way: EntryPath::Cleaned,
            level,
            moved: 0,
            seed: 3,
            patches: &[],
        };
        let title = format!("{name} {codec:?} {level:?}");
        let same = case.compared(&program)?.map_err(|difference| Failure::new(difference).within(&title))?;
        println!("{title}: {same} instructions");
        assert!(same > 100_000, "{title}: only {same} instructions");
    }
    Ok(())
}

#[test]
fn a_core_that_adds_wrongly_is_found() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let parts = arm64::Parts::new()?;
    let board = board::load("qemu-virt-arm64")?;
    let plan = Plan::resolve(&parts.request(&board.name, Format::Image, CodecChoice::Store, true), &mut Quiet)?;
    let built = image::build(&plan, &mut Quiet)?;
    let image = open(&built.file)?;
    // In place of the first instruction behind the header: movz x9, #1, which the library does not see.
    let patches = [(0x44, 0xd280_0029)];
    let case = Case {
        board: &board,
        plan: &plan,
        file: &built.file,
        image: &image,
        tree: None,
        place: Place::InRam,
        way: EntryPath::Cleaned,
        level: Level::El1,
        moved: 0,
        seed: 3,
        patches: &patches,
    };
    let difference = case.compared(&program)?.expect_err("the library runs what is in memory");
    assert!(difference.contains("instruction 2 at"), "{difference}");
    Ok(())
}
