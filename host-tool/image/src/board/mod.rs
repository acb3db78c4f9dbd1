//! Boards as data: what stoop knows about a board, read from TOML and checked before anyone uses it.
//!
//! `raw` is the file's form, `rules` turns it into a [`Board`] or into a list of [`Problem`]s, `source` finds the
//! text, embedded or a file of the user's own. `boards/README.md` explains the files.

pub mod draft;
mod error;
mod foreign;
mod json;
pub mod maps;
pub mod printed;
mod problem;
mod raw;
mod rules;
mod source;
mod suggest;
pub mod trees;
mod types;

use std::path::Path;

pub use json::{policy_name, uart_kind};
pub use problem::Problem;
pub use source::Origin;
pub use suggest::nearest;
pub use types::*;

pub use error::Error;

use crate::Result;

/// The board called `name_or_path`: a name or an alias of the embedded ones, or the path of a board file (it has a
/// `/` or ends in `.toml`, or is `-` for stdin).
///
/// # Errors
/// An unknown name (with the nearest known one), an unreadable file, or the first problem in it.
pub fn load(name_or_path: &str) -> Result<Board> {
    let origin = source::find(name_or_path)?;
    read(&origin).map_err(|problems| Error::Broken { problems }.into())
}

/// The board that an image says it was packed for.
///
/// # Errors
/// It says none, or a board file of the user's own.
pub fn of_image(name: Option<&str>) -> Result<Board> {
    match name {
        Some(name) if names().any(|known| known == name) => load(name),
        Some(name) => Err(Error::ForeignBoard { name: name.to_owned() }.into()),
        None => Err(Error::BoardUnsaid.into()),
    }
}

/// Every problem in a board file; empty when it is right.
///
/// # Errors
/// The file cannot be read.
pub fn check(path: &Path) -> Result<Vec<Problem>> {
    Ok(read(&source::open(path)?).err().unwrap_or_default())
}

/// The names of the embedded boards, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    source::board_names()
}

/// Every embedded board, sorted by name.
///
/// # Errors
/// A broken board file; the tests leave none.
pub fn all() -> Result<Vec<Board>> {
    names().map(load).collect()
}

fn read(origin: &Origin) -> std::result::Result<Board, Vec<Problem>> {
    let board = raw::Document::<raw::Board>::parse(origin).map_err(|problem| vec![problem])?;
    let soc_origin = source::soc(origin, &board.form.soc).map_err(|fact| {
        let line = board.line("soc");
        vec![Problem { file: origin.file.clone(), line, key: "soc".into(), fact: fact.0, next: fact.1 }]
    })?;
    let soc = raw::Document::<raw::Soc>::parse(&soc_origin).map_err(|problem| vec![problem])?;
    rules::resolve(origin, &board, &soc)
}

#[cfg(test)]
mod tests;
