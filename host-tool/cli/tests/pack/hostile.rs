//! Files that were made to do harm, given to `stoop` with 512 MiB of memory and 5 s of the CPU: a clear word or a right result.

use stoop_core::Region;
use stoop_image::image::build;
use stoop_image::plan::{Format, Request};
use stoop_image::progress::Quiet;
use vm_fdt::FdtWriter;

use crate::bench::{Bench, Kernel, plan, text};

#[test]
fn a_board_with_more_ram_and_flash_than_any_machine_takes_only_what_is_used() {
    let bench = Bench::new();
    let mut plan = plan(&Request { rootfs: None, initrd: None, ..bench.arm64() });
    // As params can lie: no board file can say so.
    plan.board.ram = Region::new(0x4000_0000, 1 << 62).unwrap();
    let flash = plan.board.flash.as_mut().expect("QEMU's board has flash");
    flash.window = Region::new(1 << 63, 0x1_8000_0000).unwrap();
    bench.put("lies", &build(&plan, &mut Quiet).unwrap().file);
    let said = text(&bench.limited(&["simulate", "lies", "--args", "liminix a=b"]));
    assert!(said.contains("verdict      accepted"), "{said}");
    bench.limited(&["inspect", "lies"]);
    bench.limited(&["check", "lies", "--board", "qemu-virt-arm64"]);
}

#[test]
fn a_kernel_that_clears_more_memory_than_is_simulated_is_refused_with_the_number() {
    let bench = Bench::new();
    let kernel = bench
        .put("huge", &Kernel { bss: 0x1c00_0000, config: "CONFIG_ARM64=y\n".into(), ..Kernel::new(false) }.image());
    let mut plan = plan(&Request { rootfs: None, initrd: None, kernel, ..bench.arm64() });
    plan.board.ram = Region::new(0x4000_0000, 0x8000_0000).unwrap();
    bench.put("huge.img", &build(&plan, &mut Quiet).unwrap().file);
    let said = text(&bench.limited(&["simulate", "huge.img"]));
    assert!(said.contains("take more than 0x8000000 bytes of RAM"), "{said}");
}

#[test]
fn a_uimage_cut_within_its_header_is_told_so() {
    let bench = Bench::new();
    let mut cut = vec![0; 40];
    cut[..4].copy_from_slice(&[0x27, 0x05, 0x19, 0x56]);
    bench.put("cut", &cut);
    let said = text(&bench.limited(&["check", "cut", "--board", "gl-ar750"]));
    assert!(said.contains("ends within its header, at 0x28"), "{said}");
}

#[test]
fn segments_far_apart_and_a_bss_of_half_a_gigabyte_take_no_memory() {
    let bench = Bench::new();
    let mut far = Kernel { filler: 0, ..Kernel::new(false) }.elf();
    bench.put("bss", &{
        let mut file = far.clone();
        file[72..76].copy_from_slice(&0x1f00_0000u32.to_le_bytes());
        file
    });
    bench.limited(&["check", "--kernel", "bss"]);
    // A second program header behind everything: one byte, 496 MiB further.
    let at = far.len() as u32;
    far[28..32].copy_from_slice(&at.to_le_bytes());
    far[44] = 2;
    let first = far[52..84].to_vec();
    far.extend(&first);
    let words = [1u32, 0, 0x9f00_0000, 0x9f00_0000, 1, 1, 7, 16];
    far.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bench.put("far", &far);
    let said = text(&bench.limited(&["check", "--kernel", "far"]));
    assert!(said.contains("its PT_LOAD segments span 0x1ef00001 bytes"), "{said}");
}

#[test]
fn forty_thousand_nodes_in_each_other_are_refused() {
    let bench = Bench::new();
    let mut tree = Vec::new();
    let mut put = |word: u32| tree.extend_from_slice(&word.to_be_bytes());
    let (depth, node) = (40_000, 6);
    let structure = 4 * (2 + depth * node + depth + 2);
    [0xd00d_feed, 56 + structure + 2, 56, 56 + structure, 40, 17, 16, 0, 2, structure].into_iter().for_each(&mut put);
    [0; 4].into_iter().for_each(&mut put);
    [1, 0].into_iter().for_each(&mut put);
    for _ in 0..depth {
        // A node of the name `n` with a property `n`.
        [1, u32::from_be_bytes(*b"n\0\0\0"), 3, 0, 0, 4].into_iter().for_each(&mut put);
    }
    (0..=depth).for_each(|_| put(2));
    put(9);
    tree.extend_from_slice(b"n\0");
    bench.put("deep.dtb", &tree);
    bench.full();
    let said =
        bench.limited(&["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--dtb", "deep.dtb", "-o", "image"]);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    bench.limited(&["check", "--kernel", "deep.dtb"]);
    bench.limited(&["simulate", "deep.dtb"]);
}

#[test]
fn a_stream_of_zeros_is_not_decoded_to_its_end() {
    let bench = Bench::new();
    let zeros = vec![0; 0x400_0000];
    let mut legacy = vec![0x02, 0x21, 0x4c, 0x18];
    let block = lz4_block(&vec![0; 8 << 20]);
    for _ in 0..100 {
        legacy.extend((block.len() as u32).to_le_bytes());
        legacy.extend(&block);
    }
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..3 {
        std::io::Write::write_all(&mut xz, &zeros).unwrap();
        std::io::Write::write_all(&mut gzip, &zeros).unwrap();
    }
    for (name, bytes) in [("lz4", legacy), ("xz", xz.finish().unwrap()), ("gz", gzip.finish().unwrap())] {
        bench.put(name, &bytes);
        let said = text(&bench.limited(&["check", "--kernel", name]));
        assert!(said.contains("decodes to more than 0x6000000 bytes"), "{said}");
        bench.limited(&["check", name, "--board", "gl-ar750"]);
    }
}

fn lz4_block(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(bytes)
}

#[test]
fn what_a_file_calls_itself_is_printed_without_escape_sequences() {
    let bench = Bench::new();
    let fit = |name: &str| {
        let write = || -> Result<Vec<u8>, vm_fdt::Error> {
            let mut tree = FdtWriter::new()?;
            let root = tree.begin_node("")?;
            let images = tree.begin_node("images")?;
            let node = tree.begin_node("kernel")?;
            tree.property("data", &[0; 16])?;
            tree.property_string("type", name)?;
            tree.property_u32("load", 0x8010_0000)?;
            tree.end_node(node)?;
            tree.end_node(images)?;
            let all = tree.begin_node("configurations")?;
            let one = tree.begin_node("conf")?;
            tree.property_string("kernel", "kernel")?;
            tree.end_node(one)?;
            tree.end_node(all)?;
            tree.end_node(root)?;
            tree.finish()
        };
        write().unwrap()
    };
    bench.put("esc.itb", &fit("ker\u{1b}]0;PWNED\u{7}\u{1b}[31m\u{9b}31m"));
    let mut uimage = vec![0; 64];
    uimage[..4].copy_from_slice(&[0x27, 0x05, 0x19, 0x56]);
    uimage[32..40].copy_from_slice(b"a\x1b[31m\x07b");
    bench.put("uimage", &uimage);
    bench.put("e\u{1b}[31m", b"hello");
    for words in [
        &["check", "--kernel", "esc.itb"][..],
        &["check", "esc.itb", "--board", "gl-ar750"],
        &["inspect", "esc.itb"],
        &["inspect", "esc.itb", "--json"],
        &["inspect", "uimage"],
        &["check", "--kernel", "e\u{1b}[31m"],
        &["boards", "show", "\u{1b}[31m"],
    ] {
        let said = text(&bench.limited(words));
        assert!(!said.is_empty() && !said.chars().any(|c| c.is_control() && c != '\n'), "{words:?}: {said:?}");
    }
}

#[test]
fn an_image_whose_shim_claims_to_be_huge_is_damaged() {
    let bench = Bench::new();
    let mut plan = plan(&bench.full());
    plan.format.value = Format::Raw;
    let mut image = build(&plan, &mut Quiet).unwrap().file;
    // The note behind the manifest: magic, header, run region, load address, manifest, variant, sum.
    let at = image.windows(4).position(|word| word == b"NPTS").unwrap();
    image[at + 12..at + 16].copy_from_slice(&0x4000_0000u32.to_le_bytes());
    let sum = stoop_image::format::checksum::checksum(&image[at..at + 28]);
    image[at + 28..at + 32].copy_from_slice(&sum.to_le_bytes());
    bench.put("huge", &image);
    for verb in ["inspect", "simulate"] {
        let output = bench.limited(&[verb, "huge"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output).contains("damaged"), "{output:?}");
    }
}

#[test]
fn a_module_of_zeros_is_not_decompressed_to_its_end() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("6.1/kernel")).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    (0..10).for_each(|_| std::io::Write::write_all(&mut xz, &[0; 0x100_0000]).unwrap());
    bench.put("6.1/kernel/bomb.ko.xz", &xz.finish().unwrap());
    bench.put("6.1/modules.dep", b"kernel/bomb.ko.xz:\n");
    let said = text(&bench.limited(&["modules", "bundle", "--modules", "6.1", "bomb", "-o", "out"]));
    assert!(said.contains("decompresses to more than 0x6000000 bytes"), "{said}");
}

#[test]
fn a_fit_that_asks_for_the_same_sum_again_and_again_is_damaged() {
    let bench = Bench::new();
    let mut tree = FdtWriter::new().unwrap();
    let root = tree.begin_node("").unwrap();
    let images = tree.begin_node("images").unwrap();
    let kernel = tree.begin_node("kernel").unwrap();
    tree.property("data", &vec![7; 0x80_0000]).unwrap();
    for number in 0..2000 {
        let hash = tree.begin_node(&format!("hash-{number}")).unwrap();
        tree.property_string("algo", "sha1").unwrap();
        tree.property("value", &[0; 20]).unwrap();
        tree.end_node(hash).unwrap();
    }
    tree.end_node(kernel).unwrap();
    tree.end_node(images).unwrap();
    let all = tree.begin_node("configurations").unwrap();
    let one = tree.begin_node("conf").unwrap();
    tree.property_string("kernel", "kernel").unwrap();
    tree.end_node(one).unwrap();
    tree.end_node(all).unwrap();
    tree.end_node(root).unwrap();
    bench.put("sums.itb", &tree.finish().unwrap());
    for words in [&["check", "--kernel", "sums.itb"][..], &["inspect", "sums.itb"]] {
        let said = text(&bench.limited(words));
        assert!(said.contains("its image kernel has 2000 hashes"), "{said}");
    }
}

/// A tree whose only string, at its end, is the name of every property: header, structure, strings.
fn one_name(structure: &[u8], name: &[u8]) -> Vec<u8> {
    let (size, strings) = (structure.len() as u32, name.len() as u32);
    let words = [0xd00d_feed, 56 + size + strings, 56, 56 + size, 40, 17, 16, 0, strings, size, 0, 0, 0, 0];
    [&words.map(u32::to_be_bytes).concat(), structure, name].concat()
}

#[test]
fn a_name_of_megabytes_that_all_properties_share_is_refused() {
    let bench = Bench::new();
    bench.full();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let names = |count: usize| words(&[3, 0, 0]).repeat(count);
    let begin = |name: &str| {
        let mut node = [&words(&[1])[..], name.as_bytes(), b"\0"].concat();
        node.resize(node.len().next_multiple_of(4), 0);
        node
    };
    // A root with /images, and /configurations with one that has them all.
    let fit = |count| {
        let images = [begin("images"), words(&[2])].concat();
        let one = [begin("c"), names(count), words(&[2])].concat();
        [begin(""), images, begin("configurations"), one, words(&[2, 2, 9])].concat()
    };
    let plain = |count| [begin(""), names(count), words(&[2, 9])].concat();
    let ended = [&vec![b'n'; 0x80_0000][..], b"\0"].concat();
    let endless = vec![b'n'; 0x80_0000];
    for name in [&ended[..], &endless] {
        bench.put("names.itb", &one_name(&fit(500_000), name));
        bench.put("names.dtb", &one_name(&plain(500_000), name));
        for words in [
            &["inspect", "names.itb"][..],
            &["check", "names.itb", "--board", "gl-ar750"],
            &["check", "--kernel", "names.itb"],
            &["simulate", "names.itb"],
            &["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--dtb", "names.dtb", "-o", "image"],
        ] {
            let output = bench.limited(words);
            assert!(output.status.code() == Some(1) && text(&output).contains("next: "), "{words:?}: {output:?}");
        }
    }
}

#[test]
fn a_file_full_of_headers_is_searched_in_time() {
    let bench = Bench::new();
    // Trees that promise more than is there and begin with the same walk; uImages whose sums do not hold.
    let (headers, size) = (0x4_0000, 0xf0_0000);
    let mut trees = b"HDR0".to_vec();
    for at in 0..headers {
        let words = [0xd00d_feed, u32::MAX, (headers - at) * 28, 28, 28, 17, 16];
        trees.extend(words.map(u32::to_be_bytes).as_flattened());
    }
    trees.extend([0, 0, 0, 4].repeat((size - trees.len()) / 4));
    bench.put("trees", &trees);
    bench.put("uimages", &[b"HDR0", &0x2705_1956u32.to_be_bytes().repeat(size / 4)[..]].concat());
    let mut many = b"HDR0".to_vec();
    many.extend([&b"hsqs"[..], &[0xa5; 92]].concat().repeat(size / 96));
    bench.put("squashfs", &many);
    for name in ["trees", "uimages", "squashfs"] {
        bench.limited(&["inspect", name]);
        bench.limited(&["check", name, "--board", "gl-ar750"]);
    }
}

#[test]
fn what_a_file_calls_itself_forges_no_line() {
    let bench = Bench::new();
    let fit = |properties: &[(&str, &str)], kernel: &str, default: &str| {
        let write = || -> Result<Vec<u8>, vm_fdt::Error> {
            let mut tree = FdtWriter::new()?;
            let root = tree.begin_node("")?;
            let images = tree.begin_node("images")?;
            let node = tree.begin_node("kernel")?;
            tree.property("data", &[0; 16])?;
            for (name, value) in properties {
                tree.property_string(name, value)?;
            }
            tree.property_u32("load", 0x8010_0000)?;
            let hash = tree.begin_node("hash-1")?;
            tree.property_string("algo", "x\nFORGED")?;
            tree.property("value", &[0; 4])?;
            tree.end_node(hash)?;
            tree.end_node(node)?;
            tree.end_node(images)?;
            let all = tree.begin_node("configurations")?;
            tree.property_string("default", default)?;
            let one = tree.begin_node("conf")?;
            tree.property_string("kernel", kernel)?;
            tree.property_string("fdt", "f\nFORGED")?;
            tree.end_node(one)?;
            tree.end_node(all)?;
            tree.end_node(root)?;
            tree.finish()
        };
        write().unwrap()
    };
    let plain = [("type", "kernel"), ("arch", "mips"), ("os", "linux")];
    bench.put("plain", &fit(&plain, "kernel", "conf"));
    bench.put("kernel", &fit(&plain, "k\nFORGED", "conf"));
    bench.put("default", &fit(&plain, "kernel", "c\nFORGED"));
    let mut names = vec!["plain".to_owned(), "kernel".to_owned(), "default".to_owned()];
    for name in ["type", "arch", "os", "compression"] {
        let others = plain.into_iter().filter(|(other, _)| *other != name);
        let properties: Vec<_> = others.chain([(name, "y\nFORGED")]).collect();
        bench.put(name, &fit(&properties, "kernel", "conf"));
        names.push(name.to_owned());
    }
    for name in &names {
        for words in [
            &["inspect", name][..],
            &["check", name, "--board", "gl-ar750"],
            &["check", "--kernel", name],
            &["simulate", name],
        ] {
            let said = text(&bench.limited(words));
            assert!(!said.is_empty() && !said.lines().any(|line| line.starts_with("FORGED")), "{words:?}: {said}");
        }
    }
}
