//! First fit: the lowest, or highest, place for a region among those that are taken.

use stoop_core::Region;

use super::error::Error;
use super::region::{NamedRegion, PAGE, Phases, RegionKind};
use crate::Result;

/// Memory for which the kernel looks for a place itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    /// Its node in the device tree.
    pub name: String,
    /// Bytes.
    pub size: usize,
    /// A power of two.
    pub align: usize,
    /// In one of these, physical; empty for anywhere in RAM.
    pub within: Vec<Region>,
}

/// Regions taken so far, and the RAM around them.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) ram: Region,
    pub(super) taken: Vec<NamedRegion>,
}

impl Fit {
    /// Whether nothing is in the way there.
    pub(super) fn free(&self, region: Region, when: Phases) -> bool {
        let named = NamedRegion::new(RegionKind::Image, region, when);
        self.ram.contains(&region) && !self.taken.iter().any(|taken| taken.collides(&named))
    }

    /// The lowest address at or above `floor`, a multiple of `align`, where `size` bytes are free during `when`.
    pub(super) fn lowest(&self, size: usize, align: usize, when: Phases, floor: usize) -> Option<usize> {
        let ends = self.taken.iter().filter(|taken| taken.when.meets(when)).map(|taken| taken.region.end());
        let next = |end: usize| end.max(floor).checked_next_multiple_of(align);
        let mut candidates: Vec<usize> = ends.chain([self.ram.start()]).filter_map(next).collect();
        candidates.sort_unstable();
        candidates.into_iter().find(|start| Region::new(*start, size).is_some_and(|region| self.free(region, when)))
    }

    /// The highest such address.
    pub(super) fn highest(&self, size: usize, align: usize, when: Phases) -> Option<usize> {
        let starts = self.taken.iter().filter(|taken| taken.when.meets(when)).map(|taken| taken.region.start());
        let mut candidates: Vec<usize> =
            starts.chain([self.ram.end()]).filter_map(|end| Some(end.checked_sub(size)? / align * align)).collect();
        candidates.sort_unstable();
        candidates.into_iter().rev().find(|start| self.free(Region::new(*start, size).unwrap_or(Region::EMPTY), when))
    }

    /// Takes a region.
    pub(super) fn take(&mut self, what: RegionKind, region: Region, when: Phases) {
        if !region.is_empty() {
            self.taken.push(NamedRegion::new(what, region, when));
        }
    }

    /// Keeps free what the kernel will look for: proof that there is such a place, of which it may choose another.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn keep_room(&mut self, wanted: &[Room]) -> Result<()> {
        for room in wanted {
            let reachable = |within: &Region| {
                Region::between(within.start().max(self.ram.start()), within.end().min(self.ram.end()))
            };
            let places: Vec<Region> = match room.within.is_empty() {
                true => vec![self.ram],
                false => room.within.iter().filter_map(reachable).collect(),
            };
            // Memory that lies wholly elsewhere cannot be in anyone's way.
            if places.is_empty() {
                continue;
            }
            let align = room.align.max(PAGE);
            let found = places.iter().find_map(|ram| {
                let inside = Fit { ram: *ram, taken: self.taken.clone() };
                inside.highest(room.size, align, Phases::KERNEL)
            });
            let start = found.ok_or_else(|| Error::Reserved {
                node: room.name.clone(),
                size: room.size,
                align,
                places: places.clone(),
            })?;
            self.take(RegionKind::Reserved, Region::new(start, room.size).unwrap_or(Region::EMPTY), Phases::KERNEL);
        }
        Ok(())
    }

    /// That no place is left, with the largest thing in the way.
    pub(super) fn full(&self, what: RegionKind, size: usize, when: Phases) -> Error {
        let in_the_way = self.taken.iter().filter(|taken| taken.when.meets(when));
        let others = in_the_way.filter(|taken| taken.what != RegionKind::Bootloader);
        let largest = others.max_by_key(|taken| taken.region.size()).copied();
        let mut ram = self.ram;
        let top = |taken: &&NamedRegion| taken.what == RegionKind::Bootloader && taken.when.meets(when);
        let bootloader = self.taken.iter().find(top).map_or(Region::EMPTY, |taken| taken.region);
        if !bootloader.is_empty() {
            ram = Region::between(ram.start(), bootloader.start()).unwrap_or(ram);
        }
        Error::Full { what, size, ram, bootloader: bootloader.size(), largest }
    }

    /// [`Fit::lowest`], taken.
    pub(super) fn place(
        &mut self,
        what: RegionKind,
        size: usize,
        align: usize,
        when: Phases,
        floor: usize,
    ) -> Result<Region> {
        let start = self.lowest(size, align, when, floor).ok_or_else(|| self.full(what, size, when))?;
        let region = Region::new(start, size).unwrap_or(Region::EMPTY);
        self.take(what, region, when);
        Ok(region)
    }
}
