//! One cache with its tags and its bytes. What is not written back is not in memory: that is the point.

/// Sets, ways and bytes of a line; sets and lines are powers of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Lines that an address may be in, less one per way.
    pub sets: usize,
    /// Lines of a set.
    pub ways: usize,
    /// Bytes.
    pub line: usize,
}

impl Geometry {
    /// So many KiB.
    pub const fn of(kib: usize, ways: usize, line: usize) -> Geometry {
        Geometry { sets: kib * 1024 / ways / line, ways, line }
    }

    /// Lines in all.
    pub fn lines(&self) -> usize {
        self.sets * self.ways
    }
}

/// Flags in a tag's low bits; lines have 16 bytes or more.
const VALID: u32 = 1;
const DIRTY: u32 = 2;
const STALE: u32 = 4;
const FLAGS: u32 = 7;

/// A cache, physically tagged.
#[derive(Clone, Debug)]
pub struct Cache {
    geometry: Geometry,
    shift: u32,
    mask: usize,
    tags: Vec<u32>,
    data: Vec<u8>,
    victims: Vec<u8>,
}

impl Cache {
    /// With nothing in it.
    pub fn new(geometry: Geometry) -> Cache {
        Cache {
            geometry,
            shift: geometry.line.trailing_zeros(),
            mask: geometry.sets - 1,
            tags: vec![0; geometry.lines()],
            data: vec![0; geometry.lines() * geometry.line],
            victims: vec![0; geometry.sets],
        }
    }

    /// Its geometry.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The first byte of the line that holds `at`.
    #[inline]
    pub fn base(&self, at: u32) -> u32 {
        at >> self.shift << self.shift
    }

    fn set(&self, at: u32) -> usize {
        (at >> self.shift) as usize & self.mask
    }

    /// The line that holds this physical address.
    #[inline]
    pub fn find(&self, at: u32) -> Option<usize> {
        let wanted = self.base(at) | VALID;
        let first = self.set(at) * self.geometry.ways;
        let ways = &self.tags[first..first + self.geometry.ways];
        ways.iter().position(|tag| tag & !(DIRTY | STALE) == wanted).map(|way| first + way)
    }

    /// The line that an index operation on this address means: the way above the set.
    pub fn indexed(&self, address: u32) -> usize {
        let way = (address as usize >> self.shift) / self.geometry.sets % self.geometry.ways;
        self.set(address) * self.geometry.ways + way
    }

    /// The line of the set of `at` that goes when another is needed: an invalid one, else in turns.
    pub fn victim(&mut self, at: u32) -> usize {
        let set = self.set(at);
        let first = set * self.geometry.ways;
        let free = self.tags[first..first + self.geometry.ways].iter().position(|tag| tag & VALID == 0);
        let way = free.unwrap_or_else(|| {
            let way = usize::from(self.victims[set]) % self.geometry.ways;
            self.victims[set] = self.victims[set].wrapping_add(1);
            way
        });
        first + way
    }

    /// The bytes of a line.
    #[inline]
    pub fn bytes(&self, line: usize) -> &[u8] {
        &self.data[line << self.shift..(line + 1) << self.shift]
    }

    /// The bytes of a line.
    #[inline]
    pub fn bytes_mut(&mut self, line: usize) -> &mut [u8] {
        &mut self.data[line << self.shift..(line + 1) << self.shift]
    }

    /// Where in its line an address is.
    #[inline]
    pub fn offset(&self, at: u32) -> usize {
        at as usize & (self.geometry.line - 1)
    }

    /// The physical address of a line, when it is valid.
    #[inline]
    pub fn holds(&self, line: usize) -> Option<u32> {
        let tag = self.tags[line];
        (tag & VALID != 0).then_some(tag & !FLAGS)
    }

    /// It is valid and differs from what is below.
    #[inline]
    pub fn is_dirty(&self, line: usize) -> bool {
        self.tags[line] & (VALID | DIRTY) == VALID | DIRTY
    }

    /// Something below has changed since it was filled.
    #[inline]
    pub fn is_stale(&self, line: usize) -> bool {
        self.tags[line] & STALE != 0
    }

    /// The line now holds this address, and nothing was written to it.
    pub fn fill(&mut self, line: usize, at: u32) {
        self.tags[line] = self.base(at) | VALID;
    }

    /// It was written to.
    #[inline]
    pub fn soil(&mut self, line: usize) {
        self.tags[line] |= DIRTY;
    }

    /// What is below has changed.
    pub fn mark_stale(&mut self, line: usize) {
        self.tags[line] |= STALE;
    }

    /// It was written back.
    pub fn clean(&mut self, line: usize) {
        self.tags[line] &= !DIRTY;
    }

    /// It holds nothing any more.
    pub fn drop_line(&mut self, line: usize) {
        self.tags[line] = 0;
    }

    /// Every line that differs from what is below, by address.
    pub fn dirty(&self) -> impl Iterator<Item = u32> {
        self.tags.iter().filter(|tag| **tag & (VALID | DIRTY) == VALID | DIRTY).map(|tag| tag & !FLAGS)
    }

    /// A tag as it is after power-on: anything.
    pub fn put_tag(&mut self, line: usize, at: u32, dirty: bool) {
        self.tags[line] = self.base(at) | VALID | if dirty { DIRTY } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_its_set_only_and_index_operations_count_the_ways_above_the_sets() {
        let mut cache = Cache::new(Geometry::of(32, 4, 32));
        assert_eq!((cache.geometry().sets, cache.geometry().lines()), (256, 1024));
        let line = cache.victim(0x1_2345);
        cache.fill(line, 0x1_2345);
        assert_eq!(cache.find(0x1_2340), Some(line));
        assert_eq!(cache.find(0x1_2360), None);
        assert_eq!(cache.holds(line), Some(0x1_2340));
        let all: std::collections::BTreeSet<usize> =
            (0..1024).map(|number| cache.indexed(0x8000_0000 + number * 32)).collect();
        assert_eq!(all.len(), 1024);
        assert_eq!(cache.indexed(0x8000_0000 + (256 * 32)), cache.indexed(0x8000_0000) + 1);
    }

    #[test]
    fn a_set_gives_its_free_ways_before_it_throws_anything_out() {
        let mut cache = Cache::new(Geometry::of(1, 2, 32));
        for number in 0..2 {
            let line = cache.victim(number * 0x1000);
            assert_eq!(cache.holds(line), None);
            cache.fill(line, number * 0x1000);
        }
        let line = cache.victim(0x2000);
        assert_eq!(cache.holds(line), Some(0));
    }
}
