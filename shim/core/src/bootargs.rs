//! The bootloader's line: bytes nobody vouches for.

use crate::names::Name;

/// Most bytes of a command line on any architecture, without the NUL (arch/mips/include/uapi/asm/setup.h: 4096 with it).
pub const MAX_LINE: usize = 4095;

/// What has more bytes than this is garbage behind a stray pointer; nobody looks at the rest. No bootloader has a line of a quarter of it.
pub const LIMIT: usize = 0x4000;

/// Room to join a bootloader's arguments in: one byte more than [`LIMIT`], so that a longer line is seen, and the blank behind the last.
pub type Joined = [u8; LIMIT + 2];

/// One line of bootargs, without NUL.
pub type Line = heapless::Vec<u8, MAX_LINE>;

/// By which protocol the bootloader called us. The value is the number of its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EntryKind {
    /// argc and argv.
    Argv = Name::Argv as u8,
    /// A device tree, in a1 or x0.
    Uhi = Name::Uhi as u8,
    /// CFE, which passes nothing.
    Cfe = Name::Cfe as u8,
    /// None that we know.
    None = Name::None as u8,
}

worded!(EntryKind);

/// Takes the next word off the front of `line`; `None` when only blanks are left.
///
/// Words are separated by blanks as the kernel separates them (lib/cmdline.c: next_arg): not inside double quotes.
#[inline(never)]
pub fn word<'l>(line: &mut &'l [u8]) -> Option<&'l [u8]> {
    let (all, mut start, mut end, mut quoted) = (*line, 0usize, 0usize, false);
    for byte in all {
        let blank = matches!(byte, b' ' | b'\t') && !quoted;
        if blank && start != end {
            break;
        }
        end = end.wrapping_add(1);
        if blank {
            start = end;
        }
        quoted ^= *byte == b'"';
    }
    *line = all.get(end..)?;
    all.get(start..end).filter(|word| !word.is_empty())
}

/// What no line of a person or a script has. A tab is a blank, and bytes from 0x80 on are text.
pub fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

/// No byte of it is a control character.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| is_control(*byte))
}
