//! MIPS32: KSEG pointers, argc and argv, the Unified Hosting Interface.

use crate::abi::{Abi, Entry};
use crate::bootargs::{EntryKind, Joined, LIMIT, Line, is_text};
use crate::bytes::{find, put};
use crate::cookie::{Judgement, Refusal, judge};
use crate::fdt::Tree;
use crate::manifest::{Kind, Machine, Manifest, argv};
use crate::memory::Memory;
use crate::params::Params;
use crate::{Code, Error, Region, Result, Subject};

/// a0 of the Unified Hosting Interface (arch/mips/include/asm/bootinfo.h: get_fdt).
const UHI: u32 = 0xffff_fffe;
/// a3 of a CFE handoff (arch/mips/include/asm/fw/cfe/cfe_api.h: CFE_EPTSEAL); a0 to a2 are not arguments then.
const CFE_SEAL: u32 = 0x4346_4531;
/// More words than this cannot fit a command line.
const MAX_ARGC: u32 = 2048;

/// Where RAM of these SoCs ends at most before their devices begin; more of it is elsewhere.
const LOW_RAM: usize = 0x1000_0000;

const KSEG0: u32 = 0x8000_0000;
const KSEG1: u32 = 0xa000_0000;
const PHYSICAL: u32 = 0x1fff_ffff;

/// The physical address behind a KSEG0 or KSEG1 pointer.
pub fn physical(pointer: u32) -> Option<usize> {
    (pointer >> 30 == KSEG0 >> 30).then_some(unmapped(pointer))
}

/// The same for a pointer that is known to be one.
pub fn unmapped(pointer: u32) -> usize {
    (pointer & PHYSICAL) as usize
}

/// The cached pointer to a physical address below 512 MiB.
pub fn kseg0(physical: usize) -> usize {
    (physical as u32 | KSEG0) as usize
}

/// The uncached pointer to a physical address below 512 MiB.
pub fn kseg1(physical: usize) -> usize {
    (physical as u32 | KSEG1) as usize
}

/// MIPS32, big-endian or not.
pub struct Mips<const BIG: bool>;

impl<const BIG: bool> Abi for Mips<BIG> {
    const MACHINE: Machine = if BIG { Machine::MipsBe } else { Machine::MipsLe };
    const BIG_ENDIAN: bool = BIG;
    const COMMAND_LINE_SIZE: usize = 4096;
    const RELATIVE: bool = false;

    fn enter<M: Memory>(
        registers: [usize; 4],
        memory: &M,
        params: &Params,
        joined: &mut Joined,
        line: &mut Line,
    ) -> Entry {
        let (a0, a1, a3) = (registers[0] as u32, registers[1] as u32, registers[3] as u32);
        if a3 == CFE_SEAL {
            trace!("a3 is CFE's seal: a0 to a2 are no arguments");
            return Entry { kind: EntryKind::Cfe, ..Entry::NONE };
        }
        let kind = if a0 == UHI { EntryKind::Uhi } else { EntryKind::Argv };
        let passed = if a0 == UHI { bootloader_tree(a1, memory) } else { arguments::<BIG, M>(a0, a1, memory, joined) };
        let Some(Passed { tree, line: passed, ends }) = passed else {
            trace!("a0 {=u32:#010x} and a1 {=u32:#010x} lead to no strings and no device tree", a0, a1);
            // The same board is sold with more RAM, where nobody may look: what is not there may hang the bus.
            let behind = physical(a1).is_some_and(|at| at >= params.ram().end() && at < LOW_RAM);
            if behind && (kind == EntryKind::Uhi || a0 != 0 && a0 <= MAX_ARGC) {
                return Entry { kind, bootargs: Judgement::refused(Refusal::Unreadable), ..Entry::NONE };
            }
            return Entry::NONE;
        };
        Entry { kind, tree, bootargs: judge(passed, ends, params, line) }
    }

    fn leave<M: Memory>(
        manifest: &Manifest,
        tree: Region,
        line: usize,
        registers: &[usize; 4],
        memory: &mut M,
    ) -> Result<[usize; 4]> {
        let table = manifest.payload(Kind::Env).place;
        if table.is_empty() {
            // To a kernel with the tree in its slot these are no arguments: the slot comes first, and argc is out of range.
            return Ok([UHI as usize, kseg0(tree.start()), 0, 0]);
        }
        let error = Error::new(Code::ArgvRoom, Subject::Argv, table.size());
        // The line is the one in the tree, which ends with NUL.
        let pointer = memory.write(table).and_then(|table| table.get_mut(argv::LINE..argv::LINE + 4)).ok_or(error)?;
        put(pointer, kseg0(line) as u32, BIG);
        let argv = kseg0(table.start());
        let mut env = argv.wrapping_add(argv::ENV);
        // Nothing is packed: the bootloader's own, if it has one.
        if table.size() <= argv::NO_ENV && environment::<BIG, M>(registers[2] as u32, memory).is_some() {
            env = registers[2];
        }
        // argc = 2: the kernel joins its arguments with blanks, so one with blanks in it is as good as many.
        Ok([2, argv, env, 0])
    }
}

/// What the bootloader passed.
struct Passed<'p> {
    /// Empty when there is none.
    tree: Region,
    line: &'p [u8],
    /// It has an end, as far as was looked.
    ends: bool,
}

/// The bootloader's device tree at a pointer: where it is, and its bootargs.
fn bootloader_tree<M: Memory>(pointer: u32, memory: &M) -> Option<Passed<'_>> {
    let at = physical(pointer)?;
    let mut tree = Tree::new(memory.from(at)?);
    tree.read().ok()?;
    Some(Passed { tree: Region::stated(at, tree.size()), line: tree.bootargs(), ends: true })
}

/// argv[1..], joined as the kernel joins them (arch/mips/fw/lib/cmdline.c: fw_init_cmdline), one blank between arguments. `None` when
/// argc or a pointer makes no sense.
///
/// argv[0] counts only when it holds a `=`: U-Boot passes nothing useful there, but ralink's and lantiq's bootloaders
/// do, and their kernels read it (arch/mips/ralink/prom.c: prom_init_cmdline).
fn arguments<'p, const BIG: bool, M: Memory>(
    argc: u32,
    argv: u32,
    memory: &M,
    joined: &'p mut Joined,
) -> Option<Passed<'p>> {
    if argc == 0 || argc > MAX_ARGC || argv & 3 != 0 {
        return None;
    }
    let pointers = memory.from(physical(argv)?)?.get(..(argc as usize).wrapping_mul(4))?;
    let (mut left, mut size, mut ends) = (pointers, 0usize, true);
    // The last byte stays free for a blank that nobody sees.
    while let Some(pointer) = next::<BIG>(&mut left)
        && ends
        && size <= LIMIT
    {
        if pointer == 0 {
            continue;
        }
        let text;
        (text, ends) = string(pointer, memory)?;
        if left.len().wrapping_add(4) == pointers.len() && find(text, b'=') == text.len() {
            continue;
        }
        for byte in text.iter().chain(b" ") {
            if let Some(to) = joined.get_mut(size) {
                *to = *byte;
                size = size.wrapping_add(1);
            }
        }
    }
    Some(Passed { tree: Region::EMPTY, line: joined.get(..size.saturating_sub(1))?, ends })
}

/// Takes the next pointer of a list.
fn next<const BIG: bool>(pointers: &mut &[u8]) -> Option<u32> {
    let (pointer, rest) = pointers.split_first_chunk()?;
    *pointers = rest;
    Some(if BIG { u32::from_be_bytes(*pointer) } else { u32::from_le_bytes(*pointer) })
}

/// The bytes at `pointer` up to their NUL, and whether there is one before memory ends or they are longer than any line.
#[inline(never)]
fn string<M: Memory>(pointer: u32, memory: &M) -> Option<(&[u8], bool)> {
    let bytes = memory.from(physical(pointer)?)?;
    let bytes = bytes.get(..LIMIT).unwrap_or(bytes);
    let length = find(bytes, 0);
    Some((bytes.get(..length)?, length != bytes.len()))
}

/// Whether `list` points to pointers to strings up to a NULL, as the kernel's fw_getenv (arch/mips/fw/lib/cmdline.c) will
/// follow them; it checks none. Looked at after delivery: what lies there now is what the kernel reads.
#[inline(never)] // 60 bytes smaller.
fn environment<const BIG: bool, M: Memory>(list: u32, memory: &M) -> Option<()> {
    let mut pointers = memory.from(physical(list)?).filter(|_| list & 3 == 0)?;
    let mut size = 0usize;
    loop {
        let pointer = next::<BIG>(&mut pointers)?;
        if pointer == 0 {
            return Some(());
        }
        let (text, ends) = string(pointer, memory)?;
        size = size.wrapping_add(text.len()).wrapping_add(1);
        if !ends || size > LIMIT || !is_text(text) {
            return None;
        }
    }
}
