//! The project file `stoop.toml`: what is typed each time. Its keys are the long flags of `stoop pack`; flags win.

mod error;
mod file;

use std::any::TypeId;
use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use toml::{Table, Value};

use crate::Result;
pub use error::Error;
pub use file::FILE;
use file::PLACE;
use stoop_image::board::nearest;

const FORMAT: &str = "format";
/// Several values of `--format`: an image of each.
const FORMATS: &str = "formats";
/// The place's name in a lab.
const NAME: &str = "name";
/// The long flags of `stoop netboot` and its like that describe a place.
const PLACE_KEYS: [&str; 8] =
    ["serial", "speed", "power", "off-time", "address", "board-address", "power-off", "tftp-folder"];
/// The one of them that has no value.
const SWITCH: &str = "power-off";
const OUTPUT: &str = "output";
/// Bytes that no project file comes near.
const LONGEST: u64 = 1 << 20;
/// What is for one run, not for each.
const NOT_KEPT: [&str; 5] = ["help", "version", "dry-run", "json", "formats"];

/// What a project file says.
#[derive(Clone, Default, Debug)]
pub struct Project {
    values: Table,
}

/// A flag as the project file gives it, with its values.
type Flag = (String, Vec<String>);

impl Project {
    /// Reads the file in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// It is no regular file, cannot be read, is no TOML, or has a key that `pack` has no flag for.
    pub fn read(folder: &Path, pack: &Command) -> Result<Option<Project>> {
        let path = folder.join(FILE);
        let failed = |error| Error::Unreadable { path: path.clone(), source: error };
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error).into()),
        };
        // A pipe of that name would be waited for.
        if !meta.is_file() {
            return Err(Error::NotAFile { path }.into());
        }
        if meta.len() > LONGEST {
            return Err(Error::TooLong { path, size: meta.len(), most: LONGEST }.into());
        }
        let bytes = std::fs::read(&path).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Error::NotText { path: path.clone(), at }
        })?;
        Project::parse(&text, pack).map(Some)
    }

    /// Reads its text.
    ///
    /// # Errors
    /// As for [`Project::read`].
    pub fn parse(text: &str, pack: &Command) -> Result<Project> {
        let values: Table = text
            .parse()
            .map_err(|error: toml::de::Error| Error::NotToml { why: error.to_string().trim_end().to_owned() })?;
        let flags = pack.get_arguments().filter_map(clap::Arg::get_long).filter(|long| !NOT_KEPT.contains(long));
        let known: Vec<&str> = flags.chain([FORMATS, PLACE]).collect();
        for (key, value) in &values {
            if !known.contains(&key.as_str()) {
                let near = nearest(key, known.iter().copied()).map(str::to_owned);
                return Err(Error::NoSuchKey {
                    key: key.clone(),
                    near,
                    known: known.iter().map(|known| (*known).to_owned()).collect(),
                }
                .into());
            }
            if let (PLACE, Value::Table(place)) = (key.as_str(), value) {
                check_place(place)?;
                continue;
            }
            // Else only its name.
            if key == PLACE && !value.is_str() {
                return Err(match value {
                    Value::Integer(_) => Error::Number { key: key.clone() },
                    _ => Error::Value { key: key.clone() },
                }
                .into());
            }
            check_value(pack, key, value)?;
        }
        if values.contains_key(FORMATS) && values.contains_key(FORMAT) {
            return Err(Error::Both { one: FORMAT, other: FORMATS }.into());
        }
        Ok(Project { values })
    }

    /// The image that it makes; of several the first.
    pub fn image(&self) -> Option<String> {
        let output = self.text(OUTPUT)?;
        Some(match &self.formats()[..] {
            [first, _, ..] => named_by_format(&output, first),
            _ => output,
        })
    }

    /// The words to put in front of what was typed behind a verb that works at a place: its table, and the board.
    ///
    /// # Errors
    /// A key of the table has a value that its flag does not take.
    pub fn place_words(&self, verb: &Command, typed: &ArgMatches) -> Result<Vec<OsString>> {
        let is_free = |key: &str| {
            let argument = verb.get_arguments().find(|argument| argument.get_long() == Some(key));
            argument.is_some_and(|argument| !is_typed(typed, argument))
        };
        let place = self.values.get(PLACE).and_then(Value::as_table);
        let board = self.text("board").filter(|_| is_free("board"));
        let keys = place.into_iter().flatten().filter(|(key, _)| is_free(key));
        let mut words = Vec::new();
        for (key, value) in keys {
            let word = match value {
                Value::Boolean(true) => format!("--{key}"),
                Value::Boolean(false) => continue,
                Value::String(text) => format!("--{key}={text}"),
                other => format!("--{key}={other}"),
            };
            let word = OsString::from(word);
            refused(verb, &format!("[{PLACE}] {key}"), std::slice::from_ref(&word))?;
            words.push(word);
        }
        words.extend(board.map(|board| format!("--board={board}").into()));
        Ok(words)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).and_then(Value::as_str).map(str::to_owned)
    }

    fn formats(&self) -> Vec<String> {
        self.values.get(FORMATS).and_then(words).unwrap_or_default()
    }

    /// The words to put in front of what was typed behind `pack`, once for each image to be made.
    pub fn pack_words(&self, pack: &Command, typed: &ArgMatches) -> Vec<Vec<OsString>> {
        let mut flags: Vec<Flag> = Vec::new();
        for (key, value) in self.values.iter().filter(|(key, _)| !matches!(key.as_str(), FORMATS | PLACE)) {
            let Some(argument) = pack.get_arguments().find(|argument| argument.get_long() == Some(key)) else {
                continue;
            };
            // What was typed wins, also over what cannot stand beside it.
            let beside = pack.get_arguments().filter(|other| {
                let conflicts = |one, other: &clap::Arg| {
                    pack.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
                };
                other.get_id() == argument.get_id() || conflicts(argument, other) || conflicts(other, argument)
            });
            if beside.into_iter().any(|argument| is_typed(typed, argument)) {
                continue;
            }
            let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
            match (value, is_switch) {
                (Value::Boolean(true), true) => flags.push((key.clone(), Vec::new())),
                (Value::Boolean(false), true) => {}
                _ => flags.push((key.clone(), words(value).unwrap_or_default())),
            }
        }
        let is_free = |long: &str| {
            let argument = pack.get_arguments().find(|argument| argument.get_long() == Some(long));
            argument.is_none_or(|argument| !is_typed(typed, argument))
        };
        let formats = if is_free(FORMAT) { self.formats() } else { Vec::new() };
        if formats.is_empty() {
            return vec![spelled(&flags)];
        }
        let several = formats.len() > 1 && is_free(OUTPUT);
        let of = |format: &String| {
            let mut flags = flags.clone();
            flags.push((FORMAT.into(), vec![format.clone()]));
            if let Some((_, output)) = flags.iter_mut().find(|(key, _)| several && key == OUTPUT) {
                output.iter_mut().for_each(|output| *output = named_by_format(output, format));
            }
            spelled(&flags)
        };
        formats.iter().map(of).collect()
    }
}

/// Whether the flag of this name takes the value. `formats` is several values of `--format`, each once.
fn check_value(pack: &Command, key: &str, value: &Value) -> Result<()> {
    let Some(words) = words(value) else { return Err(Error::Value { key: key.to_owned() }.into()) };
    let flag = if key == FORMATS { FORMAT } else { key };
    // A place's name is no flag of pack.
    let Some(argument) = pack.get_arguments().find(|argument| argument.get_long() == Some(flag)) else { return Ok(()) };
    let takes = |number: TypeId| argument.get_value_parser().type_id() == number;
    let is_number = [TypeId::of::<u64>(), TypeId::of::<usize>(), TypeId::of::<u32>()].into_iter().any(takes);
    if matches!(value, Value::Integer(_)) && !is_number {
        return Err(Error::Number { key: key.to_owned() }.into());
    }
    let mut seen = words.iter();
    while let Some(word) = seen.next() {
        if key == FORMATS && seen.as_slice().contains(word) {
            return Err(Error::Twice { key: key.to_owned(), word: word.clone() }.into());
        }
    }
    let is_off = matches!(value, Value::Boolean(false));
    let typed = if key == FORMATS { words.iter().map(|word| vec![word.clone()]).collect() } else { vec![words] };
    for words in typed.into_iter().filter(|_| !is_off) {
        refused(pack, key, &spelled(&[(flag.to_owned(), words)]))?;
    }
    Ok(())
}

/// Whether a verb takes the words of a key; what else it needs may be typed.
fn refused(verb: &Command, key: &str, words: &[OsString]) -> Result<()> {
    let parsed = verb.clone().try_get_matches_from([&[OsString::from("verb")], words].concat());
    let Some(error) = parsed.err().filter(|error| error.kind() != ErrorKind::MissingRequiredArgument) else {
        return Ok(());
    };
    let text = error.to_string();
    let mut lines = text.lines();
    let fact = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let possible = lines.find(|line| line.contains("possible values")).map(|line| line.trim().to_owned());
    Err(Error::Refused { key: key.to_owned(), fact, possible }.into())
}

fn check_place(place: &Table) -> Result<()> {
    for (key, value) in place {
        let known = || PLACE_KEYS.into_iter().chain([NAME]);
        if !known().any(|known| known == key) {
            let near = nearest(key, known()).map(str::to_owned);
            return Err(
                Error::NoSuchPlaceKey { key: key.clone(), near, known: known().map(str::to_owned).collect() }.into()
            );
        }
        // What has a value would take the next word for it, and what is a switch has none.
        match (key == SWITCH, value) {
            (true, Value::Boolean(_)) | (false, Value::String(_) | Value::Integer(_) | Value::Float(_)) => {}
            (true, _) => return Err(Error::PlaceSwitch { key: key.clone() }.into()),
            (false, _) => return Err(Error::PlaceValue { key: key.clone() }.into()),
        }
    }
    Ok(())
}

fn is_typed(typed: &ArgMatches, argument: &clap::Arg) -> bool {
    typed.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// `image.bin` becomes `image-uimage.bin`.
fn named_by_format(output: &str, format: &str) -> String {
    let path = Path::new(output);
    match (path.file_stem().and_then(|stem| stem.to_str()), path.extension().and_then(|end| end.to_str())) {
        (Some(stem), Some(end)) => path.with_file_name(format!("{stem}-{format}.{end}")).display().to_string(),
        _ => format!("{output}-{format}"),
    }
}

/// A value as it would be typed; `None` for what no flag takes.
fn words(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![format!("{number:#x}")],
        Value::Boolean(_) => Vec::new(),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        _ => return None,
    })
}

/// With `=`, so that a value may begin with a dash.
fn spelled(flags: &[Flag]) -> Vec<OsString> {
    let mut words = Vec::new();
    for (key, values) in flags {
        match &values[..] {
            [] => words.push(format!("--{key}").into()),
            all => words.extend(all.iter().map(|value| OsString::from(format!("--{key}={value}")))),
        }
    }
    words
}
