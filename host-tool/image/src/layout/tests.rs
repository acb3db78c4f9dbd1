//! Random boards and sizes: what is placed never overlaps, and every refusal says why.

use crate::Explained as _;
use proptest::prelude::*;

use stoop_core::Region;

use super::*;

fn region(start: usize, size: usize) -> Region {
    Region::new(start, size).unwrap()
}

/// An ath79 board with 64 MiB and a kernel of 4 MiB.
fn small() -> Need {
    Need {
        ram: region(0, 0x400_0000),
        bootloader: 0x10_0000,
        staging: None,
        download: Some(0xa0_0000),
        reserved: Vec::new(),
        dynamic: Vec::new(),
        ramoops: Region::EMPTY,
        kernel: KernelNeed { place: region(0x6_0000, 0x40_0000), decompressed: None, relocation: None },
        run: 0x8000,
        tree: 0x4000,
        argv: false,
        head: 0x40_0000,
        initrd: 0,
        rootfs: 0x80_0000,
        copies: 0,
        shape: Shape::Copied { header: 64 },
    }
}

fn of(places: &Places, what: RegionKind) -> Region {
    places.regions.iter().find(|named| named.what == what).unwrap_or_else(|| panic!("no {what}")).region
}

/// An independent look at what was placed, byte range by byte range.
fn sound(need: &Need, places: &Places) -> std::result::Result<(), TestCaseError> {
    for named in &places.regions {
        if named.what != RegionKind::Reserved {
            prop_assert!(named.region.end() <= 0x2000_0000 && need.ram.contains(&named.region), "{named}");
        }
    }
    for when in [Phases::DOWNLOAD, Phases::SHIM, Phases::HANDOFF, Phases::KERNEL] {
        let mut alive: Vec<&NamedRegion> = places.regions.iter().filter(|named| named.when.meets(when)).collect();
        alive.retain(|named| named.what != RegionKind::Reserved);
        alive.sort_by_key(|named| named.region.start());
        for pair in alive.windows(2) {
            prop_assert!(pair[0].region.end() <= pair[1].region.start(), "{} and {}", pair[0], pair[1]);
        }
    }
    for reserved in &need.reserved {
        for placed in [places.run, places.head, places.tree, places.argv, places.initrd, places.rootfs, places.copies] {
            prop_assert!(!placed.overlaps(reserved));
        }
    }
    prop_assert_eq!(places.run.start() % GRAIN, 0);
    prop_assert_eq!(places.head.start() % GRAIN, 0);
    prop_assert_eq!(places.rootfs.start() % GRAIN, 0);
    prop_assert_eq!(places.initrd.start() % PAGE, 0);
    prop_assert_eq!(places.tree.start() % 8, 0);
    prop_assert!(places.rootfs.size() >= need.rootfs && places.initrd.size() >= need.initrd);
    prop_assert_eq!(places.argv.is_empty(), !need.argv);
    prop_assert!(places.copies.is_empty() || places.copies.size() == need.copies);
    prop_assert_eq!(places.head.size(), need.head);
    Ok(())
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Copied { header: 64 }), Just(Shape::Direct), Just(Shape::Segments)]
}

prop_compose! {
    fn kernel()(
        start in 0usize..0x200, size in 1usize..0x180_0000, form in 0..4, more in 1usize..0x100_0000, gap in 0usize..64,
    ) -> KernelNeed {
        let place = region(start * 0x1000, size);
        let behind = region(place.end().next_multiple_of(GRAIN) + gap * GRAIN, more);
        match form {
            0 => KernelNeed { place, decompressed: None, relocation: None },
            1 => KernelNeed { place, decompressed: None, relocation: Some(behind) },
            // A vmlinuz lies above what it writes.
            2 => KernelNeed { place: behind, decompressed: Some(place), relocation: None },
            _ => KernelNeed { place, decompressed: Some(behind), relocation: None },
        }
    }
}

prop_compose! {
    fn need()(
        ram in prop_oneof![0x10_0000usize..0x1000_0000, Just(0x800_0000), Just(0x2000_0000), Just(0x4000_0000)],
        bootloader in 0usize..0x40_0000,
        staging in prop::option::of((0usize..0x1000, 0usize..0x100)),
        download in prop::option::of(0usize..0x1000),
        reserved in prop::collection::vec((0usize..0x10000, 1usize..0x200), 0..3),
        kernel in kernel(),
        tree in 0usize..0x2_0000,
        argv: bool,
        head in 0x2000usize..0x180_0000,
        initrd in prop_oneof![Just(0usize), 1usize..0x100_0000],
        rootfs in prop_oneof![Just(0usize), 1usize..0x400_0000],
        copies in prop_oneof![Just(0usize), 1usize..0x80_0000],
        ramoops in proptest::option::of((0usize..0x800, 1usize..0x10)),
        shape in shape(),
    ) -> Need {
        Need {
            ram: region(0, ram),
            bootloader,
            staging: staging.map(|(start, size)| region(start * GRAIN, size * GRAIN)),
            download: download.map(|at| at * GRAIN),
            dynamic: Vec::new(),
            ramoops: ramoops.map_or(Region::EMPTY, |(start, size)| region(start * GRAIN, size * GRAIN)),
            reserved: reserved.into_iter().map(|(start, size)| region(start * 0x1000, size * 0x1000)).collect(),
            kernel, run: 0x8000, tree, argv, head, initrd, rootfs, copies, shape,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn regions_never_overlap_or_there_is_an_error_with_numbers_and_a_next_step(need in need()) {
        match place(&need) {
            Ok(places) => sound(&need, &places)?,
            Err(failure) => {
                prop_assert!(failure.to_string().contains("0x"), "{}", failure);
                let next = failure.next_step();
                prop_assert!(next.as_ref().is_some_and(|next| !next.contains("report this")), "{}: {:?}", failure, next);
            }
        }
    }
}

#[test]
fn a_small_board_has_room_for_everything() {
    for shape in [Shape::Copied { header: 64 }, Shape::Direct, Shape::Segments] {
        let need = Need { shape, argv: true, initrd: 0x10_0000, ..small() };
        let places = place(&need).unwrap();
        sound(&need, &places).unwrap();
        assert!(places.argv.start() > 0x300_0000, "argv is high: {:x?}", places.argv);
    }
}

#[test]
fn the_bootloaders_favourite_address_is_taken_when_it_is_free() {
    assert_eq!(place(&small()).unwrap().download, 0xa0_0000);
    let direct = place(&Need { shape: Shape::Direct, ..small() }).unwrap();
    assert_eq!((direct.download, direct.head.start()), (0xa0_0000, 0xa0_0000));
    let in_the_way = Need { staging: Some(region(0xb0_0000, 0x1000)), ..small() };
    let places = place(&in_the_way).unwrap();
    assert!(places.download > 0xb0_0000 && !of(&places, RegionKind::Download).overlaps(&in_the_way.staging.unwrap()));
}

#[test]
fn what_only_matters_at_different_times_may_share_memory() {
    // The download may lie where the kernel will run: it is dead by then.
    let need = Need { download: Some(0x10_0000), ..small() };
    let places = place(&need).unwrap();
    assert_eq!(places.download, 0x10_0000);
    assert!(of(&places, RegionKind::Download).overlaps(&of(&places, RegionKind::Kernel)));
    // Not so when the bootloader itself puts the kernel there.
    let segments = place(&Need { shape: Shape::Segments, ..need }).unwrap();
    assert!(!of(&segments, RegionKind::Download).overlaps(&of(&segments, RegionKind::Kernel)));
}

#[test]
fn nothing_that_stays_lies_where_the_kernel_may_move_itself() {
    let relocation = region(0x46_0000, 0x140_0000);
    let need = Need { kernel: KernelNeed { relocation: Some(relocation), ..small().kernel }, argv: true, ..small() };
    let places = place(&need).unwrap();
    for stays in [places.rootfs, places.tree, places.argv] {
        assert!(!stays.overlaps(&relocation));
    }
    assert!(places.run.overlaps(&relocation), "the shim is done by then");
}

#[test]
fn copies_of_flash_lie_where_nothing_is_while_the_shim_runs_or_are_done_without() {
    let shape = Shape::Flash { load: region(0x3ef_0000, 0x8000), run: region(0x3ee_0000, 0x8000) };
    let relocation = region(0x46_0000, 0x140_0000);
    let kernel = KernelNeed { relocation: Some(relocation), ..small().kernel };
    let need = Need { shape, kernel, head: 0x8000, copies: 0x30_0000, ..small() };
    let places = place(&need).unwrap();
    sound(&need, &places).unwrap();
    assert_eq!(places.copies.size(), 0x30_0000);
    assert!(places.copies.overlaps(&relocation), "the kernel moves later");
    // The largest room there is, and a page more.
    let fits = |size: usize| !place(&Need { copies: size, ..need.clone() }).unwrap().copies.is_empty();
    let (mut good, mut bad) = (1, 0x4000);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if fits(middle * PAGE) { good = middle } else { bad = middle }
    }
    let without = place(&Need { copies: bad * PAGE, ..need.clone() }).unwrap();
    assert_eq!(without, place(&Need { copies: 0, ..need }).unwrap(), "all else is as it was");
}

#[test]
fn too_little_ram_names_what_did_not_fit_and_what_is_in_the_way() {
    let failure = place(&Need { rootfs: 0x400_0000, ..small() }).unwrap_err();
    assert!(matches!(failure, crate::Error::Layout(Error::Full { what: RegionKind::Rootfs, .. })), "{failure}");
    // What is there by the message's numbers is less than what is needed.
    let failure = place(&Need { rootfs: 0x1c8_0000, head: 0x10_0000, ..small() }).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "too little RAM: no room for the download, 0x1d80040 bytes, in [0x00001000, 0x03f00000) below the bootloader's own 0x100000 \
         bytes beside the rootfs [0x00580000, 0x02200000), 0x1c80000 bytes"
    );
    let moving = KernelNeed { relocation: Some(region(0x46_0000, 0x33a_0000)), ..small().kernel };
    let failure = place(&Need { kernel: moving, ..small() }).unwrap_err();
    assert!(failure.to_string().contains("kernel relocation [0x00460000, 0x03800000)"), "{failure}");
    assert!(failure.next_step().unwrap().contains("nokaslr"));
}

#[test]
fn an_overlap_that_nobody_can_change_names_both_sides() {
    let kernel = KernelNeed { place: region(0x6_0000, 0x3f0_0000), ..small().kernel };
    let failure = place(&Need { kernel, ..small() }).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "kernel [0x00060000, 0x03f60000), 0x3f00000 bytes overlaps bootloader [0x03f00000, 0x04000000), 0x100000 bytes"
    );
    let outside = KernelNeed { place: region(0x800_0000, 0x1000), ..small().kernel };
    let failure = place(&Need { kernel: outside, ..small() }).unwrap_err();
    assert!(matches!(failure, crate::Error::Layout(Error::NotInRam { .. })), "{failure}");
}

#[test]
fn one_byte_more_than_fits_is_refused() {
    // The largest root filesystem that fits, found by halving; the next page does not.
    let fits = |pages: usize| place(&Need { rootfs: pages * PAGE, ..small() }).is_ok();
    let (mut good, mut bad) = (1, 0x4000);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    let need = Need { rootfs: good * PAGE, ..small() };
    sound(&need, &place(&need).unwrap()).unwrap();
    assert!(place(&Need { rootfs: good * PAGE + 1, ..small() }).is_err());
    assert!(good * PAGE > 0x100_0000, "less than a third of RAM could be used: 0x{:x}", good * PAGE);
}
