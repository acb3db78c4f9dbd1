//! U-Boot's legacy image format (include/image.h, struct legacy_img_hdr): a 64-byte big-endian header with two CRC-32.

use crate::Result;
use crate::format::Error;
use crate::format::bytes::be32;
use crate::format::checksum::checksum;
use crate::format::codec::Codec;
use crate::machine::Machine;

/// Bytes in front of a uImage's data.
pub const HEADER: usize = 64;
/// In front of every one.
pub const MAGIC: u32 = 0x2705_1956;
/// OpenWrt's lzma-loader uses the same header with a magic of its own ("OKLI").
pub const MAGIC_OKLI: u32 = 0x4f4b_4c49;
const NAME: usize = 32;
/// IH_OS_LINUX; IH_ARCH_MIPS or IH_ARCH_ARM64; IH_TYPE_KERNEL, IH_COMP_NONE.
fn kind(arch: Machine) -> [u8; 4] {
    [5, if arch == Machine::Arm64 { ARM64 } else { 5 }, 2, 0]
}

const ARM64: u8 = 22;

/// The compression of the data by the header's number (IH_COMP_…): `Some(None)` for none, `None` when the number is not known here.
pub fn codec(number: u8) -> Option<Option<Codec>> {
    Some(match number {
        0 => None,
        1 => Some(Codec::Gzip),
        2 => Some(Codec::Bzip2),
        3 => Some(Codec::Lzma),
        4 => Some(Codec::Lzo),
        5 => Some(Codec::Lz4),
        6 => Some(Codec::Zstd),
        _ => return None,
    })
}

/// Whether a file begins with such a header. Vendors write magics of their own into it: it is one when its CRC-32 holds.
pub fn is_one(bytes: &[u8]) -> bool {
    match be32(bytes, 0) {
        Some(MAGIC | MAGIC_OKLI) => true,
        _ => bytes.get(..HEADER).is_some_and(|header| Some(header_crc(header)) == be32(header, 4)),
    }
}

/// A magic that stock U-Boot does not know; `None` for its own.
pub fn vendor_magic(bytes: &[u8]) -> Option<u32> {
    be32(bytes, 0).filter(|magic| *magic != MAGIC)
}

/// CRC-32 of a header with its own CRC as zeros.
pub fn header_crc(header: &[u8]) -> u32 {
    let mut zeroed = header.to_vec();
    if let Some(sum) = zeroed.get_mut(4..8) {
        sum.fill(0);
    }
    checksum(&zeroed)
}

/// What a uImage's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Where the data go, physical; `None` when no loader could put them there: for MIPS an address outside KSEG0 and KSEG1.
    pub load: Option<usize>,
    /// Of the data, in bytes.
    pub size: usize,
    /// The header's own CRC-32 holds.
    pub header_good: bool,
    /// CRC-32 that the data should have.
    pub data_crc: u32,
}

/// Reads the header at the front of `file`; `None` when there is none.
pub fn header(file: &[u8]) -> Option<Header> {
    let word = |at| be32(file, at);
    if !is_one(file) {
        return None;
    }
    let header = file.get(..HEADER)?;
    Some(Header {
        load: match header[29] {
            ARM64 => Some(word(16)? as usize),
            _ => stoop_core::mips::physical(word(16)?),
        },
        size: word(12)? as usize,
        header_good: header_crc(header) == word(4)?,
        data_crc: word(24)?,
    })
}

/// Writes the header in front of the data, which begin at [`HEADER`]. `entry` is the load address too, as typed.
///
/// # Errors
/// More bytes than a header can name.
pub fn seal(file: &mut [u8], name: &str, arch: Machine, entry: u32) -> Result<()> {
    let (room, data) = file.split_at_mut_checked(HEADER).unwrap_or_default();
    let size = u32::try_from(data.len()).map_err(|_| Error::UimageTooLarge { size: data.len() })?;
    let mut header = Vec::with_capacity(HEADER);
    // The time is zero: the same inputs make the same file.
    for word in [MAGIC, 0, 0, size, entry, entry, checksum(data)] {
        header.extend_from_slice(&word.to_be_bytes());
    }
    header.extend_from_slice(&kind(arch));
    header.extend(name.bytes().take(HEADER - NAME - 1));
    header.resize(HEADER, 0);
    let sum = checksum(&header).to_be_bytes();
    header[4..8].copy_from_slice(&sum);
    room.copy_from_slice(&header);
    Ok(())
}
