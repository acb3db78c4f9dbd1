//! `--ramoops`: memory that has the same place in every image for a board, and in which nothing else is ever put.

use stoop_core::fdt::Ramoops;
use stoop_image::format::device_tree::tree::Tree;
use stoop_image::layout::RegionKind;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_image::simulate::Entry;

use crate::bench::{Bench, Kernel, booted, packed, tree_arm64};
use crate::refusals::{has, refused};

const SIZE: usize = 0x2_0000;

/// Where it is in an image, by the layout and by the final tree.
fn place(request: &Request) -> Ramoops {
    let (plan, built) = packed(request);
    let ramoops = plan.ramoops.unwrap();
    let region = built.places.regions.iter().find(|named| named.what == RegionKind::Ramoops).unwrap().region;
    assert_eq!(region, ramoops.region);
    let others = built.places.regions.iter().filter(|named| named.what != RegionKind::Ramoops);
    others.for_each(|named| assert!(!named.region.overlaps(&region), "{named}"));
    let entry = if plan.dtb.is_some() { Entry::None } else { Entry::Uhi(tree_arm64("quiet", 16)) };
    let tree = Tree::parse(&booted(&built.file, entry).tree).unwrap();
    let node = tree.root.child("reserved-memory").unwrap();
    let node = node.child(&format!("ramoops@{:x}", region.start())).unwrap();
    assert_eq!(node.get("compatible").unwrap(), b"ramoops\0");
    let reg = node.get("reg").unwrap();
    let numbers: Vec<u8> = match reg.len() {
        8 => [region.start() as u32, region.size() as u32].iter().flat_map(|cell| cell.to_be_bytes()).collect(),
        _ => [region.start() as u64, region.size() as u64].iter().flat_map(|cell| cell.to_be_bytes()).collect(),
    };
    assert_eq!(reg, numbers);
    assert_eq!(node.cell("record-size"), Some(ramoops.record));
    assert_eq!(node.cell("console-size"), Some(ramoops.console));
    ramoops
}

#[test]
fn its_place_does_not_depend_on_what_is_packed() {
    let bench = Bench::new();
    let full = Request { ramoops: Some(SIZE), ..bench.full() };
    let wanted = place(&full);
    assert_eq!(wanted.region.size(), SIZE);
    for other in [
        Request { rootfs: None, ..full.clone() },
        Request { rootfs: None, initrd: None, ..full.clone() },
        Request { format: Some(Format::Elf), ..full.clone() },
        Request { format: Some(Format::Raw), codec: CodecChoice::Lzma, ..full.clone() },
        Request { append: Some("x".repeat(2000)), trace: true, ..full.clone() },
    ] {
        assert_eq!(place(&other), wanted);
    }
}

#[test]
fn on_arm64_its_address_does_not_move_with_the_image() {
    let bench = Bench::new();
    // The bootloader's tree gets it too.
    let full = Request { ramoops: Some(SIZE), dtb: None, ..bench.arm64() };
    let wanted = place(&full);
    assert_eq!(place(&Request { rootfs: None, ..full.clone() }), wanted);
    let (plan, _) = packed(&full);
    let top = plan.board.ram.end() - plan.board.bootloader.reserved_top;
    assert!(wanted.region.end() <= top, "below what the bootloader keeps");
}

#[test]
fn without_it_the_tree_has_none() {
    let bench = Bench::new();
    let (_, built) = packed(&bench.full());
    let tree = Tree::parse(&booted(&built.file, Entry::None).tree).unwrap();
    let reserved = tree.root.child("reserved-memory").unwrap();
    assert!(reserved.children.iter().all(|child| !child.name.starts_with("ramoops")));
}

#[test]
fn pack_and_inspect_show_it_and_a_wrong_size_is_refused() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    let mut tree = Tree::default();
    tree.root.set("compatible", b"mti,malta\0");
    bench.put("t.dtb", &tree.write());
    let words = ["--board", "qemu-malta-le", "--kernel", "vmlinux", "--dtb", "t.dtb", "--ramoops"];
    let output = bench.stoop(&[&["pack", "-o", "image"], &words[..], &["128K"]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ramoops"), "{said}");
    let output = bench.stoop(&["inspect", "image"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("/reserved-memory/ramoops@") && said.contains("record-size"), "{said}");
    has(&refused(&bench, 2, &[&words[..], &["100K"]].concat()), &["is no size for --ramoops", "64K to 16M"]);

    tree.root.child_or_new("reserved-memory").child_or_new("ramoops@1000000").set("reg", &[1, 0, 0, 0, 0, 1, 0, 0]);
    bench.put("t.dtb", &tree.write());
    has(
        &refused(&bench, 2, &[&words[..], &["64K"]].concat()),
        &["has a ramoops of its own, ramoops@1000000 at 0x1000000"],
    );
}
