//! One boot: the image where the bootloader puts it, the core as the bootloader leaves it, and the run.

use std::ops::Range;

use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Manifest};
use stoop_core::params::SlotAt;
use stoop_image::board::Board;
use stoop_image::image::{Opened, open, open_container};
use stoop_image::simulate::{self, Input, Outcome};
use stoop_samples::failure::{Failure, Result};

use crate::bootloader::{Bootloader, Caches, Enter};
use crate::core::{Core, Stop, cp0};
use crate::cpu::Cpu;
use crate::machine::Machine;
use crate::random::Random;

/// Everything about one boot.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// The board.
    pub board: &'a Board,
    /// The core.
    pub cpu: Cpu,
    /// The image file.
    pub file: &'a [u8],
    /// The content of the flash, when the image is started from there.
    pub flash: Option<Vec<u8>>,
    /// How it is entered.
    pub enter: Enter,
    /// How the caches are.
    pub caches: Caches,
    /// Of all that is random.
    pub seed: u64,
    /// Where the image is put instead of where it says, physical.
    pub load: Option<usize>,
    /// It is entered by its uncached address.
    pub uncached: bool,
    /// What is unusual about the board.
    pub change: Option<fn(&mut Machine)>,
    /// The image that `simulate` gets, when what runs was changed behind its back.
    pub simulated: Option<&'a [u8]>,
    /// The bytes of a raw image in RAM, when they are not the file's any more.
    pub flipped: Option<&'a [u8]>,
    /// Most instructions.
    pub most: u64,
}

/// A finished run.
pub struct Ran {
    /// The core with its board.
    pub core: Core,
    /// What stopped it.
    pub stop: Stop,
    /// The general registers at the entry.
    pub entered_with: [u32; 32],
    /// CP0 Status and Config at the entry.
    pub entered_cp0: [u32; 2],
    /// The environment that the bootloader passed.
    pub environment: u32,
}

impl Boot<'_> {
    /// Puts everything in place; the core is at the image's first instruction.
    ///
    /// # Errors
    /// The image is none, or lies where there is no RAM.
    pub fn prepare(&self) -> Result<Ran> {
        let opened = self.opened()?;
        let mut random = Random::new(self.seed);
        let mut machine = Machine::of(self.board);
        if let Some(flash) = &self.flash {
            machine.flash.clone_from(flash);
        }
        if let Some(change) = self.change {
            change(&mut machine);
        }
        let k0 = match self.caches {
            Caches::Used if self.cpu.coherent => 5,
            Caches::Used => 3,
            Caches::WriteThrough => 0,
            Caches::NeverInitialised | Caches::Off => 2,
        };
        let mut core = Core::new(self.cpu, machine, k0);
        let offset = self.load.map_or(0, |load| load.wrapping_sub(opened.load));
        let mut pieces = Vec::new();
        for (at, bytes) in &opened.pieces {
            let bytes = &self.flipped.unwrap_or(bytes);
            if core.machine.flash_at.contains(&Region::new(*at, bytes.len()).unwrap_or(Region::EMPTY)) {
                core.machine.put(*at as u64, bytes);
                continue;
            }
            let at = at.wrapping_add(offset);
            let lost = || Failure::new(format!("the image's 0x{:x} bytes at 0x{at:08x} are not in RAM", bytes.len()));
            core.machine.put(at as u64, bytes).ok_or_else(lost)?;
            pieces.push(at as u32..(at + bytes.len()) as u32);
        }
        self.rubbish(&mut core, &opened, &pieces, &mut random);
        let start = opened.load.wrapping_add(offset) as u32;
        core.layout = self.layout(&opened);
        let arch = if core.machine.big_endian {
            stoop_image::machine::Machine::MipsBe
        } else {
            stoop_image::machine::Machine::MipsLe
        };
        if let Some((_, at)) =
            crate::symbols(opened.note.variant, arch)?.iter().find(|(name, _)| name.contains("delay_ns"))
        {
            core.wait_at = 0x8000_0000 | (opened.note.run.start() as u32 + at);
        }
        let Boot { board, enter, caches, uncached, .. } = self;
        let bootloader = Bootloader { board, enter, caches: *caches, uncached: *uncached };
        bootloader.enter(&mut core, start, opened.note.run, &pieces, &mut random);
        let environment = core.r[6];
        let (entered_with, entered_cp0) = (core.r, [core.cp0[cp0::STATUS], core.cp0[cp0::CONFIG]]);
        Ok(Ran { stop: Stop::Endless { pc: core.pc }, core, entered_with, entered_cp0, environment })
    }

    /// Runs until the kernel has arrived, the bootloader has the board back, a reset, or an end that should not be.
    ///
    /// # Errors
    /// As for [`Boot::prepare`].
    pub fn run(&self) -> Result<Ran> {
        let mut ran = self.prepare()?;
        ran.stop = ran.core.run(self.most);
        Ok(ran)
    }

    /// What `simulate` says.
    ///
    /// # Errors
    /// As for [`simulate::run`].
    pub fn simulate(&self) -> Result<Outcome> {
        let input = Input { entry: self.enter.simulated(), load: self.load };
        let file = self.simulated.unwrap_or(self.file);
        match &self.flash {
            None => Ok(simulate::run(file, &input)?),
            Some(flash) => Ok(simulate::run_from_flash(file, &input, flash)?),
        }
    }

    fn opened(&self) -> Result<Opened<'_>> {
        Ok(if self.flash.is_some() { open_container(self.file)? } else { open(self.file)? })
    }

    /// Every manifest that the shim may find.
    fn manifests(&self, opened: &Opened<'_>) -> Vec<Manifest> {
        let crc = Crc32::new();
        let Some(flash) = &self.flash else { return opened.manifest(&crc).into_iter().collect() };
        let Ok(params) = opened.params(&crc) else { return Vec::new() };
        let at = |slot: SlotAt| {
            let bytes = flash.get(slot.address.checked_sub(self.board.flash_window().start())?..)?;
            Manifest::check(bytes, slot.address, opened.load, opened.machine, &crc).ok()
        };
        params.slots().filter_map(at).collect()
    }

    /// Where the shim may write: its own region, and what a manifest names.
    fn layout(&self, opened: &Opened<'_>) -> Vec<Range<u32>> {
        let mut regions = vec![opened.note.run];
        for manifest in self.manifests(opened) {
            regions.extend([manifest.tree(), manifest.copies()]);
            for kind in Kind::ALL {
                let payload = manifest.payload(kind);
                regions.extend([payload.place, payload.destination]);
            }
        }
        // A file that is damaged names nothing, and its shim writes nothing but its own.
        regions.iter().map(|region| region.start() as u32..region.end() as u32).collect()
    }

    /// What memory holds where nothing was put: not zeros.
    fn rubbish(&self, core: &mut Core, opened: &Opened<'_>, pieces: &[Range<u32>], random: &mut Random) {
        let mut wanted = vec![opened.note.run];
        for manifest in self.manifests(opened) {
            wanted.extend([manifest.tree(), manifest.copies()]);
            wanted.extend(Kind::ALL.map(|kind| manifest.payload(kind).place));
        }
        for region in wanted {
            for at in region.start()..region.end() {
                if !pieces.iter().any(|piece| piece.contains(&(at as u32))) {
                    core.machine.put(at as u64, &[random.next() as u8]);
                }
            }
        }
    }
}

impl Ran {
    /// What was said on the UART.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.core.machine.said).into_owned()
    }
}
