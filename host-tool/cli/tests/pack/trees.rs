//! Device trees as people have them: old versions, overlays, placeholders, what an earlier boot left in them.

use stoop_image::format::device_tree::Facts;
use stoop_image::format::device_tree::tree::{Node, Tree};
use stoop_image::plan::Request;
use stoop_image::simulate::Entry;

use crate::bench::{Bench, Kernel, booted, packed, squashfs, tool};
use crate::refusals::{has, refused};

/// A machine with these bootargs.
fn machine(bootargs: &str) -> Tree {
    let mut tree = Tree::default();
    tree.root.set("compatible", b"mti,malta\0");
    tree.root.child_or_new("chosen").set("bootargs", format!("{bootargs}\0").as_bytes());
    tree
}

fn request(bench: &Bench, tree: &Tree) -> Request {
    Request { dtb: Some(bench.put("t.dtb", &tree.write())), initrd: None, ..bench.full() }
}

/// What the kernel gets.
fn final_tree(request: &Request) -> Tree {
    let (_, built) = packed(request);
    Tree::parse(&booted(&built.file, Entry::None).tree).unwrap()
}

fn warnings(request: &Request) -> String {
    packed(request).0.warnings.join("\n")
}

#[test]
fn trees_of_the_versions_that_dtc_writes_boot_with_their_bootargs() {
    let bench = Bench::new();
    let source =
        bench.put("t.dts", b"/dts-v1/;/{compatible=\"mti,malta\";a{b=<1 2 3>;};chosen{bootargs=\"quiet a=1\";};};");
    for version in ["2", "3", "16", "17"] {
        let Some(output) = tool("dtc", &["-q", "-I", "dts", "-O", "dtb", "-V", version], &source) else { return };
        assert!(output.status.success());
        let dtb = Some(bench.put("t.dtb", &output.stdout));
        let tree = final_tree(&Request { dtb, initrd: None, rootfs: None, ..bench.full() });
        assert_eq!(tree.root.child("chosen").unwrap().get("bootargs").unwrap(), b"quiet a=1\0", "version {version}");
        assert_eq!(tree.root.child("a").unwrap().get("b").unwrap().len(), 12);
    }
}

#[test]
fn overlays_are_applied_as_fdtoverlay_applies_them() {
    let bench = Bench::new();
    let base = "/dts-v1/;/{#address-cells=<1>;#size-cells=<1>;compatible=\"mti,malta\";chosen{bootargs=\"quiet\";};\
                aliases{bus=&soc;};soc:soc{#address-cells=<1>;#size-cells=<1>;u:uart@100{reg=<0x100 4>;status=\"disabled\";};\
                c:clk{x=<&u>;};};};";
    let first = "/dts-v1/;/plugin/;&u{status=\"okay\";clocks=<&c &n>;sub{k=<1>;};};&{/soc}{n:new@200{reg=<0x200 8>;peer=<&n>;};};";
    let second =
        "/dts-v1/;/plugin/;&n{more;clocks=<&u>;};/{fragment@7{target-path=\"bus\";__overlay__{last=\"x\";};};};";
    let mut files = Vec::new();
    for (name, text, symbols) in [("base", base, true), ("first", first, true), ("second", second, false)] {
        let source = bench.put(&format!("{name}.dts"), text.as_bytes());
        let mut options = vec!["-q", "-I", "dts", "-O", "dtb"];
        options.extend(symbols.then_some("-@"));
        let Some(output) = tool("dtc", &options, &source) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        files.push(bench.put(&format!("{name}.dtb"), &output.stdout));
    }
    let path = |at: usize| files[at].to_str().unwrap().to_owned();
    let merged = bench.path("merged.dtb");
    let merged = merged.to_str().unwrap();
    let Some(output) = tool("fdtoverlay", &["-i", &path(0), "-o", merged, &path(1)], &files[2]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let request = Request {
        dtb: Some(files[0].clone()),
        overlays: files[1..].to_vec(),
        initrd: None,
        rootfs: None,
        ..bench.full()
    };
    let ours = packed(&request).0.dtb.unwrap().value;
    let sorted = |blob: &[u8]| {
        fn sort(node: &mut Node) {
            node.properties.sort();
            node.children.sort_by(|a, b| a.name.cmp(&b.name));
            node.children.iter_mut().for_each(sort);
        }
        let mut tree = Tree::parse(blob).unwrap();
        sort(&mut tree.root);
        tree
    };
    assert_eq!(sorted(&ours), sorted(&std::fs::read(merged).unwrap()));
}

#[test]
fn an_overlay_in_place_of_a_tree_and_one_that_does_not_fit_are_refused() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    let mut overlay = Tree::default();
    overlay.root.child_or_new("fragment@0").set("target-path", b"/soc\0");
    overlay.root.child_or_new("fragment@0").child_or_new("__overlay__").set("x", b"");
    bench.put("o.dtbo", &overlay.write());
    bench.put("t.dtb", &machine("quiet").write());
    let good = ["--board", "qemu-malta-le", "--kernel", "vmlinux"];
    let with = |code: i32, more: &[&'static str]| refused(&bench, code, &[&good[..], more].concat());
    has(&with(1, &["--dtb", "o.dtbo"]), &["o.dtbo: this is an overlay", "--overlay"]);
    has(
        &with(1, &["--dtb", "t.dtb", "--overlay", "o.dtbo"]),
        &["fragment@0 is for /soc, which the device tree has not"],
    );
    has(&with(1, &["--dtb", "t.dtb", "--overlay", "t.dtb"]), &["t.dtb: this is no overlay"]);
    has(&with(2, &["--bootloader-dtb", "--overlay", "o.dtbo"]), &["--overlay changes the packed device tree"]);
}

#[test]
fn a_memory_node_of_size_0_gets_the_boards_ram() {
    let bench = Bench::new();
    for (reg, status) in [(&[0u8; 8][..], None), (&[], None), (&[0, 0, 0, 0, 1, 0, 0, 0], Some(&b"disabled\0"[..]))] {
        let mut tree = machine("quiet");
        let memory = tree.root.child_or_new("memory");
        memory.set("device_type", b"memory\0");
        memory.set("reg", reg);
        status.into_iter().for_each(|status| memory.set("status", status));
        let request = request(&bench, &tree);
        assert!(warnings(&request).contains("the memory node memory of the device tree has no size"));
        let facts = Facts::of(&final_tree(&request).write()).unwrap();
        assert!(facts.memory.len() == 1 && facts.memory[0] == (0..0x1000_0000), "{:x?}", facts.memory);
    }
}

#[test]
fn memory_that_the_board_has_not_is_warned_of_with_both() {
    let bench = Bench::new();
    let said = |reg: [u32; 2]| {
        let mut tree = machine("quiet");
        let memory = tree.root.child_or_new("memory@0");
        memory.set("device_type", b"memory\0");
        memory.set("reg", &reg.map(u32::to_be_bytes).concat());
        warnings(&request(&bench, &tree))
    };
    assert!(!said([0, 0x1000_0000]).contains("memory of the device tree"));
    let more = said([0, 0x1800_0000]);
    assert!(more.contains("[0x0, 0x18000000)") && more.contains("[0x0, 0x10000000)"), "{more}");
    assert!(more.contains("RAM that is not there"), "{more}");
    let beyond = said([0x2000_0000, 0x1000_0000]);
    assert!(beyond.contains("[0x20000000, 0x30000000)") && beyond.contains("RAM that is not there"), "{beyond}");
    assert!(said([0, 0x400_0000]).contains("pack may use RAM that the kernel does not"));
}

#[test]
fn what_an_earlier_boot_left_in_chosen_is_removed_and_said() {
    let bench = Bench::new();
    let mut tree = machine("quiet");
    let chosen = tree.root.child_or_new("chosen");
    chosen.set("linux,initrd-start", &[0x88, 0, 0, 0]);
    chosen.set("linux,initrd-end", &[0x88, 0x40, 0, 0]);
    let request = request(&bench, &tree);
    assert!(warnings(&request).contains("linux,initrd-start, linux,initrd-end in /chosen are left out"));
    let tree = final_tree(&request);
    let chosen = tree.root.child("chosen").unwrap();
    assert_eq!((chosen.get("linux,initrd-start"), chosen.get("linux,initrd-end")), (None, None));
    assert!(chosen.get("bootargs").unwrap().starts_with(b"quiet"));
}

#[test]
fn properties_of_patched_kernels_are_warned_of() {
    let bench = Bench::new();
    for name in ["bootargs-override", "bootargs-append"] {
        let mut tree = machine("quiet");
        tree.root.child_or_new("chosen").set(name, b"root=/dev/mtdblock5\0");
        let said = warnings(&request(&bench, &tree));
        assert!(said.contains(&format!("/chosen/{name}")) && said.contains("fdtput -d"), "{said}");
    }
}

#[test]
fn a_tree_of_another_board_is_warned_of_with_both_names() {
    let bench = Bench::new();
    let mut tree = machine("quiet");
    assert!(!warnings(&request(&bench, &tree)).contains("is for"));
    tree.root.set("compatible", b"glinet,gl-ar750\0qca,qca9531\0");
    let said = warnings(&request(&bench, &tree));
    assert!(said.contains("the device tree is for glinet,gl-ar750, qca,qca9531"), "{said}");
    assert!(said.contains("qemu-malta-le is mti,malta"), "{said}");
}

/// A machine whose /reserved-memory has one node of this size, to be placed in this range.
fn dynamic(size: u32, within: Option<[u32; 2]>) -> Tree {
    let mut tree = machine("quiet");
    let reserved = tree.root.child_or_new("reserved-memory");
    for name in ["#address-cells", "#size-cells"] {
        reserved.set(name, &1u32.to_be_bytes());
    }
    reserved.set("ranges", b"");
    let node = reserved.child_or_new("pool");
    node.set("size", &size.to_be_bytes());
    within.into_iter().for_each(|range| node.set("alloc-ranges", &range.map(u32::to_be_bytes).concat()));
    tree
}

#[test]
fn memory_that_the_kernel_reserves_by_size_keeps_its_room() {
    let bench = Bench::new();
    // Where pack would put the root filesystem: right below the bootloader's.
    let usual = packed(&request(&bench, &machine("quiet"))).1.places.rootfs;
    let page = usual.start() as u32;
    let within = [page, 0x2_0000];
    let (_, built) = packed(&request(&bench, &dynamic(0x2_0000, Some(within))));
    assert!(built.places.rootfs.end() as u32 <= page || built.places.rootfs.start() as u32 >= page + 0x2_0000);
    assert!(built.places.regions.iter().any(|named| named.what == stoop_image::layout::RegionKind::Reserved
        && named.region.start() as u32 == page
        && named.region.size() == 0x2_0000));
}

#[test]
fn memory_reserved_where_the_kernel_runs_is_warned_of() {
    let bench = Bench::new();
    let mut tree = machine("quiet");
    tree.reservations.push((0x10_0000, 0x1000));
    let said = warnings(&request(&bench, &tree));
    assert!(said.contains("reserves [0x100000, 0x101000) (memreserve), where the kernel runs"), "{said}");
}

#[test]
fn numbers_of_a_tree_that_no_memory_has_are_no_panic() {
    let bench = Bench::new();
    let mut tree = machine("quiet");
    tree.reservations.push((0xffff_ffff_0000_0000, 0x1_0000_0000));
    packed(&request(&bench, &tree));
    let mut tree = machine("quiet");
    tree.reservations = vec![(0x800_0000, 0x10); 60_000];
    bench.put("t.dtb", &tree.write());
    bench.full();
    let words = ["--board", "qemu-malta-le", "--kernel", "vmlinux", "--dtb", "t.dtb"];
    has(&refused(&bench, 1, &words), &["reserves 60000 pieces of memory"]);
    let mut tree = dynamic(0x1000, None);
    let pool = tree.root.child_or_new("reserved-memory").child_or_new("pool");
    pool.set("alignment", &[0xff; 8]);
    bench.put("t.dtb", &tree.write());
    has(&refused(&bench, 1, &words), &["no room for /reserved-memory/pool"]);
}

#[test]
fn a_root_that_is_not_the_packed_one_is_warned_of() {
    let bench = Bench::new();
    let with = |line: &str| {
        let request = request(&bench, &machine("quiet"));
        packed(&Request { cmdline: Some(line.into()), ..request }).0.warnings.join("\n")
    };
    assert!(
        with("root=/dev/mtdblock3 rootfstype=jffs2").contains("root=/dev/mtdblock3 is not the packed root filesystem")
    );
    assert!(!with("root=/dev/mtdblock99").contains("is not the packed"));
}

#[test]
fn memory_to_be_reserved_for_which_there_is_no_room_is_an_error() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    let words = ["--board", "qemu-malta-le", "--kernel", "vmlinux", "--rootfs", "root.squashfs", "--dtb", "t.dtb"];
    // In the kernel's own place.
    bench.put("t.dtb", &dynamic(0x1000, Some([0x10_0000, 0x1000])).write());
    has(
        &refused(&bench, 1, &words),
        &["no room for /reserved-memory/pool", "0x1000 bytes", "[0x00100000, 0x00101000)"],
    );
    bench.put("t.dtb", &dynamic(0x2000_0000, None).write());
    has(&refused(&bench, 1, &words), &["no room for /reserved-memory/pool", "0x20000000 bytes"]);
}

#[test]
fn a_reservation_that_linux_ignores_is_warned_of() {
    let bench = Bench::new();
    let mut tree = dynamic(0x1000, None);
    tree.root.child_or_new("reserved-memory").remove("ranges");
    let said = warnings(&Request { rootfs: None, ..request(&bench, &tree) });
    assert!(said.contains("Linux ignores the device tree's /reserved-memory: it has no ranges"), "{said}");
    let mut tree = dynamic(0x1000, None);
    tree.root.child_or_new("reserved-memory").child_or_new("odd").set("reg", &[0; 4]);
    let said = warnings(&Request { rootfs: None, ..request(&bench, &tree) });
    assert!(said.contains("/reserved-memory/odd: its reg has 4 bytes"), "{said}");
}

#[test]
fn words_for_the_kernel_come_in_front_of_those_for_init() {
    let bench = Bench::new();
    let request = Request { append: Some("panic=1".into()), ..request(&bench, &machine("console=ttyS0 -- single")) };
    let (_, built) = packed(&request);
    let line = b"console=ttyS0 panic=1 root=/dev/mtdblock99 rootfstype=squashfs -- single";
    assert_eq!(built.line, line);
    // The board joins as CONFIG_MIPS_CMDLINE_DTB_EXTEND does: behind everything.
    let booted = booted(&built.file, Entry::Argv(b"liminix quiet".to_vec()));
    assert_eq!(booted.cmdline, [&line[..], b" liminix quiet"].concat());
}

#[test]
fn pack_says_that_bootargs_go_to_init_and_which_of_two_roots_counts() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    let said = |bootargs: &str| {
        bench.put("t.dtb", &machine(bootargs).write());
        let words = [
            "pack",
            "--board",
            "qemu-malta-le",
            "--kernel",
            "vmlinux",
            "--rootfs",
            "root.squashfs",
            "--dtb",
            "t.dtb",
            "-o",
            "image",
        ];
        let output = bench.stoop(&words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("quiet -- single").contains("warning: the command line has a `--`"));
    let twice = said("root=/dev/mtdblock5 quiet");
    assert!(twice.contains("root=/dev/mtdblock5 and root=/dev/mtdblock99: the kernel takes the last"), "{twice}");
    assert!(!said("quiet").contains("warning"));
}
