//! Kernel configurations: the text of a `.config`, or IKCONFIG inside an uncompressed kernel image.

mod error;

use crate::format::bytes::find;
use crate::input::{looks_like, read_file};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::format::codec::Codec;
pub use error::Error;

use crate::Result;

/// What a configuration says about one symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `=y`: in the kernel.
    Yes,
    /// `=m`: a module.
    Module,
    /// `# CONFIG_X is not set`.
    No,
    /// Not mentioned: this kernel does not know the symbol, or a dependency of it does not hold.
    Absent,
    /// `=14` or `=0x1000`, as written.
    Number(String),
    /// `="text"`, unescaped.
    Text(String),
}

impl Value {
    /// Built in or as a module.
    pub fn is_enabled(&self) -> bool {
        matches!(self, Value::Yes | Value::Module)
    }

    /// The number of a [`Value::Number`], decimal or with 0x; `None` for anything else or beyond 64 bits.
    pub fn as_u64(&self) -> Option<u64> {
        let Value::Number(text) = self else { return None };
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Yes => f.write_str("y"),
            Value::Module => f.write_str("m"),
            Value::No => f.write_str("n"),
            Value::Absent => f.write_str("absent"),
            Value::Number(text) => f.write_str(text),
            Value::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A kernel's configuration.
#[derive(Clone, Debug)]
pub struct Kconfig {
    values: BTreeMap<String, Value>,
    source: String,
    version: Option<String>,
}

/// In front of the gzip stream that `kernel/configs.c` puts into the image.
const START: &[u8] = b"IKCFG_ST";
/// Behind it.
const END: &[u8] = b"IKCFG_ED";
/// The largest configuration believed; Debian's are 0.2 MiB.
const LIMIT: u64 = 16 << 20;

impl Kconfig {
    /// Reads the text of a `.config`. `source` says where it is from, for messages and [`Kconfig::source`].
    ///
    /// # Errors
    /// A line that is neither a setting nor a comment, or no setting at all.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut version = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            let (name, value) = if let Some(rest) = line.strip_prefix("# CONFIG_") {
                match rest.strip_suffix(" is not set") {
                    Some(name) => (name, Value::No),
                    None => continue,
                }
            } else if let Some(rest) = line.strip_prefix("# Linux/") {
                // scripts/kconfig/confdata.c (conf_write): `# Linux/mips 6.12.1 Kernel Configuration`.
                let mut words = rest.split(' ').skip(1);
                version = words.next().filter(|_| words.next() == Some("Kernel")).map(str::to_owned);
                continue;
            } else if line.is_empty() || line.starts_with('#') {
                continue;
            } else {
                let setting = line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('='));
                let parsed = setting.and_then(|(name, value)| Some((name, value_of(value)?)));
                parsed.ok_or_else(|| {
                    let shown: String = line.chars().take(40).collect();
                    Error::NotASetting { name: source.to_owned(), line: index + 1, text: shown.to_string() }
                })?
            };
            values.insert(name.to_owned(), value);
        }
        if values.is_empty() {
            return Err(Error::NoSetting { name: source.to_owned() }.into());
        }
        Ok(Kconfig { values, source: source.to_owned(), version })
    }

    /// Reads a file: the text, the text as gzip (`/proc/config.gz`), or an uncompressed kernel with IKCONFIG.
    ///
    /// # Errors
    /// As [`Kconfig::parse`]; a file that cannot be read; a kernel without IKCONFIG.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = read_file(path)?;
        let source = path.display().to_string();
        if bytes.starts_with(b"\x7fELF") {
            return Kconfig::from_image(&bytes, &source)?
                .ok_or_else(|| Error::NoIkconfig { name: source.clone() }.into());
        }
        if Codec::detect(&bytes) == Some(Codec::Gzip) {
            bytes = Codec::Gzip.decode(&bytes, LIMIT).map_err(|failure| failure.within(&source))?;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Kconfig::parse(&text, &source),
            Err(error) => Err(Error::NotText { name: source.clone(), likeness: looks_like(error.as_bytes()) }.into()),
        }
    }

    /// Looks for IKCONFIG in an uncompressed image; `None` when there is none.
    ///
    /// # Errors
    /// The markers are there but what lies between them is damaged.
    pub fn from_image(image: &[u8], source: &str) -> Result<Option<Self>> {
        let mut from = 0;
        // The marker is also a string of any kernel or tool that looks for it: only one with gzip behind it counts.
        while let Some(at) = find(&image[from..], START) {
            let begin = from + at + START.len();
            from = begin;
            if !image[begin..].starts_with(&[0x1f, 0x8b]) {
                continue;
            }
            let end = find(&image[begin..], END).map_or(image.len(), |length| begin + length);
            let mut text = String::new();
            flate2::read::GzDecoder::new(&image[begin..end])
                .take(LIMIT)
                .read_to_string(&mut text)
                .map_err(|error| Error::Ikconfig { name: source.to_owned(), at: begin, reason: error.to_string() })?;
            return Kconfig::parse(&text, &format!("{source} (IKCONFIG)")).map(Some);
        }
        Ok(None)
    }

    /// The kernel's version without the local part, if the configuration has the comment that says it.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether it may be of a kernel of that version: the first two numbers are the same, or either version is unknown. No more is compared, since
    /// Debian's kernels call themselves 6.1.0-50-4kc where their configuration says 6.1.170.
    pub(crate) fn may_be_of(&self, version: Option<&str>) -> bool {
        let numbers = |version: &str| -> Vec<String> {
            version.split(|it: char| !it.is_ascii_digit()).take(2).map(str::to_owned).collect()
        };
        match (self.version(), version) {
            (Some(configured), Some(version)) => numbers(configured) == numbers(version),
            _ => true,
        }
    }

    /// Where it is from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it says about `name`, without `CONFIG_`.
    pub fn get(&self, name: &str) -> Value {
        self.values.get(name).cloned().unwrap_or(Value::Absent)
    }

    /// `name` is `=y`.
    pub fn is_yes(&self, name: &str) -> bool {
        self.values.get(name) == Some(&Value::Yes)
    }
}

/// The value behind `=`; `None` when it is none that Kconfig writes.
fn value_of(text: &str) -> Option<Value> {
    match text {
        "y" => return Some(Value::Yes),
        "m" => return Some(Value::Module),
        "n" => return Some(Value::No),
        _ => {}
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut characters = quoted.strip_suffix('"')?.chars();
        while let Some(character) = characters.next() {
            value.push(if character == '\\' { characters.next()? } else { character });
        }
        return Some(Value::Text(value));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let good = match hex {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
    };
    good.then(|| Value::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;
    use crate::format::codec::Codec;
    use crate::format::codec::tests::encode;

    fn ikconfig(text: &str) -> Vec<u8> {
        let mut image = b"some code IKCFG_ST in a string ".to_vec();
        image.extend_from_slice(START);
        image.extend(encode(Codec::Gzip, text.as_bytes()));
        image.extend_from_slice(END);
        image.extend_from_slice(b" more code");
        image
    }

    #[test]
    fn every_kind_of_value_reads_back() {
        let text = "# comment\n\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=0x01000000\nCONFIG_E=14\n\
                    CONFIG_F=\"console=\\\"x\\\" y\"\nCONFIG_G=-1\nCONFIG_H=\"\"\n";
        let config = Kconfig::parse(text, "t").unwrap();
        assert_eq!(config.get("A"), Value::Yes);
        assert_eq!(config.get("B"), Value::Module);
        assert_eq!(config.get("C"), Value::No);
        assert_eq!(config.get("D").as_u64(), Some(0x0100_0000));
        assert_eq!(config.get("E").as_u64(), Some(14));
        assert_eq!(config.get("F"), Value::Text("console=\"x\" y".into()));
        assert_eq!(config.get("G").as_u64(), None);
        assert_eq!(config.get("H"), Value::Text(String::new()));
        assert_eq!(config.get("Z"), Value::Absent);
        assert!(config.is_yes("A") && !config.is_yes("B"));
    }

    #[test]
    fn a_line_that_is_no_setting_is_named_with_its_number() {
        for bad in ["CONFIG_A=y\n<<<<<<< HEAD\n", "CONFIG_A=y\nCONFIG_B\n", "CONFIG_A=y\nCONFIG_B=maybe\n"] {
            let failure = Kconfig::parse(bad, "t").unwrap_err();
            assert!(matches!(failure, crate::Error::Kconfig(Error::NotASetting { line: 2, .. })), "{failure}");
            assert!(failure.next_step().is_some());
        }
    }

    #[test]
    fn a_text_without_settings_is_refused() {
        assert!(Kconfig::parse("# nothing here\n", "t").unwrap_err().to_string().contains("no CONFIG_ setting"));
    }

    #[test]
    fn ikconfig_is_found_behind_a_marker_that_is_only_a_string() {
        let config = Kconfig::from_image(&ikconfig("CONFIG_MTD=y\n"), "k").unwrap().unwrap();
        assert!(config.is_yes("MTD"));
        assert_eq!(config.source(), "k (IKCONFIG)");
    }

    #[test]
    fn an_image_without_ikconfig_has_none() {
        assert!(Kconfig::from_image(b"no marker here", "k").unwrap().is_none());
    }

    #[test]
    fn damaged_ikconfig_is_an_error_and_not_silence() {
        let mut image = ikconfig(&"CONFIG_MTD=y\n".repeat(100));
        let at = find(&image, &[0x1f, 0x8b]).unwrap();
        image.truncate(at + 30);
        assert!(Kconfig::from_image(&image, "k").unwrap_err().to_string().contains("damaged"));
    }
}
