//! `stoop kexec`: a script that starts an image from a running Linux.

use std::path::PathBuf;

use super::files;
use crate::Result;
use crate::input::read_file;
use crate::kexec::Loadable;
use crate::ui::put;

/// What the user typed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The image: for MIPS packed with --format elf, for arm64 with --format image
    image: PathBuf,
    /// Where to write the script [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Checks the image by kexec's rules and writes the script.
///
/// # Errors
/// The image cannot be read, or breaks a rule; nothing is written then.
pub fn run(args: &Args) -> Result<()> {
    let file = read_file(&args.image)?;
    let loadable = Loadable::of(&file).map_err(|failure| failure.within(args.image.display()))?;
    let name = args.image.file_name().unwrap_or_default().to_string_lossy();
    let Some(path) = &args.output else { return put(&loadable.script(&format!("{name}.sh"))) };
    let script = path.file_name().unwrap_or_default().to_string_lossy();
    files::replace(path, loadable.script(&script).as_bytes())?;
    put(&format!(
        "{}: for {name}, {}, {} KiB\n\non the router, with both files there\n  sh {script} -n {name}\n  sh {script} {name}\n",
        path.display(),
        loadable.summary(),
        loadable.loaded_kib()
    ))
}
