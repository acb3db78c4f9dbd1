//! The cores that the boards have: what their Config registers say, and their caches.

use stoop_image::board::Board;

use crate::cache::Geometry;

/// A core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// As its maker calls it.
    pub name: &'static str,
    /// Instruction cache.
    pub icache: Option<Geometry>,
    /// Data cache.
    pub dcache: Option<Geometry>,
    /// Second level.
    pub l2: Option<Geometry>,
    /// One of several, with a coherence manager.
    pub coherent: bool,
    /// CP0 PRId (arch/mips/include/asm/cpu.h).
    pub prid: u32,
}

/// No caches at all.
pub const NONE: Cpu = Cpu { name: "none", icache: None, dcache: None, l2: None, coherent: false, prid: 0x0001_8000 };

/// 4KEc: short lines (Lantiq, ADM5120).
pub const M4KEC: Cpu = Cpu {
    name: "4KEc",
    icache: Some(Geometry::of(16, 4, 16)),
    dcache: Some(Geometry::of(8, 4, 16)),
    l2: None,
    coherent: false,
    prid: 0x0001_9000,
};

/// 24Kc as in QEMU's Malta and small Atheros chips.
pub const M24KC: Cpu = Cpu {
    name: "24Kc",
    icache: Some(Geometry::of(32, 4, 32)),
    dcache: Some(Geometry::of(32, 4, 32)),
    l2: None,
    coherent: false,
    prid: 0x0001_9374,
};

/// 24Kc and 24KEc with a large instruction cache (QCA953x, MT7628, MT7620).
pub const M24KC_64: Cpu = Cpu { icache: Some(Geometry::of(64, 4, 32)), ..M24KC };

/// 74Kc: a way of 8 KiB or more has aliases in mapped memory (AR934x, QCA955x, RT3883).
pub const M74KC: Cpu = Cpu {
    name: "74Kc",
    icache: Some(Geometry::of(64, 4, 32)),
    dcache: Some(Geometry::of(32, 4, 32)),
    l2: None,
    coherent: false,
    prid: 0x0001_9750,
};

/// 1004Kc with its second level (MT7621).
pub const M1004KC: Cpu = Cpu {
    name: "1004Kc",
    icache: Some(Geometry::of(32, 4, 32)),
    dcache: Some(Geometry::of(32, 4, 32)),
    l2: Some(Geometry::of(256, 8, 32)),
    coherent: true,
    prid: 0x0001_992f,
};

/// Every one, for what must hold on any.
pub const ALL: [Cpu; 6] = [NONE, M4KEC, M24KC, M24KC_64, M74KC, M1004KC];

/// Chips by the begin of their names. A chip that is not here is taken for a 24Kc.
const CHIPS: [(&str, Cpu); 12] = [
    ("AR913", M24KC),
    ("AR933", M24KC_64),
    ("AR934", M74KC),
    ("QCA953", M24KC_64),
    ("QCA955", M74KC),
    ("QCA956", M74KC),
    ("MT7620", M24KC_64),
    ("MT7621", M1004KC),
    ("MT7628", M24KC_64),
    ("MT7688", M24KC_64),
    ("RT3883", M74KC),
    ("RT3662", M74KC),
];

impl Cpu {
    /// The core of this board's chip.
    pub fn of(board: &Board) -> Cpu {
        CHIPS.iter().find(|(chip, _)| board.chip.starts_with(chip)).map_or(M24KC, |(_, cpu)| *cpu)
    }

    /// CP0 Config with this K0 (MIPS32 PRA volume III): release 2, TLB, and Config1 behind it.
    pub fn config(&self, big_endian: bool, k0: u32) -> u32 {
        1 << 31 | u32::from(big_endian) << 15 | 1 << 10 | 1 << 7 | k0
    }

    /// CP0 Config1: the caches of the first level, and Config2 behind it.
    pub fn config1(&self) -> u32 {
        let field = |cache: Option<Geometry>| match cache {
            None => 0,
            Some(cache) => {
                let sets = (cache.sets.trailing_zeros() as i32 - 6) as u32 & 7;
                sets << 6 | (cache.line.trailing_zeros() - 1) << 3 | (cache.ways as u32 - 1)
            }
        };
        1 << 31 | 15 << 25 | field(self.icache) << 16 | field(self.dcache) << 7
    }

    /// CP0 Config2: the second level, and Config3 behind it.
    pub fn config2(&self) -> u32 {
        let field = self.l2.map_or(0, |cache| {
            (cache.sets.trailing_zeros() - 6) << 8 | (cache.line.trailing_zeros() - 1) << 4 | (cache.ways as u32 - 1)
        });
        1 << 31 | field
    }

    /// CP0 Config3: with a coherence manager there is CMGCR (bit 29).
    pub fn config3(&self) -> u32 {
        u32::from(self.coherent) << 29
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config1_and_config2_say_what_the_manuals_say() {
        // 24Kc: 256 sets (code 2), 32 bytes (code 4), 4 ways (code 3).
        assert_eq!(M24KC.config1() >> 7 & 0x1ff, 2 << 6 | 4 << 3 | 3);
        // 64 KiB: 512 sets (code 3).
        assert_eq!(M74KC.config1() >> 16 & 0x1ff, 3 << 6 | 4 << 3 | 3);
        // 256 KiB of 8 ways of 32 bytes: 1024 sets (code 4).
        assert_eq!(M1004KC.config2() & 0xfff, 4 << 8 | 4 << 4 | 7);
        assert_eq!(NONE.config1() & 0x01ff_ff80, 0);
    }
}
