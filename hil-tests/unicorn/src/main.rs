//! Reads a recorded run from stdin, plays it in the Unicorn emulator, and compares after each instruction: its address, every
//! register, every load and store. Prints how many instructions were the same and exits with 0, or says where they first
//! differed and exits with 1.

#[allow(dead_code, reason = "the board model, which includes it too, writes what this program reads")]
mod trace;

use std::io::{BufReader, Stdin};
use std::process::ExitCode;

use trace::{Access, Cpu, Start, Step, read_start, read_step};
use unicorn_engine::{Arch, HookType, MemType, Mode, Prot, RegisterARM64, RegisterMIPS, Unicorn};

/// What the hooks share.
struct Play {
    input: BufReader<Stdin>,
    cpu: Cpu,
    /// The library's numbers of the registers, in the record's order.
    numbers: Vec<i32>,
    /// What they hold by the record.
    registers: Vec<u64>,
    /// The instruction that runs; `None` before the first.
    step: Option<Step>,
    /// What it has accessed so far.
    seen: Vec<Access>,
    /// The address of the one before.
    last: u64,
    /// Where devices are.
    devices: Vec<std::ops::Range<u64>>,
    /// How many were the same.
    same: u64,
    difference: Option<String>,
}

fn main() -> ExitCode {
    match play() {
        Ok(same) => {
            println!("{same} instructions are the same");
            ExitCode::SUCCESS
        }
        Err(difference) => {
            println!("{difference}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<u64, String> {
    let mut input = BufReader::with_capacity(1 << 20, std::io::stdin());
    let start = read_start(&mut input).map_err(|error| error.to_string())?;
    let (architecture, mode) = match start.cpu {
        Cpu::MipsBe => (Arch::MIPS, Mode::MIPS32 | Mode::BIG_ENDIAN),
        Cpu::MipsLe => (Arch::MIPS, Mode::MIPS32 | Mode::LITTLE_ENDIAN),
        Cpu::Arm64 => (Arch::ARM64, Mode::LITTLE_ENDIAN),
    };
    let numbers: Vec<i32> = match start.cpu {
        Cpu::Arm64 => {
            let low = RegisterARM64::X0 as i32..=RegisterARM64::X28 as i32;
            let rest = [RegisterARM64::X29, RegisterARM64::X30, RegisterARM64::SP, RegisterARM64::NZCV];
            low.chain(rest.map(|register| register as i32)).collect()
        }
        _ => {
            let general = RegisterMIPS::R0 as i32..=RegisterMIPS::R31 as i32;
            general.chain([RegisterMIPS::HI as i32, RegisterMIPS::LO as i32]).collect()
        }
    };
    if numbers.len() != start.registers.len() {
        return Err(format!("the record has {} registers, the emulator {}", start.registers.len(), numbers.len()));
    }
    let data = Play {
        input,
        cpu: start.cpu,
        numbers,
        registers: start.registers.clone(),
        step: None,
        seen: Vec::new(),
        last: start.pc,
        devices: start.ranges.iter().filter(|at| at.is_device).map(|at| at.at..at.at + at.size).collect(),
        same: 0,
        difference: None,
    };
    let fault = |error| format!("the emulator: {error:?}");
    let mut emulator = Unicorn::new_with_data(architecture, mode, data).map_err(fault)?;
    prepare(&mut emulator, &start).map_err(fault)?;
    // Not on MIPS: behind such a hook in a delay slot the emulator branches a second time.
    if start.cpu == Cpu::Arm64 {
        let all = HookType::MEM_READ_AFTER | HookType::MEM_WRITE;
        emulator
            .add_mem_hook(all, 1, 0, |emulator, kind, at, size, value| {
                let value = value as u64 & if size == 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
                let is_store = kind == MemType::WRITE;
                emulator.get_data_mut().seen.push(Access { at, size: size as u8, is_store, value });
                true
            })
            .map_err(fault)?;
    }
    emulator.add_code_hook(1, 0, |emulator, pc, _| before(emulator, pc)).map_err(fault)?;
    let ended = emulator.emu_start(start.pc, u64::MAX, 0, 0);
    let play = emulator.get_data_mut();
    match (play.difference.take(), ended, &play.step) {
        (Some(difference), ..) => Err(difference),
        // Behind the record's end it may run on for an instruction that is none of the record's.
        (None, _, None) => Ok(play.same),
        (None, ended, step) => Err(format!(
            "after {} instructions that were the same the emulator stopped at {:x?}: {ended:?}",
            play.same,
            step.as_ref().map(|step| step.pc)
        )),
    }
}

/// Memory, devices and registers as in the record.
fn prepare(emulator: &mut Unicorn<'_, Play>, start: &Start) -> Result<(), unicorn_engine::uc_error> {
    for range in &start.ranges {
        if range.is_device {
            emulator.mmio_map(
                range.at,
                range.size,
                Some(|emulator: &mut Unicorn<'_, Play>, _: u64, _: usize| told(emulator.get_data())),
                Some(|_: &mut Unicorn<'_, Play>, _: u64, _: usize, _: u64| ()),
            )?;
        } else {
            emulator.mem_map(range.at, range.size, Prot::ALL)?;
        }
    }
    for (at, bytes) in &start.pieces {
        emulator.mem_write(*at, bytes)?;
    }
    let registers = emulator.get_data().numbers.clone().into_iter().zip(start.registers.clone());
    for (number, (register, value)) in registers.enumerate() {
        emulator.reg_write(register, library(start.cpu, number, value))?;
    }
    Ok(())
}

/// The place of the flags among AArch64's registers: the emulator has them as in NZCV, from bit 31 down.
const NZCV: usize = 32;

/// The register's value as the emulator has it.
fn library(cpu: Cpu, number: usize, value: u64) -> u64 {
    if cpu == Cpu::Arm64 && number == NZCV { value << 28 } else { value }
}

/// Whether memory has what the record says was stored. What was loaded, registers show; what a device got, too.
fn is_stored(emulator: &Unicorn<'_, Play>, access: &Access) -> bool {
    let play = emulator.get_data();
    let mut bytes = vec![0; access.size.into()];
    if !access.is_store || play.devices.iter().any(|range| range.contains(&access.at)) {
        return true;
    }
    let value = match play.cpu {
        Cpu::MipsBe => access.value.to_be_bytes()[8 - bytes.len()..].to_vec(),
        _ => access.value.to_le_bytes()[..bytes.len()].to_vec(),
    };
    emulator.mem_read(access.at, &mut bytes).is_ok() && bytes == value
}

/// What a device answers: what the record says.
fn told(play: &Play) -> u64 {
    let loads = play.step.iter().flat_map(|step| &step.accesses);
    loads.filter(|access| !access.is_store).map(|access| access.value).next().unwrap_or(0)
}

/// Before each instruction: what the last one did is compared.
fn before(emulator: &mut Unicorn<'_, Play>, pc: u64) {
    if let Err(difference) = compare(emulator, pc) {
        let play = emulator.get_data_mut();
        let last = play.last;
        play.difference = Some(format!("instruction {} at 0x{last:x}: {difference}", play.same + 1));
        // What comes next must not run.
        let _ = emulator.emu_stop();
    }
}

fn compare(emulator: &mut Unicorn<'_, Play>, pc: u64) -> Result<(), String> {
    let play = emulator.get_data_mut();
    if play.difference.is_some() {
        return Ok(());
    }
    // Code that is written to is translated anew, and its instruction announced again before it runs.
    if play.step.as_ref().is_some_and(|step| step.pc == pc) {
        play.seen.clear();
        return Ok(());
    }
    if let Some(step) = play.step.take() {
        play.last = step.pc;
        let mut told = Vec::new();
        for (number, value) in &step.changes {
            play.registers[usize::from(*number)] = *value;
            if step.is_told {
                told.push((play.numbers[usize::from(*number)], library(play.cpu, usize::from(*number), *value)));
            }
        }
        let seen = std::mem::take(&mut play.seen);
        for (register, value) in told {
            emulator.reg_write(register, value).map_err(|error| format!("{error:?}"))?;
        }
        let play = emulator.get_data();
        let same = match play.cpu {
            Cpu::Arm64 => seen == step.accesses,
            _ => step.accesses.iter().all(|access| is_stored(emulator, access)),
        };
        if !same {
            return Err(format!("it accesses {seen:x?}, in the record {:x?}", step.accesses));
        }
        for number in 0..play.numbers.len() {
            let mut value = emulator.reg_read(play.numbers[number]).map_err(|error| format!("{error:?}"))?;
            match play.cpu {
                Cpu::Arm64 if number == NZCV => value = value >> 28 & 15,
                Cpu::Arm64 => {}
                _ => value &= 0xffff_ffff,
            }
            if value != play.registers[number] {
                return Err(format!("register {number} is 0x{value:x}, in the record 0x{:x}", play.registers[number]));
            }
        }
        let play = emulator.get_data_mut();
        play.same += 1;
        play.seen = seen;
        play.seen.clear();
        play.step = Some(step);
    }
    let play = emulator.get_data_mut();
    let mut step = play.step.take().unwrap_or_default();
    if !read_step(&mut play.input, &mut step).map_err(|error| error.to_string())? {
        return emulator.emu_stop().map_err(|error| format!("{error:?}"));
    }
    let (wanted, skipped) = (step.pc, step.is_told && play.cpu == Cpu::Arm64);
    play.step = Some(step);
    // The delay slot of a likely branch that is not taken is announced, but not run; what follows comes next.
    let is_nullified = play.cpu != Cpu::Arm64 && wanted == pc + 4 && play.last + 4 == pc;
    if wanted != pc && !is_nullified {
        return Err(format!("the next one is at 0x{pc:x}, in the record at 0x{wanted:x}"));
    }
    // What AArch64 does to the system, such as turning on the map, is not this emulator's to do.
    if skipped {
        emulator.set_pc(pc + 4).map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}
