//! What a kernel exports to its modules.

use std::collections::HashMap;

use super::ko::Target;

/// One symbol that the kernel exports.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KernelSymbol {
    /// Its CRC, in kernels with MODVERSIONS.
    pub crc: Option<u32>,
    /// Only for modules under a GPL-compatible licence.
    pub gpl_only: bool,
    /// The namespace that an importer has to name; empty for none.
    pub namespace: String,
}

/// What is known of a kernel.
#[derive(Default, Debug)]
pub struct Kernel {
    /// Where this came from, for messages.
    pub source: String,
    /// The exports, by name.
    pub symbols: HashMap<String, KernelSymbol>,
    /// Whether modules carry CRCs (MODVERSIONS).
    pub has_crcs: bool,
    /// The vermagic string, if the source has it.
    pub vermagic: Option<String>,
    /// What the kernel runs on, if the source has it.
    pub target: Option<Target>,
}

/// The vermagic string of a kernel whose symbol table was stripped: the one text that begins with a release number and
/// has one of the marks that only a vermagic has.
pub(super) fn find_vermagic(bytes: &[u8]) -> Option<&str> {
    let marks: [&[u8]; 2] = [b" mod_unload ", b" modversions "];
    bytes
        .split(|byte| *byte == 0)
        .filter(|text| text.len() < 256 && text.first().is_some_and(u8::is_ascii_digit))
        .find(|text| marks.iter().any(|mark| text.windows(mark.len()).any(|window| window == *mark)))
        .and_then(|text| std::str::from_utf8(text).ok())
}
