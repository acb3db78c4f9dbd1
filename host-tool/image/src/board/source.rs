//! Where board files come from: the embedded table, or a path the user gave.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::Result;

use super::suggest::nearest;
use crate::input::read_text;

include!(concat!(env!("OUT_DIR"), "/boards.rs"));

/// One TOML file: its text and what to call it in messages.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The board's name: the file's name without `.toml`.
    pub name: String,
    /// What messages call it.
    pub file: String,
    /// Its folder when it is a file of the user's own; files it names are looked for there first.
    pub folder: Option<PathBuf>,
    /// The content.
    pub text: Cow<'static, str>,
}

/// What to tell when a file named by a board file is not there: fact and next step.
pub(super) type Missing = (String, String);

/// The names of the embedded boards, sorted.
pub(super) fn board_names() -> impl Iterator<Item = &'static str> {
    BOARDS.iter().map(|(name, _)| *name)
}

/// The text of `name_or_path`.
pub(super) fn find(name_or_path: &str) -> Result<Origin> {
    if name_or_path == "-" || name_or_path.contains('/') || name_or_path.ends_with(".toml") {
        return open(Path::new(name_or_path));
    }
    if let Some(origin) = embedded(BOARDS, "boards", name_or_path) {
        return Ok(origin);
    }
    let aliases = aliases();
    if let Some(origin) =
        aliases.iter().find(|(alias, _)| alias == name_or_path).and_then(|(_, name)| embedded(BOARDS, "boards", name))
    {
        return Ok(origin);
    }
    let known = BOARDS.iter().map(|(name, _)| *name).chain(aliases.iter().map(|(alias, _)| alias.as_str()));
    let near = nearest(name_or_path, known).map(str::to_owned);
    Err(Error::NoSuchBoard { name: name_or_path.to_owned(), near }.into())
}

/// A board file of the user's own; `-` is stdin, and the folder of files it names the current one.
pub(super) fn open(path: &Path) -> Result<Origin> {
    let text = read_text(path).map_err(|error| Error::Unreadable { why: error.to_string() })?;
    let stem = if path.as_os_str() == "-" { OsStr::new("stdin") } else { path.file_stem().unwrap_or_default() };
    let name = stem.to_string_lossy().into_owned();
    let folder = path.parent().map(Path::to_owned);
    Ok(Origin { name, file: path.display().to_string(), folder, text: text.into() })
}

/// The SoC file that a board names: `soc/NAME.toml` beside the board's file, else the embedded one.
pub(super) fn soc(board: &Origin, name: &str) -> std::result::Result<Origin, Missing> {
    if let Some(folder) = &board.folder {
        let path = folder.join("soc").join(format!("{name}.toml"));
        if path.is_file() {
            let next = "make it a readable file with the keys of a SoC (boards/README.md), or remove it";
            return open(&path).map_err(|failure| (failure.to_string(), next.into()));
        }
    }
    embedded(SOCS, "boards/soc", name).ok_or_else(|| {
        let known = SOCS.iter().map(|(name, _)| *name);
        let next = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known are {}; your own goes to soc/{name}.toml beside the board's file", join(known)),
        };
        (format!("no SoC is called {name:?}"), next)
    })
}

/// The compiled device tree that a board names: `dts/NAME.dtb` beside the board's file, else the embedded one.
pub(super) fn tree(board: &Origin, name: &str) -> std::result::Result<Cow<'static, [u8]>, Missing> {
    if let Some(folder) = &board.folder {
        let path = folder.join("dts").join(format!("{name}.dtb"));
        if let Ok(bytes) = std::fs::read(path) {
            return Ok(bytes.into());
        }
    }
    match TREES.iter().find(|(found, _)| *found == name) {
        Some((_, bytes)) => Ok(Cow::Borrowed(*bytes)),
        None => Err((
            format!("there is no device tree dts/{name}.dtb"),
            "compile it with dtc, or leave the key out and give --dtb to pack".into(),
        )),
    }
}

fn embedded(table: &'static [(&str, &str)], folder: &str, name: &str) -> Option<Origin> {
    let (name, text) = table.iter().find(|(found, _)| *found == name)?;
    Some(Origin {
        name: (*name).to_owned(),
        file: format!("{folder}/{name}.toml"),
        folder: None,
        text: Cow::Borrowed(*text),
    })
}

/// Every alias of every embedded board with the board's name.
fn aliases() -> Vec<(String, &'static str)> {
    #[derive(serde::Deserialize)]
    struct Aliases {
        #[serde(default)]
        aliases: Vec<String>,
    }
    BOARDS
        .iter()
        .filter_map(|(name, text)| Some((*name, toml::from_str::<Aliases>(text).ok()?)))
        .flat_map(|(name, found)| found.aliases.into_iter().map(move |alias| (alias, name)))
        .collect()
}

pub(super) fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
