//! What the initial ramdisk unpacks to, against the board's RAM.

use std::io::Write;
use std::path::Path;

use stoop_image::input::cpio::{self, Kind};

use crate::bench::{Bench, Kernel, text, tree};

/// A board with 32 MiB of RAM, a kernel for it, and the rest of the command that packs them.
fn small(bench: &Bench) {
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/gl-ar750.toml");
    let known = std::fs::read_to_string(known).unwrap();
    let changed = known.replacen("size = 0x800_0000", "size = 0x200_0000", 1);
    assert_ne!(changed, known, "the board's file says it in other words");
    bench.put("small.toml", changed.as_bytes());
    bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf());
    bench.put("board.dtb", &tree(Some(b"console=ttyS0")));
}

/// An archive with one file of so many zeros, compressed.
fn initrd(size: usize) -> Vec<u8> {
    let archive = cpio::archive([("zeros", &Kind::Script(vec![0; size]))]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn an_initrd_that_has_no_room_in_ram_once_it_is_unpacked_is_warned_of_with_its_size() {
    let bench = Bench::new();
    small(&bench);
    let words = "pack --board ./small.toml --kernel vmlinux --dtb board.dtb --initrd initrd --format uimage -o image";
    let words: Vec<&str> = words.split(' ').collect();
    for (size, warned) in [
        (0x80_0000, None),
        (0x100_0000, Some("Linux' tmpfs takes 0x1000000, half of RAM")),
        (0x200_0000, Some("with kernel, initrd and root filesystem; RAM has 0x2000000")),
    ] {
        bench.put("initrd", &initrd(size));
        let said = text(&bench.good(&words));
        let line = said.lines().find(|line| line.starts_with("stoop: warning: it unpacks to"));
        assert_eq!(line.is_some(), warned.is_some(), "{size:#x}: {said}");
        assert!(line.is_none_or(|line| warned.is_some_and(|warned| line.contains(warned))), "{said}");
        let checked = text(&bench.good(&["check", "image", "--board", "./small.toml"]));
        let level = if warned.is_some() { "warn" } else { "ok" };
        let line = checked.lines().find(|line| line.contains("initrd ")).expect(&checked);
        assert!(line.starts_with(level) && line.contains(warned.unwrap_or("of 0x2000000 of RAM")), "{line}");
    }
}
