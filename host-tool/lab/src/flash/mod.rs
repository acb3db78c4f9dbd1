//! Writing an image to a board's NOR flash by its bootloader, so that a board is never left with a slot that looks good and is
//! not: what is there already is not written again, each extent is read back, and the block that makes a slot bootable comes last.

mod error;
mod job;
mod read;
pub mod ssh;
mod step;
mod unfinished;
mod write;

use stoop_image::board::{self, Board};
use stoop_image::bootloader::flash::Range;

pub use error::Error;
pub use job::Job;
pub use step::{Reach, Step, Tell, area};
pub use unfinished::Unfinished;

use crate::Result;
use crate::bootloader::{Bootloader, Facts};
use crate::netboot::{self, Netboot};
use crate::power::Power;
use crate::qemu::Console;

/// Writes what the job says.
///
/// # Errors
/// [`Error`] names the command and the first address that is not as it should be; [`crate::bootloader::Error`],
/// [`crate::netboot::Error`] on the way there. Whatever happened, the block that makes the slot bootable is written only
/// after everything else was read back.
pub fn write(
    console: &mut Console,
    power: Option<&mut dyn Power>,
    way: &Reach<'_>,
    job: &Job,
    name: &str,
    tell: &Tell,
) -> Result<()> {
    let fetched = job.fetched(way.board)?;
    let facts = Facts::of(way.board, &board::all().unwrap_or_default())?;
    let steps = tell.clone();
    let boot_tell: netboot::Tell = std::sync::Arc::new(move |step| steps(Step::Boot(step)));
    let boot = Netboot {
        board: way.board,
        image: &job.file,
        name: name.to_owned(),
        place: way.place,
        patience: way.patience,
        stall: way.stall,
    };
    let mut bootloader = Bootloader::new(console, &facts, way.patience);
    netboot::to_ram(&mut bootloader, power, &boot, fetched as u64, !way.trust, &boot_tell)?;
    for write in &job.writes {
        let range = Range::of(way.board, fetched, write);
        let bytes = &job.file[write.from..][..write.area.size()];
        write::extent(&mut bootloader, write, &range, bytes, tell)?;
    }
    for area in &job.switch {
        write::erase_front(&mut bootloader, way.board, area, tell)?;
    }
    if !job.switch.is_empty() {
        tell(Step::Switched);
    }
    Ok(())
}

/// Reads areas of flash, through the console: a few kilobytes a second at 115200 bits a second.
///
/// # Errors
/// As for [`write()`]; what was read is compared with the bootloader's own sum.
pub fn read(
    console: &mut Console,
    power: Option<&mut dyn Power>,
    way: &Reach<'_>,
    areas: &[(usize, usize)],
    tell: &Tell,
) -> Result<Vec<Vec<u8>>> {
    let facts = Facts::of(way.board, &board::all().unwrap_or_default())?;
    let steps = tell.clone();
    let boot_tell: netboot::Tell = std::sync::Arc::new(move |step| steps(Step::Boot(step)));
    let mut bootloader = Bootloader::new(console, &facts, way.patience);
    netboot::to_prompt(&mut bootloader, power, way.board, way.place, false, &boot_tell)?;
    let all: usize = areas.iter().map(|(_, size)| size).sum();
    let mut done = 0;
    let mut pieces = Vec::new();
    for &(at, size) in areas {
        let piece = read::range(&mut bootloader, at, size, &mut |count| {
            done += count;
            tell(Step::Read { bytes: done, size: all });
        })?;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Where a partition is read, as typed.
///
/// # Errors
/// There is no such partition, or the bootloader does not read the flash as memory.
pub fn partition(board: &Board, name: &str) -> Result<(usize, usize), Error> {
    let flash = board.flash.as_ref().ok_or_else(|| Error::NotMapped { board: board.name.clone() })?;
    let partition = flash.partition(name).ok_or_else(|| Error::NoPartition {
        name: name.to_owned(),
        known: flash.partitions.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(", "),
    })?;
    let mapped = flash.mapped(partition).ok_or_else(|| Error::NotMapped { board: board.name.clone() })?;
    let segment = board.bootloader.started_from().map_or(board.typed(0), |start| start & 0xe000_0000);
    Ok((segment | mapped.start(), mapped.size()))
}
