//! A kernel's functions by address and by name.

use std::path::{Path, PathBuf};

use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::frame::SymbolOffset;
use super::sources::Sources;
use crate::Result;
use crate::terminal::Error;

/// A function: everything up to the next one belongs to it, as kallsyms has it.
struct Function {
    address: u64,
    name: String,
}

/// The functions of one kernel and, if its file has debug information, their sources.
pub struct Symbols {
    path: PathBuf,
    /// By address.
    functions: Vec<Function>,
    /// Where the last one ends.
    end: u64,
    /// `Linux version …`, as the kernel says it when it starts.
    banner: Option<String>,
    sources: Option<Sources>,
    architecture: Architecture,
}

impl Symbols {
    /// Of the bytes of an ELF with a symbol table, or of a `System.map` (which has neither lines nor the kernel's version); `path` is
    /// for messages.
    ///
    /// # Errors
    /// There are no symbols of functions.
    pub fn of(path: &Path, bytes: &[u8]) -> Result<Symbols> {
        let no_symbols = |fact: String| crate::Error::from(Error::NoSymbols { path: path.to_owned(), fact });
        let mut symbols = if bytes.starts_with(b"\x7fELF") {
            Symbols::of_elf(path, bytes).map_err(|error| no_symbols(error.to_string()))?
        } else {
            Symbols::of_map(path, &String::from_utf8_lossy(bytes))
        };
        symbols.functions.sort_by_key(|function| function.address);
        match symbols.functions.last() {
            Some(last) => symbols.end = symbols.end.max(last.address.saturating_add(1)),
            None => return Err(no_symbols("has no symbols of functions".to_owned())),
        }
        Ok(symbols)
    }

    fn empty(path: &Path, architecture: Architecture) -> Symbols {
        Symbols { path: path.to_owned(), functions: Vec::new(), end: 0, banner: None, sources: None, architecture }
    }

    fn of_elf(path: &Path, bytes: &[u8]) -> std::result::Result<Symbols, object::Error> {
        let file = object::File::parse(bytes)?;
        let mut symbols = Symbols::empty(path, file.architecture());
        let code: Vec<_> = file.sections().filter(|section| section.kind() == SectionKind::Text).collect();
        symbols.end = code.iter().map(|section| section.address().saturating_add(section.size())).max().unwrap_or(0);
        for symbol in file.symbols() {
            let in_code = || code.iter().any(|section| Some(section.index()) == symbol.section_index());
            let is_code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label);
            if let Ok(name) = symbol.name()
                && is_code
                && is_function(name)
                && in_code()
            {
                symbols.functions.push(Function { address: symbol.address(), name: name.to_owned() });
            }
        }
        symbols.banner = banner(&file);
        symbols.sources = Sources::of(&file);
        Ok(symbols)
    }

    /// Lines `80100000 T name`, as nm prints them.
    fn of_map(path: &Path, text: &str) -> Symbols {
        let mut symbols = Symbols::empty(path, Architecture::Unknown);
        for line in text.lines() {
            let mut words = line.split(' ');
            if let (Some(address), Some("T" | "t" | "W" | "w"), Some(name)) = (words.next(), words.next(), words.next())
                && let Ok(address) = u64::from_str_radix(address, 16)
                && is_function(name)
            {
                symbols.functions.push(Function { address, name: name.to_owned() });
            }
        }
        symbols
    }

    /// The file's name, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What an address lies in, by the addresses that the kernel is linked for.
    pub fn named(&self, address: u64) -> Option<SymbolOffset> {
        let behind = self.functions.partition_point(|function| function.address <= address);
        let last = self.functions.get(behind.checked_sub(1)?)?;
        let end = self.functions.get(behind).map_or(self.end, |next| next.address);
        // Of several names for an address the first one is taken, as the order in the file has it.
        let first = self.functions.partition_point(|function| function.address < last.address);
        (address < end).then(|| SymbolOffset {
            name: self.functions[first].name.clone(),
            offset: address - last.address,
            size: end - last.address,
            module: None,
        })
    }

    /// Where a place is linked. Of functions with the same name it is the one with the same length; nothing, if there is none.
    pub fn address_of(&self, place: &SymbolOffset) -> Option<u64> {
        let same = self.functions.iter().filter(|function| function.name == place.name);
        let mut same = same.filter(|function| self.named(function.address).is_some_and(|own| own.size == place.size));
        same.next()?.address.checked_add(place.offset)
    }

    /// File and line of an address, the functions that were put into its function among them.
    pub fn source(&self, address: u64) -> Option<String> {
        self.sources.as_ref()?.at(address)
    }

    /// How far the call is in front of where it returns to, in bytes: on MIPS an instruction comes between them.
    pub fn call_length(&self) -> u64 {
        match self.architecture {
            Architecture::Mips | Architecture::Mips64 => 8,
            Architecture::Aarch64 => 4,
            _ => 0,
        }
    }

    /// What to say when the kernel that says `line` (`Linux version …`) is another one.
    pub fn differs(&self, line: &str) -> Option<String> {
        let own = self.banner.as_deref()?;
        (own != line.trim_end()).then(|| format!("{} is of another kernel: {own}", self.name()))
    }
}

/// Not a label of the assembler's or a mark between code and data (`$d`, `$x`), which kallsyms leaves out as well.
fn is_function(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['.', '$'])
}

/// `linux_banner` (init/version-timestamp.c), without its end of line.
fn banner(file: &object::File<'_>) -> Option<String> {
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok("linux_banner"))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let from = usize::try_from(symbol.address().checked_sub(section.address())?).ok()?;
    let text = section.data().ok()?.get(from..)?;
    let end = text.iter().position(|byte| matches!(byte, b'\n' | 0))?;
    Some(String::from_utf8_lossy(&text[..end]).trim_end().to_owned())
}
