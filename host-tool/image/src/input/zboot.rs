//! The kernel inside a vmlinuz (arch/mips/boot/compressed): where it is decompressed to and how much it needs.

use std::cell::Cell;
use std::io::Read;

use super::mips::{Code, Zboot};
use crate::format::bytes::find;
use crate::format::codec::most_decoded;
use crate::format::codec::{Codec, LZ4_LEGACY_BLOCK};

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
/// Magics also occur in the decompressor's own tables, so what counts is that the result is a Linux kernel. Bytes that are full of
/// magics are given up: a vmlinuz has one payload, and few false ones.
pub(super) fn payload(image: &[u8]) -> Option<Payload> {
    let work = Cell::new(most_decoded(image.len()));
    for at in 0..image.len().saturating_sub(16) {
        let Some(codec) = Codec::detect(&image[at..]) else { continue };
        if let Some(decoded) = attempt(codec, &image[at..], &work)
            && find(&decoded, b"Linux version ").is_some()
        {
            return Some(Payload { codec, image: decoded });
        }
        if work.get() == 0 {
            break;
        }
    }
    None
}

/// What a decoder of bzip2 lays out before it has seen a block, in bytes.
const BZIP2_STATE: usize = 4 << 20;

/// Decodes what may be a stream; takes every byte that goes in or comes out from `work`, and ends with it.
fn attempt(codec: Codec, bytes: &[u8], work: &Cell<u64>) -> Option<Vec<u8>> {
    let spend = |bytes: usize| work.set(work.get().saturating_sub(bytes as u64));
    if codec.is_by_blocks(bytes) {
        let decoded = codec.decode(bytes, work.get()).ok();
        spend(decoded.as_ref().map_or(LZ4_LEGACY_BLOCK, Vec::len));
        return decoded;
    }
    if codec == Codec::Bzip2 {
        spend(BZIP2_STATE);
    }
    let mut out = Vec::new();
    let most = work.get();
    let whole = codec.reader(Spending { inner: bytes, spend }).ok()?.take(most).read_to_end(&mut out);
    spend(out.len());
    whole.ok().filter(|size| (*size as u64) < most)?;
    Some(out)
}

/// Reads, and says how much.
struct Spending<R, F> {
    inner: R,
    spend: F,
}

impl<R: Read, F: Fn(usize)> Read for Spending<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.spend)(read);
        Ok(read)
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bytes_full_of_streams_are_given_up_and_a_kernel_in_front_of_them_is_found() {
        let stream = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        // Each decodes to 4 MiB: all of them to 40 times what is believed.
        let bomb = stream(&vec![0; 0x40_0000]).repeat(1000);
        assert!(payload(&bomb).is_none());
        let kernel = [&stream(b"no kernel")[..], &stream(b"Linux version 6"), &bomb].concat();
        assert_eq!(payload(&kernel).unwrap().image, b"Linux version 6");
    }

    #[test]
    fn every_attempt_takes_from_the_same_work() {
        let work = Cell::new(100_000);
        let mut legacy = vec![0x02, 0x21, 0x4c, 0x18, 1, 0, 0, 0, 0xff];
        legacy.resize(64, 0);
        assert!(attempt(Codec::Lz4, &legacy, &work).is_none());
        assert_eq!(work.get(), 0, "a block that fails may have been decoded");
        work.set(100_000);
        assert!(attempt(Codec::Gzip, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff], &work).is_none());
        assert_eq!(work.get(), 100_000 - 12);
    }
}
