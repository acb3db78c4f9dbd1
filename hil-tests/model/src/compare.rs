//! A MIPS boot on our own core, with every instruction compared with another emulator: a test of the core, not of the shim.

use std::path::Path;

use stoop_samples::failure::{Failure, Result};

use crate::boot::Boot;
use crate::core::{Core, Stop};
use crate::machine::Machine;
use crate::record::Compared;
use crate::record::trace::{Access, Cpu, Range, Start};

const PHYSICAL: u32 = 0x1fff_ffff;
/// What the start of a run is handed over in.
const PAGE: usize = 0x1000;

/// How a compared run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What stopped our core.
    pub stop: Stop,
    /// Instructions that both have run.
    pub same: u64,
}

/// Runs a boot to its end. The inner error: where the two emulators differ.
///
/// # Errors
/// As for [`Boot::prepare`], or the program cannot be started.
pub fn compared(boot: &Boot<'_>, program: &Path) -> Result<std::result::Result<Ended, String>> {
    let mut core = boot.prepare()?.core;
    let io = |error| Failure::io(program, &error);
    let mut other = Compared::new(program, &start(&core)).map_err(io)?;
    let stop = loop {
        if core.pc == core.halt_at {
            break Stop::Halted;
        }
        let (pc, before) = (core.pc, core.r);
        let bytes = core.seen(pc & PHYSICAL, 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        let word = if core.machine.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        if let Err(stop) = core.step() {
            break stop;
        }
        // Coprocessor 0, and rdhwr: what they tell is not the same in the two.
        let is_told = word >> 26 == 0x10 || word & 0xfc00_003f == 0x7c00_003b;
        other.step(pc.into(), is_told, registers(&core), access(word, &before, &core.r));
    };
    Ok(other.end().map(|same| Ended { stop, same }))
}

/// The general registers, HI and LO.
fn registers(core: &Core) -> impl Iterator<Item = u64> {
    core.r.into_iter().chain([core.hi, core.lo]).map(u64::from)
}

/// The pages of every register that the board has.
pub(crate) fn device_pages(machine: &Machine) -> Vec<u64> {
    let devices = [Some(machine.uart.address as u64), machine.reset.map(|(at, _)| at)];
    let led = machine.led.iter().flat_map(|led| [led.set as u64, led.clear as u64]);
    let dog = machine.watchdog.iter().flat_map(|dog| dog.sequences.iter().flatten().map(|write| write.address));
    let mut pages: Vec<u64> =
        devices.into_iter().flatten().chain(led).chain(dog).map(|at| at & !(PAGE as u64 - 1)).collect();
    pages.sort_unstable();
    pages.dedup();
    pages
}

/// What there is before the first instruction, seen through the caches: the other emulator has none.
fn start(core: &Core) -> Start {
    let machine = &core.machine;
    let pages = device_pages(machine);
    let mut ranges: Vec<Range> = pages.into_iter().map(|at| Range { at, size: PAGE as u64, is_device: true }).collect();
    let mut pieces = Vec::new();
    for memory in [machine.ram_at, machine.flash_at] {
        if memory.is_empty() {
            continue;
        }
        ranges.push(Range { at: memory.start() as u64, size: memory.size() as u64, is_device: false });
        let bytes = machine.bytes(memory.start() as u64, memory.size()).unwrap_or_default();
        let pages = bytes.chunks(PAGE).zip((memory.start() as u64..).step_by(PAGE));
        let used = pages.filter(|(page, _)| page.iter().any(|byte| *byte != 0));
        pieces.extend(used.map(|(page, at)| (at, page.to_vec())));
    }
    for cache in [&core.l2, &core.dcache].into_iter().flatten() {
        for at in cache.dirty() {
            pieces.extend(core.seen(at, cache.geometry().line).map(|bytes| (at.into(), bytes)));
        }
    }
    let cpu = if machine.big_endian { Cpu::MipsBe } else { Cpu::MipsLe };
    Start { cpu, ranges, pieces, registers: registers(core).collect(), pc: core.pc.into() }
}

/// The load or store of an instruction, from the registers before and behind it.
fn access(word: u32, before: &[u32; 32], after: &[u32; 32]) -> Vec<Access> {
    let (base, target) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize);
    let (size, is_store) = match word >> 26 {
        0x20 | 0x24 => (1, false),
        0x21 | 0x25 => (2, false),
        0x23 => (4, false),
        0x28 => (1, true),
        0x29 => (2, true),
        0x2b => (4, true),
        _ => return Vec::new(),
    };
    let at = before[base].wrapping_add(word as u16 as i16 as u32) & PHYSICAL;
    let value = if is_store { before[target] } else { after[target] };
    let value = u64::from(value) & ((1 << (8 * size)) - 1);
    vec![Access { at: at.into(), size, is_store, value }]
}
