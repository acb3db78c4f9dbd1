//! `stoop man`: the man pages, one for each verb.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::Error;
use crate::ui::put;
use stoop_image::output::Output;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop man /usr/local/share/man/man1")]
pub struct Args {
    /// Where to write them, such as /usr/local/share/man/man1
    directory: PathBuf,
}

/// Writes them.
///
/// # Errors
/// The directory cannot be made or written.
pub fn run(args: &Args, command: clap::Command) -> Result<()> {
    let directory = &args.directory;
    if !directory.is_dir() {
        std::fs::create_dir(directory).map_err(|error| Error::NoFolder { path: directory.clone(), source: error })?;
    }
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let count = write(&command, directory)?;
    put(&format!("{count} man pages in {}\n", directory.display()))
}

/// The command's page and those of its subcommands; how many they are.
fn write(command: &clap::Command, directory: &Path) -> Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(|error| crate::Error::file(&path, error))?;
    Output::new(&path, [])?.write(&page)?;
    let below = command.get_subcommands().map(|command| write(command, directory));
    below.sum::<Result<usize>>().map(|below| below + 1)
}
