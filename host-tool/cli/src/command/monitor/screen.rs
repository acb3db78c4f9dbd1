//! The screen that says what is known of a console's lines.

use std::io;
use std::path::Path;

use crate::{Result, ui};
use stoop_image::explain;
use stoop_image::input::read_file;
use stoop_lab::notes::Codes;
use stoop_lab::oops::{Decoder, Symbols};
use stoop_lab::terminal::{Screen, Style};

/// One on stdout that explains codes and, with a kernel's ELF or `System.map`, puts addresses into words. `coloured`: where stdout takes that.
///
/// # Errors
/// The kernel cannot be read, or has no symbols.
pub(in crate::command) fn explained(times: bool, coloured: bool, vmlinux: Option<&Path>) -> Result<Screen> {
    let mut screen = Screen::new(Style { times, colours: coloured && ui::is_styled(&io::stdout()) });
    let codes: Vec<_> = explain::all().collect();
    screen.annotate(Codes::new(move |code: &str| match explain::find(&codes, code) {
        Ok(found) => vec![format!("{code}: {}", found.title), found.causes.to_owned(), found.advice.to_owned()],
        Err(_) => Vec::new(),
    }));
    if let Some(path) = vmlinux {
        screen.annotate(Decoder::new(Symbols::of(path, &read_file(path)?)?));
    }
    Ok(screen)
}
