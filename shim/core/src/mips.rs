//! MIPS32: KSEG pointers, argc and argv, the Unified Hosting Interface.

use crate::abi::Abi;
use crate::bootargs::{Entry, Line, is_text};
use crate::bytes::{Writer, find, put, words};
use crate::fdt::{self, Tree};
use crate::manifest::{HandoffKind, Machine, Manifest};
use crate::memory::Memory;
use crate::names::Name;
use crate::{Code, Error, Region, Result, Subject};

/// a0 of the Unified Hosting Interface (arch/mips/include/asm/bootinfo.h: get_fdt).
const UHI: u32 = 0xffff_fffe;
/// a3 of a CFE handoff (arch/mips/include/asm/fw/cfe/cfe_api.h: CFE_EPTSEAL); a0 to a2 are not arguments then.
const CFE_SEAL: u32 = 0x4346_4531;
/// More words than this cannot fit a command line.
const MAX_ARGC: u32 = 2048;

const KSEG0: u32 = 0x8000_0000;
const KSEG1: u32 = 0xa000_0000;
const KSEG_END: u32 = 0xc000_0000;
const PHYSICAL: u32 = 0x1fff_ffff;

/// The physical address behind a KSEG0 or KSEG1 pointer.
pub fn physical(pointer: u32) -> Option<usize> {
    (KSEG0..KSEG_END).contains(&pointer).then_some((pointer & PHYSICAL) as usize)
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

    fn enter<M: Memory>(registers: [usize; 4], memory: &M, line: &mut Line) -> Entry {
        let [a0, a1, _, a3] = registers.map(|register| register as u32);
        let (mut kind, mut tree, mut fits) = (Name::None, 0, Some(true));
        if a3 == CFE_SEAL {
            kind = Name::Cfe;
        } else if a0 == UHI {
            if let Some((at, bootargs)) = bootloader_tree(a1, memory) {
                (kind, tree) = (Name::Uhi, at);
                fits = Some(line.extend_from_slice(bootargs).is_ok());
            }
        } else {
            fits = join::<BIG, M>(a0, a1, memory, line);
            kind = if fits.is_some() { Name::Argv } else { Name::None };
        }
        if fits != Some(true) {
            line.clear();
        }
        Entry { kind, tree, too_long: fits == Some(false) }
    }

    fn leave<M: Memory>(manifest: &Manifest, tree: Region, memory: &mut M) -> Result<[usize; 4]> {
        if manifest.handoff() == HandoffKind::Uhi as u8 {
            return Ok([UHI as usize, kseg0(tree.start()), 0, 0]);
        }
        let room = manifest.argv();
        let error = Error::new(Code::ArgvRoom, Subject::Argv, room.size());
        let (tree, block) = memory.pair(tree, room).ok_or(error)?;
        let line = fdt::bootargs(Tree::new(tree)?.chosen_bootargs().unwrap_or(&[]));
        argv_block::<BIG>(kseg0(room.start()) as u32, line, block).ok_or(error)
    }
}

/// The bootloader's device tree at a pointer: its physical address and its bootargs.
fn bootloader_tree<M: Memory>(pointer: u32, memory: &M) -> Option<(usize, &[u8])> {
    let at = physical(pointer)?;
    let tree = Tree::new(memory.from(at)?).ok()?;
    Some((at, fdt::bootargs(tree.chosen_bootargs().unwrap_or(&[]))))
}

/// Joins argv[1..] as the kernel does (arch/mips/fw/lib/cmdline.c: fw_init_cmdline), one blank between arguments.
///
/// argv[0] counts only when it holds a `=`: U-Boot passes nothing useful there, but ralink's and lantiq's bootloaders
/// do, and their kernels read it (arch/mips/ralink/prom.c: prom_init_cmdline).
/// `None`: no argv at all. `Some(false)`: too long.
fn join<const BIG: bool, M: Memory>(argc: u32, argv: u32, memory: &M, line: &mut Line) -> Option<bool> {
    if argc > MAX_ARGC || argv & 3 != 0 {
        return None;
    }
    let mut pointers = memory.from(physical(argv)?)?;
    for index in 0..argc {
        let mut pointer = [0];
        words(&mut pointer, pointers, BIG)?;
        pointers = pointers.get(4..)?;
        if pointer == [0] {
            continue;
        }
        let bytes = memory.from(physical(pointer[0])?)?;
        let bytes = bytes.get(..=line.capacity()).unwrap_or(bytes);
        let length = find(bytes, 0);
        let text = bytes.get(..length)?;
        if !is_text(text) {
            return None;
        }
        if index == 0 && find(text, b'=') == length {
            continue;
        }
        if index > 1 || !line.is_empty() {
            let _ = line.push(b' ');
        }
        if length == bytes.len() || line.extend_from_slice(text).is_err() {
            return Some(false);
        }
    }
    (argc != 0).then_some(true)
}

/// argc = 2: an empty argv[0], which every kernel skips, and the whole line as argv[1]; no environment.
///
/// The kernel joins argv with blanks, so one argument with blanks in it gives the same line as many without.
fn argv_block<const BIG: bool>(base: u32, line: &[u8], block: &mut [u8]) -> Option<[usize; 4]> {
    const TABLE: usize = 16;
    let (table, strings) = block.split_at_mut_checked(TABLE)?;
    // argv[0] is the NUL in front of the line. The last two words end argv and the environment.
    let empty = base.wrapping_add(TABLE as u32);
    for (slot, pointer) in table.chunks_exact_mut(4).zip([empty, empty.wrapping_add(1), 0, 0]) {
        put(slot, pointer, BIG);
    }
    let mut writer = Writer::new(strings);
    writer.bytes(&[0])?;
    writer.bytes(line)?;
    writer.bytes(&[0])?;
    Some([2, base as usize, base.wrapping_add(12) as usize, 0])
}
