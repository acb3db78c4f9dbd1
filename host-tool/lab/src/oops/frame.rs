//! What a line of an oops names: addresses, and functions where the kernel knows them itself.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// A place in a function, as `%pS` prints it (`symbol_string` in lib/vsprintf.c): `name+0x1c/0x28`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolOffset {
    /// The function's.
    pub name: String,
    /// Bytes from its beginning.
    pub offset: u64,
    /// Its length in bytes: up to the next symbol.
    pub size: u64,
    /// The module that it is in, if it is in one.
    pub module: Option<String>,
}

impl fmt::Display for SymbolOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.name, self.offset, self.size)
    }
}

/// One place in the code that a line names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Where it is, if the line says so.
    pub address: Option<u64>,
    /// The same by name, if the kernel has names.
    pub named: Option<SymbolOffset>,
    /// It is where a call returns to, so the call is before it.
    pub is_return: bool,
}

/// Reads line after line: what a bare name or number means depends on the lines before.
#[derive(Default)]
pub struct Reader {
    in_trace: bool,
    /// Where it went wrong, from the registers. A trace begins with it, and there it is no return address.
    at: Option<(Option<u64>, Option<SymbolOffset>)>,
}

/// `name+0x1c/0x28`, `name+0x1c/0x28 [module]`.
const NAMED: &str =
    r"(?P<name>[A-Za-z_.$][\w.$]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)(?: \[(?P<module>\w+)[^\]]*\])?";

macro_rules! pattern {
    ($name:ident, $($part:expr),+) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(&[$($part),+].concat()).expect("a constant pattern"));
    };
}

// What printk puts in front: the level, the time, with CONFIG_PRINTK_CALLER who says it.
pattern!(PREFIX, r"^(?:<\d+>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?");
pattern!(REGISTER, r"^(?P<register>epc|ra|pc|lr) *: *(?:\[<)?(?P<rest>.*)$");
pattern!(EQUAL, r"\b(?P<register>epc|ra) == (?P<address>[0-9a-f]{8,16})\b");
pattern!(BRACKETED, r"\[<(?:0x)?(?P<address>[0-9a-f]{8,16})>\](?: ", NAMED, ")?");
pattern!(BARE, r"^ *(?:0x(?P<address>[0-9a-f]{8,16})|", NAMED, r")(?: \([A-Z]+\))?$");
pattern!(VALUE, r"^(?:0x)?(?P<address>[0-9a-f]{8,16})\b");
pattern!(ANY_NAMED, NAMED);
pattern!(OFFSET, r"^Kernel Offset: 0x(?P<offset>[0-9a-f]{1,16}) from 0x[0-9a-f]{8,16}");

/// The line without what printk puts in front of it.
pub fn without_prefix(line: &str) -> &str {
    let line = line.trim_end();
    PREFIX.find(line).map_or(line, |prefix| &line[prefix.end()..])
}

/// By how much the kernel has moved from where it is linked: arm64 (arch/arm64/kernel/setup.c) says it at the end of a panic.
/// MIPS prints a hash of it.
pub fn kernel_offset(text: &str) -> Option<u64> {
    u64::from_str_radix(&OFFSET.captures(text)?["offset"], 16).ok()
}

impl Reader {
    /// The places that the next line names, in their order; `text` is without printk's prefix.
    pub fn frames(&mut self, text: &str) -> Vec<Frame> {
        if let Some(found) = REGISTER.captures(text) {
            self.in_trace = false;
            return self.register(&found["register"], &found["rest"]).into_iter().collect();
        }
        let equal: Vec<Frame> = EQUAL
            .captures_iter(text)
            .map(|found| Frame {
                address: Some(address(&found["address"])),
                named: None,
                is_return: &found["register"] == "ra",
            })
            .collect();
        if !equal.is_empty() {
            return equal;
        }
        let begins = text.starts_with("Call Trace:") || text.starts_with("Call trace:");
        self.in_trace |= begins;
        if !self.in_trace {
            return Vec::new();
        }
        let rest = if begins { &text["Call trace:".len()..] } else { text };
        let found = if rest.contains("[<") { BRACKETED.captures(rest) } else { BARE.captures(rest) };
        let Some(found) = found else {
            // MIPS prints an empty line behind a trace.
            self.in_trace = begins;
            return Vec::new();
        };
        let address = found.name("address").map(|digits| self::address(digits.as_str()));
        let named = named(&found);
        let is_first = match &self.at {
            Some((at, _)) if at.is_some() && address.is_some() => *at == address,
            Some((_, at)) => at.is_some() && *at == named,
            None => false,
        };
        vec![Frame { address, named, is_return: !is_first }]
    }

    /// `epc   : 80123456 name+0x1/0x2`, `pc : name+0x1/0x2`.
    fn register(&mut self, register: &str, rest: &str) -> Option<Frame> {
        let address = VALUE.captures(rest).map(|found| self::address(&found["address"]));
        let named = ANY_NAMED.captures(rest).as_ref().and_then(named);
        if address.is_none() && named.is_none() {
            return None;
        }
        let is_return = matches!(register, "ra" | "lr");
        if !is_return {
            self.at = Some((address, named.clone()));
        }
        Some(Frame { address, named, is_return })
    }
}

fn address(digits: &str) -> u64 {
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

fn named(found: &regex::Captures<'_>) -> Option<SymbolOffset> {
    let number = |name| u64::from_str_radix(found.name(name)?.as_str(), 16).ok();
    Some(SymbolOffset {
        name: found.name("name")?.as_str().to_owned(),
        offset: number("offset")?,
        size: number("size")?,
        module: found.name("module").map(|module| module.as_str().to_owned()),
    })
}
