//! Why a project file cannot be used.

use std::io;
use std::path::PathBuf;

use super::file::{FILE, PLACE};

stoop_image::explained! {
    /// Why `stoop.toml` cannot be used.
    pub enum Error {
        #[error("{path}: {source}")]
        Unreadable { path: PathBuf, source: io::Error } => File, "correct it, or rename it if it is none of stoop's";
        #[error("{path}: 0x{size:x} bytes, more than 0x{most:x}")]
        TooLong { path: PathBuf, size: u64, most: u64 } => File, "correct it, or rename it if it is none of stoop's";
        #[error("{path}: no regular file")]
        NotAFile { path: PathBuf } => File, "correct it, or rename it if it is none of stoop's";
        #[error("{path}: no text: byte {at} is no UTF-8")]
        NotText { path: PathBuf, at: usize } => File, "correct it, or rename it if it is none of stoop's";
        /// `why` is the TOML reader's.
        #[error("{FILE}: {why}")]
        NotToml { why: String } => Project USAGE, "correct it: see `stoop init --help`";
        /// `near` is the key that is spelled most like it.
        #[error("{FILE}: {key} is no key of it")]
        NoSuchKey { key: String, near: Option<String>, known: Vec<String> } => Project USAGE, (meant(near.as_ref(), known));
        #[error("{FILE}: {key} has a value that no flag takes")]
        Value { key: String } => Project USAGE, "give it a text, a number, true or false, or a list of texts";
        #[error("{FILE}: {key} is a number, and a text is wanted")]
        Number { key: String } => Project USAGE, "write it in quotes";
        /// `fact` is what the flag says of it, `possible` the values that it takes.
        #[error("{FILE}: {key}: {fact}")]
        Refused { key: String, fact: String, possible: Option<String> }
            => Project USAGE, (possible.clone().unwrap_or_else(|| "see `stoop pack --help`, of [place] `stoop netboot --help`".to_owned()));
        #[error("{FILE}: {key} has {word} twice")]
        Twice { key: String, word: String } => Project USAGE, "name each format once";
        #[error("{FILE}: it has both {one} and {other}")]
        Both { one: &'static str, other: &'static str } => Project USAGE, "leave one of them out";
        #[error("{FILE}: {key} is no key of [{PLACE}]")]
        NoSuchPlaceKey { key: String, near: Option<String>, known: Vec<String> }
            => Project USAGE, (meant(near.as_ref(), known));
        #[error("{FILE}: {key} of [{PLACE}] has a value that no flag takes")]
        PlaceValue { key: String } => Project USAGE, "give it a text or a number";
        #[error("{FILE}: {key} of [{PLACE}] is neither true nor false")]
        PlaceSwitch { key: String } => Project USAGE, "give it true or false, without quotes";
        #[error("{FILE} is there already")]
        Exists => Project, "change it, or remove it first";
        /// `option` says the answer too.
        #[error("there is no answer to: {question}")]
        NoAnswer { question: String, option: String } => Project USAGE, "give {option}";
    }
}

fn meant(near: Option<&String>, known: &[String]) -> String {
    near.map_or_else(|| format!("its keys are {}", known.join(", ")), |near| format!("did you mean {near}?"))
}
