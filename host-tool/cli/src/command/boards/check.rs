//! `stoop boards check`: whether board files are right, and whether flash maps are those of device trees.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::Error;
use stoop_image::board::trees::{Comparison, Trees};
use stoop_image::board::{self, Board};

use super::words::{json, print};

/// What the user typed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The board file; its SoC may be in `soc/` beside it
    #[arg(required_unless_present = "dts")]
    file: Option<PathBuf>,
    /// Compare its flash map, or that of every board that comes with stoop, with the device trees of this folder: source as
    /// OpenWrt has it (.dts, .dtso), or compiled (.dtb)
    #[arg(long, value_name = "DIR")]
    dts: Option<PathBuf>,
    /// Print JSON: the list of problems
    #[arg(long, conflicts_with = "dts")]
    json: bool,
}

/// Does it.
///
/// # Errors
/// A file or folder cannot be read; there are problems or differences.
pub fn run(args: &Args, out: &mut impl Write) -> Result<()> {
    if let Some(file) = &args.file {
        let problems = board::check(file)?;
        if args.json {
            json(&problems.iter().map(Into::into).collect::<Vec<crate::json::BoardProblem>>(), out)?;
        } else if args.dts.is_none() || !problems.is_empty() {
            print(explain(&problems, out))?;
        }
        verdict(file, &problems, None)?;
    }
    let Some(folder) = &args.dts else { return Ok(()) };
    let boards = match &args.file {
        Some(file) => vec![board::load(&path(file)?)?],
        None => board::all()?,
    };
    compare(&boards, &Trees::open(folder)?, out)
}

/// The path as [`board::load`] tells it from a name.
fn path(file: &Path) -> Result<String> {
    let text = file.to_str().ok_or_else(|| Error::FileName { file: file.into() })?;
    Ok(if text.contains('/') { text.to_owned() } else { format!("./{text}") })
}

fn explain(problems: &[board::Problem], out: &mut impl Write) -> io::Result<()> {
    if problems.is_empty() {
        writeln!(out, "no problems")?;
    }
    list(problems, out)
}

/// Each problem with what to do about it.
pub(super) fn list(problems: &[board::Problem], out: &mut impl Write) -> io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "{problem}\n  next: {}", problem.next))
}

/// A failure when there are problems; `next` is what to do about them.
pub(super) fn verdict(file: &Path, problems: &[board::Problem], next: Option<&'static str>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Problems { file: file.into(), count: problems.len(), next }.into())
}

fn compare(boards: &[Board], trees: &Trees, out: &mut impl Write) -> Result<()> {
    let mut all: Vec<Comparison> = Vec::new();
    let mut without = Vec::new();
    for board in boards.iter().filter(|board| board.flash.is_some()) {
        let found = trees.compare(board)?;
        if found.is_empty() {
            without.push(board.name.as_str());
        }
        all.extend(found);
    }
    all.iter().try_for_each(|it| print(tell(it, out)))?;
    if !without.is_empty() {
        print(writeln!(out, "no tree with a flash map for {} boards: {}", without.len(), without.join(", ")))?;
    }
    let different = all.iter().filter(|it| !it.differences.is_empty()).count();
    match (all.len(), different) {
        (0, _) => Err(Error::NoTreeOfThem.into()),
        (_, 0) => Ok(()),
        (of, different) => Err(Error::MapsDiffer { different, of }.into()),
    }
}

fn tell(it: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let verdict = match it.differences.len() {
        0 => format!("the same {} partitions", it.partitions),
        1 => "1 difference".to_owned(),
        n => format!("{n} differences"),
    };
    writeln!(out, "{}: {}: {verdict}", it.board, it.tree.display())?;
    for difference in &it.differences {
        writeln!(out, "  {}: {}", difference.partition.escape_default(), difference.fact.escape_default())?;
    }
    if !it.missing.is_empty() {
        writeln!(out, "  not there, so not compared: {}", it.missing.join(", ").escape_default())?;
    }
    Ok(())
}
