//! One extent of flash: what differs is erased, written and compared, its first block last.
//!
//! U-Boot's exit codes lie (`erase` of protected sectors gives 0), so its words decide.

use std::ops::Range as Span;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use stoop_image::board::Board;
use stoop_image::bootloader::flash::Range;
use stoop_image::image::flash::{Area, Write};

use super::step::sum;
use super::{Error, Step, Tell};
use crate::Result;
use crate::bootloader::Bootloader;

/// Writes one extent, if it is not there already.
pub fn extent(bootloader: &mut Bootloader<'_>, write: &Write, range: &Range, bytes: &[u8], tell: &Tell) -> Result<()> {
    let (what, block) = (write.what, write.area.erase_size());
    if same(bootloader, range, bytes, tell)? == Some(true) {
        tell(Step::Kept { what });
        return Ok(());
    }
    let runs = differing(bootloader, range, bytes, block, tell)?;
    let count: usize = runs.iter().map(Span::len).sum();
    tell(Step::Writing { what, bytes: count, size: range.size });
    let front = range.part(0, block.min(range.size));
    // From now on until the end nothing takes the extent for whole.
    erase(bootloader, &front, tell)?;
    for run in runs.iter().map(|run| run.start.max(block)..run.end).filter(|run| !run.is_empty()) {
        let part = range.part(run.start, run.len());
        erase(bootloader, &part, tell)?;
        copy(bootloader, &part, tell)?;
    }
    if range.size > block {
        verify(bootloader, &range.part(block, range.size - block), &bytes[block..], tell)?;
    }
    copy(bootloader, &front, tell)?;
    verify(bootloader, range, bytes, tell)?;
    tell(Step::Verified { what });
    Ok(())
}

/// Erases the first block of a slot, so that it does not boot any more.
pub fn erase_front(bootloader: &mut Bootloader<'_>, board: &Board, area: &Area, tell: &Tell) -> Result<()> {
    let (to, size) = super::area(board, area);
    erase(bootloader, &Range { from: 0, to, size }, tell)
}

/// The blocks that are not as they shall be, as runs by their distance from the range's start; all when the bootloader has no
/// `crc32`.
fn differing(
    bootloader: &mut Bootloader<'_>,
    range: &Range,
    bytes: &[u8],
    block: usize,
    tell: &Tell,
) -> Result<Vec<Span<usize>>> {
    let mut runs: Vec<Span<usize>> = Vec::new();
    for (number, wanted) in bytes.chunks(block).enumerate() {
        let at = number * block;
        match same(bootloader, &range.part(at, wanted.len()), wanted, tell)? {
            Some(true) => continue,
            Some(false) => {}
            None => return Ok(std::iter::once(0..range.size).collect()),
        }
        match runs.last_mut() {
            Some(last) if last.end == at => last.end += wanted.len(),
            _ => runs.push(at..at + wanted.len()),
        }
    }
    Ok(runs)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static SUM: LazyLock<Regex> = LazyLock::new(|| pattern("==> ([0-9a-f]{8})"));
static DIFFERS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"byte at 0x([0-9a-f]+) \(0x([0-9a-f]+)\) != byte at 0x([0-9a-f]+) \(0x([0-9a-f]+)\)"));
static ERASED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:Erased \d+ sectors|done)"));
/// `common/flash.c`, `flash_perror`, and drivers' own words.
static TROUBLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:will not be erased|protected flash|time-?out|not erased|outside available|error|fail|unknown command|usage:)[^\n]*",
    )
});

/// Whether flash has these bytes, by the sum of both; `None` when the bootloader cannot say.
fn same(bootloader: &mut Bootloader<'_>, range: &Range, bytes: &[u8], tell: &Tell) -> Result<Option<bool>> {
    let printed = command(bootloader, &range.sum(), range.size, tell)?;
    let found = SUM.captures(&printed).and_then(|found| u32::from_str_radix(&found[1], 16).ok());
    Ok(found.map(|found| found == sum(bytes)))
}

fn erase(bootloader: &mut Bootloader<'_>, range: &Range, tell: &Tell) -> Result<()> {
    // Flash without protection has no such command; what matters is what `erase` says.
    command(bootloader, &range.unprotect(), 0, tell)?;
    let line = range.erase();
    let printed = command(bootloader, &line, range.size, tell)?;
    match TROUBLE.find(&printed) {
        None if ERASED.is_match(&printed) => Ok(()),
        trouble => Err(Error::Erase { line, said: words(trouble, &printed) }.into()),
    }
}

fn copy(bootloader: &mut Bootloader<'_>, range: &Range, tell: &Tell) -> Result<()> {
    let line = range.copy();
    let printed = command(bootloader, &line, range.size, tell)?;
    let Some(trouble) = TROUBLE.find(&printed) else { return Ok(()) };
    let said = trouble.as_str().to_owned();
    // Where it stopped is worth more than that it did.
    let at = compared(bootloader, range, tell).ok().flatten().map(|differs| differs.at);
    Err(Error::Write { line, said, at }.into())
}

/// Compares flash with RAM, and flash's sum with the file's: the first finds the address, the second does not trust RAM.
fn verify(bootloader: &mut Bootloader<'_>, range: &Range, bytes: &[u8], tell: &Tell) -> Result<()> {
    if let Some(Differs { at, wanted, found }) = compared(bootloader, range, tell)? {
        return Err(Error::Differs { at, wanted, found }.into());
    }
    match same(bootloader, range, bytes, tell)? {
        Some(false) => Err(Error::Sum { at: range.to, size: range.size }.into()),
        _ => Ok(()),
    }
}

struct Differs {
    at: usize,
    wanted: u8,
    found: u8,
}

/// The first byte that differs, by `cmp.b`.
fn compared(bootloader: &mut Bootloader<'_>, range: &Range, tell: &Tell) -> Result<Option<Differs>> {
    let line = range.compare();
    let printed = command(bootloader, &line, range.size, tell)?;
    if let Some(differs) = DIFFERS.captures(&printed) {
        let number = |group: usize| usize::from_str_radix(&differs[group], 16).unwrap_or_default();
        return Ok(Some(Differs { at: number(3), wanted: number(2) as u8, found: number(4) as u8 }));
    }
    let all = [format!("Total of {} byte", range.size), format!("Total of {:#x} byte", range.size)];
    match all.iter().any(|all| printed.contains(all)) && printed.contains("the same") {
        true => Ok(None),
        false => Err(Error::Compare { line, said: words(None, &printed) }.into()),
    }
}

fn command(bootloader: &mut Bootloader<'_>, line: &str, size: usize, tell: &Tell) -> Result<String> {
    tell(Step::Typed(line.to_owned()));
    bootloader.enter(line)?;
    let patience = bootloader.patience();
    let patience = patience.command + Duration::from_secs((size / patience.flash_rate.max(1)) as u64);
    Ok(bootloader.finish(line, patience)?)
}

fn words(trouble: Option<regex::Match<'_>>, printed: &str) -> String {
    let last = printed.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
    trouble.map_or(last, |trouble| trouble.as_str().trim()).to_owned()
}
