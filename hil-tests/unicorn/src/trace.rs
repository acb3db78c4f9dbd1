//! A recorded run: what there is at the start, then for every instruction what it changed. The board model writes it
//! (`hil-tests/model` includes this file), this program reads it. All numbers are little endian.

use std::io::{self, ErrorKind, Read, Write};

/// The CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cpu {
    /// MIPS32, big endian.
    MipsBe,
    /// MIPS32, little endian.
    MipsLe,
    /// AArch64.
    Arm64,
}

/// A range of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// A multiple of 4 KiB.
    pub at: u64,
    /// In bytes, too.
    pub size: u64,
    /// The record says what loads from it give.
    pub is_device: bool,
}

/// Before the first instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The CPU.
    pub cpu: Cpu,
    /// All of memory and devices, without overlaps.
    pub ranges: Vec<Range>,
    /// What memory holds, by physical addresses; zeros elsewhere.
    pub pieces: Vec<(u64, Vec<u8>)>,
    /// The general registers: of MIPS 32, then HI and LO; of AArch64 x0 to x30, SP, and N, Z, C, V from bit 3 down.
    pub registers: Vec<u64>,
    /// Address of the first instruction.
    pub pc: u64,
}

/// A load or a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// As the program has it; of MIPS physical.
    pub at: u64,
    /// Bytes.
    pub size: u8,
    /// Not a load.
    pub is_store: bool,
    /// What was loaded or stored.
    pub value: u64,
}

/// An instruction.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Step {
    /// Its address.
    pub pc: u64,
    /// Its results are not to be compared but taken over: it asks the system for something, such as a counter.
    pub is_told: bool,
    /// Registers that have other values behind it, by their place in [`Start::registers`].
    pub changes: Vec<(u8, u64)>,
    /// Loads and stores, in their order.
    pub accesses: Vec<Access>,
}

const MAGIC: &[u8; 8] = b"stooptr1";
const STORE: u8 = 0x80;
const TOLD: u8 = 0x80;

/// Writes the start.
///
/// # Errors
/// What the writer says.
pub fn write_start(to: &mut impl Write, start: &Start) -> io::Result<()> {
    to.write_all(MAGIC)?;
    to.write_all(&[start.cpu as u8, start.ranges.len() as u8, start.registers.len() as u8])?;
    for range in &start.ranges {
        to.write_all(&range.at.to_le_bytes())?;
        to.write_all(&range.size.to_le_bytes())?;
        to.write_all(&[u8::from(range.is_device)])?;
    }
    to.write_all(&(start.pieces.len() as u32).to_le_bytes())?;
    for (at, bytes) in &start.pieces {
        to.write_all(&at.to_le_bytes())?;
        to.write_all(&(bytes.len() as u64).to_le_bytes())?;
        to.write_all(bytes)?;
    }
    for register in start.registers.iter().chain([&start.pc]) {
        to.write_all(&register.to_le_bytes())?;
    }
    Ok(())
}

/// Writes an instruction.
///
/// # Errors
/// What the writer says.
pub fn write_step(to: &mut impl Write, step: &Step) -> io::Result<()> {
    to.write_all(&step.pc.to_le_bytes())?;
    let told = if step.is_told { TOLD } else { 0 };
    to.write_all(&[step.changes.len() as u8 | told, step.accesses.len() as u8])?;
    for (number, value) in &step.changes {
        to.write_all(&[*number])?;
        to.write_all(&value.to_le_bytes())?;
    }
    for access in &step.accesses {
        to.write_all(&access.at.to_le_bytes())?;
        to.write_all(&[access.size | if access.is_store { STORE } else { 0 }])?;
        to.write_all(&access.value.to_le_bytes())?;
    }
    Ok(())
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    bytes(from).map(u64::from_le_bytes)
}

/// Reads the start.
///
/// # Errors
/// What the reader says, or this is no record.
pub fn read_start(from: &mut impl Read) -> io::Result<Start> {
    if bytes(from)? != *MAGIC {
        return Err(io::Error::new(ErrorKind::InvalidData, "no record of a run"));
    }
    let [cpu, ranges, registers] = bytes(from)?;
    let cpu = match cpu {
        0 => Cpu::MipsBe,
        1 => Cpu::MipsLe,
        _ => Cpu::Arm64,
    };
    let mut start = Start { cpu, ranges: Vec::new(), pieces: Vec::new(), registers: Vec::new(), pc: 0 };
    for _ in 0..ranges {
        let (at, size) = (number(from)?, number(from)?);
        start.ranges.push(Range { at, size, is_device: bytes::<1>(from)? != [0] });
    }
    for _ in 0..u32::from_le_bytes(bytes(from)?) {
        let (at, size) = (number(from)?, number(from)?);
        let mut piece = vec![0; size as usize];
        from.read_exact(&mut piece)?;
        start.pieces.push((at, piece));
    }
    for _ in 0..registers {
        start.registers.push(number(from)?);
    }
    start.pc = number(from)?;
    Ok(start)
}

/// Reads the next instruction into `step`; false when there is none.
///
/// # Errors
/// What the reader says.
pub fn read_step(from: &mut impl Read, step: &mut Step) -> io::Result<bool> {
    step.pc = match number(from) {
        Ok(pc) => pc,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error),
    };
    let [changes, accesses] = bytes(from)?;
    step.is_told = changes & TOLD != 0;
    step.changes.clear();
    for _ in 0..changes & !TOLD {
        let [register] = bytes(from)?;
        step.changes.push((register, number(from)?));
    }
    step.accesses.clear();
    for _ in 0..accesses {
        let at = number(from)?;
        let [size] = bytes(from)?;
        let value = number(from)?;
        step.accesses.push(Access { at, size: size & !STORE, is_store: size & STORE != 0, value });
    }
    Ok(true)
}
