//! arm64's own: a device tree in x0, and an image whose addresses count from wherever the loader put it.

use crate::common::{Machinery, NO_PAYLOADS, TREE_ROOM, entry, image, params_block, region, settings};
use stoop_core::Code;
use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot::{Board, Buffers, Loader};
use stoop_core::bootargs::{EntryKind, LIMIT, Line};
use stoop_core::codec::Tables;
use stoop_core::cookie::Verdict;
use stoop_core::crc32::Crc32;
use stoop_core::fdt::{Merge, Overlay};
use stoop_core::manifest::{HandoffKind, Kind, Machine, Manifest};
use stoop_core::params::{CookieRule, Params};

/// A tree with bootargs, as the overlay writes one.
fn tree(line: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let what = Overlay { cells: [2, 2], line: Some(line), ..Overlay::default() };
    let size = what.encode(&mut bytes).expect("there is room");
    bytes.truncate(size);
    bytes
}

fn enter(board: &Machinery, x0: usize) -> (EntryKind, usize, String, Verdict) {
    let block = params_block(&settings(CookieRule::Contains, b"liminix", b""), false);
    let params = Params::check(&block, false, &Crc32::new()).expect("sound params");
    let mut line = Line::new();
    let entry = Arm64::enter([x0, 7, usize::MAX, 0], board, &params, &mut [0; LIMIT + 2], &mut line);
    (entry.kind, entry.tree.start(), String::from_utf8_lossy(&line).into_owned(), entry.bootargs.verdict)
}

#[test]
fn x0_is_a_tree_at_any_alignment_or_nothing() {
    let mut board = Machinery::new();
    for at in [0x2_0000, 0x2_0004, 0x2_0001] {
        board.put(at, &tree(b"liminix a=1"));
        assert_eq!(enter(&board, at), (EntryKind::Uhi, at, "liminix a=1".into(), Verdict::Accepted));
    }
    for garbage in [0, 1, 3, 0x3000, board.run.start(), board.ram.len(), usize::MAX, usize::MAX - 7] {
        assert_eq!(enter(&board, garbage), (EntryKind::None, 0, String::new(), Verdict::None), "0x{garbage:x}");
    }
}

#[test]
fn a_tree_with_a_huge_size_and_little_in_it_is_read_and_one_that_passes_ram_is_none() {
    let mut board = Machinery::new();
    let mut huge = tree(b"liminix");
    huge[4..8].copy_from_slice(&0x10_0000u32.to_be_bytes());
    board.put(0x2_0000, &huge);
    assert_eq!(enter(&board, 0x2_0000).0, EntryKind::Uhi);
    huge[4..8].copy_from_slice(&0x7fff_0000u32.to_be_bytes());
    board.put(0x2_0000, &huge);
    assert_eq!(enter(&board, 0x2_0000).0, EntryKind::None);
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_bootloaders_tree_that_the_kernel_could_not_map_does_not_fit_the_room() {
    const IMAGE: usize = 0x10_0000;
    let crc = Crc32::new();
    let block = params_block(&settings(CookieRule::Contains, b"liminix", b""), false);
    let params = Params::check(&block, false, &crc).expect("sound params");
    let without_tree = image(&tree(b""), |listing| {
        (listing.machine, listing.handoff) = (Machine::Arm64, HandoffKind::Arm64);
        listing.payloads[Kind::Dtb as usize] = None;
    });
    // One that fits, and one of 2 MiB (arch/arm64/mm/fixmap.c: fixmap_remap_fdt) and a little.
    for (size, code) in [(0x1000, None), (0x20_0000, Some((Code::TreeRoom, TREE_ROOM)))] {
        let mut memory = Machinery::new();
        memory.put(IMAGE, &without_tree);
        memory.put(0x18_0000, &blob(&vec![0x5a; size]));
        let loader = Loader { image: IMAGE, run: memory.run };
        let mut buffers = Box::new(Buffers::new());
        buffers.crc.fill();
        let mut board =
            Board { memory, loader, buffers: &mut buffers, tables: &mut Box::new(Tables::new()), feed: &|| () };
        let booted = board.boot::<Arm64>(&params, [0x18_0000, 0, 0, 0], &mut |_, _| ());
        if let Ok((handoff, _)) = &booted {
            assert_eq!(handoff.registers, [handoff.tree.start(), 0, 0, 0], "x0 to x3");
        }
        assert_eq!(booted.err().map(|error| (error.code(), error.value)), code, "0x{size:x}");
    }
}

/// A tree whose root has one property with this value.
fn blob(value: &[u8]) -> Vec<u8> {
    let strings = b"filler\0";
    let nodes = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3][..], &(value.len() as u32).to_be_bytes(), &[0; 4], value];
    let nodes = [&nodes.concat()[..], &[0, 0, 0, 2, 0, 0, 0, 9]].concat();
    let end = 56 + nodes.len();
    let header = [0xd00d_feed, end + strings.len(), 56, end, 40, 17, 16, 0, strings.len(), nodes.len(), 0, 0, 0, 0];
    let words = header.iter().flat_map(|word| (*word as u32).to_be_bytes());
    words.chain(nodes).chain(*strings).collect()
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_line_longer_than_any_is_refused_if_it_has_the_cookie() {
    let mut board = Machinery::new();
    for (word, verdict) in [(&b"liminix"[..], Verdict::Refused), (b"xiniliml", Verdict::Ignored)] {
        let line = [word, &[b'a'; 4096]].concat();
        board.put(0x2_0000, &tree(&line));
        let shown = String::from_utf8_lossy(&line[..4095]).into_owned();
        assert_eq!(enter(&board, 0x2_0000), (EntryKind::Uhi, 0x2_0000, shown, verdict));
    }
}

/// The manifest at 0x9000 of an image at `image`, with the overlay's relative words.
fn manifest(image: usize, relative: [u16; 3]) -> Manifest {
    let crc = Crc32::new();
    let mut listing = NO_PAYLOADS;
    (listing.machine, listing.handoff, listing.relative) = (Machine::Arm64, HandoffKind::Arm64, relative);
    let mut kernel = entry(region(0x150, 0x30), b"x", Some(region(0x2000, 0x60)), 0x80);
    kernel.destination_relative = true;
    listing.payloads[Kind::Kernel as usize] = Some(kernel);
    Manifest::check(&listing.encode(&crc), 0x9000, image, Machine::Arm64, &crc).expect("a sound manifest")
}

#[test]
fn addresses_in_the_overlay_count_from_the_image() {
    let what = Overlay {
        cells: [2, 2],
        line: Some(b"own=1"),
        initrd: Some(region(0x1_0000, 0x1234)),
        phram: Some((region(0x2_0000, 0x3000), 99)),
        report: Some("9.8.7"),
        relative: true,
        ..Overlay::default()
    };
    let mut overlay = vec![0; 4096];
    let (size, relative) = what.encode_relative(&mut overlay).expect("there is room");
    overlay.truncate(size);
    // What no usize of 32 bits holds is left out there.
    for image in [0x4040_0000u64, 0x1_2345_6000].into_iter().filter_map(|image| usize::try_from(image).ok()) {
        let mut overlay = overlay.clone();
        manifest(image, relative).relocate(&mut overlay);
        let mut out = vec![0; 8192];
        let base = tree(b"");
        let size = {
            let mut merge = Merge::new(&base, &overlay, &mut out);
            merge.overlay.read().expect("sound");
            merge.write(&[b"", b"", b"none", b"uhi", b"-"]).expect("it merges");
            merge.size()
        };
        let merged = fdt::Fdt::new(&out[..size]).expect("the crate reads it");
        let phram = merged.find_node("/reserved-memory/phram").expect("phram");
        let reg = phram.reg().expect("a reg").next().expect("a range");
        assert_eq!((reg.starting_address as usize, reg.size), (image + 0x2_0000, Some(0x3000)));
        let number = |name: &str| {
            let value = merged.find_node("/chosen").and_then(|node| node.property(name)).expect("a property").value;
            u64::from_be_bytes(value.try_into().expect("two cells")) as usize
        };
        assert_eq!(number("linux,initrd-start"), image + 0x1_0000);
        assert_eq!(number("linux,initrd-end"), image + 0x1_1234);
        let alias = merged.aliases().and_then(|aliases| aliases.resolve("mtd99"));
        assert_eq!(alias, Some("/reserved-memory/phram"));
    }
}

#[test]
fn without_an_initrd_or_rootfs_nothing_is_moved() {
    let what = Overlay { cells: [2, 2], line: Some(b"own=1"), relative: true, ..Overlay::default() };
    let mut overlay = vec![0; 4096];
    let (size, relative) = what.encode_relative(&mut overlay).expect("there is room");
    assert_eq!(relative, [0; 3]);
    let before = overlay[..size].to_vec();
    manifest(0x4040_0000, relative).relocate(&mut overlay[..size]);
    assert_eq!(overlay[..size], before);
}

#[test]
fn words_behind_the_overlay_are_left_alone() {
    let mut short = vec![0; 16];
    manifest(0x4040_0000, [3, 4, u16::MAX]).relocate(&mut short);
    assert_eq!(short, [0; 16]);
}
