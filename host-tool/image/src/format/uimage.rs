//! U-Boot's legacy image format (include/image.h, struct legacy_img_hdr): a 64-byte big-endian header with two CRC-32.

use crate::format::bytes::be32;
use crate::format::checksum::checksum;
use crate::machine::Machine;
use crate::{ErrorCode, Failure, Result};

/// Bytes in front of a uImage's data.
pub const HEADER: usize = 64;
/// In front of every one.
pub const MAGIC: u32 = 0x2705_1956;
const NAME: usize = 32;
/// IH_OS_LINUX; IH_ARCH_MIPS or IH_ARCH_ARM64; IH_TYPE_KERNEL, IH_COMP_NONE.
fn kind(arch: Machine) -> [u8; 4] {
    [5, if arch == Machine::Arm64 { ARM64 } else { 5 }, 2, 0]
}

const ARM64: u8 = 22;
/// What a uImage's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Where the data go, physical.
    pub load: usize,
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
    if word(0)? != MAGIC {
        return None;
    }
    let mut header = file.get(..HEADER)?.to_vec();
    header[4..8].fill(0);
    Some(Header {
        load: match header[29] {
            ARM64 => word(16)? as usize,
            _ => stoop_core::mips::physical(word(16)?)?,
        },
        size: word(12)? as usize,
        header_good: checksum(&header) == word(4)?,
        data_crc: word(24)?,
    })
}

/// Writes the header in front of the data, which begin at [`HEADER`]. `entry` is the load address too, as typed.
///
/// # Errors
/// More bytes than a header can name.
pub fn seal(file: &mut [u8], name: &str, arch: Machine, entry: u32) -> Result<()> {
    let (room, data) = file.split_at_mut_checked(HEADER).unwrap_or_default();
    let size = u32::try_from(data.len()).map_err(|_| {
        Failure::new(ErrorCode::Container, format!("0x{:x} bytes are too many for a uImage", data.len()))
            .next("give a smaller root filesystem")
    })?;
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
