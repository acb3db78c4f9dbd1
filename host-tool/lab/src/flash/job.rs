//! What is to be written where, decided before a board is touched.

use stoop_image::board::{Board, Flash, FlashKind, Partition};
use stoop_image::board_check::room;
use stoop_image::bootloader::flash::Range;
use stoop_image::image::flash::{Area, Write};
use stoop_image::image::flashing;

use super::Error;

/// What is to be written where. Each area is one that [`Area::within`] or [`Area::behind_driver`] made: no protected byte can be in it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The file as it is fetched, in whole erase blocks.
    pub file: Vec<u8>,
    /// In their order; of each the first erase block comes last.
    pub writes: Vec<Write>,
    /// First erase blocks of the slots that come before, erased at the end so that this one boots.
    pub switch: Vec<Area>,
}

impl Job {
    /// Of an image for flash: its slot, the shim where it differs, and, if `switch` says so, the slots before it. Of any other image: the
    /// partition that the bootloader starts. To be written by the bootloader, at addresses.
    ///
    /// # Errors
    /// [`Error::Image`]: it does not fit, a protected partition is in the way, or it was laid out for another flash map. [`Error::NotMapped`].
    pub fn of(board: &Board, image: &[u8], switch: bool) -> Result<Job, Error> {
        let flash = board.flash.as_ref().filter(|flash| !flash.window.is_empty());
        let flash = flash.ok_or_else(|| Error::NotMapped { board: board.name.clone() })?;
        match slots(board, image, switch)? {
            Some(job) => Ok(job),
            None => whole(flash, image, |flash, partition| {
                let mapped = Area::mapped(flash, partition);
                // What is longer is refused with the numbers of both.
                Area::within(flash, partition, if image.len() <= mapped.size() { mapped } else { partition.range() })
            }),
        }
    }

    /// The same, to be written by a Linux that runs on the board, which has a driver: the CPU need not read the flash as memory.
    ///
    /// # Errors
    /// [`Error::Image`] as for [`Job::of`]. [`super::ssh::Error::Nand`].
    pub fn for_linux(board: &Board, image: &[u8], switch: bool) -> Result<Job, Error> {
        let flash = board.flash.as_ref().ok_or_else(|| Error::NotMapped { board: board.name.clone() })?;
        if flash.kind == FlashKind::Nand {
            return Err(super::ssh::Error::Nand { board: board.name.clone() }.into());
        }
        match slots(board, image, switch)? {
            Some(job) => Ok(job),
            None => whole(flash, image, |flash, partition| Area::behind_driver(flash, partition, partition.range())),
        }
    }

    /// Where in RAM the file is fetched to, as typed.
    ///
    /// # Errors
    /// [`Error::NoRam`].
    pub fn fetched(&self, board: &Board) -> Result<usize, Error> {
        let size = self.file.len();
        room(board, size).map(|at| board.typed(at)).ok_or(Error::NoRam { size })
    }

    /// All that would be typed for it if nothing of it was in flash yet, as `pack` prints it.
    ///
    /// # Errors
    /// As for [`Job::fetched`].
    pub fn lines(&self, board: &Board, name: &str) -> Result<Vec<String>, Error> {
        let fetched = self.fetched(board)?;
        let mut lines = vec![stoop_image::commands::fetch(fetched as u64, None, name)];
        for write in &self.writes {
            lines.extend(Range::of(board, fetched, write).write(write.area.erase_size()));
        }
        for area in &self.switch {
            let (to, size) = super::area(board, area);
            let range = Range { from: 0, to, size };
            lines.extend([range.unprotect(), range.erase()]);
        }
        Ok(lines)
    }
}

/// Of an image for flash.
fn slots(board: &Board, image: &[u8], switch: bool) -> Result<Option<Job>, Error> {
    let opened = stoop_image::image::open(image).ok();
    if opened.is_none_or(|opened| opened.flash.is_none()) {
        return Ok(None);
    }
    let Some(flashing) = flashing::of_image(board, image).map_err(Error::Image)? else { return Ok(None) };
    // The shim first: an update of the slot is of use only to one that reads it.
    let writes = [flashing.boot].into_iter().chain(flashing.update).collect();
    let switch = if switch { flashing.before } else { Vec::new() };
    Ok(Some(Job { file: image.to_vec(), writes, switch }))
}

/// Of any other image; `area` makes what may be written of its partition.
fn whole(
    flash: &Flash,
    image: &[u8],
    area: impl Fn(&Flash, &Partition) -> stoop_image::Result<Area>,
) -> Result<Job, Error> {
    let partition = flash.image(None).ok_or_else(|| Error::NoPartition {
        name: "with the role firmware or kernel".into(),
        known: flash.partitions.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(", "),
    })?;
    let area = area(flash, partition).and_then(|area| area.front(image.len())).map_err(Error::Image)?;
    let mut file = image.to_vec();
    // As erased flash is: nothing to program.
    file.resize(area.size(), 0xff);
    Ok(Job { file, writes: vec![Write { what: "image", area, from: 0 }], switch: Vec::new() })
}

#[cfg(test)]
mod tests {
    use stoop_image::board;
    use stoop_image::board::FlashKind;

    use super::Job;
    use stoop_image::Explained;

    #[test]
    fn of_a_flash_larger_than_the_window_the_part_inside_it_is_written_and_all_of_it_by_linux() {
        for name in ["linkit-smart-7688", "omega2-plus"] {
            let board = board::load(name).expect("a board");
            let offset = board.flash.as_ref().and_then(|flash| flash.image(None)).expect("a partition").offset;
            let fits = vec![1; 0x100_0000 - offset];
            assert_eq!(Job::of(&board, &fits, false).expect(name).file.len(), fits.len());
            let longer = vec![1; fits.len() + 1];
            let refused = Job::of(&board, &longer, false).expect_err(name).to_string();
            assert!(
                refused.contains("lies behind what the CPU reads of the flash, its first 0x1000000 bytes"),
                "{refused}"
            );
            Job::for_linux(&board, &longer, false).expect(name);
        }
    }

    #[test]
    fn flash_that_the_cpu_does_not_read_as_memory_is_for_linux_alone_and_nand_for_neither() {
        let mut refused = [0, 0];
        for board in board::all().expect("boards") {
            let Some(flash) = &board.flash else { continue };
            let job = Job::of(&board, b"image", false);
            if flash.window.is_empty() {
                let error = job.expect_err(&board.name);
                assert_eq!((error.code(), error.exit_code()), ("L081", 2), "{}", board.name);
                let next = error.next_step().unwrap_or_default();
                assert!(next.contains("updater") && next.contains("--ssh HOST (NOR flash)"), "{next}");
                refused[usize::from(flash.kind == FlashKind::Nand)] += 1;
                let by_linux = Job::for_linux(&board, b"image", false);
                if flash.kind == FlashKind::Nand {
                    assert_eq!(by_linux.expect_err(&board.name).code(), "L098", "{}", board.name);
                } else {
                    by_linux.unwrap_or_else(|error| panic!("{}: {error}", board.name));
                }
            } else if let Err(error) = job {
                assert_ne!(error.code(), "L081", "{}", board.name);
            }
        }
        assert!(refused[0] > 0 && refused[1] > 0, "{refused:?}: NOR behind a driver, and NAND");
    }
}
