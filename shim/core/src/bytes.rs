//! Reading and writing big-endian fields. All of stoop's own formats and the device tree are big-endian, on every board.

/// The `N` bytes at `at`, or `None` past the end.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The 16-bit field at `at`.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// The 32-bit field at `at`.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// The 64-bit address or size at `at`; `None` as well when this machine cannot express it.
pub fn be_usize(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).and_then(|field| usize::try_from(u64::from_be_bytes(field)).ok())
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
        self.buffer.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> Option<()> {
        self.bytes(&[value])
    }

    /// Appends a 16-bit field.
    pub fn be16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a 32-bit field.
    pub fn be32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends an address or size as 64 bits.
    pub fn be64(&mut self, value: usize) -> Option<()> {
        self.bytes(&(value as u64).to_be_bytes())
    }

    /// Appends zeros up to the next multiple of `align`, a power of two.
    pub fn align(&mut self, align: usize) -> Option<()> {
        while self.len & (align.wrapping_sub(1)) != 0 {
            self.u8(0)?;
        }
        Some(())
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// What has been written, to patch a field whose value is known only later.
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or(&mut [])
    }
}
