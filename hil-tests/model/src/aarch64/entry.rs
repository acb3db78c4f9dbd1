//! What a bootloader leaves in RAM, caches and registers.

use stoop_core::Region;

use super::boot::{Boot, Place, Setup};
use super::cache::LINE;

/// Bytes between the top of RAM and the bootloader's tree.
const BELOW_TOP: usize = 0x40_0000;
/// Bytes between the top of RAM and the bootloader's own map.
const MAP_BELOW_TOP: usize = 0x10_0000;
/// Blocks of the shim's map at the edges of RAM.
const BLOCK: usize = 0x20_0000;

impl Boot {
    /// The bootloader's tree, and the registers that lead to it.
    pub(super) fn put_tree(&mut self, setup: &Setup<'_>) -> Option<()> {
        let (ram, top) = (setup.board.ram, setup.board.ram.end() - BELOW_TOP);
        let at = match setup.place {
            Place::Behind { distance, more } => {
                self.machine.ram_at = Region::new(ram.start(), ram.size() + more)?;
                self.machine.ram.resize(ram.size() + more, 0xa5);
                ram.end() + distance
            }
            Place::InRam => top,
        };
        let (x0, x1) = if setup.tree.is_some() || setup.place != Place::InRam {
            (at, 0)
        } else {
            // argc and argv.
            (1, top)
        };
        self.core.registers.x[..2].copy_from_slice(&[x0 as u64, x1 as u64]);
        if let Some(tree) = setup.tree {
            self.machine.put(at as u64, tree)?;
            self.tree = Region::new(at, tree.len())?;
            // Of what is behind the params' RAM only the tree's blocks may be mapped as memory.
            let (first, end) = (at / BLOCK * BLOCK, self.tree.end().next_multiple_of(BLOCK));
            self.core.system.ram.extend(Region::between(first.max(ram.start()), end.min(self.machine.ram_at.end())));
        }
        Some(())
    }

    /// Lines behind the image's bytes that hold rubbish and are dirty.
    pub(super) fn dirty_behind(&mut self, setup: &Setup<'_>) {
        let bytes = setup.image.pieces.iter().map(|(at, bytes)| at.wrapping_add(setup.moved) + bytes.len());
        let first = bytes.max().unwrap_or(0).next_multiple_of(LINE);
        for line in (first..self.own.end()).step_by(LINE) {
            if self.noise.draw().is_multiple_of(3) {
                let noise = self.noise.line();
                self.put_dirty(line as u64, noise);
            }
        }
    }

    /// The image in the data cache instead of memory, but for its front, which nothing can help; and the bootloader's map.
    pub(super) fn dirty_image(&mut self, setup: &Setup<'_>, front: usize) -> Option<()> {
        for (at, bytes) in &setup.image.pieces {
            let (lines, _) = bytes.as_chunks::<LINE>();
            for (number, line) in lines.iter().enumerate() {
                let at = at.wrapping_add(setup.moved) + number * LINE;
                if at.is_multiple_of(LINE) && at >= self.own.start() + front && !self.noise.draw().is_multiple_of(4) {
                    let noise = self.noise.line();
                    self.machine.put(at as u64, &noise)?;
                    self.put_dirty(at as u64, *line);
                }
            }
        }
        let (table, ram) = (setup.board.ram.end() - MAP_BELOW_TOP, setup.board.ram);
        for gigabyte in 0..512usize {
            let block = Region::new(gigabyte << 30, 1 << 30)?;
            // Attribute 0 is device, 2 normal write-back; accessed, never executed.
            let attributes = if block.overlaps(&ram) { 1 | 2 << 2 | 3 << 8 | 1 << 10 } else { 1 | 1 << 10 | 3 << 53 };
            self.machine.put((table + 8 * gigabyte) as u64, &(block.start() as u64 | attributes).to_le_bytes())?;
        }
        self.core.system.leave_on(table as u64);
        Some(())
    }

    fn put_dirty(&mut self, at: u64, bytes: [u8; LINE]) {
        if let Some((old, bytes)) = self.core.memory.data.put(at, bytes, true) {
            self.machine.put(old, &bytes);
        }
    }

    /// Lines of the instruction cache from what ran before, everywhere but in the front.
    pub(super) fn old_code(&mut self, front: usize) {
        let first = (self.own.start() + front).next_multiple_of(LINE);
        for line in (first..self.run.end()).step_by(LINE) {
            let noise = self.noise.line();
            self.core.memory.code.put(line as u64, noise, false);
        }
    }
}
