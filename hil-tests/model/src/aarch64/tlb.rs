//! The TLB: translations that stay until they are invalidated.

/// Blocks and pages of the map are kept by units of this many bits.
pub const UNIT: u32 = 21;

/// A translation that the TLB keeps.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The unit's number.
    pub unit: u64,
    /// Its descriptor: address and attributes.
    pub descriptor: u64,
    /// Bits of the address that the descriptor leaves.
    pub left: u32,
}

/// The TLB: what was walked once stays until a TLBI.
#[derive(Clone, Debug)]
pub struct Tlb(pub [Option<Entry>; 64]);

impl Default for Tlb {
    fn default() -> Self {
        Tlb([None; 64])
    }
}
