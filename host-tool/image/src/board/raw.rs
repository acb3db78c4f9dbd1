//! Board and SoC files as they are written: strict keys, nothing checked beyond their types.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::foreign::told;
use super::problem::Problem;
use super::source::Origin;
use super::types::{Container, FlashKind, Handoff, Interrupt, Phram, Qemu, Quirk, Reset, Role, Watchdog};
use crate::machine::Machine;

/// `boards/NAME.toml`.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Board {
    pub(super) title: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) soc: String,
    pub(super) chip: String,
    #[serde(default, deserialize_with = "crate::machine::names::optional")]
    pub(super) arch: Option<Machine>,
    pub(super) cpu_clock: Option<usize>,
    pub(super) ram: Range,
    #[serde(default)]
    pub(super) firmware: Vec<Range>,
    #[serde(default)]
    pub(super) load_addresses: BTreeMap<String, usize>,
    pub(super) uart: Option<Uart>,
    pub(super) reset: Option<Reset>,
    pub(super) led: Option<Led>,
    pub(super) watchdog: Option<Watchdog>,
    #[serde(default)]
    pub(super) defaults: Defaults,
    pub(super) bootloader: Bootloader,
    pub(super) flash: Option<Flash>,
    #[serde(default)]
    pub(super) compatible: Vec<String>,
    pub(super) dtb: Option<String>,
    pub(super) qemu: Option<Qemu>,
    #[serde(default)]
    pub(super) quirks: Vec<Quirk>,
    pub(super) sources: Vec<String>,
    #[serde(default)]
    pub(super) unverified: Vec<String>,
}

/// `boards/soc/NAME.toml`.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Soc {
    pub(super) title: String,
    #[serde(default, deserialize_with = "crate::machine::names::optional")]
    pub(super) arch: Option<Machine>,
    pub(super) cpu_clock: Option<usize>,
    #[serde(default)]
    pub(super) firmware: Vec<Range>,
    #[serde(default)]
    pub(super) load_addresses: BTreeMap<String, usize>,
    pub(super) uart: Option<Uart>,
    pub(super) reset: Option<Reset>,
    /// Where NOR flash appears in the address space.
    pub(super) flash_window: Option<Range>,
    #[serde(default)]
    pub(super) gpio: Vec<Gpio>,
    pub(super) watchdog: Option<Watchdog>,
    #[serde(default)]
    pub(super) defaults: Defaults,
    #[serde(default)]
    pub(super) quirks: Vec<Quirk>,
    pub(super) sources: Vec<String>,
    #[serde(default)]
    pub(super) unverified: Vec<String>,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    #[serde(default)]
    pub(super) start: usize,
    pub(super) size: usize,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Uart {
    pub(super) kind: UartKind,
    #[serde(default)]
    pub(super) address: usize,
    #[serde(default)]
    pub(super) shift: u8,
    #[serde(default = "one")]
    pub(super) width: u8,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UartKind {
    None,
    Ns16550,
    Pl011,
}

/// A bank of pins with a register that sets and one that clears the bits written to it.
#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(super) struct Gpio {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) set: usize,
    pub(super) clear: usize,
}

/// The LED for error codes, by its GPIO number.
#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Led {
    pub(super) gpio: u32,
    #[serde(default)]
    pub(super) active_low: bool,
}

#[derive(Deserialize, Debug, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Defaults {
    pub(super) policy: Option<Policy>,
    pub(super) handoff: Option<Handoff>,
    pub(super) phram: Option<Phram>,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    Halt,
    Reset,
    Return,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Bootloader {
    pub(super) name: String,
    pub(super) prompt: Option<String>,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) containers: Vec<Container>,
    pub(super) vendor_container: Option<String>,
    pub(super) flash_command: Option<String>,
    #[serde(default)]
    pub(super) bootm_dtb: bool,
    pub(super) own_dtb: Option<String>,
    pub(super) tftp_address: Option<usize>,
    pub(super) tftp_window: Option<u16>,
    pub(super) staging: Option<Range>,
    pub(super) reserved_top: usize,
    pub(super) decompression_limit: Option<usize>,
    pub(super) dictionary_limit: Option<usize>,
    pub(super) image_limit: Option<usize>,
    pub(super) watchdog: Option<u32>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Flash {
    pub(super) kind: FlashKind,
    pub(super) size: usize,
    pub(super) erase_size: usize,
    pub(super) read_speed: Option<usize>,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) offset: usize,
    pub(super) size: usize,
    pub(super) role: Role,
    pub(super) slot: Option<char>,
    pub(super) protected: Option<bool>,
}

fn one() -> u8 {
    1
}

/// A file's form, and its text to find a key's line again.
pub(super) struct Document<'a, T> {
    pub(super) form: T,
    origin: &'a Origin,
}

impl<'a, T: DeserializeOwned> Document<'a, T> {
    pub(super) fn parse(origin: &'a Origin) -> Result<Self, Problem> {
        match toml::from_str(&origin.text) {
            Ok(form) => Ok(Document { form, origin }),
            Err(error) => Err(foreign(origin, &error)),
        }
    }
}

impl<T> Document<'_, T> {
    /// What messages call the file.
    pub(super) fn file(&self) -> &str {
        &self.origin.file
    }

    /// The line of `key`, for example `flash.partitions[2].size`; when it is not there, of the nearest key above it.
    pub(super) fn line(&self, key: &str) -> Option<usize> {
        let document = DeTable::parse(&self.origin.text).ok()?;
        let mut table = Some(document.get_ref());
        let mut found = None;
        for part in key.split('.') {
            let (name, index) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
                Some((name, index)) => (name, Some(index.parse::<usize>().ok()?)),
                None => (part, None),
            };
            let Some((spanned, value)) = table.and_then(|table| table.get_key_value(name)) else { break };
            found = Some(spanned.span().start);
            let mut value = value;
            if let (Some(index), DeValue::Array(items)) = (index, value.get_ref()) {
                value = items.get(index)?;
                found = Some(value.span().start);
            }
            table = value.get_ref().as_table();
        }
        Some(line_at(&self.origin.text, found?))
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A syntax or schema error of the TOML reader as a problem with its next step.
fn foreign(origin: &Origin, error: &toml::de::Error) -> Problem {
    let (fact, next) = told(error.message().trim_end());
    Problem {
        file: origin.file.clone(),
        line: error.span().map(|span| line_at(&origin.text, span.start)),
        key: String::new(),
        fact,
        next,
    }
}
