//! The header of an arm64 Image (Documentation/arch/arm64/booting.rst, arch/arm64/include/asm/image.h): 64 bytes that are its
//! first bytes in RAM as well.

/// `ARM\x64`, at this offset.
const MAGIC: (usize, &[u8]) = (56, b"ARM\x64");
/// Bytes of the header.
pub const HEADER: usize = 64;
/// Where it has [`Header::text_offset`] and [`Header::image_size`].
pub const TEXT_OFFSET: usize = 8;
/// As [`TEXT_OFFSET`].
pub const IMAGE_SIZE: usize = 16;
const FLAGS: usize = 24;
/// What images count their offsets from.
pub const ALIGNMENT: u64 = 0x20_0000;
/// Flags: byte order, page size (bits 1 and 2), place.
const BIG_ENDIAN: u64 = 1;
/// Of [`Header::flags`]: it may lie anywhere in RAM.
pub const ANYWHERE: u64 = 1 << 3;

/// What a header asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Of the first byte from a multiple of [`ALIGNMENT`], in bytes.
    pub text_offset: u64,
    /// RAM from the first byte on, in bytes; 0 before Linux 3.17.
    pub image_size: u64,
    /// As they are there.
    pub flags: u64,
}

impl Header {
    /// The header of an Image; `None` when it is cut.
    pub fn of(image: &[u8]) -> Option<Header> {
        let field = |at: usize| image.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        Some(Header { text_offset: field(TEXT_OFFSET)?, image_size: field(IMAGE_SIZE)?, flags: field(FLAGS)? })
    }

    /// Its kernel's code and data are.
    pub fn is_big_endian(self) -> bool {
        self.flags & BIG_ENDIAN != 0
    }

    /// The size of its kernel's pages when that is not 4 KiB, nor unsaid.
    pub fn foreign_pages(self) -> Option<&'static str> {
        match self.flags >> 1 & 3 {
            2 => Some("16 KiB"),
            3 => Some("64 KiB"),
            _ => None,
        }
    }
}

/// Whether the bytes are one, or begin as one.
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.get(MAGIC.0..).is_some_and(|rest| rest.starts_with(MAGIC.1))
}
