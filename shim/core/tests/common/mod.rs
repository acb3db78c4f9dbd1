//! What tests of whole decisions share: a small machine, and params and manifests for it.
#![allow(dead_code, reason = "each test binary uses a part")]

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::fdt::{Overlay, Tree};
use stoop_core::manifest::{Entry, HandoffKind, Kind, Listing, Machine, Manifest};
use stoop_core::memory::Memory;
use stoop_core::params::{CookieRule, Led, Policy, Settings, SlotAt, Uart, UartKind};
use stoop_core::watchdog::Care;

pub fn region(start: usize, size: usize) -> Region {
    Region::new(start, size).expect("a region of the test")
}

/// RAM from 0, flash elsewhere, and the loader's own region, which nobody gets.
pub struct Machinery {
    pub ram: Vec<u8>,
    pub flash_at: usize,
    pub flash: Vec<u8>,
    pub run: Region,
    /// Flash that was copied reads differently from then on.
    pub fades: bool,
    /// Bytes of RAM that there really are, when they are fewer: the rest is the same once more.
    pub real: Option<usize>,
    /// Words that were looked at, past the caches.
    pub probed: Vec<usize>,
}

impl Machinery {
    pub fn new() -> Self {
        Machinery {
            ram: vec![0xa5; 0x40_0000],
            flash_at: 0x1f00_0000,
            flash: vec![],
            run: region(0x3f_0000, 0x8000),
            fades: false,
            real: None,
            probed: vec![],
        }
    }

    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.ram[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn at(&self, region: Region) -> &[u8] {
        &self.ram[region.start()..region.end()]
    }

    fn writable(&self, at: Region) -> bool {
        region(0, self.ram.len()).contains(&at) && !at.overlaps(&self.run)
    }
}

impl Memory for Machinery {
    fn from(&self, start: usize) -> Option<&[u8]> {
        if let Some(at) = start.checked_sub(self.flash_at).filter(|at| *at < self.flash.len()) {
            return Some(&self.flash[at..]);
        }
        let end = if start < self.run.start() { self.run.start() } else { self.ram.len() };
        (start < self.ram.len() && !self.run.contains(&region(start, 1))).then(|| &self.ram[start..end])
    }

    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        self.writable(at).then(|| &mut self.ram[at.start()..at.end()])
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        self.read(from)?;
        if !self.writable(to) || from.overlaps(&to) {
            return None;
        }
        if from.start() >= self.flash_at {
            let at = from.start() - self.flash_at;
            return Some((&self.flash[at..at + from.size()], &mut self.ram[to.start()..to.end()]));
        }
        // No bytes overlap nothing, wherever they begin.
        if from.is_empty() {
            return Some((&[], &mut self.ram[to.start()..to.end()]));
        }
        if to.is_empty() {
            return Some((&self.ram[from.start()..from.end()], &mut []));
        }
        let (low, high) = self.ram.split_at_mut(from.start().max(to.start()));
        Some(if from.start() < to.start() {
            (&low[from.start()..from.end()], &mut high[..to.size()])
        } else {
            (&high[..from.size()], &mut low[to.start()..to.end()])
        })
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        let bytes = self.read(from)?.to_vec();
        self.write(Region::new(to, from.size())?)?.copy_from_slice(&bytes);
        if self.fades && from.start() >= self.flash_at {
            self.flash[from.start() - self.flash_at..][..from.size()].fill(0xee);
        }
        Some(())
    }

    fn is_one_word(&mut self, one: usize, other: usize) -> bool {
        assert!(one != other, "{one:x}");
        if !self.writable(region(one, 4)) || !self.writable(region(other, 4)) {
            return false;
        }
        self.probed.extend([one, other]);
        self.real.is_some_and(|real| one.abs_diff(other).is_multiple_of(real))
    }
}

/// Settings of a board with 4 MiB, no UART and one slot at 0x10_0000.
pub fn settings<'a>(rule: CookieRule, cookie: &'a [u8], keep: &'a [u8]) -> Settings<'a> {
    Settings {
        ram: region(0, 0x40_0000),
        flash: region(0x1f00_0000, 0x100_0000),
        uart: Uart { kind: UartKind::Ns16550, address: 0x1800_03f8, shift: 2, width: 4 },
        cookie_rule: rule,
        cookie,
        keep,
        policy: Policy::Reset,
        reset: (0x1f00_0500, 0x42),
        led: Led { mask: 0x10, set: 0x1804_0008, clear: 0x1804_000c },
        slots: &[SlotAt { name: b'a', relative: false, address: 0x10_0000 }],
        care: Care::Leave,
        watchdog: [&[]; 3],
    }
}

pub fn params_block(settings: &Settings, big_endian: bool) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let length = settings.encode(&mut bytes, big_endian, &Crc32::new()).expect("the params fit");
    bytes[length..].fill(0xee);
    bytes
}

/// A payload of an image: its bytes, where they go, and the size there.
pub fn entry(source: Region, bytes: &[u8], destination: Option<Region>, memory_size: usize) -> Entry {
    Entry {
        codec: Codec::Store,
        source_relative: true,
        destination_relative: false,
        crc: Crc32::new().of(bytes),
        source,
        destination: destination.unwrap_or(Region::EMPTY),
        memory_size,
    }
}

pub const NO_PAYLOADS: Listing = Listing {
    relative: [0; 3],
    machine: Machine::MipsLe,
    handoff: HandoffKind::Uhi,
    tree: Region::EMPTY,
    entry_point: 0x1_0000,
    copies: Region::EMPTY,
    payloads: [None; 6],
};

pub const KERNEL: &[u8] = b"the kernel's code\0and data";
pub const ROOTFS: &[u8] = b"hsqs: a root filesystem";
pub const INITRD: &[u8] = b"070701: an initial ramdisk";
pub const KERNEL_AT: usize = 0x1_0000;
pub const ROOTFS_AT: usize = 0x2_0000;
pub const INITRD_AT: usize = 0x3_0000;
pub const TREE_AT: usize = 0x4_0000;
pub const TREE_ROOM: usize = 0x4000;
pub const TABLE_AT: usize = 0x5_0000;

/// Where payloads lie in the image, counted from the manifest.
pub const STORED: [usize; 6] = [0x400, 0x600, 0x800, 0xa00, 0xc00, 0x6000];

/// What is added to `dtb`: its own line, initrd, rootfs as mtd7, RAM and the report of version 9.8.7.
pub fn overlay(dtb: &[u8]) -> Vec<u8> {
    let mut tree = Tree::new(dtb);
    let what = Overlay {
        cells: [1, 1],
        line: Some(tree.read().map_or(b"", |()| tree.bootargs())),
        initrd: Some(region(INITRD_AT, INITRD.len())),
        phram: Some((region(ROOTFS_AT, 0x1000), 7)),
        memory: Some(region(0, 0x40_0000)),
        ramoops: None,
        report: Some("9.8.7"),
        relative: false,
    };
    let mut bytes = vec![0; 0x2000];
    let size = what.encode(&mut bytes).expect("there is room");
    bytes.truncate(size);
    bytes
}

/// An image with kernel, initrd, rootfs, tree and overlay (behind the final tree's room), its manifest first; `edit` changes the listing.
pub fn image(dtb: &[u8], edit: impl Fn(&mut Listing)) -> Vec<u8> {
    image_with(dtb, b"", edit)
}

/// As [`image`], with tables for the kernel's argv and environment.
pub fn image_with(dtb: &[u8], table: &[u8], edit: impl Fn(&mut Listing)) -> Vec<u8> {
    let mut listing = NO_PAYLOADS.clone();
    let overlay = overlay(dtb);
    listing.tree = region(TREE_AT, TREE_ROOM);
    let contents: [&[u8]; 6] = [KERNEL, INITRD, ROOTFS, table, dtb, &overlay];
    let places = [
        Some((KERNEL_AT, 0x100)),
        Some((INITRD_AT, INITRD.len())),
        Some((ROOTFS_AT, 0x1000)),
        Some((TABLE_AT, table.len())),
        None,
        Some((0, overlay.len())),
    ];
    for kind in Kind::ALL {
        let index = kind as usize;
        let bytes = contents[index];
        if !bytes.is_empty() {
            let place = places[index].map(|(at, _)| region(at, bytes.len()));
            let size = places[index].map_or(0, |(_, size)| size);
            listing.payloads[index] = Some(entry(region(STORED[index], bytes.len()), bytes, place, size));
        }
    }
    edit(&mut listing);
    if let Some(entry) = &mut listing.payloads[Kind::Overlay as usize] {
        entry.destination = region(listing.tree.end(), overlay.len());
    }
    let mut image = vec![0; STORED[5] + overlay.len()];
    let manifest = listing.encode(&Crc32::new());
    image[..manifest.len()].copy_from_slice(&manifest);
    for (at, bytes) in STORED.into_iter().zip(contents) {
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
    image
}

/// The manifest of [`image`], checked, as it lies at `at`.
pub fn manifest(image: &[u8], at: usize) -> Manifest {
    Manifest::check(image, at, at, Machine::MipsLe, &Crc32::new()).expect("a sound manifest")
}
