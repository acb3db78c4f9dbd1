//! `stoop kexec`: a script that starts an image from a running Linux.

use std::path::PathBuf;

use crate::Result;
use crate::ui::put;
use stoop_image::input::read_file;
use stoop_image::kexec::Loadable;
use stoop_image::output::Output;
use stoop_image::shell;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop kexec next.elf -o next.sh")]
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
    let output = args.output.as_deref().map(|path| Output::new(path, [args.image.as_path()])).transpose()?;
    let loadable = Loadable::of(&file).map_err(|failure| failure.within(args.image.display()))?;
    let name = shell::file_argument(&args.image);
    let Some(output) = output.filter(|output| !output.is_stdout()) else {
        return put(&loadable.script(&format!("{}.sh", shell::served_name(&args.image))));
    };
    let path = output.path();
    output.write(loadable.script(&shell::file_name(path)).as_bytes())?;
    let script = shell::file_argument(path);
    put(&format!(
        "{}: for {name}, {}, {} KiB\n\non the router, with both files there\n  sh {script} -n {name}\n  sh {script} {name}\n",
        path.display(),
        loadable.summary(),
        loadable.loaded_kib()
    ))
}
