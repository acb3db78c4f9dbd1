//! Every bit of a shim and its params, flipped once: it is noticed before what was unpacked runs, or it changes nothing. The
//! stub's own first instructions cannot check themselves; of them it is asked that no kernel is started wrongly.
//!
//! By default every 37th bit; `STOOP_MODEL_FLIPS=1` in the environment: every one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use stoop_core::Code;
use stoop_core::params::Policy;
use stoop_image::board;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_model::boot::Boot;
use stoop_model::bootloader::{Caches, Enter};
use stoop_model::core::Stop;
use stoop_model::cpu;
use stoop_model::judge::Judge;
use stoop_model::kernel::{Line, Parts};
use stoop_model::patch::Patch;
use stoop_model::suite::{pack, usual};
use stoop_samples::failure::Result;

/// Bytes of the header that no sum covers: the branch, the mark, and Malta's word.
const NOT_SUMMED: std::ops::Range<usize> = 0..20;

fn flips(name: &str) -> Result<()> {
    let board = board::load(name)?;
    let parts = Parts::new()?;
    let request = Request {
        format: Some(Format::Raw),
        codec: CodecChoice::Store,
        initrd: None,
        rootfs: None,
        ..parts.request(&board, Line::FromTree)?
    };
    let (plan, built) = pack(&request, Some(Policy::Return))?;
    let plain = pack(&Request { plain_shim: true, ..request }, Some(Policy::Return))?.1;
    let stub = Patch::of(&plain.file)?.symbol("__rest");
    let step = std::env::var("STOOP_MODEL_FLIPS").ok().and_then(|step| step.parse().ok()).unwrap_or(37);
    let bits: Vec<usize> = (0..built.shim * 8).step_by(step).collect();
    let (outcomes, wrong) = (Mutex::new(BTreeMap::<String, usize>::new()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for bits in bits.chunks(bits.len().div_ceil(threads)) {
            let (board, built, plan, outcomes, wrong) = (&board, &built, &plan, &outcomes, &wrong);
            scope.spawn(move || {
                for bit in bits {
                    let (outcome, bad) = flip(board, plan, built, *bit, stub);
                    *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
                    wrong.lock().unwrap().extend(bad);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{name}: {} of {} bits flipped: {:?}", bits.len(), built.shim * 8, outcomes.into_inner().unwrap());
    assert!(wrong.is_empty(), "{} bits:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What comes of one flipped bit, and what is wrong with that.
fn flip(
    board: &board::Board,
    plan: &stoop_image::plan::Plan,
    built: &stoop_image::image::Built,
    bit: usize,
    stub: usize,
) -> (String, Option<String>) {
    let mut file = built.file.clone();
    file[bit / 8] ^= 1 << (bit % 8);
    let enter = Enter::Go("liminix a=1".into());
    let base = usual(board, &built.file, 5);
    let boot = Boot {
        file: &built.file,
        flipped: Some(&file),
        enter,
        cpu: cpu::M24KC,
        caches: Caches::Off,
        most: 3_000_000,
        ..base
    };
    let mut ran = match boot.run() {
        Ok(ran) => ran,
        Err(failure) => return ("not run".into(), Some(format!("bit {bit}: {failure}"))),
    };
    let arrival = (board.typed(built.entry_point) + 12) as u32;
    let inside = if bit / 8 < stub { "stub" } else { "rest" };
    let outcome = match &ran.stop {
        Stop::Halted => format!("{inside}: returned"),
        Stop::Arrived { pc } if *pc == arrival => format!("{inside}: booted"),
        Stop::Endless { .. } => format!("{inside}: hung"),
        Stop::Reset => format!("{inside}: reset"),
        // A lost program counter may meet a copy of the kernel.
        _ => format!("{inside}: exception"),
    };
    let at = format!("bit {} of byte 0x{:x}", bit % 8, bit / 8);
    if ran.stop == (Stop::Arrived { pc: arrival }) {
        let mut judge = Judge { boot: &boot, plan, built, wrong: Vec::new() };
        let compared = judge.compare(&mut ran);
        let wrong = compared.is_err() || !judge.wrong.is_empty();
        let covered = bit / 8 >= stub && !NOT_SUMMED.contains(&(bit / 8));
        if wrong || covered {
            return (outcome, Some(format!("{at}: it booted: {:?}", judge.wrong)));
        }
        return (outcome, None);
    }
    if bit / 8 < stub {
        return (outcome, None);
    }
    let noticed = ran.stop == Stop::Halted && ran.core.r[2] == Code::Shim as u32;
    let untouched = ran.core.words_written() == 0;
    let bad = format!("{at}: {}, v0 {}, RAM untouched: {untouched}", ran.stop, ran.core.r[2]);
    (outcome, (!noticed || !untouched).then_some(bad))
}

#[test]
fn a_flipped_bit_of_a_big_endian_shim_is_noticed() -> Result<()> {
    flips("gl-ar750")
}

#[test]
fn a_flipped_bit_of_a_little_endian_shim_is_noticed() -> Result<()> {
    flips("gl-mt300n-v2")
}
