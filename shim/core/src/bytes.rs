//! Reading and writing fields.

/// The `N` bytes at `at`, or `None` past the end.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The 32-bit field at `at`.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Fills `words` from the 32-bit fields at the front of `bytes`; `None` when there are not enough.
///
/// Params and manifest are written in the byte order of the machine that reads them.
pub fn words(words: &mut [u32], bytes: &[u8], big_endian: bool) -> Option<()> {
    let mut fields = bytes.chunks_exact(4);
    for word in words {
        let field = array(fields.next()?, 0)?;
        *word = if big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) };
    }
    Some(())
}

/// Writes one such word.
pub fn put(field: &mut [u8], word: u32, big_endian: bool) {
    let bytes = if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    field.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
}

/// Where `byte` is in `bytes`; their length when it is not. A loop, since the standard library's memchr is 350 bytes.
#[inline(never)]
pub fn find(bytes: &[u8], byte: u8) -> usize {
    let mut at = 0usize;
    for other in bytes {
        if *other == byte {
            break;
        }
        at = at.wrapping_add(1);
    }
    at
}

/// What is behind `front` in `bytes`; `None` when they do not begin with it.
#[inline(never)]
pub fn behind<'b>(bytes: &'b [u8], front: &[u8]) -> Option<&'b [u8]> {
    let mut rest = bytes;
    for byte in front {
        let (first, behind) = rest.split_first()?;
        if first != byte {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

/// The address or size in two 32-bit fields, high one first. On a 32-bit machine the high one is 0: formats are
/// written for one machine, and checked by CRC and machine byte before this.
pub fn wide(high: u32, low: u32) -> usize {
    (u64::from(high) << 32 | u64::from(low)) as usize
}

/// Appends to a caller's buffer; every method is `None` once the buffer is full, and nothing is cut.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Writer { buffer, len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `bytes` whole or not at all.
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        // A loop: `copy_from_slice` has a panicking path when the lengths are not known to be equal.
        self.buffer.get_mut(self.len..end)?.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.len = end;
        Some(())
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}
