//! Whether what the initial ramdisk unpacks to has room in RAM.

use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;

use super::finding::{Finding, found, ok};
use crate::board::Board;
use crate::image::Opened;
use crate::input::initrd;
use crate::preflight::Level;

/// Linux unpacks it to a RAM disk beside the kernel and the ramdisk's own bytes, which are freed afterwards (init/initramfs.c:
/// do_populate_rootfs). With CONFIG_TMPFS, and neither root= nor rootfstype=, that is a tmpfs (init/do_mounts.c: init_rootfs) with
/// room for half of RAM (mm/shmem.c: shmem_default_max_blocks).
pub(super) fn unpacked(opened: &Opened<'_>, board: &Board) -> Option<Finding> {
    const KEY: &str = "initrd";
    let manifest = opened.manifest(&Crc32::new()).ok()?;
    let ramdisk = manifest.payload(Kind::Initrd);
    // One that Linux does not take has been refused or warned of when it was read.
    let size = initrd::unpacked(opened.bytes(ramdisk.source)?).ok()?;
    let others = [Kind::Kernel, Kind::Initrd, Kind::Rootfs].map(|kind| manifest.payload(kind).place);
    let ram = board.ram.size();
    let taken: usize = others.iter().filter(|place| board.ram.contains(place)).map(|place| place.size()).sum();
    let all = size.saturating_add(taken as u64);
    Some(if all > ram as u64 {
        let says = format!(
            "it unpacks to 0x{size:x} bytes, 0x{all:x} with kernel, initrd and root filesystem; RAM has 0x{ram:x}"
        );
        found(Level::Warn, KEY, says, "put less into the initrd, or most of it into a root filesystem (--rootfs)")
    } else if size > ram as u64 / 2 {
        let says = format!("it unpacks to 0x{size:x} bytes, and Linux' tmpfs takes 0x{:x}, half of RAM", ram / 2);
        found(Level::Warn, KEY, says, "put less into it, or add rootfstype=ramfs to the command line")
    } else {
        ok(KEY, format!("it unpacks to 0x{size:x} bytes of 0x{ram:x} of RAM"))
    })
}
