//! The file format of `lzop`, which Linux and U-Boot take for LZO: a header, then blocks (lzop 1.04, src/conf.h and src/lzop.c;
//! Linux lib/decompress_unlzo.c). Checksums are passed over, as Linux does.

use std::io::{Error, ErrorKind, Read, Result};

/// The first bytes of a file.
pub(crate) const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, b'\r', b'\n', 0x1a, b'\n'];
/// The most bytes of a block of `lzop` (MAX_BLOCK_SIZE).
const LARGEST_BLOCK: usize = 64 << 20;
/// The most bytes of a block that Linux takes (LZO_BLOCK_SIZE); `lzop` writes blocks of that size.
const LARGEST_BLOCK_OF_LINUX: usize = 256 << 10;
/// From this version of `lzop` on a header has a level and a time of 64 bits.
const WITH_LEVEL: u16 = 0x940;

// Flags of the header: which checksums stand in front of a block (of what is unpacked, of what is packed), and what the header has more.
const ADLER32_UNPACKED: u32 = 1 << 0;
const ADLER32_PACKED: u32 = 1 << 1;
const EXTRA_FIELD: u32 = 1 << 6;
const CRC32_UNPACKED: u32 = 1 << 8;
const CRC32_PACKED: u32 = 1 << 9;
const FILTER: u32 = 1 << 11;

/// Unpacks one file while it is read; what follows the file stays unread.
pub(crate) struct Decoder<R> {
    from: R,
    /// Checksums in front of a block: those of every block, and those more of a block that is not stored as it is.
    checksums: (usize, usize),
    /// The current block, and how much of it was given away.
    block: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is none, is cut off, or asks for a filter of `lzop`.
    pub(crate) fn new(mut from: R) -> Result<Decoder<R>> {
        let flags = header(&mut from)?;
        let count = |flag: u32| usize::from(flags & flag != 0);
        let checksums = (count(ADLER32_UNPACKED) + count(CRC32_UNPACKED), count(ADLER32_PACKED) + count(CRC32_PACKED));
        Ok(Decoder { from, checksums, block: Vec::new(), given: 0, is_over: false })
    }

    fn next_block(&mut self) -> Result<()> {
        self.block.clear();
        self.given = 0;
        let unpacked = u32::from_be_bytes(array(&mut self.from)?) as usize;
        if unpacked == 0 {
            self.is_over = true;
            return Ok(());
        }
        let packed = u32::from_be_bytes(array(&mut self.from)?) as usize;
        if packed == 0 || packed > unpacked || unpacked > LARGEST_BLOCK {
            return Err(invalid(format!("a block of 0x{packed:x} bytes for 0x{unpacked:x}")));
        }
        let is_stored = packed == unpacked;
        let checksums = self.checksums.0 + if is_stored { 0 } else { self.checksums.1 };
        skip(&mut self.from, 4 * checksums as u64)?;
        let mut body = Vec::new();
        if self.from.by_ref().take(packed as u64).read_to_end(&mut body)? < packed {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if is_stored {
            self.block = body;
            return Ok(());
        }
        self.block.resize(unpacked, 0);
        match lzokay::decompress::decompress(&body, &mut self.block) {
            Ok(size) if size == unpacked => Ok(()),
            Ok(size) => Err(invalid(format!("a block of 0x{unpacked:x} bytes unpacks to 0x{size:x}"))),
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.given == self.block.len() && !self.is_over {
            self.next_block()?;
        }
        let size = (&self.block[self.given..]).read(buffer)?;
        self.given += size;
        Ok(size)
    }
}

/// Why Linux does not take the file, which `lzop` does: it expects one checksum in front of a block, and blocks of 256 KiB at most.
pub(crate) fn foreign_to_linux(bytes: &[u8]) -> Option<String> {
    let mut from = bytes;
    let flags = header(&mut from).ok()?;
    let every = [ADLER32_UNPACKED, CRC32_UNPACKED].iter().filter(|flag| flags & **flag != 0).count();
    if every != 1 || flags & (ADLER32_PACKED | CRC32_PACKED) != 0 {
        return Some("has not exactly one checksum in front of each block".to_owned());
    }
    let first = u32::from_be_bytes(array(&mut from).ok()?) as usize;
    (first > LARGEST_BLOCK_OF_LINUX)
        .then(|| format!("has blocks of 0x{first:x} bytes, and Linux takes 0x{LARGEST_BLOCK_OF_LINUX:x} at most"))
}

/// Reads the header to its end; gives its flags.
fn header(from: &mut impl Read) -> Result<u32> {
    if array(from)? != MAGIC {
        return Err(invalid("the header is not lzop's".to_owned()));
    }
    let version = u16::from_be_bytes(array(from)?);
    let has_level = version >= WITH_LEVEL;
    // Version of the library, version needed (since 0.940), method, level.
    skip(from, if has_level { 2 + 2 + 1 + 1 } else { 2 + 1 })?;
    let flags = u32::from_be_bytes(array(from)?);
    if flags & FILTER != 0 {
        return Err(invalid("lzop's filters are not supported".to_owned()));
    }
    // Mode, time.
    skip(from, if has_level { 4 + 8 } else { 4 + 4 })?;
    let [name] = array(from)?;
    skip(from, u64::from(name) + 4)?;
    if flags & EXTRA_FIELD != 0 {
        let size = u32::from_be_bytes(array(from)?);
        skip(from, u64::from(size) + 4)?;
    }
    Ok(flags)
}

fn array<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map(|()| bytes)
}

fn skip(from: &mut impl Read, size: u64) -> Result<()> {
    match std::io::copy(&mut from.take(size), &mut std::io::sink())? {
        skipped if skipped == size => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(fact: String) -> Error {
    Error::new(ErrorKind::InvalidData, fact)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What `lzop` 1.04 makes of `hello ` six times without the last blank.
    const HELLO: &[u8] = b"\x89LZO\0\r\n\x1a\n\x10\x40\x20\xa0\x09\x40\x01\x05\x03\0\0\x09\0\0\x81\xa4\x6b\x08\xe2\x83\0\0\0\0\x01h=-\x04\xd2\
        \0\0\0\x23\0\0\0\x1f\xeb\x55\x0d\x19\x03hello *\x14\0\x0ehello hello hello\x11\0\0\0\0\0\0";
    /// Where the two bytes of its flags are that tell the checksums.
    const FLAGS: usize = 0x13;
    /// Where its header ends and its only block begins.
    const BLOCK: usize = 0x27;

    /// A file of one block, as `lzop` writes it.
    pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
        let mut out = HELLO[..BLOCK].to_vec();
        for block in bytes.chunks(LARGEST_BLOCK_OF_LINUX) {
            let packed = lzokay::compress::compress(block).unwrap();
            let body = if packed.len() < block.len() { &packed[..] } else { block };
            out.extend([block.len(), body.len(), 0].iter().flat_map(|word| (*word as u32).to_be_bytes()));
            out.extend_from_slice(body);
        }
        out.extend([0; 4]);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn what_lzop_wrote_is_read_and_nothing_behind_it() {
        let file = [HELLO, b"tail"].concat();
        let mut rest = &file[..];
        let mut out = String::new();
        Decoder::new(&mut rest).unwrap().read_to_string(&mut out).unwrap();
        assert_eq!((out.as_str(), rest), ("hello hello hello hello hello hello", &b"tail"[..]));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_an_error() {
        for cut in 0..HELLO.len() {
            decode(&HELLO[..cut]).unwrap_err();
        }
    }

    #[test]
    fn blocks_may_have_no_checksum_or_four_but_linux_takes_exactly_one() {
        let with = |flags: [u8; 2], checksums: usize| {
            let (front, body) = (&HELLO[..BLOCK + 8], &HELLO[BLOCK + 12..]);
            let mut file = [front, &vec![0; 4 * checksums], body].concat();
            file[FLAGS..FLAGS + 2].copy_from_slice(&flags);
            file
        };
        for (flags, checksums) in [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([3, 3], 4), ([2, 1], 2)] {
            let file = with(flags, checksums);
            assert_eq!(decode(&file).unwrap().len(), 35, "{flags:?}");
            assert_eq!(foreign_to_linux(&file).is_none(), checksums == 1, "{flags:?}");
        }
    }

    #[test]
    fn blocks_that_linux_does_not_take_are_told() {
        let mut file = HELLO.to_vec();
        file[BLOCK + 1] = 8;
        assert!(foreign_to_linux(&file).unwrap().contains("blocks of 0x80023 bytes"));
    }
}
