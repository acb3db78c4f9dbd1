//! Faults planted into the shim of a packed image: words of a plain shim are replaced, and its sums made right again.

use std::ops::Range;
use stoop_image::machine::Machine;

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use stoop_image::image::open_container;
use stoop_image::shim_image::{prebuilt, sum};
use stoop_samples::failure::{Failure, Result};

/// `nop`.
pub const NOP: u32 = 0;
const WORD: usize = 4;
/// Where the header says how many bytes are stored, and where what is summed begins (host-tool/image/src/shim_image.rs).
const STORED: usize = 20;
const SUMMED: usize = 20;

/// An image with a plain shim, to be patched.
pub struct Patch {
    /// The image file.
    pub file: Vec<u8>,
    big_endian: bool,
    /// Where in the file the shim begins, and where its rest does.
    head: usize,
    rest: usize,
    /// Addresses of the shim, which is linked at 0: where the rest begins and where it ends.
    stub_end: usize,
    end: usize,
    symbols: Vec<(String, usize)>,
}

impl Patch {
    /// Of an image that was packed with a plain shim.
    ///
    /// # Errors
    /// It was not.
    pub fn of(file: &[u8]) -> Result<Patch> {
        let wrong = |what: &str| Failure::new(format!("this image cannot be patched: {what}"));
        let opened = open_container(file)?;
        let big_endian = opened.note.big_endian;
        let arch = if big_endian { Machine::MipsBe } else { Machine::MipsLe };
        let shim = prebuilt(arch, opened.note.variant)?;
        let elf = ElfFile32::<Endianness>::parse(shim).map_err(|error| wrong(&error.to_string()))?;
        let symbols: Vec<(String, usize)> =
            elf.symbols().map(|it| (it.name().unwrap_or_default().to_owned(), it.address() as usize)).collect();
        let symbol = |name: &str| symbols.iter().find(|(known, _)| known == name).map(|(_, at)| *at);
        let (stub_end, end) =
            symbol("__rest").zip(symbol("__params")).ok_or_else(|| wrong("its shim has no symbols"))?;
        let code = elf.section_by_name(".text").and_then(|text| text.data().ok()).unwrap_or_default();
        let code = code.get(..256).ok_or_else(|| wrong("its shim has no code"))?;
        let find = |bytes: &[u8], what: &str| {
            file.windows(bytes.len()).position(|window| window == bytes).ok_or_else(|| wrong(what))
        };
        let head = find(&opened.image[..64], "it has no shim")?;
        let rest = find(code, "its shim is squeezed")?;
        Ok(Patch { file: file.to_vec(), big_endian, head, rest, stub_end, end, symbols })
    }

    /// The address of a symbol of the shim.
    pub fn symbol(&self, name: &str) -> usize {
        self.symbols.iter().find(|(known, _)| known == name).map_or(usize::MAX, |(_, at)| *at)
    }

    /// Every address of the shim's code and data.
    pub fn all(&self) -> Range<usize> {
        0..self.end
    }

    fn place(&self, at: usize) -> usize {
        if at < self.stub_end { self.head + at } else { self.rest + at - self.stub_end }
    }

    /// The word at an address of the shim.
    pub fn word(&self, at: usize) -> u32 {
        let place = self.place(at);
        let bytes = self.file[place..place + WORD].try_into().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Replaces it.
    pub fn put(&mut self, at: usize, word: u32) {
        let place = self.place(at);
        let bytes = if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
        self.file[place..place + WORD].copy_from_slice(&bytes);
    }

    /// Where in `range` words are `value` under `mask`.
    pub fn find(&self, range: Range<usize>, mask: u32, value: u32) -> Vec<usize> {
        range.step_by(WORD).filter(|at| self.word(*at) & mask == value).collect()
    }

    /// Replaces every word of the shim that is `value` under `mask`, and gives their number.
    pub fn replace(&mut self, mask: u32, value: u32, with: impl Fn(u32) -> u32) -> usize {
        let found = self.find(self.all(), mask, value);
        for at in &found {
            self.put(*at, with(self.word(*at)));
        }
        found.len()
    }

    /// Makes the sums those of what is there now.
    pub fn close(&mut self) {
        let rest = self.rest..self.rest + self.end - self.stub_end;
        self.close_over(rest);
        let half = [self.file[self.head + STORED], self.file[self.head + STORED + 1]];
        let stored = if self.big_endian { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) };
        self.close_over(self.head + SUMMED..self.head + usize::from(stored));
    }

    fn close_over(&mut self, range: Range<usize>) {
        let last = range.end - WORD;
        self.file[last..range.end].fill(0);
        let closing = sum(&self.file[range.clone()], self.big_endian).wrapping_neg();
        let bytes = if self.big_endian { closing.to_be_bytes() } else { closing.to_le_bytes() };
        self.file[last..range.end].copy_from_slice(&bytes);
    }
}
