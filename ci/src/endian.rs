//! The byte orders of the lab's MIPS boards.

use stoop_image::machine::Machine;

/// Byte order of a 32-bit MIPS machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endian {
    /// mipsel
    Little,
    /// mips
    Big,
}

impl Endian {
    /// Both.
    pub const ALL: [Endian; 2] = [Endian::Little, Endian::Big];

    /// `le` or `be`, as in file names.
    pub fn tag(self) -> &'static str {
        match self {
            Endian::Little => "le",
            Endian::Big => "be",
        }
    }

    /// The prefix of Debian's cross tools.
    pub(crate) fn cross(self) -> &'static str {
        match self {
            Endian::Little => "mipsel-linux-gnu-",
            Endian::Big => "mips-linux-gnu-",
        }
    }
}

impl From<Endian> for Machine {
    fn from(endian: Endian) -> Machine {
        match endian {
            Endian::Little => Machine::MipsLe,
            Endian::Big => Machine::MipsBe,
        }
    }
}
