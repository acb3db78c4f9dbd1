//! By what number a traced shim names the strings that its frames need.

use object::{Object, ObjectSection, ObjectSymbol};
use stoop_core::crc32::Crc32;

/// A sum over the strings of a traced shim and their numbers, without a 0: from its CRC-32, 7 bits a byte.
pub fn number(shim: &[u8]) -> [u8; 2] {
    let mut all = Vec::new();
    if let Ok(file) = object::File::parse(shim) {
        let section = file.section_by_name(".defmt").map(|section| section.index());
        let own = |symbol: &object::Symbol<'_, '_>| section.is_some() && symbol.section_index() == section;
        let strings = file.symbols().filter(own);
        all = strings.map(|symbol| (symbol.address(), symbol.name().unwrap_or_default().to_owned())).collect();
        all.sort();
    }
    let bytes: Vec<u8> =
        all.iter().flat_map(|(number, string)| [&number.to_be_bytes(), string.as_bytes()].concat()).collect();
    let sum = Crc32::new().of(&bytes);
    [(sum >> 7) as u8 | 0x80, sum as u8 | 0x80]
}
