//! Every word of messages and reports, in one string: a table of pointers would cost the shim four bytes a word more.
//!
//! An enum whose values are said has the numbers of its words as values: [`Subject`](crate::Subject),
//! [`Verdict`](crate::cookie::Verdict), [`EntryKind`](crate::bootargs::EntryKind).

/// A word with a fixed spelling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the spelling is the documentation")]
pub enum Name {
    Kernel,
    Initrd,
    Rootfs,
    Env,
    Dtb,
    Overlay,
    Shim,
    Params,
    Manifest,
    Argv,
    Uhi,
    Cfe,
    None,
    Accepted,
    Ignored,
    Kept,
    Refused,
    Damaged,
    Missing,
    Shape,
    Crc,
    Foreign,
    Unreadable,
    Codec,
    Stream,
    Length,
    NotRam,
    Overlaps,
    Header,
    Structure,
    Room,
    Cells,
    TooLong,
    Control,
    Ram,
    Smaller,
}

/// In the order of [`Name`], each ending with NUL.
const SPELLED: &[u8] = b"kernel\0initrd\0rootfs\0env\0dtb\0overlay\0shim\0params\0manifest\0argv\0uhi\0cfe\0none\0\
accepted\0ignored\0kept\0refused\0damaged\0missing\0shape\0crc\0foreign\0unreadable\0codec\0stream\0length\0\
not ram\0overlaps\0header\0structure\0room\0cells\0too long\0control characters\0ram\0smaller\0";

/// Gives an enum, whose values are numbers of [`Name`]s, its words.
macro_rules! worded {
    ($kind:ty) => {
        impl $kind {
            /// The word, in ASCII.
            pub fn bytes(self) -> &'static [u8] {
                $crate::names::spelled(self as u8)
            }

            /// The word.
            pub fn text(self) -> &'static str {
                core::str::from_utf8(self.bytes()).unwrap_or("")
            }
        }

        /// For the host; the shim itself has no `core::fmt`.
        impl core::fmt::Display for $kind {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.text())
            }
        }

        #[cfg(feature = "trace")]
        impl defmt::Format for $kind {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}", self.text());
            }
        }
    };
}

worded!(Name);

/// The word with that number; the last one's successor is empty.
#[inline(never)]
pub fn spelled(number: u8) -> &'static [u8] {
    let (mut left, mut start, mut at) = (number, 0usize, 0usize);
    for byte in SPELLED {
        if *byte == 0 {
            if left == 0 {
                return SPELLED.get(start..at).unwrap_or(&[]);
            }
            left = left.wrapping_sub(1);
            start = at.wrapping_add(1);
        }
        at = at.wrapping_add(1);
    }
    &[]
}
