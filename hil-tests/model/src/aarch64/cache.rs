//! A cache with contents: what it holds can differ from memory, as on a board.

/// Bytes of a line of every cache here: Cortex-A53, A57, A72.
pub const LINE: usize = 64;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its address, a multiple of [`LINE`]; `u64::MAX` when the line is empty.
    at: u64,
    /// Memory does not have its bytes yet.
    pub dirty: bool,
    /// What it holds.
    pub bytes: [u8; LINE],
}

const EMPTY: Line = Line { at: u64::MAX, dirty: false, bytes: [0; LINE] };

/// Sets and ways.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// A power of two.
    pub sets: usize,
    /// Lines in a set.
    pub ways: usize,
}

/// Lines by set and way; which way is given up is random, as in Cortex-A53.
pub struct Cache {
    geometry: Geometry,
    lines: Vec<Line>,
    random: u32,
}

impl Cache {
    /// An empty one.
    pub fn new(geometry: Geometry, seed: u32) -> Cache {
        Cache { geometry, lines: vec![EMPTY; geometry.sets * geometry.ways], random: seed | 1 }
    }

    fn set(&self, at: u64) -> usize {
        ((at as usize / LINE) & (self.geometry.sets - 1)) * self.geometry.ways
    }

    /// The line with the address `at`, a multiple of [`LINE`].
    pub fn find(&self, at: u64) -> Option<&Line> {
        let set = self.set(at);
        self.lines[set..set + self.geometry.ways].iter().find(|line| line.at == at)
    }

    /// The same, to write to.
    pub fn find_mut(&mut self, at: u64) -> Option<&mut Line> {
        let set = self.set(at);
        self.lines[set..set + self.geometry.ways].iter_mut().find(|line| line.at == at)
    }

    /// Puts a line in; gives back the address and bytes of a dirty one that had to go.
    pub fn put(&mut self, at: u64, bytes: [u8; LINE], dirty: bool) -> Option<(u64, [u8; LINE])> {
        let set = self.set(at);
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let chosen = (self.random >> 16) as usize % self.geometry.ways;
        let ways = &mut self.lines[set..set + self.geometry.ways];
        let way = ways.iter().position(|line| line.at == at || line.at == u64::MAX).unwrap_or(chosen);
        let old = std::mem::replace(&mut ways[way], Line { at, dirty, bytes });
        (old.dirty && old.at != at).then_some((old.at, old.bytes))
    }

    /// Takes a line out.
    pub fn take(&mut self, at: u64) -> Option<Line> {
        self.find_mut(at).map(|line| std::mem::replace(line, EMPTY))
    }

    /// Empties it without writing anything back.
    pub fn clear(&mut self) {
        self.lines.fill(EMPTY);
    }

    /// Addresses and bytes of the lines that memory does not have yet.
    pub fn dirty(&self) -> impl Iterator<Item = (u64, &[u8; LINE])> {
        self.lines.iter().filter(|line| line.dirty).map(|line| (line.at, &line.bytes))
    }
}
