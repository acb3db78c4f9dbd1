//! Whether a stream of cpio entries is whole, as Linux reads it (init/initramfs.c: do_header, do_name, do_skip, do_reset), while it
//! is decoded and without keeping it.

use std::ops::Range;

use super::cpio::{HEADER, MAGICS, TRAILER, WITH_SUM, field};

/// Bytes of the trailer's name, with the NUL behind it.
const TRAILER_SIZE: usize = TRAILER.len() + 1;

/// How a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Behind the mark that ends an archive.
    Marked,
    /// Behind an entry; Linux takes that too.
    Unmarked,
    /// Within an entry.
    Cut,
    /// At bytes that begin no entry: so far from its beginning.
    Foreign(usize),
    /// Somewhere; but the bytes of the file whose entry begins here do not match the entry's checksum.
    Checksum(usize),
}

/// A reader of entries that gets them piece by piece.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Bytes of whole entries and of the zeros between them.
    whole: usize,
    /// The header of the next entry as far as it has come.
    header: Vec<u8>,
    /// The first bytes of the entry's name, up to the trailer's length.
    name: Vec<u8>,
    /// Bytes of name, data and padding that are still to come.
    left: u64,
    /// How many of them, at the end, are padding.
    padding: u64,
    /// Bytes of them that came.
    passed: u64,
    /// Of a file whose entry has a checksum: what is left of it when the bytes that came are taken away, and where they lie in the entry.
    sum: Option<(u32, Range<u64>)>,
    /// Where the first entry begins whose checksum is wrong.
    wrong: Option<usize>,
    marked: bool,
    foreign: bool,
}

impl Entries {
    /// All of these bytes.
    pub(super) fn of(bytes: &[u8]) -> End {
        let mut entries = Entries::default();
        entries.feed(bytes);
        entries.end()
    }

    /// The next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.foreign {
            if self.left > 0 {
                bytes = self.body(bytes);
            } else if self.header.is_empty() && bytes[0] == 0 {
                self.whole += 1;
                bytes = &bytes[1..];
            } else {
                bytes = self.head(bytes);
            }
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (more, rest) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
        self.header.extend_from_slice(more);
        self.foreign = !may_be_header(&self.header);
        if self.header.len() == HEADER && !self.foreign {
            let number = |at| u64::from(field(&self.header, at).unwrap_or(0));
            let (data, name) = (number(6), number(11));
            // Both parts end at a multiple of four from the header's first byte.
            let header = HEADER as u64;
            let behind_name = (header + name).next_multiple_of(4) - header - name;
            let behind_data = data.next_multiple_of(4) - data;
            self.left = name + behind_name + data + behind_data;
            self.padding = if data == 0 { behind_name } else { behind_data };
            (self.passed, self.marked) = (0, false);
            let is_file = number(1) & 0o170_000 == 0o100_000;
            let has_sum = is_file && self.header.starts_with(WITH_SUM);
            let bytes = name + behind_name..name + behind_name + data;
            self.sum = has_sum.then_some((number(12) as u32, bytes));
            self.name.clear();
            if self.left == 0 {
                self.close();
            }
        }
        rest
    }

    fn body<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let take = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (more, rest) = bytes.split_at(take);
        if let Some((sum, bytes)) = &mut self.sum {
            let within = |at: u64| (at.saturating_sub(self.passed).min(take as u64)) as usize;
            let data = &more[within(bytes.start)..within(bytes.end)];
            *sum = data.iter().fold(*sum, |sum, byte| sum.wrapping_sub(u32::from(*byte)));
        }
        let wanted = TRAILER_SIZE.saturating_sub(self.name.len());
        self.name.extend_from_slice(&more[..wanted.min(more.len())]);
        (self.left, self.passed) = (self.left - take as u64, self.passed + take as u64);
        if self.left == 0 {
            self.close();
        }
        rest
    }

    fn is_trailer(&self) -> bool {
        self.name.strip_suffix(&[0]) == Some(TRAILER.as_bytes())
    }

    fn close(&mut self) {
        self.marked = self.is_trailer();
        if self.sum.take().is_some_and(|(left, _)| left != 0) {
            self.wrong.get_or_insert(self.whole);
        }
        self.whole += HEADER + self.passed as usize;
        self.header.clear();
    }

    /// How it ends, all bytes having come. Padding that nothing follows may be missing.
    pub(super) fn end(&self) -> End {
        if let Some(at) = self.wrong {
            return End::Checksum(at);
        }
        match self.header.is_empty() {
            _ if self.foreign => End::Foreign(self.whole),
            // Not even one header: that it is an archive cannot be told.
            false if self.header.len() < HEADER && self.whole == 0 => End::Foreign(0),
            true if self.marked => End::Marked,
            true => End::Unmarked,
            false if self.header.len() == HEADER && self.left <= self.padding => {
                if self.is_trailer() {
                    End::Marked
                } else {
                    End::Unmarked
                }
            }
            false => End::Cut,
        }
    }
}

fn may_be_header(bytes: &[u8]) -> bool {
    let (magic, numbers) = bytes.split_at(bytes.len().min(MAGICS[0].len()));
    MAGICS.iter().any(|known| known.starts_with(magic)) && numbers.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cpio::{Kind, archive};

    fn sample() -> Vec<u8> {
        archive([("dev", &Kind::Directory), ("init", &Kind::Script(vec![7; 4099]))])
    }

    #[test]
    fn an_archive_is_whole_however_it_comes() {
        for piece in [1, 3, 110, 111, 4096, 1 << 20] {
            let mut entries = Entries::default();
            sample().chunks(piece).for_each(|bytes| entries.feed(bytes));
            assert_eq!(entries.end(), End::Marked, "pieces of {piece}");
        }
        assert_eq!(Entries::of(&[sample(), sample()].concat()), End::Marked);
    }

    #[test]
    fn every_cut_is_noticed_but_those_between_entries() {
        let whole = sample();
        let trailer = whole.windows(10).position(|bytes| bytes == b"TRAILER!!!").unwrap() - HEADER;
        let second = whole[6..].windows(6).position(|bytes| bytes == b"070701").unwrap() + 6;
        for cut in 1..whole.len() {
            // Padding belongs to no file: one byte behind the script; three of the trailer, and what fills the last sector.
            let expected = match cut {
                cut if cut == second || cut == second - 2 || cut == second - 1 => End::Unmarked,
                cut if cut == trailer || cut == trailer - 1 => End::Unmarked,
                cut if cut >= trailer + HEADER + TRAILER_SIZE => End::Marked,
                cut if cut < HEADER => End::Foreign(0),
                _ => End::Cut,
            };
            assert_eq!(Entries::of(&whole[..cut]), expected, "{cut}");
        }
    }

    #[test]
    fn a_files_checksum_is_the_sum_of_its_bytes() {
        let mut whole = sample();
        let second = whole[6..].windows(6).position(|bytes| bytes == b"070701").unwrap() + 6;
        whole[second..second + 6].copy_from_slice(WITH_SUM);
        assert_eq!(Entries::of(&whole), End::Checksum(second), "its field is 0");
        let sum = format!("{:08x}", 7 * 4099);
        whole[second + HEADER - 8..second + HEADER].copy_from_slice(sum.as_bytes());
        for piece in [1, 7, 4096, 1 << 20] {
            let mut entries = Entries::default();
            whole.chunks(piece).for_each(|bytes| entries.feed(bytes));
            assert_eq!(entries.end(), End::Marked, "pieces of {piece}");
        }
        whole[second + 200] ^= 1;
        assert_eq!(Entries::of(&whole), End::Checksum(second));
    }

    #[test]
    fn what_is_no_entry_is_told_with_its_place() {
        assert_eq!(Entries::of(b"070701 is what it begins with"), End::Foreign(0));
        let whole = sample();
        assert_eq!(Entries::of(&[&whole[..], b"\x1f\x8b\x08"].concat()), End::Foreign(whole.len()));
    }
}
