//! What boards, kernels and images are for, and what 32-bit MIPS makes of addresses.

pub use stoop_core::manifest::Machine;

/// KSEG0 and KSEG1 of 32-bit MIPS each map this much physical memory, from 0: nothing of a boot may lie above it.
pub const KSEG_SIZE: usize = 0x2000_0000;

/// Where the kernel may have exception vectors, kexec its line and secondary CPUs their stubs: never used, from RAM's start 0.
pub const LOW: usize = 0x1000;

/// For messages and JSON about kernels.
pub fn described(machine: Machine) -> &'static str {
    match machine {
        Machine::MipsBe => "mips big-endian",
        Machine::MipsLe => "mips little-endian",
        Machine::Arm64 => "arm64",
    }
}

/// Strips KSEG0 or KSEG1 from a 32-bit or sign-extended address; a physical address stays. `None` when it is neither.
pub fn physical(address: u64) -> Option<u64> {
    let low = match address >> 32 {
        0 | 0xffff_ffff => address & 0xffff_ffff,
        _ => return None,
    };
    match low {
        0x8000_0000..=0xbfff_ffff => Some(low & 0x1fff_ffff),
        _ if address < KSEG_SIZE as u64 => Some(address),
        _ => None,
    }
}

/// `mips-be`, `mips-le` and `arm64` in board files, for serde.
pub mod names {
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    use super::Machine;

    /// Writes the name.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(machine: &Machine, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(machine.name())
    }

    /// Reads the name.
    ///
    /// # Errors
    /// There is no such machine; all are named.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Machine, D::Error> {
        const NAMES: [&str; 3] = ["mips-be", "mips-le", "arm64"];
        let name = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        let found = Machine::ALL.into_iter().find(|machine| machine.name() == name);
        found.ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }

    /// Reads a name that may be left out (`#[serde(default)]`).
    ///
    /// # Errors
    /// As for [`deserialize`].
    pub fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Machine>, D::Error> {
        deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kseg_addresses_become_physical_and_mapped_ones_do_not() {
        assert_eq!(physical(0x8010_0000), Some(0x10_0000));
        assert_eq!(physical(0xa010_0000), Some(0x10_0000));
        assert_eq!(physical(0xffff_ffff_8010_0000), Some(0x10_0000));
        assert_eq!(physical(0x10_0000), Some(0x10_0000));
        for mapped in [0x2000_0000, 0x4000_0000, 0xc000_0000, 0xffff_ffff_0010_0000, 0x9800_0000_0010_0000] {
            assert_eq!(physical(mapped), None, "0x{mapped:x}");
        }
    }
}
