//! `stoop boards new`: a board file from a device tree and a log, and questions about the rest.

use std::io::{BufRead, IsTerminal, Write};
use std::iter;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, draft::Draft};
use stoop_image::input::{dtb, read_file};
use stoop_image::output::Output;

use super::check::{list, verdict};
use super::words::print;
use crate::command::stdin::stdin_once;
use crate::ui;

/// What the user typed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The board's device tree, compiled: from the firmware's build, or /sys/firmware/fdt of the running board; - for stdin
    #[arg(long, value_name = "FILE")]
    dtb: PathBuf,
    /// The serial console's output from power on, bootloader included; - for stdin
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The SoC's family, a file of `soc/` [default: from the device tree's `compatible`]
    #[arg(long, value_name = "NAME")]
    soc: Option<String>,
    /// The board file to write; its name is the board's [default: from the device tree's `compatible`]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// No device tree and no log is longer, in bytes.
const LONGEST: usize = 16 << 20;

/// Does it.
///
/// # Errors
/// A file cannot be read or is there already; the tree names no board, or a SoC that no board here has.
pub fn run(args: &Args, out: &mut impl Write) -> Result<()> {
    stdin_once(iter::once(&args.dtb).chain(&args.log))?;
    let shown = args.dtb.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tree = dtb::tree(short(&args.dtb)?).map_err(|failure| failure.within(args.dtb.display()))?;
    let log = args.log.as_ref().map(|path| Ok::<_, crate::Error>((path, short(path)?))).transpose()?;
    let log = log.map(|(path, bytes)| {
        (
            path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    });
    let log = log.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut draft = Draft::new(&shown, &tree, log, args.soc.as_deref())?;
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", draft.name)));
    if path.exists() {
        return Err(Error::Exists { path }.into());
    }
    let output = Output::new(&path, [args.dtb.as_path()])?;
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if asks {
        ask(&mut draft)?;
    }
    output.write(draft.toml().as_bytes())?;
    let problems = board::check(&path)?;
    print(list(&problems, out))?;
    let open = draft.questions();
    for question in &open {
        print(writeln!(out, "nobody has said {}: {} is taken ({})", question.text, question.usual, question.key))?;
    }
    print(writeln!(out, "{}: check its partitions and `unverified`, then `stoop boards show {0}`", path.display()))?;
    verdict(&path, &problems, Some("correct the file"))
}

fn short(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_file(path)?;
    if bytes.len() > LONGEST {
        return Err(Error::TooLong { path: path.into(), size: bytes.len(), most: LONGEST }.into());
    }
    Ok(bytes)
}

/// Asks until the answer is a figure; an empty one leaves the proposal, which stays in `unverified`.
fn ask(draft: &mut Draft) -> Result<()> {
    for question in draft.questions() {
        loop {
            ui::tell(format_args!("{} [{}]:", question.text, question.usual));
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer);
            read.map_err(|error| Error::Stdin { source: error })?;
            if answer.trim().is_empty() {
                break;
            }
            match draft.answer(question.key, answer.trim()) {
                Ok(()) => break,
                Err(failure) => ui::tell(ui::in_full(&failure)),
            }
        }
    }
    Ok(())
}
