//! The bootloader's line: bytes nobody vouches for, where the bootloader has left them.

use crate::names::Name;

/// Most bytes of a command line on any architecture, without the NUL (arch/mips/include/uapi/asm/setup.h: 4096 with it).
pub const MAX_LINE: usize = 4095;

/// What has more bytes than this is garbage behind a stray pointer; nobody looks at the rest.
pub const LIMIT: usize = 0x1_0000;

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

/// A line as it lies in memory: pieces, joined by one blank each. It need not fit any buffer.
pub trait Pieces {
    /// The piece with that number; `None` behind the last one.
    fn piece(&self, number: usize) -> Option<&[u8]>;

    /// Every piece ends, and all of them together have no more than [`LIMIT`] bytes.
    fn ends(&self) -> bool;
}

/// A line in one piece.
impl Pieces for &[u8] {
    fn piece(&self, number: usize) -> Option<&[u8]> {
        (number == 0).then_some(*self)
    }

    fn ends(&self) -> bool {
        self.len() <= LIMIT
    }
}

/// The bytes of a line from some place on. Generic, since the table behind a `dyn` holds addresses, which the arm64 shim must not.
pub struct Bytes<'p, P> {
    pieces: &'p P,
    number: usize,
    left: &'p [u8],
}

impl<P> Clone for Bytes<'_, P> {
    fn clone(&self) -> Self {
        Bytes { ..*self }
    }
}

impl<'p, P: Pieces> Bytes<'p, P> {
    /// All of them.
    pub fn of(pieces: &'p P) -> Self {
        Bytes { pieces, number: 0, left: pieces.piece(0).unwrap_or(&[]) }
    }

    /// They begin with `text`.
    pub fn start_with(&self, text: &[u8]) -> bool {
        let mut bytes = self.clone();
        text.iter().all(|byte| bytes.next() == Some(*byte))
    }

    /// Takes the next word: its first byte and all behind it, and how many bytes the word has.
    ///
    /// Words are separated by blanks as the kernel separates them (lib/cmdline.c: next_arg): not inside double quotes.
    pub fn word(&mut self) -> Option<(Bytes<'p, P>, usize)> {
        let (mut start, mut length, mut quoted) = (self.clone(), 0usize, false);
        while let Some(byte) = self.next() {
            let blank = matches!(byte, b' ' | b'\t') && !quoted;
            if !blank {
                quoted ^= byte == b'"';
                length = length.wrapping_add(1);
            } else if length == 0 {
                start = self.clone();
            } else {
                break;
            }
        }
        (length != 0).then_some((start, length))
    }
}

impl<P: Pieces> Iterator for Bytes<'_, P> {
    type Item = u8;

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        if let Some((byte, rest)) = self.left.split_first() {
            self.left = rest;
            return Some(*byte);
        }
        let next = self.number.wrapping_add(1);
        self.left = self.pieces.piece(next)?;
        self.number = next;
        Some(b' ')
    }
}

/// What no line of a person or a script has. A tab is a blank, and bytes from 0x80 on are text.
pub fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

/// No byte of it is a control character.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| is_control(*byte))
}
