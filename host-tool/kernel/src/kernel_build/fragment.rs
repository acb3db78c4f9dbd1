//! Configuration fragments: read line by line, merged with the later one winning, compared with what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::kernel_build::Error;
use stoop_image::input;
use stoop_image::kconfig::{Kconfig, Value};

/// One symbol that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// As what: `y`, `m`, `n`, a number, or a text in quotes.
    pub value: String,
    /// Where: `FILE line N`.
    pub origin: String,
}

/// All that was asked for.
#[derive(Clone, Default, Debug)]
pub struct Requests {
    symbols: BTreeMap<String, Request>,
    /// Requests that a later one overrode, for the user to know.
    pub overridden: Vec<String>,
}

impl Requests {
    /// Reads and merges fragments.
    ///
    /// # Errors
    /// A file cannot be read, or a line is neither a setting nor a comment.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut requests = Requests::default();
        for file in files {
            let text = String::from_utf8_lossy(&input::read_file(file)?).into_owned();
            requests.add(&text, file)?;
        }
        Ok(requests)
    }

    fn add(&mut self, text: &str, file: &Path) -> Result<()> {
        for (number, line) in text.lines().enumerate() {
            let origin = format!("{} line {}", file.display(), number + 1);
            let line = line.trim();
            if let Some((symbol, value)) = setting(line) {
                self.set(symbol, value, &origin);
            } else if !line.is_empty() && !line.starts_with('#') {
                return Err(Error::NotASetting { origin: origin.to_owned(), line: line.to_owned() }.into());
            }
        }
        Ok(())
    }

    /// Asks for one more symbol, without `CONFIG_`.
    pub fn set(&mut self, symbol: &str, value: &str, origin: &str) {
        let request = Request { value: value.to_owned(), origin: origin.to_owned() };
        if let Some(earlier) = self.symbols.insert(symbol.to_owned(), request)
            && earlier.value != value
        {
            self.overridden
                .push(format!("CONFIG_{symbol}={} of {} is overridden by {origin}", earlier.value, earlier.origin));
        }
    }

    /// What is asked of a symbol.
    pub fn get(&self, symbol: &str) -> Option<&Request> {
        self.symbols.get(symbol)
    }

    /// The merged text, sorted.
    pub fn text(&self) -> String {
        self.symbols.iter().fold(String::new(), |mut text, (symbol, request)| {
            let _ = match request.value.as_str() {
                "n" => writeln!(text, "# CONFIG_{symbol} is not set"),
                value => writeln!(text, "CONFIG_{symbol}={value}"),
            };
            text
        })
    }

    /// The symbols that a configuration has otherwise than asked for: name, request, value.
    pub fn not_held<'a>(&'a self, config: &Kconfig) -> Vec<(&'a str, &'a Request, String)> {
        self.symbols
            .iter()
            .map(|(symbol, request)| (symbol.as_str(), request, text_of(&config.get(symbol))))
            .filter(|(_, request, value)| !same(&request.value, value))
            .collect()
    }

    /// The names of all symbols that were asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols.keys().map(String::as_str)
    }
}

/// A value as a fragment would write it; a symbol that is absent is off.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Absent => "n".to_owned(),
        other => other.to_string(),
    }
}

/// Numbers may be written in more than one way.
fn same(asked: &str, got: &str) -> bool {
    let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    asked == got || number(asked).is_some_and(|asked| number(got) == Some(asked)) || (asked == "\"\"" && got == "n")
}

fn setting(line: &str) -> Option<(&str, &str)> {
    let valid = |symbol: &str| !symbol.is_empty() && symbol.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (symbol, value) = match line.strip_prefix("# CONFIG_") {
        Some(rest) => (rest.strip_suffix(" is not set")?, "n"),
        None => line.strip_prefix("CONFIG_")?.split_once('=')?,
    };
    (valid(symbol) && !value.is_empty()).then_some((symbol, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_fragment_wins_and_the_loser_is_told() {
        let mut requests = Requests::default();
        requests.add("CONFIG_A=y\nCONFIG_B=m\n# a remark\n\n", Path::new("one")).unwrap();
        requests.add("# CONFIG_A is not set\nCONFIG_B=m\nCONFIG_C=\"x y\"\n", Path::new("two")).unwrap();
        assert_eq!(requests.text(), "# CONFIG_A is not set\nCONFIG_B=m\nCONFIG_C=\"x y\"\n");
        assert_eq!(requests.overridden, ["CONFIG_A=y of one line 1 is overridden by two line 1"]);
    }

    #[test]
    fn a_line_that_is_no_setting_is_named() {
        for line in ["FOO=y", "CONFIG_A", "CONFIG_=y", "CONFIG_A=", "CONFIG_A B=y"] {
            let error = Requests::default().add(&format!("\n{line}\n"), Path::new("f")).unwrap_err();
            assert!(error.to_string().starts_with("f line 2"), "{error}");
        }
    }

    #[test]
    fn only_what_differs_did_not_hold() {
        let mut requests = Requests::default();
        requests
            .add("CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=0x0010\nCONFIG_E=5\n", Path::new("f"))
            .unwrap();
        let config = Kconfig::parse("CONFIG_A=y\nCONFIG_B=y\nCONFIG_D=0x10\n", "t").unwrap();
        let names: Vec<&str> = requests.not_held(&config).iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, ["B", "E"]);
    }
}
