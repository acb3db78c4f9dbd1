//! Will this kernel take the handoff, the root filesystem in RAM, the initial ramdisk.

use crate::kconfig::Kconfig;

/// Where a kernel of this platform is linked, physical (arch/mips/*/Platform).
pub fn link_address(config: &Kconfig) -> Option<u64> {
    let _ = config;
    None
}
