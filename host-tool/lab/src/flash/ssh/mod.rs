//! Writing flash from a Linux that runs on the board, by ssh: partitions by their names in /proc/mtd, with the tools that the board has.
//!
//! An extent is written without its first erase block, which stays erased, and read back; only then the first block is written, and
//! read back. So a slot that looks good is good, whatever ends in the middle, and a second run goes on.

mod command;
mod error;
mod session;
mod target;

use std::path::Path;

use stoop_image::board::Board;
use stoop_image::image::flash::Area;
use stoop_image::shell;

pub use error::Error;
pub use session::Host;

use super::{Error as FlashError, Job, Step, Tell};
use crate::Result;
use command::{FILE, Place, Tool, and_away};
use session::Session;
use target::Target;

/// As flash is when it was erased.
const ERASED: u8 = 0xff;

/// Writes what the job says.
///
/// # Errors
/// [`Error`]: the board cannot be reached, or has not what it takes. [`crate::bootloader::Error::WrongBoard`]: its flash is divided
/// otherwise than the board file says. [`super::Error::Differs`]: what was read back is not the file; the address is the distance from the
/// start of flash. Nothing is written before all of it was checked.
pub fn write(host: &Host, board: &Board, job: &Job, tell: &Tell) -> Result<()> {
    let mut session = Session::open(host)?;
    let target = Target::of(&mut session)?;
    let mut extents = Vec::new();
    for write in &job.writes {
        let bytes = &job.file[write.from..][..write.area.size()];
        extents.push(Extent::of(&target, board, &write.area, write.what, bytes.to_vec())?);
    }
    let erased = |area: &Area| vec![ERASED; area.size()];
    let fronts = job.switch.iter().map(|area| Extent::of(&target, board, area, "front", erased(area)));
    let fronts = fronts.collect::<Result<Vec<_>>>()?;
    for extent in &extents {
        extent.write(&mut session, tell)?;
    }
    for extent in &fronts {
        extent.program(&mut session, &extent.bytes, tell)?;
        extent.verify(&mut session, &extent.bytes)?;
    }
    if !fronts.is_empty() {
        tell(Step::Switched);
    }
    Ok(())
}

/// All that would be run there for it, by the first tool that can, for partitions whose numbers are not known yet.
pub fn lines(job: &Job) -> Vec<String> {
    let program = |area: &Area| {
        let tool = Tool::ALL.into_iter().find(|tool| tool.writes_at(area.inside()));
        tool.map(|tool| unknown(area).program(tool))
    };
    let written = job.writes.iter().map(|write| &write.area);
    let written = written.flat_map(|area| [program(area), Some(unknown(area).fill_front())]);
    written.chain(job.switch.iter().map(program)).flatten().collect()
}

fn unknown(area: &Area) -> Place {
    Place {
        device: shell::mtd_device(area.partition()),
        partition: area.partition().to_owned(),
        inside: area.inside(),
        size: area.size(),
        erase: area.erase_size(),
    }
}

/// Bytes and their place.
struct Extent {
    what: &'static str,
    bytes: Vec<u8>,
    /// From the start of flash.
    offset: usize,
    /// Of the flash map: the front is one.
    block: usize,
    place: Place,
    tool: Tool,
}

impl Extent {
    fn of(target: &Target, board: &Board, area: &Area, what: &'static str, bytes: Vec<u8>) -> Result<Extent> {
        let place = target.place(board, area)?;
        let tool = target.tool(&place)?;
        target.has_room(bytes.len())?;
        Ok(Extent { what, bytes, offset: area.offset(), block: area.erase_size(), place, tool })
    }

    fn write(&self, session: &mut Session<'_>, tell: &Tell) -> Result<()> {
        let what = self.what;
        let found = session.run(&self.place.read(), &[])?;
        if found == self.bytes {
            tell(Step::Kept { what });
            return Ok(());
        }
        let mut body = self.bytes.clone();
        body[..self.block].fill(ERASED);
        // It is that, when the last run was cut short between the two, and when it was erased.
        let (is_body, size) = (found == body, body.len());
        tell(Step::Writing { what, bytes: if is_body { self.block } else { size }, size });
        if !is_body {
            self.program(session, &body, tell)?;
            self.verify(session, &body)?;
        }
        let command = self.place.fill_front();
        put(session, &self.bytes[..self.block])?;
        tell(Step::Typed(command.clone()));
        session.run(&and_away(&command), &[])?;
        self.verify(session, &self.bytes)?;
        tell(Step::Verified { what });
        Ok(())
    }

    fn program(&self, session: &mut Session<'_>, bytes: &[u8], tell: &Tell) -> Result<()> {
        put(session, bytes)?;
        let command = self.place.program(self.tool);
        tell(Step::Typed(command.clone()));
        session.run(&and_away(&command), &[]).map(|_| ())
    }

    fn verify(&self, session: &mut Session<'_>, bytes: &[u8]) -> Result<()> {
        let found = session.run(&self.place.read(), &[])?;
        let Some(at) = first_difference(&found, bytes) else { return Ok(()) };
        let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or_default();
        Err(FlashError::Differs { at: self.offset + at, wanted: byte(bytes), found: byte(&found) }.into())
    }
}

/// Puts a file there, whole or not at all: a command of its own, since one that goes on to write flash would also write half a file
/// after the connection is lost.
fn put(session: &mut Session<'_>, bytes: &[u8]) -> Result<()> {
    let command = format!("rm -f {FILE}; cat > {FILE} && wc -c < {FILE} || {{ rm -f {FILE}; exit 1; }}");
    let said = session.run(&command, bytes)?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if said == bytes.len().to_string() {
        return Ok(());
    }
    let host = session.host().to_owned();
    Err(Error::Command { host, command, said: format!("{said} of {} bytes are there", bytes.len()) }.into())
}

fn first_difference(found: &[u8], wanted: &[u8]) -> Option<usize> {
    let shorter = found.len().min(wanted.len());
    let differs = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    differs.or((found.len() != wanted.len()).then_some(shorter))
}

impl Host {
    /// By the name that ssh takes, with the user's own configuration, and nobody to ask.
    pub fn new(name: impl Into<String>) -> Host {
        Host { name: name.into(), config: None, asks: false }
    }

    /// With another configuration.
    pub fn with_config(self, config: &Path) -> Host {
        Host { config: Some(config.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use stoop_image::board;

    use super::{Job, first_difference, lines};

    #[test]
    fn what_would_be_run_writes_the_front_last() {
        let board = board::load("qemu-malta-le").expect("a board");
        let job = Job::of(&board, b"image", false).expect("a job");
        let device = "/dev/$(sed -n 's/:.*\"firmware-a\"$//p' /proc/mtd)";
        let front = format!("dd if=/tmp/stoop-flash of={device} bs=65536 seek=0 conv=notrunc");
        assert_eq!(lines(&job), [format!("flashcp /tmp/stoop-flash {device}"), front]);
    }

    #[test]
    fn a_difference_is_the_first_one_or_the_shorter_end() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abx", b"abc"), Some(2));
        assert_eq!(first_difference(b"ab", b"abc"), Some(2));
    }
}
