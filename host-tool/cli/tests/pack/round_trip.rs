//! Every board and format: what goes in comes out where it belongs.

use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;
use stoop_image::board;
use stoop_image::format::device_tree::Facts;
use stoop_image::machine::Machine;
use stoop_image::plan::{CodecChoice, Format, PhramChoice, Request};
use stoop_image::simulate::Entry;
use stoop_image::{image, layout};

use crate::bench::{Bench, Kernel, booted, packed, squashfs, tool, tree};

const FORMATS: [Format; 4] = [Format::Uimage, Format::Fit, Format::Elf, Format::Raw];

/// A kernel linked where the board's usually are.
fn kernel_for(board: &board::Board) -> Kernel {
    let load = board.load_addresses.values().next().map_or(0x8010_0000, |address| *address as u32);
    Kernel { load, ..Kernel::new(board.arch.is_big_endian()) }
}

#[test]
fn every_mips_board_gets_an_image_that_boots_and_some_get_every_format() {
    let bench = Bench::new();
    let boards = board::all().unwrap();
    assert!(boards.iter().filter(|board| board.arch.is_mips()).count() >= 5);
    for board in boards.iter().filter(|board| board.arch.is_mips()) {
        let kernel = kernel_for(board);
        let all = ["qemu-malta-be", "gl-ar750", "gl-mt300n-v2", "zyxel-nwa50ax"].contains(&board.name.as_str());
        for format in if all { &FORMATS[..] } else { &FORMATS[..1] } {
            let format = *format;
            let request = Request {
                board: board.name.clone(),
                kernel: bench.put("vmlinux", &kernel.elf()),
                dtb: Some(bench.put("board.dtb", &tree(Some(b"console=ttyS0")))),
                rootfs: Some(bench.put("root.squashfs", &squashfs(0x1_2345))),
                initrd: Some(bench.put("initrd", b"070701")),
                format: Some(format),
                codec: CodecChoice::Store,
                ..Request::default()
            };
            let (plan, built) = packed(&request);
            layout::prove(&built.places.regions, board.ram)
                .unwrap_or_else(|failure| panic!("{}: {failure}", board.name));
            let opened = image::open(&built.file).unwrap();
            assert_eq!(opened.format, format, "{}", board.name);
            assert_eq!(opened.note.big_endian, plan.arch() == Machine::MipsBe);
            for check in opened.checks() {
                assert_eq!(check.wrong, None, "{} {}: {}", board.name, format.name(), check.of);
            }
            let booted = booted(&built.file, Entry::Argv(b"root=31:03".to_vec()));
            assert_eq!(booted.verdict.text(), "ignored");
            assert_eq!(booted.cmdline, b"console=ttyS0 root=/dev/mtdblock99 rootfstype=squashfs");
            assert_eq!(booted.handoff.entry_point as u32, kernel.load & 0x1fff_ffff);
            assert_eq!(booted.handoff.registers[0], 0xffff_fffe);
            let phram = booted.phram.unwrap();
            assert_eq!((phram.alias, phram.region.size()), (Some(99), 0x1_3000));
            let facts = Facts::of(&booted.tree).unwrap();
            let range = phram.region.start() as u64..phram.region.end() as u64;
            assert!(facts.reserved.iter().any(|(name, reserved)| name.starts_with("phram@") && *reserved == range));
            let ram = board.ram.start() as u64..board.ram.end() as u64;
            assert!(facts.memory.len() == 1 && facts.memory[0] == ram, "{}: {:x?}", board.name, facts.memory);
        }
    }
}

#[test]
fn every_codec_delivers_the_same_kernel() {
    let bench = Bench::new();
    let mut sizes = Vec::new();
    for format in FORMATS {
        for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
            let (_, built) = packed(&Request { codec, format: Some(format), ..bench.full() });
            assert_eq!(booted(&built.file, Entry::None).verdict.text(), "none");
            assert_eq!(built.payloads[0].decoded, Kernel::new(false).bytes().len());
            sizes.push(built.payloads[0].stored);
        }
    }
    assert!(sizes.chunks(3).all(|sizes| sizes[0] > sizes[1] && sizes[1] > sizes[2]), "{sizes:?}");
}

#[test]
fn auto_takes_the_smallest_when_it_fits_the_flash_and_else_lz4() {
    let bench = Bench::new();
    let codec = |request: &Request| packed(request).1.payloads[0].codec;
    assert_eq!(codec(&bench.full()), stoop_core::codec::Codec::Lzma);
    let large = Request { rootfs: Some(bench.put("large", &squashfs(0x20_0000))), ..bench.full() };
    assert_eq!(codec(&large), stoop_core::codec::Codec::Lz4);
    let segments = Request { format: Some(Format::Elf), ..bench.full() };
    assert_eq!(codec(&segments), stoop_core::codec::Codec::Store);
}

#[test]
fn auto_stores_a_kernel_that_has_to_fit_nothing_and_that_lz4_makes_no_smaller() {
    let bench = Bench::new();
    let own = Kernel { filler: 0, ..Kernel::new(false) };
    let bytes = [own.bytes(), stoop_samples::noise(0x1_0000)].concat();
    let kernel = bench.put("noise", &stoop_samples::elf(false, own.load, &bytes, own.bss));
    let rootfs = Some(bench.put("large", &squashfs(0x20_0000)));
    let (_, built) = packed(&Request { kernel, rootfs, ..bench.full() });
    let payload = &built.payloads[0];
    assert_eq!((payload.codec.name(), payload.stored), ("store", bytes.len()));
    assert!(payload.why.ends_with(", and LZ4 makes the kernel no smaller"), "{}", payload.why);
    assert_eq!(booted(&built.file, Entry::None).verdict.text(), "none");
}

/// Malta's little-endian board with these figures and a firmware partition of this size, to the byte.
fn board_with(bench: &Bench, figures: &[&str; 2], size: usize) -> String {
    let malta = format!("{}/../../boards/qemu-malta-le.toml", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(malta).unwrap();
    for (from, to) in [
        ("chip = \"24Kf\"", format!("chip = \"24Kf\"\n{}", figures[0])),
        ("erase-size = 0x1_0000", format!("erase-size = 1\n{}", figures[1])),
        ("offset = 0x9_0000, size = 0x18_0000", format!("offset = 0x9_0000, size = {size:#x}")),
        ("dtb = \"qemu-malta\"\n", String::new()),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, &to);
    }
    bench.put("own.toml", text.as_bytes()).to_str().unwrap().to_owned()
}

#[test]
fn auto_takes_the_fastest_that_fits_to_the_byte_and_says_why() {
    let bench = Bench::new();
    let dtb = Some(bench.put("own.dtb", &tree(Some(b"quiet"))));
    // Nothing behind the kernel that begins on a boundary.
    let kernel = Request { initrd: None, rootfs: None, dtb, format: Some(Format::Uimage), ..bench.full() };
    let request = |board, codec| Request { board, codec, ..kernel.clone() };
    let chosen = |figures: &[&str; 2], size: usize| {
        let kernel = packed(&request(board_with(&bench, figures, size), CodecChoice::Auto)).1.payloads[0].clone();
        (kernel.codec.name(), kernel.why)
    };
    let unknown = ["", ""];
    let length = |codec| packed(&request(board_with(&bench, &unknown, 0x18_0000), codec)).1.file.len();
    let [store, lz4, lzma] = [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma].map(length);
    assert!(lzma < lz4 && lz4 < store, "{lzma} {lz4} {store}");
    // A CPU on which LZMA takes longer than reading, which LZ4 does not, and a flash for which only bytes count.
    let slow_cpu = ["cpu-clock = 1_000_000", "read-speed = 1_000_000"];
    let slow_flash = ["cpu-clock = 4_000_000_000", "read-speed = 10_000"];
    for (figures, size, wanted) in [
        (&slow_cpu, 0x18_0000, "lz4"),
        (&slow_cpu, lz4, "lz4"),
        (&slow_cpu, lz4 - 1, "lzma"),
        (&slow_cpu, lzma, "lzma"),
        (&slow_flash, 0x18_0000, "lzma"),
        (&slow_flash, lzma, "lzma"),
        (&unknown, 0x18_0000, "lzma"),
        (&unknown, lzma, "lzma"),
        // Too small in any case.
        (&slow_cpu, lzma - 1, "lz4"),
        (&slow_flash, lzma - 1, "lz4"),
        (&unknown, lzma - 1, "lz4"),
        // One of the two is not enough for an estimate.
        (&[slow_cpu[0], ""], store, "lzma"),
        (&["", slow_cpu[1]], store, "lzma"),
    ] {
        let (codec, why) = chosen(figures, size);
        assert_eq!(codec, wanted, "{figures:?}, {size:#x} bytes: {why}");
    }
    let why = chosen(&slow_cpu, lz4).1;
    assert!(why.contains(" read at 1.0 MB/s + decode ") && why.contains(" s; store would take "), "{why}");
    let why = chosen(&slow_cpu, lz4 - 1).1;
    assert_eq!(why.matches(" s, but does not fit the flash partition firmware-a").count(), 2, "{why}");
    assert!(chosen(&unknown, store).1.contains("flash.read-speed and cpu-clock"), "what to add");
    let why = chosen(&slow_flash, lzma - 1).1;
    assert_eq!(
        why,
        "the flash partition firmware-a is too small in any case; fetching the bytes that it saves takes longer than decoding"
    );
}

#[test]
fn auto_in_flash_counts_one_read_and_takes_what_the_slot_has_room_for() {
    let bench = Bench::new();
    let chosen = |figures: &[&str; 2], size: usize| {
        let board = board_with(&bench, figures, size);
        let dtb = Some(bench.put("own.dtb", &tree(Some(b"quiet"))));
        let request = Request { board, dtb, initrd: None, rootfs: None, format: Some(Format::Nor), ..bench.full() };
        stoop_image::plan::Plan::resolve(&request, &mut stoop_image::progress::Quiet)
            .and_then(|plan| image::build(&plan, &mut stoop_image::progress::Quiet))
            .map(|built| {
                let kernel = built.payloads.iter().find(|payload| payload.kind == Kind::Kernel).unwrap().clone();
                (kernel.codec.name(), kernel.why, built.flash.unwrap().update[0].area.size())
            })
    };
    let slow_cpu = ["cpu-clock = 1_000_000", "read-speed = 1_000_000"];
    let (codec, why, lz4) = chosen(&slow_cpu, 0x18_0000).unwrap();
    assert!(codec == "lz4" && why.contains(" kB read at 1.0 MB/s + decode "), "{codec} {why}");
    assert_eq!(chosen(&slow_cpu, lz4).unwrap().0, "lz4");
    let (codec, why, lzma) = chosen(&slow_cpu, lz4 - 1).unwrap();
    assert!(codec == "lzma" && why.contains("but does not fit the flash partition firmware-a"), "{codec} {why}");
    let refused = chosen(&slow_cpu, lzma - 1).unwrap_err();
    assert!(
        refused.to_string().starts_with(&format!("0x{lzma:x} bytes do not fit the flash partition firmware-a")),
        "{refused}"
    );
    assert_eq!(chosen(&["", ""], 0x18_0000).unwrap().0, "lzma");
}

#[test]
fn payloads_that_stay_in_place_are_where_the_manifest_says_byte_for_byte() {
    let bench = Bench::new();
    for format in FORMATS {
        let (plan, built) = packed(&Request { format: Some(format), codec: CodecChoice::Store, ..bench.full() });
        let opened = image::open(&built.file).unwrap();
        let manifest = opened.manifest(&Crc32::new()).unwrap();
        let at = |kind: Kind| opened.bytes(manifest.payload(kind).destination).map(<[u8]>::to_vec);
        assert_eq!(at(Kind::Rootfs), plan.rootfs.as_ref().map(|rootfs| rootfs.bytes().unwrap()), "{}", format.name());
        assert_eq!(at(Kind::Initrd), plan.initrd, "{}", format.name());
        let kernel = manifest.payload(Kind::Kernel);
        assert_eq!(opened.bytes(kernel.source), Some(&plan.kernel.image[..]));
        // Whole pages of their own: what the kernel maps shows nothing else.
        let place = manifest.payload(Kind::Rootfs).place;
        assert_eq!((place.start() % 0x1_0000, place.size()), (0, 0x1_3000));
        let page = opened.bytes(place).unwrap();
        assert!(page[0x1_2345..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    let bench = Bench::new();
    for format in FORMATS {
        let request = Request { format: Some(format), ..bench.full() };
        assert!(packed(&request).1.file == packed(&request).1.file, "{}", format.name());
    }
}

#[test]
fn an_image_that_is_loaded_elsewhere_still_boots() {
    let bench = Bench::new();
    let (_, built) = packed(&Request { format: Some(Format::Raw), ..bench.full() });
    let expected = booted(&built.file, Entry::None);
    for load in [0x300_0000, 0x300_0004, 0x8f0_1230] {
        let input = stoop_image::simulate::Input { entry: Entry::None, load: Some(load) };
        let outcome = stoop_image::simulate::run(&built.file, &input).unwrap();
        assert_eq!(outcome.result.as_ref(), Ok(&expected), "at 0x{load:x}");
    }
    // On the shim's own feet: refused with a code, not tried.
    let input = stoop_image::simulate::Input { entry: Entry::None, load: Some(built.places.run.start() - 0x3000) };
    assert!(stoop_image::simulate::run(&built.file, &input).unwrap().result.is_err());
}

#[test]
fn phram_on_the_command_line_names_and_reserves_the_right_memory() {
    let bench = Bench::new();
    let request = Request { phram: PhramChoice::Cmdline, append: Some("quiet".into()), ..bench.full() };
    let (_, built) = packed(&request);
    let booted = booted(&built.file, Entry::None);
    let (at, size) = (built.places.rootfs.start(), built.places.rootfs.size());
    let line = String::from_utf8(booted.cmdline).unwrap();
    let words = format!(
        " quiet phram.phram=rootfs,0x{at:08x},0x{size:08x} memmap=0x{size:08x}$0x{at:08x} root=/dev/mtdblock0 rootfstype=squashfs"
    );
    assert!(line.ends_with(&words), "{line}");
    assert_eq!(booted.phram.map(|phram| (phram.region, phram.alias)), Some((built.places.rootfs, None)));
    assert!(Facts::of(&booted.tree).unwrap().reserved.is_empty());
}

#[test]
fn mkimage_and_readelf_accept_what_is_written() {
    let bench = Bench::new();
    let (_, built) = packed(&Request { format: Some(Format::Uimage), ..bench.full() });
    let load = built.places.head.start() | 0x8000_0000;
    if let Some(output) = tool("mkimage", &["-l"], &bench.put("image", &built.file)) {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("MIPS Linux Kernel Image (uncompressed)"), "{text}");
        assert!(text.contains(&format!("Load Address: {load:08x}")) && text.contains("stoop 6.12.117"), "{text}");
    }
    let (_, built) = packed(&Request { format: Some(Format::Fit), ..bench.full() });
    let load = built.places.head.start() | 0x8000_0000;
    for (name, arguments) in [("mkimage", ["-l"]), ("dumpimage", ["-l"])] {
        let Some(output) = tool(name, &arguments, &bench.put("image.itb", &built.file)) else { continue };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("Default Configuration: 'stoop'"), "{name}: {text}");
        assert!(text.contains(&format!("Load Address: 0x{load:x}")) && text.contains("Hash algo:    sha1"), "{text}");
    }
    let (_, built) = packed(&Request { format: Some(Format::Elf), ..bench.full() });
    if let Some(output) = tool("readelf", &["-W", "-h", "-l"], &bench.put("elf", &built.file)) {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("0x70001001, noreorder, o32, mips32r2") && text.contains("EXEC"), "{text}");
        let entry = built.places.head.start() | 0x8000_0000;
        assert!(text.contains(&format!("Entry point address:               0x{entry:x}")), "{text}");
        let addresses: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("LOAD ")).collect();
        assert!(addresses.len() >= 2 && addresses.is_sorted_by_key(|line| line.split_whitespace().nth(1)), "{text}");
    }
}

#[test]
fn no_segment_looks_like_a_device_tree_to_kexec_and_all_are_page_aligned() {
    let bench = Bench::new();
    let (_, built) = packed(&Request { format: Some(Format::Elf), ..bench.full() });
    let opened = image::open(&built.file).unwrap();
    let mut ends = 0;
    for (at, bytes) in &opened.pieces {
        assert!(at % 0x1_0000 == 0 && !bytes.starts_with(&[0xd0, 0x0d, 0xfe, 0xed]), "0x{at:x}");
        assert!(*at >= ends, "in ascending order, each on pages of its own");
        ends = (at + bytes.len()).next_multiple_of(0x1_0000);
    }
}

/// What U-Boot's own tool makes of a kernel: `more` are its options, such as `-E` for data behind the tree.
fn mkimage_fit(bench: &Bench, kernel: &Kernel, more: &[&str]) -> Option<std::path::PathBuf> {
    bench.put("flat", &kernel.elf());
    let gzip = std::process::Command::new("gzip").args(["-kf", "flat"]).current_dir(bench.path(".")).status();
    assert!(gzip.is_ok_and(|status| status.success()));
    let load = kernel.load;
    bench.put(
        "image.its",
        format!(
            r#"/dts-v1/; / {{ description = "x"; #address-cells = <1>;
            images {{
                a {{ description = "a"; data = [00 01]; type = "kernel"; arch = "mips"; os = "linux"; compression = "none";
                    load = <0>; entry = <0>; }};
                b {{ description = "b"; data = /incbin/("flat.gz"); type = "kernel"; arch = "mips"; os = "linux";
                    compression = "gzip"; load = <{load}>; entry = <{load}>;
                    hash-1 {{ algo = "crc32"; }}; hash-2 {{ algo = "sha256"; }}; }};
            }};
            configurations {{ default = "two"; one {{ kernel = "a"; }}; two {{ kernel = "b"; }}; }}; }};"#
        )
        .as_bytes(),
    );
    let mut command = std::process::Command::new("mkimage");
    let output = command.current_dir(bench.path(".")).args(more).args(["-f", "image.its", "image.itb"]).output();
    let Ok(output) = output else {
        stoop_samples::machine::skipped("mkimage is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(bench.path("image.itb"))
}

#[test]
fn a_kernel_in_a_fit_of_mkimage_is_packed_like_the_kernel_itself() {
    let bench = Bench::new();
    let kernel = Kernel::new(false);
    for more in [&[][..], &["-E"], &["-E", "-B", "0x1000"], &["-E", "-p", "0x2000"]] {
        let Some(path) = mkimage_fit(&bench, &kernel, more) else { return };
        let (plan, built) = packed(&Request { kernel: path, ..bench.full() });
        assert_eq!(plan.kernel.form.to_string(), "vmlinux in a FIT", "{more:?}");
        assert_eq!((&plan.kernel.image, plan.kernel.load_address), (&kernel.bytes(), 0x10_0000), "{more:?}");
        assert_eq!(booted(&built.file, Entry::None).handoff.entry_point, 0x10_0000);
    }
}
