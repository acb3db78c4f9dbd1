//! The bootloader's line: bytes nobody vouches for, in a buffer of fixed size.

use crate::Region;
use crate::names::Name;

/// Most bytes of a command line on any architecture, without the NUL (arch/mips/include/uapi/asm/setup.h: 4096 with it).
pub const MAX_LINE: usize = 4095;

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

/// How the bootloader called us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The protocol.
    pub kind: EntryKind,
    /// The bootloader's device tree, whose header is right; empty when there is none.
    pub tree: Region,
    /// The line did not fit the buffer, which is now empty.
    pub too_long: bool,
}

/// A line that a person or a script wrote: printable ASCII and tabs. Anything else is garbage behind a stray pointer.
pub fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// The next word of `line` at or behind `at`: start and end, `start == end` when there is none.
///
/// Words are separated by blanks as the kernel separates them (lib/cmdline.c: next_arg): not inside double quotes.
pub fn word(line: &[u8], at: usize) -> (usize, usize) {
    let mut start = at;
    let mut end = at;
    let mut quoted = false;
    while let Some(byte) = line.get(end) {
        let blank = matches!(byte, b' ' | b'\t') && !quoted;
        if blank && start != end {
            break;
        }
        quoted ^= *byte == b'"';
        end = end.wrapping_add(1);
        if blank {
            start = end;
        }
    }
    (start, end)
}
