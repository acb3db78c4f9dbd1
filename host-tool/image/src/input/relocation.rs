//! Where a CONFIG_RELOCATABLE kernel may copy itself at boot (arch/mips/kernel/relocate.c), without asking what lies there.

use std::ops::Range;

use crate::format::bytes::find;
use crate::kconfig::{Kconfig, Value};

/// The kernel moves itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Every physical address that it may write to, its bss included.
    pub region: Range<u64>,
    /// CONFIG_RANDOMIZE_BASE: the place is random, and the word `nokaslr` on the command line keeps it from moving.
    /// Without it the place is fixed and nothing prevents the move.
    pub random: bool,
    /// There was no configuration: found by the kernel's strings, with the default for the largest offset.
    pub assumed: bool,
}

/// CONFIG_RELOCATABLE without CONFIG_RANDOMIZE_BASE always goes here (determine_relocation_address).
const FIXED: u64 = 0x100_0000;
const ALL: u64 = 1 << 32;
const GRAIN: u64 = 0x1_0000;
const DEFAULT_OFFSET: u64 = 0x100_0000;

/// `memory_size` counts from the load address to `_end`; `image` is the uncompressed kernel.
pub(super) fn relocation(load: u64, memory_size: u64, config: Option<&Kconfig>, image: &[u8]) -> Option<Relocation> {
    let assumed = config.is_none();
    let (relocatable, random, most) = match config {
        Some(config) => (
            config.is_yes("RELOCATABLE"),
            config.is_yes("RANDOMIZE_BASE"),
            config.get("RANDOMIZE_BASE_MAX_OFFSET").as_u64().unwrap_or(DEFAULT_OFFSET),
        ),
        None => (find(image, b"Kernel relocated by 0x").is_some(), find(image, b"nokaslr\0").is_some(), DEFAULT_OFFSET),
    };
    if !relocatable {
        return None;
    }
    if !random {
        // Refused by relocation_addr_valid when it would lie on the kernel itself.
        return (FIXED >= load + memory_size).then(|| Relocation {
            region: FIXED..FIXED + memory_size,
            random,
            assumed,
        });
    }
    if config.is_some_and(built_in_nokaslr) {
        return None;
    }
    // The mask of a limit of 0 lets everything through; 32 bits is all there is.
    let most = if most == 0 { ALL } else { most.min(ALL) };
    // A random multiple of 64 KiB below the limit; when it is less than the kernel's length, that is added.
    let length = memory_size.next_multiple_of(GRAIN);
    let largest = most.saturating_sub(1) / GRAIN * GRAIN;
    let below_length = largest.min(memory_size.saturating_sub(1) / GRAIN * GRAIN);
    let offset = if largest >= memory_size { largest.max(below_length + length) } else { largest + length };
    Some(Relocation { region: load + length..load + offset + memory_size, random, assumed })
}

fn built_in_nokaslr(config: &Kconfig) -> bool {
    // kaslr_disabled() takes the text anywhere behind a blank, also as the front of a longer word.
    let Value::Text(line) = config.get("CMDLINE") else { return false };
    config.is_yes("CMDLINE_BOOL") && (line.starts_with("nokaslr") || line.contains(" nokaslr"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Kconfig {
        Kconfig::parse(text, "t").unwrap()
    }

    fn of(text: &str, load: u64, size: u64) -> Option<Relocation> {
        relocation(load, size, Some(&config(text)), b"")
    }

    #[test]
    fn a_kernel_that_is_not_relocatable_stays() {
        assert_eq!(of("# CONFIG_RELOCATABLE is not set\n", 0x10_0000, 0x40_0000), None);
        assert_eq!(relocation(0x10_0000, 0x40_0000, None, b"no such string"), None);
    }

    #[test]
    fn without_kaslr_it_always_goes_to_16_mib_unless_it_lies_there() {
        let there = of("CONFIG_RELOCATABLE=y\n", 0x10_0000, 0x40_0000).unwrap();
        assert_eq!((there.region, there.random), (0x100_0000..0x140_0000, false));
        assert_eq!(of("CONFIG_RELOCATABLE=y\n", 0x10_0000, 0xf0_0000).unwrap().region, 0x100_0000..0x1f0_0000);
        assert_eq!(of("CONFIG_RELOCATABLE=y\n", 0x10_0000, 0xf0_0001), None);
    }

    const KASLR: &str = "CONFIG_RELOCATABLE=y\nCONFIG_RANDOMIZE_BASE=y\nCONFIG_RANDOMIZE_BASE_MAX_OFFSET=0x01000000\n";

    /// The kernel's own computation, over every 16-bit random value that matters.
    fn brute_force(load: u64, size: u64, most: u64) -> Range<u64> {
        let (mut first, mut last) = (u64::MAX, 0);
        for random in 0..0x2000u64 {
            let mut offset = (random << 16) & (most - 1);
            if offset < size {
                offset += (size + 0xfffe) & !0xfffe;
            }
            first = first.min(load + offset);
            last = last.max(load + offset + size);
        }
        first..last
    }

    #[test]
    fn with_kaslr_the_region_is_exactly_what_the_kernel_can_choose() {
        for size in [0x2_0000, 0x37_d4b0, 0x80_0000, 0xff_0000, 0x100_0000, 0x109_bd80, 0x300_0000] {
            let region = of(KASLR, 0x10_0000, size).unwrap().region;
            assert_eq!(region, brute_force(0x10_0000, size, 0x100_0000), "size 0x{size:x}");
        }
    }

    #[test]
    fn an_absurd_limit_is_the_whole_address_space() {
        for most in ["0x0", "0xffffffffffffffff"] {
            let text = KASLR.replace("0x01000000", most);
            assert!(of(&text, 0x10_0000, 0x40_0000).unwrap().region.end >= 1 << 32);
        }
    }

    #[test]
    fn nokaslr_in_the_built_in_line_keeps_it_in_place() {
        let line = |line: &str| format!("{KASLR}CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"{line}\"\n");
        assert_eq!(of(&line("quiet nokaslr"), 0x10_0000, 0x40_0000), None);
        assert!(of(&line("xnokaslr"), 0x10_0000, 0x40_0000).is_some());
    }

    #[test]
    fn without_a_configuration_the_strings_tell() {
        let random = relocation(0x10_0000, 0x40_0000, None, b"..Kernel relocated by 0x%pK\0..nokaslr\0..").unwrap();
        assert!(random.random && random.assumed);
        let fixed = relocation(0x10_0000, 0x40_0000, None, b"..Kernel relocated by 0x%pK\0..").unwrap();
        assert_eq!(fixed.region, 0x100_0000..0x140_0000);
    }
}
