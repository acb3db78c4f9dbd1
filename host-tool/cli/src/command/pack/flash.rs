//! What to write to flash, and the commands that do it: for U-Boot, and for Linux with mtd-utils. Every address in them comes from
//! an [`Area`], which no protected byte is in.

use std::path::Path;

use serde_json::{Value, json};
use stoop_core::Region;

use stoop_image::image::Built;
use stoop_image::image::nor::{Area, Flashing, Write};
use stoop_image::plan::Plan;
use stoop_image::{commands, shell};

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
    let usual = board.bootloader.tftp_address.map_or(board.ram.start() + 0x100_0000, |at| board.physical(at));
    let fits = |at: &usize| Region::new(*at, size).is_some_and(|file| board.free_ram().contains(&file));
    let fetched = Some(usual).filter(fits).map(|at| board.typed(at));
    let (name, argument) = (shell::served_name(output), shell::file_argument(output));
    Some(Steps { plan, flashing, name, argument, fetched })
}

impl Steps<'_> {
    fn writes(&self) -> impl Iterator<Item = &Write> {
        [&self.flashing.boot].into_iter().chain(&self.flashing.update)
    }

    /// As the bootloader knows its flash (CONFIG_SYS_FLASH_BASE): in the segment of the address that it starts from.
    fn typed(&self, area: &Area) -> usize {
        let start = self.plan.board.bootloader.started_from();
        start.map_or(self.plan.board.typed(area.address()), |start| start & 0xe000_0000 | area.address())
    }

    /// Erases and writes one stretch, its first block last: with it the stretch becomes what it is.
    fn write(&self, fetched: usize, write: &Write) -> Vec<String> {
        let (area, block) = (&write.area, write.area.erase_size());
        let (from, to, size) = (fetched + write.from, self.typed(area), area.size());
        let mut lines = vec![format!("protect off 0x{to:08x} +0x{size:x}"), format!("erase 0x{to:08x} +0x{size:x}")];
        if size > block {
            let rest = size - block;
            lines.push(format!("cp.b 0x{:08x} 0x{:08x} 0x{rest:x}", from + block, to + block));
        }
        lines.push(format!("cp.b 0x{from:08x} 0x{to:08x} 0x{:x}", block.min(size)));
        lines.push(format!("cmp.b 0x{from:08x} 0x{to:08x} 0x{size:x}"));
        lines
    }

    fn uboot(&self) -> Option<[Vec<String>; 3]> {
        let fetched = self.fetched?;
        let fetch = commands::fetch(fetched as u64, None, &self.name);
        let update = self.flashing.update.iter().flat_map(|write| self.write(fetched, write));
        let switch = self.flashing.before.iter().flat_map(|area| {
            let (at, size) = (self.typed(area), area.size());
            [format!("protect off 0x{at:08x} +0x{size:x}"), format!("erase 0x{at:08x} +0x{size:x}")]
        });
        let install = [fetch.clone()].into_iter().chain(self.write(fetched, &self.flashing.boot));
        Some([install.collect(), [fetch].into_iter().chain(update).collect(), switch.collect()])
    }

    fn linux(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Write { what, area, from } in &self.flashing.update {
            let (name, size) = (area.partition(), area.size());
            lines.push(format!("mtd=/dev/$(sed -n 's/:.*\"{name}\"$//p' /proc/mtd)"));
            lines.push(format!("tail -c +{} {} | head -c {size} > /tmp/{what}", from + 1, self.argument));
            lines.push(match area.inside() {
                0 => format!("flashcp /tmp/{what} $mtd"),
                inside => format!(
                    "mtd_debug erase $mtd 0x{inside:x} 0x{size:x} && mtd_debug write $mtd 0x{inside:x} 0x{size:x} /tmp/{what}"
                ),
            });
        }
        for area in &self.flashing.before {
            lines.push(format!("mtd=/dev/$(sed -n 's/:.*\"{}\"$//p' /proc/mtd)", area.partition()));
            lines.push(format!("mtd_debug erase $mtd 0x{:x} 0x{:x}", area.inside(), area.size()));
        }
        lines
    }

    /// The stable form.
    pub(super) fn value(&self) -> Value {
        let write = |Write { what, area, from }: &Write| {
            json!({
                "what": what,
                "partition": area.partition(),
                "offset": area.offset(),
                "address": area.address(),
                "size": area.size(),
                "erase-blocks": area.size() / area.erase_size(),
                "file-offset": from,
            })
        };
        let [install, update, switch] = self.uboot().unwrap_or_default();
        json!({
            "slot": self.flashing.slot.to_string(),
            "start": self.plan.board.bootloader.flash_command,
            "writes": self.writes().map(write).collect::<Vec<_>>(),
            "u-boot": {"install": install, "update": update, "switch": switch},
            "linux": self.linux(),
        })
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
