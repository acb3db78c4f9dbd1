//! What the writer makes of each edit: against a plain model, against dtc and fdtget, and byte by byte where bytes are promised.

use std::collections::BTreeMap;
use std::process::Command;

use crate::fdt_support::{
    Edits, FIXTURES, REPORT, bootargs_in, dtc, dtc_run, edit_sets, edited, fixture, fixtures_dir, model, overlay,
    region, root_cells, written,
};
use stoop_core::Code;
use stoop_core::fdt::{Merge, bootargs, check};

fn word(blob: &[u8], at: usize) -> usize {
    u32::from_be_bytes(blob[at..at + 4].try_into().expect("four bytes")) as usize
}

#[test]
fn fixtures_are_what_dtc_makes_of_their_sources() {
    let Some(version) = dtc() else { return };
    eprintln!("{version}");
    for (name, committed) in FIXTURES {
        let source = std::fs::read(fixtures_dir().join(format!("{name}.dts"))).expect("the source is there");
        let (accepted, blob, messages) = dtc_run(&["-I", "dts", "-O", "dtb"], &source);
        assert!(accepted, "{name}: {messages}");
        assert!(blob == committed, "{name}.dtb is not made from {name}.dts: see the README there");
    }
}

#[test]
fn every_edit_of_every_fixture_is_what_the_model_says() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let expected = edited(model(source), &edits);
            match written(source, &edits) {
                Ok((blob, _)) => {
                    let read: BTreeMap<_, _> = model(&blob).into_iter().collect();
                    assert_eq!(Some(read), expected, "{name}, {what}");
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::TreeCells, "{name}, {what}");
                    assert_eq!(expected, None, "{name}, {what}");
                }
            }
        }
    }
}

#[test]
fn every_new_tree_is_sound_and_a_fixed_point_of_reading() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Ok((blob, _)) = written(source, &edits) else { continue };
            let size = check(&blob).unwrap_or_else(|error| panic!("{name}, {what}: {error:?}"));
            assert_eq!(size, blob.len(), "{name}, {what}");
            assert_eq!(root_cells(&blob), root_cells(source), "{name}, {what}");
            let line = edits.bootargs.map(|pieces| pieces.concat());
            assert_eq!(bootargs_in(&blob), line.unwrap_or(bootargs_in(source)), "{name}, {what}");
        }
    }
}

#[test]
fn editing_twice_is_editing_once() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Ok((once, _)) = written(source, &edits) else { continue };
            let (twice, _) = written(&once, &edits).unwrap_or_else(|error| panic!("{name}, {what}: {error:?}"));
            assert_eq!(model(&once), model(&twice), "{name}, {what}");
        }
    }
}

#[test]
fn dtc_takes_every_new_tree_without_an_error() {
    if dtc().is_none() {
        return;
    }
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Ok((blob, _)) = written(source, &edits) else { continue };
            let (accepted, _, messages) = dtc_run(&["-I", "dtb", "-O", "dtb"], &blob);
            assert!(accepted, "{name}, {what}: {messages}");
        }
    }
}

#[test]
fn fdtget_reads_what_was_written() {
    if dtc().is_none() {
        return;
    }
    let (_, edits) = edit_sets().pop().expect("the set with everything");
    let expected = [
        ("/chosen", "bootargs", "s", "console=ttyS0 root=/dev/mtdblock9"),
        ("/chosen", "linux,initrd-start", "x", "5000000"),
        ("/chosen", "linux,initrd-end", "x", "5001234"),
        ("/chosen/stoop", "version", "s", "0.1.0"),
        ("/chosen/stoop", "verdict", "s", "accepted"),
        ("/chosen/stoop", "entry", "s", "argv"),
        ("/chosen/stoop", "slot", "s", "a"),
        ("/chosen/stoop", "count-entry", "x", "1020304"),
        ("/chosen/stoop", "count-handoff", "x", "0"),
        ("/aliases", "mtd9", "s", "/reserved-memory/phram@4000000"),
        ("/aliases", "mtd90", "s", "/soc/flash@1e000000"),
        ("/aliases", "ethernet0", "s", "/soc/ethernet@10000000"),
        ("/reserved-memory", "#address-cells", "x", "2"),
        ("/reserved-memory", "#size-cells", "x", "2"),
        ("/reserved-memory", "ranges", "x", ""),
        ("/reserved-memory/phram@4000000", "compatible", "s", "phram"),
        ("/reserved-memory/phram@4000000", "label", "s", "rootfs"),
        ("/reserved-memory/phram@4000000", "reg", "x", "0 4000000 0 200000"),
        ("/reserved-memory/ramoops@9000000", "compatible", "s", "ramoops"),
        ("/reserved-memory/ramoops@9000000", "reg", "x", "0 9000000 0 20000"),
        ("/reserved-memory/ramoops@9000000", "record-size", "x", "4000"),
        ("/reserved-memory/ramoops@9000000", "console-size", "x", "8000"),
        ("/reserved-memory/ramoops@9000000", "ecc-size", "x", "10"),
        ("/reserved-memory/keep@6000000", "reg", "x", "0 6000000 0 1000"),
    ];
    let (blob, _) = written(fixture("crowded"), &edits).expect("it is written");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crowded.dtb");
    std::fs::write(&file, blob).expect("it is stored");
    for (node, property, kind, value) in expected {
        let output = Command::new("fdtget").args(["-t", kind]).arg(&file).args([node, property]).output();
        let output = output.expect("fdtget comes with dtc");
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), value, "{node} {property}: {messages}");
    }
    let names = |arguments: &[&str]| {
        let output = Command::new("fdtget").arg("-l").arg(&file).args(arguments).output().expect("fdtget");
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&["/chosen"]), ["bootargs", "stoop", "framebuffer@0"]);
    assert_eq!(names(&["/chosen/stoop"]), ["deeper"], "what only the base has stays");
    assert_eq!(names(&["/reserved-memory"]), ["keep@6000000", "phram@4000000", "stoop", "ramoops@9000000"]);
    assert_eq!(names(&["/"]), ["aliases", "chosen", "memory@0", "reserved-memory", "soc"]);
}

#[test]
fn header_and_blocks_are_laid_out_as_the_specification_wants() {
    for (name, source) in FIXTURES {
        let mut source = source.to_vec();
        source[28..32].copy_from_slice(&7_u32.to_be_bytes());
        for (what, edits) in edit_sets() {
            let Ok((blob, _)) = written(&source, &edits) else { continue };
            let at = format!("{name}, {what}");
            let field = |index: usize| word(&blob, index * 4);
            assert_eq!(field(0), 0xd00d_feed, "{at}: magic");
            assert_eq!(field(1), blob.len(), "{at}: total size");
            assert_eq!(blob.len() % 8, 0, "{at}: a multiple of 8");
            assert_eq!((field(5), field(6), field(7)), (17, 16, 7), "{at}: versions, boot CPU");
            assert_eq!(field(4), 40, "{at}: reservations behind the header");
            let reservations = &source[word(&source, 16)..word(&source, 8)];
            assert_eq!(&blob[40..field(2)], reservations, "{at}: reservations");
            assert_eq!(field(2) + field(9), field(3), "{at}: strings behind the structure");
            assert_eq!(&blob[field(3) - 4..field(3)], [0, 0, 0, 9], "{at}: the last tag");
            assert!(field(3) + field(8) <= blob.len(), "{at}: strings inside");
            assert_eq!(blob[field(3) + field(8) - 1], 0, "{at}: the last name ends");
        }
    }
}

#[test]
fn the_offset_of_count_handoff_is_where_its_value_is() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Ok((mut blob, at)) = written(source, &edits) else { continue };
            if edits.report.is_none() {
                assert_eq!(at, 0, "{name}, {what}");
                continue;
            }
            blob[at..at + 4].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
            let nodes = model(&blob);
            let (_, report) = nodes.iter().find(|(path, _)| path.ends_with("/stoop")).expect("the report");
            assert_eq!(report["count-handoff"], 0x1234_5678_u32.to_be_bytes(), "{name}, {what}");
            assert_eq!(report["count-entry"], REPORT.count_entry.to_be_bytes(), "{name}, {what}");
        }
    }
}

#[test]
fn a_node_has_nothing_written_into_it_that_was_not_asked_for() {
    let (blob, at) = written(fixture("minimal"), &Edits::default()).expect("it is written");
    assert_eq!(model(&blob), [("/".to_owned(), BTreeMap::new())]);
    assert_eq!(at, 0);
}

#[test]
fn names_with_numbers_have_no_leading_zeros() {
    for (start, alias, node, name) in [
        (0, 0, "phram@0", "mtd0"),
        (0x1000, 9, "phram@1000", "mtd9"),
        (0x400_0000, 10, "phram@4000000", "mtd10"),
        (0xabcd_e000, 99, "phram@abcde000", "mtd99"),
        (0x1f00_0000, 100, "phram@1f000000", "mtd100"),
        (0x8765_4321, 234, "phram@87654321", "mtd234"),
        (0xffff_f000, 255, "phram@fffff000", "mtd255"),
    ] {
        let edits = Edits { phram: Some((region(start, 0x800), alias)), ..Edits::default() };
        let (blob, _) = written(fixture("minimal"), &edits).expect("it is written");
        let nodes: BTreeMap<_, _> = model(&blob).into_iter().collect();
        let path = format!("/reserved-memory/{node}");
        assert!(nodes.contains_key(&path), "{path} in {:?}", nodes.keys());
        assert_eq!(nodes["/aliases"][name], [path.as_bytes(), b"\0"].concat());
        assert_eq!(nodes["/aliases"].len(), 1);
    }
}

#[test]
fn every_alias_number_is_decimal() {
    for alias in 0..=255 {
        let edits = Edits { phram: Some((region(0x1000, 0x1000), alias)), ..Edits::default() };
        let (blob, _) = written(fixture("minimal"), &edits).expect("it is written");
        let nodes: BTreeMap<_, _> = model(&blob).into_iter().collect();
        assert_eq!(nodes["/aliases"].keys().collect::<Vec<_>>(), [&format!("mtd{alias}")]);
    }
}

/// Where usize has 32 bits no region has such numbers.
#[cfg(target_pointer_width = "64")]
#[test]
fn numbers_that_need_two_cells_are_refused_where_there_is_one() {
    let wide = region(0x1_0000_0000, 0x1000);
    let long = region(0x1000, 0x1_0000_0000);
    let end = region(0xffff_f000, 0x1000);
    for (what, edits) in [
        ("start", Edits { phram: Some((wide, 9)), ..Edits::default() }),
        ("size", Edits { phram: Some((long, 9)), ..Edits::default() }),
        ("memory", Edits { memory: Some(wide), ..Edits::default() }),
    ] {
        assert_eq!(overlay(fixture("minimal"), &edits), None, "{what}");
        assert!(written(fixture("crowded"), &edits).is_ok(), "{what} fits two cells");
    }
    let initrd = Edits { initrd: Some(end), ..Edits::default() };
    let (blob, _) = written(fixture("minimal"), &initrd).expect("Linux takes any number of cells");
    assert_eq!(model(&blob)[1].1["linux,initrd-end"], 0x1_0000_0000_u64.to_be_bytes());
    let edits = Edits { phram: Some((end, 9)), ..Edits::default() };
    assert!(written(fixture("minimal"), &edits).is_ok(), "the last page below 4 GiB fits");
}

#[test]
fn cells_that_linux_would_not_take_are_refused_only_when_they_matter() {
    let phram = Edits { phram: Some((region(0x1000, 0x1000), 9)), ..Edits::default() };
    let error = written(fixture("other-cells"), &phram).expect_err("cells unlike the root's");
    assert_eq!(error.code(), Code::TreeCells);
    assert!(written(fixture("other-cells"), &Edits { report: Some(REPORT), ..Edits::default() }).is_ok());

    // The root's own counts, unlike those that the overlay was made for.
    let at = |source: &[u8]| {
        let at =
            source.windows(12).position(|bytes| bytes == [0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0]).expect("a property");
        at + 12
    };
    let merged = |source: &[u8], edits: &Edits| {
        let overlay = overlay(fixture("malta"), edits).expect("they fit");
        let mut out = vec![0; source.len() + 4096];
        let mut merge = Merge::new(source, &overlay, &mut out);
        merge.overlay.read().expect("a header");
        merge.write(&[])
    };
    for count in [0_u32, 2, 3, 0x100, u32::MAX] {
        let mut source = fixture("malta").to_vec();
        let at = at(&source);
        source[at..at + 4].copy_from_slice(&count.to_be_bytes());
        let error = merged(&source, &phram).expect_err("another count");
        assert_eq!((error.code(), error.value), (Code::TreeCells, count as usize), "{count}");
        assert_eq!(merged(&source, &Edits { bootargs: Some(&[b"x"]), ..Edits::default() }), Ok(()), "{count}");
        if !(1..=2).contains(&count) {
            assert_eq!(overlay(&source, &phram), None, "no address has such a count: {count}");
        }
    }
}

#[test]
fn ram_that_the_base_has_is_kept_whatever_its_name_and_only_then() {
    let at_the_same_place = Edits { memory: Some(region(0, 0x1000)), ..Edits::default() };
    let (blob, _) = written(fixture("crowded"), &at_the_same_place).expect("it is written");
    let nodes: BTreeMap<_, _> = model(&blob).into_iter().collect();
    assert_eq!(nodes["/memory@0"]["reg"], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0]);
    let elsewhere = Edits { memory: Some(region(0x1000, 0x1000)), ..Edits::default() };
    let (blob, _) = written(fixture("crowded"), &elsewhere).expect("it is written");
    assert!(!model(&blob).iter().any(|(path, _)| path == "/memory@1000"), "a second one");
    let (blob, _) = written(fixture("two-chosen"), &elsewhere).expect("it is written");
    assert!(model(&blob).iter().any(|(path, _)| path == "/memory@1000"), "names alone are no RAM");
}

#[test]
fn the_overlay_are_a_tree_that_dtc_takes_and_keep_its_rules() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Some(blob) = overlay(source, &edits) else { continue };
            assert_eq!(check(&blob), Ok(blob.len()), "{name}, {what}");
            let (mut words, structure) = (0_u32, &blob[word(&blob, 8)..word(&blob, 12)]);
            let mut at = 0;
            while at < structure.len() {
                let number = ((word(&blob, 8) + at) / 4 % 32) as u32;
                match word(structure, at) {
                    1 => {
                        let name: Vec<u8> = structure[at + 4..].iter().copied().take_while(|byte| *byte != 0).collect();
                        assert_eq!(words & 1 << number, 0, "{what}: {:?}", String::from_utf8_lossy(&name));
                        assert_eq!(number == 0, name.starts_with(b"memory@"), "{what}");
                        words |= 1 << number;
                        at += (4 + name.len() + 1).next_multiple_of(4);
                    }
                    3 => at += (12 + word(structure, at + 4)).next_multiple_of(4),
                    _ => at += 4,
                }
            }
            if dtc().is_some() {
                let (accepted, _, messages) = dtc_run(&["-I", "dtb", "-O", "dts"], &blob);
                assert!(accepted, "{name}, {what}: {messages}");
            }
        }
    }
}

#[test]
fn bootargs_are_what_the_kernel_copies() {
    for (value, line) in [
        (&b""[..], &b""[..]),
        (b"\0", b""),
        (b"x", b""),
        (b"a\0", b"a"),
        (b"console=ttyS0\0", b"console=ttyS0"),
        (b"no end", b"no en"),
        (b"two\0parts\0", b"two"),
        (b"two\0parts", b"two"),
        (b"\0behind\0", b""),
    ] {
        assert_eq!(bootargs(value), line, "{:?}", String::from_utf8_lossy(value));
    }
}

#[test]
fn the_first_chosen_counts_as_for_the_kernel() {
    assert_eq!(bootargs_in(fixture("two-chosen")), b"");
    let edits = Edits { bootargs: Some(&[b"new"]), ..Edits::default() };
    let (blob, _) = written(fixture("two-chosen"), &edits).expect("it is written");
    let nodes: BTreeMap<_, _> = model(&blob).into_iter().collect();
    assert_eq!(nodes["/chosen@0"]["bootargs"], b"new\0");
    assert_eq!(nodes["/chosen"]["bootargs"], b"the second one\0");
    // As fdt_getprop, which the kernel asks, of two properties with the same name.
    let mut twice = fixture("malta").to_vec();
    let strings = word(&twice, 12);
    let offset = |name: &[u8]| {
        let at = twice[strings..].windows(name.len()).position(|bytes| bytes == name).expect("a name");
        (at as u32).to_be_bytes()
    };
    let (line, path) = (offset(b"bootargs\0"), offset(b"stdout-path\0"));
    let at = twice[..strings].windows(4).position(|bytes| bytes == path).expect("the property");
    twice[at..at + 4].copy_from_slice(&line);
    assert_eq!(bootargs_in(&twice), b"console=ttyS0,115200 root=/dev/mtdblock9");
    let (blob, _) = written(&twice, &edits).expect("it is written");
    assert_eq!(bootargs_in(&blob), b"new");
    assert_eq!(bootargs_in(fixture("minimal")), b"");
    assert_eq!(bootargs_in(fixture("bare-reserved")), b"");
}
