//! One boot of an arm64 board, and everything in which it was not what `simulate` says.

use std::fmt::Debug;
use std::path::Path;

use stoop_core::Region;
use stoop_core::params::Policy;
use stoop_image::board::Board;
use stoop_image::image::Opened;
use stoop_image::plan::Plan;
use stoop_image::simulate::{self, Booted, Entry, Input};
use stoop_samples::failure::Result;

use super::Level;
use super::boot::{Boot, End, EntryPath, Place, Setup, header_field};
use crate::bootloader::Enter;
use crate::judge::{report, without_counts};
use crate::machine::Event;
use crate::record::Compared;

/// A boot.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The board.
    pub board: &'a Board,
    /// What was packed.
    pub plan: &'a Plan,
    /// The image's bytes.
    pub file: &'a [u8],
    /// The same, taken apart.
    pub image: &'a Opened<'a>,
    /// The bootloader's tree.
    pub tree: Option<&'a [u8]>,
    /// Where x0 leads.
    pub place: Place,
    /// How the CPU is left.
    pub way: EntryPath,
    /// At which exception level.
    pub level: Level,
    /// How far from where the image was laid out for it is.
    pub moved: usize,
    /// Of all that is random. The data cache is a small one for odd numbers, and a large one for even ones.
    pub seed: u32,
    /// Instructions that are run in place of others.
    pub patches: &'a [(u64, u32)],
}

/// What is not as it should be.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless_equal<T: PartialEq + Debug>(&mut self, what: &str, is: &T, wanted: &T) {
        if is != wanted {
            self.0.push(format!("{what}: {is:x?}, not {wanted:x?}"));
        }
    }
}

impl Case<'_> {
    /// The board before the first instruction.
    ///
    /// # Errors
    /// As for [`Boot::new`].
    pub fn boot(&self) -> Result<Boot> {
        Boot::new(&Setup {
            board: self.board,
            image: self.image,
            size: header_field(self.image.image, 16) as usize,
            moved: self.moved,
            way: self.way,
            level: self.level,
            tree: self.tree,
            place: self.place,
            large_cache: self.seed.is_multiple_of(2),
            seed: self.seed,
            patches: self.patches,
        })
    }

    /// Runs it; gives what is not as it should be.
    ///
    /// # Errors
    /// The image cannot be run at all.
    pub fn wrong(&self) -> Result<Vec<String>> {
        let mut boot = self.boot()?;
        match boot.run(|_, _, _| ()) {
            Ok(end) => self.judge(&mut boot, &end),
            Err(wrong) => Ok(vec![wrong]),
        }
    }

    /// Runs it, and has the program there compare every instruction; gives how many were the same, or what is wrong.
    ///
    /// # Errors
    /// As for [`Case::wrong`].
    pub fn compared(&self, program: &Path) -> Result<std::result::Result<u64, String>> {
        let mut boot = self.boot()?;
        let io = |error| stoop_samples::failure::Failure::io(program, &error);
        let mut other = Compared::new(program, &boot.start()).map_err(io)?;
        let end = boot.run_compared(&mut other);
        let same = other.end();
        Ok(match (end, same) {
            (Err(wrong), _) | (_, Err(wrong)) => Err(wrong),
            (Ok(end), Ok(same)) => {
                let wrong = self.judge(&mut boot, &end)?;
                match wrong.is_empty() && same == boot.core.count {
                    true => Ok(same),
                    false => Err(format!("{same} of {} instructions; {}", boot.core.count, wrong.join("; "))),
                }
            }
        })
    }

    /// Compares the end of a run with what `simulate` says.
    ///
    /// # Errors
    /// The image cannot be simulated at all.
    pub fn judge(&self, boot: &mut Boot, end: &End) -> Result<Vec<String>> {
        let entry = self.tree.map_or(Entry::None, |tree| Entry::Uhi(tree.to_vec()));
        let load = Some(self.image.load.wrapping_add(self.moved));
        let outcome = simulate::run(self.file, &Input { entry, load })?;
        let mut wrong = Wrong::default();
        let mut said: String =
            outcome.failed.iter().map(|(slot, error)| format!("stoop: {error}, slot {slot}\r\n")).collect();
        match &outcome.result {
            Err(_) => {
                let (predicted, events) = match self.board.defaults.policy {
                    Policy::Reset => (End::Reset, vec![Event::Reset]),
                    Policy::Return => (End::Waits, Vec::new()),
                    Policy::Halt => (End::Loops, Vec::new()),
                };
                wrong.unless_equal("the end", end, &predicted);
                wrong.unless_equal("LED, reset and watchdog", &boot.events(), &events);
                wrong.unless_equal("characters lost", &boot.machine.lost, &0);
            }
            Ok(booted) => {
                said += &report(booted, &self.tree.map_or(Enter::Nonsense, |tree| Enter::Tree(tree.to_vec())));
                self.judge_booted(boot, end, booted, &mut wrong);
            }
        }
        wrong.unless_equal("the UART", &String::from_utf8_lossy(&boot.machine.said).into_owned(), &said);
        let tree = self.tree.unwrap_or_default();
        if boot.ram(boot.tree) != tree {
            wrong.0.push("the bootloader's tree was written to".into());
        }
        Ok(wrong.0)
    }

    fn judge_booted(&self, boot: &mut Boot, end: &End, booted: &Booted, wrong: &mut Wrong) {
        wrong.unless_equal("the end", end, &End::Left(booted.handoff.entry_point as u64));
        if !matches!(end, End::Left(_)) {
            return;
        }
        wrong.0.extend(boot.handed_over(self.level));
        wrong.unless_equal("x0 to x3", &&boot.core.registers.x[..4], &&booted.handoff.registers[..]);
        let region = |name: &str| booted.regions.iter().find(|(known, _)| *known == name).map(|(_, at)| *at);
        let at = |name: &str| region(name).unwrap_or(Region::EMPTY).start();
        let mut kernel = self.plan.kernel.image.clone();
        kernel.resize(self.plan.kernel.memory_size as usize, 0);
        let rootfs = self.plan.rootfs.as_ref().map(|rootfs| rootfs.bytes().unwrap_or_default());
        let all =
            [("kernel", Some(&kernel[..])), ("initrd", self.plan.initrd.as_deref()), ("rootfs", rootfs.as_deref())];
        for (name, bytes) in all {
            let bytes = bytes.unwrap_or_default();
            let is = boot.ram(Region::new(at(name), bytes.len()).unwrap_or(Region::EMPTY));
            if is != bytes {
                let offset = is.iter().zip(bytes).position(|(is, wanted)| is != wanted).unwrap_or(is.len());
                wrong.0.push(format!("the {name} is wrong from 0x{offset:x} on"));
            }
        }
        let tree = boot.ram(region("dtb").unwrap_or(Region::EMPTY));
        if without_counts(tree) != without_counts(booted.tree.clone()) {
            wrong.0.push("the device tree is not simulate's".into());
        }
    }
}
