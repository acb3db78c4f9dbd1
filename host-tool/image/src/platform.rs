//! What each MIPS platform does with a device tree, and where its kernel is linked (boot-time code of Linux 6.12).

use crate::format::bytes::find;
use crate::kconfig::Kconfig;

/// Where a platform's kernel takes its device tree from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TreeFrom {
    /// a0 = -2, a1 = tree (asm/bootinfo.h:get_fdt).
    Uhi,
    /// As [`TreeFrom::Uhi`], but `fdt_start` in the environment comes first (ath79/setup.c:plat_mem_setup).
    UhiOrEnv,
    /// Only from inside the kernel, whatever is passed (mti-malta/malta-setup.c:plat_get_fdt).
    BuiltIn,
    /// A protocol of its own that stoop does not speak.
    Other,
    /// It has no device tree at all.
    Nowhere,
}

/// A family of machines that one kernel is for.
#[derive(Debug)]
pub struct Platform {
    /// The Kconfig symbol that is `=y`, without `CONFIG_`.
    pub symbol: &'static str,
    /// Its tree.
    pub tree: TreeFrom,
    /// Physical link address (arch/mips/*/Platform); `None` when it depends on the SoC.
    pub link: Option<u64>,
}

/// The first whose symbol is set counts: some select the symbol of another.
const PLATFORMS: &[Platform] = &[
    Platform { symbol: "MACH_INGENIC_SOC", tree: TreeFrom::Uhi, link: Some(0x10_0000) },
    Platform { symbol: "MACH_REALTEK_RTL", tree: TreeFrom::Uhi, link: Some(0x10_0000) },
    Platform { symbol: "EYEQ", tree: TreeFrom::Uhi, link: None },
    Platform { symbol: "MACH_EYEQ5", tree: TreeFrom::Uhi, link: None },
    Platform { symbol: "MIPS_GENERIC_KERNEL", tree: TreeFrom::Uhi, link: Some(0x10_0000) },
    Platform { symbol: "ATH79", tree: TreeFrom::UhiOrEnv, link: Some(0x6_0000) },
    Platform { symbol: "SOC_MT7621", tree: TreeFrom::Uhi, link: Some(0x1000) },
    Platform { symbol: "SOC_RT288X", tree: TreeFrom::Uhi, link: Some(0x800_0000) },
    Platform { symbol: "RALINK", tree: TreeFrom::Uhi, link: Some(0) },
    Platform { symbol: "LANTIQ", tree: TreeFrom::Uhi, link: Some(0x2000) },
    Platform { symbol: "BMIPS_GENERIC", tree: TreeFrom::Uhi, link: Some(0x1_0000) },
    Platform { symbol: "MACH_PIC32", tree: TreeFrom::Uhi, link: Some(0x800_0000) },
    Platform { symbol: "MACH_INGENIC", tree: TreeFrom::Uhi, link: Some(0x10_0000) },
    Platform { symbol: "MIPS_MALTA", tree: TreeFrom::BuiltIn, link: Some(0x10_0000) },
    Platform { symbol: "MACH_LOONGSON64", tree: TreeFrom::Other, link: Some(0x20_0000) },
    Platform { symbol: "CAVIUM_OCTEON_SOC", tree: TreeFrom::Other, link: Some(0x110_0000) },
    Platform { symbol: "BCM47XX", tree: TreeFrom::Nowhere, link: Some(0x1000) },
    Platform { symbol: "BCM63XX", tree: TreeFrom::Nowhere, link: Some(0x1_0000) },
    Platform { symbol: "ATH25", tree: TreeFrom::Nowhere, link: Some(0x4_1000) },
    Platform { symbol: "MIPS_ALCHEMY", tree: TreeFrom::Nowhere, link: Some(0x10_0000) },
    Platform { symbol: "MIKROTIK_RB532", tree: TreeFrom::Nowhere, link: Some(0x10_1000) },
];

/// The platform that a configuration is for; `None` when it is none known here.
pub fn of(config: &Kconfig) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| config.is_yes(platform.symbol))
}

/// Texts that only kernels of one platform have: what they say of the system in /proc/cpuinfo or at boot.
const WORDS: &[(&str, &str)] = &[
    // arch/mips/mti-malta/malta-setup.c: get_system_type
    ("MIPS_MALTA", "MIPS Malta"),
    // arch/mips/ath79/setup.c: ath79_detect_sys_type
    ("ATH79", "Qualcomm Atheros QCA%s ver %u rev %u"),
    // arch/mips/ralink/mt7621.c and mt7620.c, rt305x.c and others: soc_info->sys_type
    ("RALINK", "MediaTek %s ver:%u eco:%u"),
    ("RALINK", "Ralink %s id:%u rev:%u"),
    ("RALINK", "Ralink %s ver:%u eco:%u"),
    // arch/mips/generic/init.c: plat_get_fdt and its fixups
    ("MIPS_GENERIC_KERNEL", "Failed to apply FDT fixup \"%s\""),
    // arch/mips/bmips/setup.c: get_system_type
    ("BMIPS_GENERIC", "Generic BMIPS kernel"),
    // arch/mips/bcm63xx/setup.c: get_system_type
    ("BCM63XX", "bcm63xx/%s (0x%04x/0x%02X)"),
    // arch/mips/bcm47xx/prom.c: bcm47xx_set_system_type
    ("BCM47XX", "Broadcom BCM%X (%s)"),
    // arch/mips/rb532/setup.c: get_system_type
    ("MIKROTIK_RB532", "Mikrotik RB532"),
];

/// The platform of an uncompressed MIPS kernel, and the text in it that tells; `None` when there is no such text, or one of
/// several platforms.
pub fn by_words(image: &[u8]) -> Option<(&'static Platform, &'static str)> {
    let mut found = WORDS.iter().filter(|(_, words)| find(image, words.as_bytes()).is_some());
    let (symbol, words) = found.next()?;
    if found.any(|(other, _)| other != symbol) {
        return None;
    }
    Some((PLATFORMS.iter().find(|platform| platform.symbol == *symbol)?, words))
}

/// Where a kernel of this configuration is linked, physical.
pub fn link_address(config: &Kconfig) -> Option<u64> {
    // arch/mips/Makefile: a crash kernel's start replaces the platform's.
    match config.get("PHYSICAL_START").as_u64() {
        Some(start) if config.is_yes("CRASH_DUMP") => crate::machine::physical(start),
        _ => of(config)?.link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Kconfig {
        Kconfig::parse(text, "t").unwrap()
    }

    #[test]
    fn a_platform_that_selects_another_one_is_itself() {
        let realtek = config("CONFIG_MIPS_GENERIC=y\nCONFIG_MACH_REALTEK_RTL=y\n");
        assert_eq!(of(&realtek).unwrap().symbol, "MACH_REALTEK_RTL");
        assert_eq!(link_address(&config("CONFIG_RALINK=y\nCONFIG_SOC_MT7621=y\n")), Some(0x1000));
        assert_eq!(link_address(&config("CONFIG_RALINK=y\nCONFIG_SOC_MT7620=y\n")), Some(0));
        assert!(of(&config("CONFIG_SGI_IP22=y\n")).is_none());
    }

    #[test]
    fn a_crash_kernel_is_linked_where_it_says() {
        let text = "CONFIG_MIPS_MALTA=y\nCONFIG_PHYSICAL_START=0xffffffff84000000\n";
        assert_eq!(link_address(&config(text)), Some(0x10_0000));
        assert_eq!(link_address(&config(&format!("{text}CONFIG_CRASH_DUMP=y\n"))), Some(0x400_0000));
    }
}
