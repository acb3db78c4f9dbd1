//! Half-open ranges of physical addresses.

/// `[start, start + size)` in bytes of physical address space; never wraps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Region {
    start: usize,
    size: usize,
}

impl Region {
    /// No bytes, at address 0.
    pub const EMPTY: Region = Region { start: 0, size: 0 };

    /// `None` when the end does not fit the address space.
    pub fn new(start: usize, size: usize) -> Option<Self> {
        start.checked_add(size)?;
        Some(Region { start, size })
    }

    /// What a block whose CRC-32 is right says is a region. Should it wrap all the same, no memory contains it.
    pub(crate) fn stated(start: usize, size: usize) -> Self {
        Region { start, size }
    }

    /// `[start, end)`; `None` when `end < start`.
    pub fn between(start: usize, end: usize) -> Option<Self> {
        Some(Region { start, size: end.checked_sub(start)? })
    }

    /// First address.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// First address behind it.
    pub fn end(&self) -> usize {
        self.start.wrapping_add(self.size)
    }

    /// No bytes.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The same size, `offset` bytes higher; empty when that leaves the address space.
    pub fn moved(&self, offset: usize) -> Region {
        self.start.checked_add(offset).and_then(|start| Region::new(start, self.size)).unwrap_or(Region::EMPTY)
    }

    /// Share at least one byte; an empty region overlaps nothing.
    #[inline(never)]
    pub fn overlaps(&self, other: &Region) -> bool {
        self.start.max(other.start) < self.end().min(other.end())
    }

    /// `other` lies wholly inside.
    pub fn contains(&self, other: &Region) -> bool {
        let offset = other.start.wrapping_sub(self.start);
        offset <= self.size && other.size <= self.size.wrapping_sub(offset)
    }
}

/// The next multiple of `align` (a power of two), or `None` when it does not fit.
pub fn align_up(value: usize, align: usize) -> Option<usize> {
    let mask = align.wrapping_sub(1);
    Some(value.checked_add(mask)? & !mask)
}
