//! What a kernel's `.config` says about a symbol.

use std::collections::HashMap;
use std::path::Path;

use crate::{Failure, Result};

/// What a configuration says about one symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `=y`: in the kernel.
    Yes,
    /// `=m`: a module.
    Module,
    /// `# CONFIG_X is not set`.
    No,
    /// Not mentioned.
    Absent,
    /// Anything else, as written.
    Text(String),
}

/// A kernel's configuration.
#[derive(Clone, Debug)]
pub struct Kconfig {
    values: HashMap<String, Value>,
    source: String,
}

impl Kconfig {
    /// Reads the text of a `.config`; `source` says where it is from.
    ///
    /// # Errors
    /// No setting in it.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let mut values = HashMap::new();
        for line in text.lines() {
            let setting = match line.strip_prefix("# CONFIG_").and_then(|rest| rest.strip_suffix(" is not set")) {
                Some(name) => Some((name, Value::No)),
                None => line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('=')).map(|(name, value)| {
                    (
                        name,
                        match value {
                            "y" => Value::Yes,
                            "m" => Value::Module,
                            "n" => Value::No,
                            text => Value::Text(text.to_owned()),
                        },
                    )
                }),
            };
            values.extend(setting.map(|(name, value)| (name.to_owned(), value)));
        }
        if values.is_empty() {
            return Err(Failure::new(format!("{source}: no CONFIG_ setting in it")).next("give a kernel's .config"));
        }
        Ok(Kconfig { values, source: source.to_owned() })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Kconfig::parse`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path, &e))?;
        Kconfig::parse(&text, &path.display().to_string())
    }

    /// Where it is from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it says about `name`, without `CONFIG_`.
    pub fn get(&self, name: &str) -> Value {
        self.values.get(name).cloned().unwrap_or(Value::Absent)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Value::Yes => "y",
            Value::Module => "m",
            Value::No => "n",
            Value::Absent => "absent",
            Value::Text(text) => text,
        })
    }
}
