//! What to write to flash, and the commands that do it: for U-Boot, and for Linux with mtd-utils. Every address in them comes from
//! an [`stoop_image::image::flash::Area`], which no protected byte is in.

use std::path::Path;

use stoop_image::board_check::room;
use stoop_image::bootloader::flash::{self, Range};
use stoop_image::image::Built;
use stoop_image::image::flash::{Flashing, Write};
use stoop_image::plan::Plan;
use stoop_image::{commands, shell};

use crate::json;

/// The steps for one image.
pub(super) struct Steps<'a> {
    plan: &'a Plan,
    flashing: &'a Flashing,
    /// As the TFTP server has it.
    name: String,
    /// As a shell takes it.
    argument: String,
    /// Where U-Boot fetches the file to, as typed; `None` when it does not fit RAM.
    fetched: Option<usize>,
}

/// Of an image for flash.
pub(super) fn steps<'a>(plan: &'a Plan, built: &'a Built, output: &Path) -> Option<Steps<'a>> {
    let flashing = built.flash.as_ref()?;
    let (board, size) = (&plan.board, built.file.len());
    let fetched = room(board, size).map(|at| board.typed(at));
    let (name, argument) = (shell::served_name(output), shell::file_argument(output));
    Some(Steps { plan, flashing, name, argument, fetched })
}

impl Steps<'_> {
    fn writes(&self) -> impl Iterator<Item = &Write> {
        [&self.flashing.boot].into_iter().chain(&self.flashing.update)
    }

    fn write(&self, fetched: usize, write: &Write) -> Vec<String> {
        Range::of(&self.plan.board, fetched, write).write(write.area.erase_size())
    }

    fn uboot(&self) -> Option<[Vec<String>; 3]> {
        let fetched = self.fetched?;
        let fetch = commands::fetch(fetched as u64, None, &self.name);
        let update = self.flashing.update.iter().flat_map(|write| self.write(fetched, write));
        let switch = self.flashing.before.iter().flat_map(|area| {
            let range = Range { from: 0, to: flash::typed(&self.plan.board, area), size: area.size() };
            [range.unprotect(), range.erase()]
        });
        let install = [fetch.clone()].into_iter().chain(self.write(fetched, &self.flashing.boot));
        Some([install.collect(), [fetch].into_iter().chain(update).collect(), switch.collect()])
    }

    fn linux(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Write { what, area, from } in &self.flashing.update {
            let (at, size, front) = (area.inside(), area.size(), area.erase_size());
            lines.push(format!("mtd={}", shell::mtd_device(area.partition())));
            lines.push(format!("mtd_debug erase $mtd 0x{at:x} 0x{size:x}"));
            // The first erase block last: until then the slot is none, whatever ends in the middle. `flashcp` would write it first.
            for (begin, end) in [(front, size), (0, front)].into_iter().filter(|(begin, end)| begin < end) {
                let (at, size) = (at + begin, end - begin);
                lines.push(format!("tail -c +{} {} | head -c {size} > /tmp/{what}", from + begin + 1, self.argument));
                lines.push(format!("mtd_debug write $mtd 0x{at:x} 0x{size:x} /tmp/{what}"));
            }
        }
        for area in &self.flashing.before {
            lines.push(format!("mtd={}", shell::mtd_device(area.partition())));
            lines.push(format!("mtd_debug erase $mtd 0x{:x} 0x{:x}", area.inside(), area.size()));
        }
        lines
    }

    /// The stable form.
    pub(super) fn value(&self) -> json::Flash {
        let write = |Write { what, area, from }: &Write| json::FlashWrite {
            what: what.to_string(),
            partition: area.partition().to_owned(),
            offset: area.offset(),
            address: area.address(),
            size: area.size(),
            erase_blocks: area.size() / area.erase_size(),
            file_offset: *from,
        };
        let [install, update, switch] = self.uboot().unwrap_or_default();
        json::Flash {
            slot: self.flashing.slot.to_string(),
            start: self.plan.board.bootloader.flash_command.clone(),
            writes: self.writes().map(write).collect(),
            u_boot: json::UBoot { install, update, switch },
            linux: self.linux(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let slot = self.flashing.slot;
        let mut text = "\nwhat      partition     offset      size        erase blocks  from the file's\n".to_owned();
        for Write { what, area, from } in self.writes() {
            text += &format!(
                "{what:<10}{:<14}0x{:<10x}0x{:<10x}{:<14}0x{from:x}\n",
                area.partition(),
                area.offset(),
                area.size(),
                area.size() / area.erase_size()
            );
        }
        let mut section = |title: &str, lines: &[String]| {
            if !lines.is_empty() {
                text += &format!("\n{title}\n");
                lines.iter().for_each(|line| text += &format!("  {line}\n"));
            }
        };
        let names: Vec<String> = self.flashing.before.iter().map(|area| area.partition().to_owned()).collect();
        let first = format!("at last, so that slot {slot} boots: nothing that is tried before it is left");
        match self.uboot() {
            Some([install, update, switch]) => {
                section("at the bootloader, once: the shim, the same for every slot; keep the power on", &install);
                section(
                    &format!("at the bootloader, for slot {slot}; not while it is the only one that boots"),
                    &update,
                );
                section(&first, &switch);
            }
            None => section("at the bootloader", &["it has no RAM for the whole file: write it from Linux".into()]),
        }
        section(&format!("or for slot {slot} in Linux, with mtd-utils"), &self.linux());
        if !names.is_empty() {
            text += &format!("  (the last line erases the front of {})\n", names.join(", "));
        }
        if let Some(start) = &self.plan.board.bootloader.flash_command {
            text += &format!("\nthe bootloader starts it by\n  {start}\n");
        }
        text
    }
}
