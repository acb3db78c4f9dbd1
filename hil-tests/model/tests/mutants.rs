//! Planted faults: each is found, by the check that is meant for it. A fault that nothing finds is a missing test.

use stoop_core::params::Policy;
use stoop_image::board;
use stoop_image::image::Built;
use stoop_image::plan::{CodecChoice, Format, Plan, Request};
use stoop_image::progress::Quiet;
use stoop_model::boot::Boot;
use stoop_model::bootloader::{Caches, Enter};
use stoop_model::cpu::{self, Cpu};
use stoop_model::kernel::{Line, Parts};
use stoop_model::patch::{NOP, Patch};
use stoop_model::suite::{Tally, usual};
use stoop_samples::failure::Result;

use crate::planted;

/// Where a fault shows.
#[derive(Clone, Copy)]
struct On {
    board: &'static str,
    cpu: Cpu,
    caches: Caches,
    enter: fn() -> Enter,
    /// The kernel has a flipped bit, and this is to follow.
    damaged: Option<Policy>,
    codec: CodecChoice,
}

/// What is planted.
enum Fault {
    /// Into the shim's code; gives the number of words that it replaced.
    Code(fn(&mut Patch) -> usize),
    /// Into what pack knows of the board, and so into the params; the board is what it was.
    Plan(fn(&mut Plan)),
}

struct Mutant {
    name: &'static str,
    fault: Fault,
    /// What one of the findings begins with or has in it.
    found_by: &'static str,
    on: On,
}

fn bootm() -> Enter {
    Enter::BootmCached("liminix a=1".into())
}

fn go() -> Enter {
    Enter::Go("liminix a=1".into())
}

const USUAL: On = On {
    board: "gl-ar750",
    cpu: cpu::M24KC,
    caches: Caches::Used,
    enter: bootm,
    damaged: None,
    codec: CodecChoice::Store,
};
const L2: On = On { board: "zbt-wg3526", cpu: cpu::M1004KC, ..USUAL };
const LZMA: On = On { codec: CodecChoice::Lzma, ..USUAL };
const RETURNS: On = On { enter: go, damaged: Some(Policy::Return), ..USUAL };
const RESETS: On = On { damaged: Some(Policy::Reset), ..USUAL };
const GARBAGE: On = On { caches: Caches::NeverInitialised, ..USUAL };

/// CACHE with this operation.
const fn cache(operation: u32) -> u32 {
    0xbc00_0000 | operation << 16
}

const CACHE: u32 = 0xfc1f_0000;
const EXACT: u32 = !0;
const SYNC: u32 = 0x0000_000f;
const EHB: u32 = 0x0000_00c0;
const BAL: u32 = 0x0411_0000;
/// `mtc0 t9, Status`, `mtc0 t0, Status`.
const MTC0_T9_STATUS: u32 = 0x4099_6000;
const MTC0_T0_STATUS: u32 = 0x4088_6000;
/// `li t4, 2`, `addiu t5, t5, 1`, `addiu t3, t3, 1`, `li t2, 3`, `li t2, 5`.
const LI_T4_2: u32 = 0x240c_0002;
const WAYS: u32 = 0x25ad_0001;
const SETS: u32 = 0x256b_0001;
const LI_T2_3: u32 = 0x240a_0003;
const LI_T2_5: u32 = 0x240a_0005;
/// `sw a1, 0(a0)`, the first of the four words that memset writes in a turn.
const CLEAR_A0: u32 = 0xac85_0000;

fn nop(_: u32) -> u32 {
    NOP
}

/// Replaces the `number`-th of these words.
fn nth(patch: &mut Patch, mask: u32, value: u32, number: usize, with: u32) -> usize {
    let found = patch.find(patch.all(), mask, value);
    match found.get(number) {
        Some(at) => {
            patch.put(*at, with);
            1
        }
        None => 0,
    }
}

/// The first such word from a symbol on.
fn behind(patch: &mut Patch, symbol: &str, mask: u32, value: u32, with: u32) -> usize {
    let start = patch.symbol(symbol);
    let end = patch.all().end.min(start.saturating_add(0x200));
    match patch.find(start..end, mask, value).first() {
        Some(at) => {
            patch.put(*at, with);
            1
        }
        None => 0,
    }
}

fn mutants() -> Vec<Mutant> {
    let code = |name, on, found_by, fault| Mutant { name, fault: Fault::Code(fault), found_by, on };
    let plan = |name, on, found_by, fault| Mutant { name, fault: Fault::Plan(fault), found_by, on };
    vec![
        code("the data cache is not written back", USUAL, "FetchOfOldCode", |it| it.replace(CACHE, cache(1), nop)),
        code("L2 is not written back", L2, "FetchOfOldCode", |it| it.replace(CACHE, cache(3), nop)),
        code("the instruction cache is not invalidated", USUAL, "FetchOfOldCode", |it| {
            it.replace(CACHE, cache(0), nop)
        }),
        code("the data cache is invalidated and not written back", USUAL, "FetchOfOldCode", |it| {
            it.replace(CACHE, cache(1), |word| word & !0x1f_0000 | 0x11_0000)
        }),
        code("no sync anywhere", USUAL, "NoSync", |it| it.replace(EXACT, SYNC, nop)),
        code("no sync between the data cache and L2", L2, "NoSync", |it| nth(it, EXACT, SYNC, 0, NOP)),
        code("one way too few", USUAL, "FetchOfOldCode", |it| it.replace(EXACT, WAYS, nop)),
        code("half of the sets", USUAL, "FetchOfOldCode", |it| it.replace(EXACT, SETS, nop)),
        code("lines twice as long", USUAL, "FetchOfOldCode", |it| it.replace(EXACT, LI_T4_2, |word| word + 2)),
        code("no cleaning before the kernel", USUAL, "DirtyAtHandoff", |it| behind(it, "leave", 0xffff_0000, BAL, NOP)),
        code("a store behind the last cleaning", USUAL, "DirtyAtHandoff", |it| {
            // In the delay slot of the jump to the kernel: sw a0, -8(sp).
            let start = it.symbol("leave");
            let jump = it.find(start..start + 0x80, 0xfc1f_ffff, 0x0000_0408);
            jump.first().map_or(0, |at| {
                it.put(at + 4, 0xafa4_fff8);
                1
            })
        }),
        code("no ehb behind TagLo", USUAL, "HazardWithoutEhb", |it| it.replace(EXACT, EHB, nop)),
        code("jumps without hazard barrier", USUAL, "FetchWithoutBarrier", |it| {
            it.replace(0xfc1f_ffff, 0x0000_0408, |word| word & !0x400)
        }),
        code(
            "KSEG0 becomes cached by code that runs in it",
            On { caches: Caches::WriteThrough, ..USUAL },
            "K0UnderRunningCode",
            // lui t3, 0x2000: the way to KSEG1.
            |it| it.replace(EXACT, 0x3c0b_2000, |_| 0x3c0b_0000),
        ),
        code(
            "the attribute that is not coherent beside a coherence manager",
            On { caches: Caches::WriteThrough, ..L2 },
            "K0NotCoherent",
            |it| it.replace(EXACT, LI_T2_5, |_| LI_T2_3),
        ),
        code("random tags are written back", GARBAGE, "WritebackOfGarbage", |it| {
            // Both ways of the loop write back: index store tag becomes index write-back.
            it.replace(CACHE, cache(9), |word| word & !0x1f_0000 | 0x01_0000)
        }),
        code(
            "KSEG0 is not as it was at the return",
            On { caches: Caches::WriteThrough, ..RETURNS },
            "Status and Config",
            |it| behind(it, "back", 0xffff_0000, BAL, NOP),
        ),
        code("Status is not as it was at the return", RETURNS, "Status and Config", |it| {
            it.replace(EXACT, MTC0_T9_STATUS, nop)
        }),
        code("interrupts stay on", USUAL, "interrupts", |it| it.replace(EXACT, MTC0_T0_STATUS, nop)),
        code("zeros are not written behind the kernel", USUAL, "the kernel at", |it| {
            behind(it, "memset", EXACT, CLEAR_A0, NOP)
        }),
        code("the transmitter is not waited for", USUAL, "characters lost", |it| {
            // andi rt, rs, 0x20 becomes 0x40, which is always set.
            it.replace(0xfc00_ffff, 0x3000_0020, |word| word ^ 0x60)
        }),
        plan("the UART's registers are closer together", USUAL, "did not arrive: exception 4", |plan| {
            plan.board.uart.shift = 0
        }),
        plan("the UART wants words and gets bytes", USUAL, "the UART wants another width", |plan| {
            plan.board.uart.width = 1
        }),
        plan("the UART is somewhere else", USUAL, "nothing is there", |plan| plan.board.uart.address += 0x100),
        plan("the LED is the wrong way round", RESETS, "the LED", |plan| {
            if let Some(led) = &mut plan.board.led {
                std::mem::swap(&mut led.set, &mut led.clear);
            }
        }),
        plan("another bit of the GPIO", RESETS, "not the LED's bit alone", |plan| {
            if let Some(led) = &mut plan.board.led {
                led.mask <<= 1;
            }
        }),
        plan("the reset register gets another value", RESETS, "not what resets the board", |plan| {
            if let Some(reset) = &mut plan.board.reset {
                reset.value ^= 1;
            }
        }),
        plan("the watchdog is not fed", LZMA, "the watchdog was not fed in time", |plan| plan.watchdog.feed.clear()),
        plan("the watchdog gets another value", USUAL, "not what the watchdog takes", |plan| {
            plan.watchdog.feed.iter_mut().for_each(|write| write.flip ^= 1);
        }),
        plan("a payload over argv", USUAL, "StoreToBootloader", |plan| {
            // Where the model's bootloader has it.
            let argv = plan.board.free_ram().end() + 0x8000;
            plan.board.bootloader.reserved_top = 0;
            (plan.kernel.load_address, plan.kernel.entry_point) = (argv as u64 - 0x1000, argv as u64 - 0x1000);
        }),
        plan("a payload behind the end of RAM", USUAL, "is there", |plan| {
            let (start, size) = (plan.board.ram.start(), plan.board.ram.size());
            plan.board.ram = stoop_core::Region::new(start, 2 * size).unwrap_or(plan.board.ram);
            let end = (start + size) as u64;
            (plan.kernel.load_address, plan.kernel.entry_point) = (end, end);
        }),
    ]
}

fn packed(parts: &Parts, mutant: &Mutant, fault: bool) -> Result<(Plan, Built)> {
    let board = board::load(mutant.on.board)?;
    let line = Line::FromTree;
    let request =
        Request { format: Some(Format::Raw), codec: mutant.on.codec, plain_shim: true, ..parts.request(&board, line)? };
    let mut plan = Plan::resolve(&request, &mut Quiet)?;
    if let Some(policy) = mutant.on.damaged {
        plan.board.defaults.policy = policy;
    }
    if let (true, Fault::Plan(change)) = (fault, &mutant.fault) {
        change(&mut plan);
    }
    let mut built = stoop_image::image::build(&plan, &mut Quiet)?;
    if mutant.on.damaged.is_some() {
        let kernel = &plan.kernel.image;
        let at = built.file.windows(64).position(|bytes| bytes == &kernel[..64]).unwrap_or(0);
        built.file[at + 0x2000] ^= 0x10;
    }
    Ok((plan, built))
}

/// What is wrong with the boot, with and without the fault.
fn findings(parts: &Parts, mutant: &Mutant, fault: bool) -> Result<Vec<String>> {
    let board = board::load(mutant.on.board)?;
    let (plan, built) = packed(parts, mutant, fault)?;
    let mut file = built.file.clone();
    if let (true, Fault::Code(change)) = (fault, &mutant.fault) {
        let mut patch = Patch::of(&file)?;
        if change(&mut patch) == 0 {
            return Ok(Vec::new());
        }
        patch.close();
        file = patch.file;
    }
    let On { cpu, caches, enter, .. } = mutant.on;
    let mut tally = Tally::default();
    for seed in [1, 2] {
        let boot = Boot { cpu, caches, enter: enter(), simulated: Some(&built.file), ..usual(&board, &file, seed) };
        tally.boot("", &boot, &plan, &built)?;
    }
    Ok(tally.wrong)
}

#[test]
fn every_planted_fault_is_found_by_its_check() -> Result<()> {
    let parts = Parts::new()?;
    let mut missed = Vec::new();
    let all = mutants();
    for mutant in &all {
        let sound = findings(&parts, mutant, false)?;
        if !sound.is_empty() {
            missed.push(format!("{}: found without it: {sound:?}", mutant.name));
        }
        let found = findings(&parts, mutant, true)?;
        println!("{}: {}", mutant.name, found.first().map_or("NOT FOUND", String::as_str));
        if !found.iter().any(|found| found.contains(mutant.found_by)) {
            missed.push(format!("{}: not found by {:?}: {found:?}", mutant.name, mutant.found_by));
        }
    }
    println!("{} faults", all.len());
    assert!(missed.is_empty(), "{} of {} are missed:\n{}", missed.len(), all.len(), missed.join("\n"));
    Ok(())
}

#[test]
fn the_table_of_planted_faults_of_mips_in_the_docs_has_these_and_no_other() -> Result<()> {
    planted::assert_documented("Planted on MIPS", mutants().iter().map(|mutant| (mutant.name, mutant.found_by)))
}
