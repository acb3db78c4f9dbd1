//! The kernel inside a vmlinuz (arch/mips/boot/compressed): where it is decompressed to and how much it needs.

use super::codec::Codec;
use super::mips::{Code, Zboot};
use super::{KSEG0_SIZE, find};

/// The decompressed kernel.
pub(super) struct Payload {
    pub(super) codec: Codec,
    pub(super) image: Vec<u8>,
}

/// The vmlinuz's load address is rounded up to this behind the kernel.
const ROUNDING: u64 = 0x1_0000;
/// A kernel's bss begins within this behind its file-backed end: 1 MiB for an appended device tree, and alignment.
const BSS_WITHIN: u64 = 0x20_0000;

/// Finds and decompresses the payload in a flat vmlinuz.
///
/// Magics also occur in the decompressor's own tables, so what counts is that the result is a Linux kernel.
pub(super) fn payload(image: &[u8]) -> Result<Payload, Option<Codec>> {
    let mut only_recognised = None;
    for at in 0..image.len().saturating_sub(16) {
        let Some(codec) = Codec::detect(&image[at..]) else { continue };
        if matches!(codec, Codec::Bzip2 | Codec::Lzo) {
            only_recognised = Some(codec);
            continue;
        }
        if let Ok(decoded) = codec.decode(&image[at..], KSEG0_SIZE)
            && find(&decoded, b"Linux version ").is_some()
        {
            return Ok(Payload { codec, image: decoded });
        }
    }
    Err(only_recognised)
}

/// Where the kernel will lie: load address and size in memory, bss included.
pub(super) struct Place {
    pub(super) load: u64,
    pub(super) memory_size: u64,
    /// The size is known from the kernel's own code, not assumed.
    pub(super) exact: bool,
}

/// Without CONFIG_ZBOOT_LOAD_ADDRESS the vmlinuz is linked at the kernel's load address plus its size, rounded up to the next
/// 64 KiB (calc_vmlinuz_load_addr.c); with it, the platform's link address is tried. The kernel's own code must agree.
pub(super) fn place(
    payload: &[u8],
    zboot: &Zboot,
    vmlinuz: u64,
    big_endian: bool,
    platform: Option<u64>,
) -> Option<Place> {
    let size = payload.len() as u64;
    let computed = vmlinuz.checked_sub((size / ROUNDING + 1) * ROUNDING);
    let candidates = [computed, platform];
    let fits = |load: &u64| (*load..*load + size).contains(&zboot.entry);
    let mut assumed = None;
    for load in candidates.into_iter().flatten().filter(fits) {
        let code = Code { bytes: payload, base: load, big_endian };
        if let Some(bss) = code.bss(zboot.entry)
            && (load + size..load + size + BSS_WITHIN).contains(&bss.start)
        {
            return Some(Place { load, memory_size: bss.end - load, exact: true });
        }
        assumed.get_or_insert(Place { load, memory_size: size, exact: false });
    }
    assumed
}
