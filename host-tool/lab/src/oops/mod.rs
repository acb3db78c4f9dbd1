//! Kernel oopses and panics put into words: the addresses of a trace as functions, files and lines, from the kernel's own ELF.
//!
//! What MIPS and arm64 print is in arch/mips/kernel/traps.c (`__show_regs`, `show_backtrace`, `show_raw_backtrace`) and in
//! arch/arm64/kernel/process.c and stacktrace.c of Linux. Without CONFIG_KALLSYMS all of it is numbers.

mod frame;
mod sources;
mod symbols;

#[cfg(test)]
mod tests;

use crate::notes::{Annotator, Notes};
use crate::text::shown;
use frame::{Frame, Reader, SymbolOffset};
pub use symbols::Symbols;

/// Reads a console's lines, one after the other, with the symbols of the kernel that should be running.
pub struct Decoder {
    symbols: Symbols,
    reader: Reader,
    /// Addresses that are none of the kernel's where it is linked: it may have moved itself.
    unknown: Vec<u64>,
    /// Somebody was told that this is another kernel.
    warned: bool,
}

/// More addresses than this are not kept until the kernel says by how much it has moved.
const UNKNOWN: usize = 64;

impl Annotator for Decoder {
    fn line(&mut self, line: &str) -> Notes {
        self.explain(line)
    }
}

/// The upper half of 32 or of 64 bits.
fn is_kernels(address: u64) -> bool {
    address >> 63 == 1 || address >> 31 == 1
}

impl Decoder {
    /// With the symbols of an ELF (`vmlinux`) or of a `System.map`; an ELF with debug information gives files and lines too.
    pub fn new(symbols: Symbols) -> Decoder {
        Decoder { symbols, reader: Reader::default(), unknown: Vec::new(), warned: false }
    }

    /// What there is to say about the next line. A kernel that starts (`Linux version …`) is compared with the one that the
    /// symbols are of.
    fn explain(&mut self, line: &str) -> Notes {
        let text = frame::without_prefix(line);
        let mut notes = Notes::default();
        if text.starts_with("Linux version ") {
            self.reader = Reader::default();
            self.unknown.clear();
            self.warned = false;
            notes.below.extend(self.symbols.differs(text).and_then(|said| self.warn(said)));
        }
        if let Some(offset) = frame::kernel_offset(text) {
            notes.below.extend(self.moved(offset));
        }
        let frames = self.reader.frames(text);
        let said: Vec<String> = frames.iter().filter_map(|frame| self.said(frame, &mut notes.below)).collect();
        if !said.is_empty() {
            notes.beside = Some(shown(&said.join("; ")));
        }
        notes
    }

    /// A frame in words; nothing if the kernel has said as much itself.
    fn said(&mut self, frame: &Frame, below: &mut Vec<String>) -> Option<String> {
        if let Some(named) = &frame.named {
            if named.module.is_some() {
                return None;
            }
            let Some(address) = self.symbols.address_of(named) else {
                let said = format!("this kernel has {named}, and {} does not", self.symbols.name());
                below.extend(self.warn(said));
                return None;
            };
            return self.source(address, frame.is_return);
        }
        let address = frame.address?;
        let Some(named) = self.symbols.named(address) else {
            if self.unknown.len() < UNKNOWN && is_kernels(address) && !self.unknown.contains(&address) {
                self.unknown.push(address);
            }
            return None;
        };
        Some(self.placed(&named, address, frame.is_return))
    }

    fn placed(&self, named: &SymbolOffset, address: u64, is_return: bool) -> String {
        match self.source(address, is_return) {
            Some(source) => format!("{named} {source}"),
            None => named.to_string(),
        }
    }

    /// File and line; of the call, when the address is where it returns to.
    fn source(&self, address: u64, is_return: bool) -> Option<String> {
        let back = if is_return { self.symbols.call_length() } else { 0 };
        self.symbols.source(address.checked_sub(back)?)
    }

    /// A kernel with KASLR says only at the end of a panic where it is.
    fn moved(&mut self, offset: u64) -> Vec<String> {
        let unknown = std::mem::take(&mut self.unknown);
        let lines = unknown.into_iter().filter_map(|address| {
            let linked = address.wrapping_sub(offset);
            let named = self.symbols.named(linked)?;
            Some(shown(&format!("{address:#x} = {}", self.placed(&named, linked, true))))
        });
        lines.collect()
    }

    fn warn(&mut self, said: String) -> Option<String> {
        let first = !std::mem::replace(&mut self.warned, true);
        first.then(|| shown(&format!("{said}: the names and lines may be wrong; give the kernel's own vmlinux")))
    }
}
