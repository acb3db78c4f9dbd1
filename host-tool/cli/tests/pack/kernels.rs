//! Kernels as people have them: in vendors' containers, in EFI programs, in pieces, without their configuration.

use std::io::Write;
use stoop_image::Explained as _;

use stoop_core::crc32::Crc32;
use stoop_image::input::{Kernel as Input, Overrides};
use stoop_image::progress::Quiet;

use crate::bench::{Bench, CONFIG, Kernel, packed, text, tool};
use crate::refusals::{has, refused};

fn read(bench: &Bench, name: &str, bytes: &[u8]) -> Input {
    let path = bench.put(name, bytes);
    Input::read(&path, Overrides::default(), &mut Quiet).unwrap_or_else(|failure| panic!("{failure}"))
}

/// A uImage by U-Boot's include/image.h, with this magic and type.
pub fn uimage(magic: u32, kind: u8, load: u32, entry: u32, data: &[u8]) -> Vec<u8> {
    let crc = Crc32::new();
    let mut header = vec![0; 64];
    for (at, word) in [(0, magic), (12, data.len() as u32), (16, load), (20, entry), (24, crc.of(data))] {
        header[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
    header[28..32].copy_from_slice(&[5, 5, kind, 0]);
    let sum = crc.of(&header);
    header[4..8].copy_from_slice(&sum.to_be_bytes());
    [&header, data].concat()
}

#[test]
fn a_uimage_that_runs_where_it_is_put_is_linked_where_its_header_or_the_user_says() {
    let bench = Bench::new();
    // Code, so that the byte order of a flat binary is known.
    let code: Vec<u8> = [0x1000_ffffu32, 0, 0x27bd_ffe0, 0x03e0_0008].map(u32::to_le_bytes).concat().repeat(0x100);
    for (load, entry) in [(0x8010_0000, 0x8010_0000), (0x8010_0000, 0)] {
        let kernel = read(&bench, "u", &uimage(0x2705_1956, 14, load, entry, &code));
        assert_eq!((kernel.load_address, kernel.entry_point), (0x10_0000, 0x10_0000));
        assert_eq!(kernel.form.to_string(), "flat binary in a uImage");
    }
    let unsaid = bench.put("u", &uimage(0x2705_1956, 14, 0, 0, &code));
    let failure = Input::read(&unsaid, Overrides::default(), &mut Quiet).unwrap_err();
    assert!(failure.next_step().unwrap().contains("--load-address"), "{failure}");
    let said = Overrides { load_address: Some(0x8020_0000), entry_point: Some(0x8020_0000), config: None };
    assert_eq!(Input::read(&unsaid, said, &mut Quiet).unwrap().load_address, 0x20_0000);
}

#[test]
fn a_header_with_a_vendors_magic_is_a_uimage_when_its_crc_holds() {
    let bench = Bench::new();
    let elf = Kernel::new(false).elf();
    // Netgear's, ZyXEL's and Edimax's (OpenWrt's UIMAGE_MAGIC and mtdsplit_uimage.c).
    for magic in [0x3337_3033u32, 0x8380_0000, 0x4353_5953] {
        let kernel = read(&bench, "u", &uimage(magic, 2, 0x8010_0000, 0x8010_0000, &elf));
        assert!(kernel.notes.iter().any(|note| note.contains(&format!("0x{magic:08x}"))), "{:?}", kernel.notes);
    }
    // bootm would not take an ELF file apart.
    let code = 0x03e0_0008_u32.to_be_bytes().repeat(0x100);
    bench.put("u", &uimage(0x3337_3033, 2, 0x8010_0000, 0x8010_0000, &code));
    let checked = text(&bench.good(&["check", "u", "--board", "gl-ar750"]));
    assert!(checked.contains("with the magic 0x33373033 of a vendor"), "{checked}");
    assert!(checked.contains("every one holds: CRC-32 of the uImage's header and data"), "{checked}");
    let shown = text(&bench.good(&["inspect", "u"]));
    assert!(shown.contains("magic        0x33373033, a vendor's own"), "{shown}");
    let mut damaged = uimage(0x3337_3033, 2, 0x8010_0000, 0x8010_0000, &elf);
    damaged[40] ^= 1;
    bench.put("u", &damaged);
    assert!(refused(&bench, 2, &["--board", "qemu-malta-le", "--kernel", "u"]).contains("next:"));
}

/// An EFI zboot image by zboot-header.S.
fn zboot(codec: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"MZ\0\0zimg".to_vec();
    bytes.extend([0x40, payload.len() as u32].map(u32::to_le_bytes).concat());
    bytes.resize(24, 0);
    bytes.extend_from_slice(codec.as_bytes());
    bytes.resize(0x40, 0);
    [&bytes[..], payload].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn arm64() -> Vec<u8> {
    Kernel { config: "CONFIG_ARM64=y\n".into(), ..Kernel::new(false) }.image()
}

#[test]
fn an_efi_zboot_image_is_the_kernel_inside() {
    let bench = Bench::new();
    let image = arm64();
    for (codec, payload) in
        [("gzip", gzip(&image)), ("zstd22", zstd::encode_all(&image[..], 1).unwrap()), ("xzkern", xz(&image))]
    {
        // Kbuild puts the size of what is inside behind it.
        let payload = [&payload[..], &(image.len() as u32).to_le_bytes()].concat();
        let kernel = read(&bench, "vmlinuz", &zboot(codec, &payload));
        assert!(kernel.image == image, "{codec}");
        assert!(kernel.form.to_string().starts_with("arm64 Image in an EFI zboot image"), "{}", kernel.form);
    }
    let whole = zboot("gzip", &gzip(&image));
    bench.put("cut", &whole[..whole.len() - 1]);
    has(&refused(&bench, 1, &["--board", "qemu-virt-arm64", "--kernel", "cut"]), &["EFI zboot image is truncated"]);
}

#[test]
fn a_kernel_in_several_members_is_whole_and_what_follows_is_not_looked_at() {
    let bench = Bench::new();
    let image = arm64();
    let (front, back) = image.split_at(0x1234);
    let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for members in [[gzip(front), gzip(back)], [xz(front), xz(back)], [zst(front), zst(back)]] {
        let kernel = read(&bench, "Image.z", &[&members.concat()[..], b"tail"].concat());
        assert!(kernel.image == image);
    }
}

#[test]
fn mips64_code_in_a_32_bit_file_is_refused() {
    let bench = Bench::new();
    let with = |flags: u32| {
        let mut elf = Kernel::new(false).elf();
        elf[36..40].copy_from_slice(&flags.to_le_bytes());
        bench.put("vmlinux.32", &elf);
    };
    let words = ["--board", "qemu-malta-le", "--kernel", "vmlinux.32"];
    // MIPS III, 64, 64r2, 64r6 without the 32-bit ABI.
    for flags in [0x2000_0001, 0x6000_0001, 0x8000_0001, 0xa000_0401] {
        with(flags);
        has(&refused(&bench, 1, &words), &["64-bit MIPS code", "CONFIG_32BIT=y"]);
    }
    // A 32-bit kernel for a 64-bit core.
    for flags in [0x8000_1001, 0x8000_0101] {
        with(flags);
        assert!(bench.stoop(&[&["pack", "-o", "image"], &words[..]].concat()).status.success());
    }
}

#[test]
fn code_of_release_6_is_refused() {
    let bench = Bench::new();
    for flags in [0x9000_1400_u32, 0xa000_1500] {
        let mut elf = Kernel::new(false).elf();
        elf[36..40].copy_from_slice(&flags.to_le_bytes());
        bench.put("vmlinux", &elf);
        let said = refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "vmlinux"]);
        has(&said, &["MIPS release 6", "CONFIG_CPU_MIPS32_R2=y"]);
    }
}

#[test]
fn a_program_of_linux_is_no_kernel() {
    let bench = Bench::new();
    bench.put("busybox", &Kernel { load: 0x40_0000, ..Kernel::new(false) }.elf());
    has(&refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "busybox"]), &["at 0x400000", "outside KSEG0"]);
    assert_eq!(bench.stoop(&["check", "--kernel", "busybox"]).status.code(), Some(1));
    let checked = bench.stoop(&["check", "busybox", "--board", "qemu-malta-le"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains("its load address 0x00400000 is not in KSEG0"), "{}", text(&checked));
}

#[test]
fn a_configuration_of_another_version_is_warned_of_and_debians_own_numbers_are_not() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    let pack = |version: &str| {
        bench.put("config", format!("# Linux/mips {version} Kernel Configuration\n{CONFIG}").as_bytes());
        let words = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--config", "config", "-o", "image"];
        text(&bench.good(&words))
    };
    let said = pack("5.4.0");
    assert!(said.contains("the kernel is 6.12.") && said.contains("is of 5.4.0"), "{said}");
    assert!(!pack("6.12.999").contains("is of 6.12"), "a patch level is no other kernel");
}

#[test]
fn a_configuration_for_arm64_is_another_kernels() {
    let bench = Bench::new();
    bench.full();
    bench.put("a64.config", b"CONFIG_ARM64=y\nCONFIG_64BIT=y\n");
    let words = ["--board", "qemu-malta-le", "--kernel", "vmlinux", "--config", "a64.config"];
    has(&refused(&bench, 1, &words), &["its configuration (", "says otherwise"]);
}

#[test]
fn a_name_in_a_header_cannot_forge_a_line() {
    let bench = Bench::new();
    let code = [0x1000_ffffu32, 0, 0x27bd_ffe0, 0x03e0_0008].map(u32::to_le_bytes).concat().repeat(0x100);
    let mut file = uimage(0x2705_1956, 2, 0x8010_0000, 0x8010_0000, &code);
    file[32..46].copy_from_slice(b"x\nconfig  good");
    file[4..8].fill(0);
    let sum = Crc32::new().of(&file[..64]);
    file[4..8].copy_from_slice(&sum.to_be_bytes());
    bench.put("u", &file);
    bench.put("config", CONFIG.as_bytes());
    let packed =
        bench.good(&["pack", "--board", "qemu-malta-le", "--kernel", "u", "--config", "config", "-o", "image"]);
    let checked = bench.stoop(&["check", "--kernel", "u", "--config", "config"]);
    for said in [text(&packed), text(&checked), text(&bench.good(&["inspect", "u"]))] {
        assert!(said.contains("x\\u000aconfig  good") && !said.contains("\nconfig  good"), "{said}");
    }
}

#[test]
fn a_configuration_is_found_beside_the_kernel_and_in_its_build_tree_and_said() {
    let bench = Bench::new();
    let mut kernel = Kernel::new(false);
    kernel.config = String::new();
    let mut elf = kernel.elf();
    // Without IKCONFIG in it.
    let at = elf.windows(8).position(|window| window == b"IKCFG_ST").unwrap();
    elf[at] = b'X';
    for folder in ["boot", "build/arch/mips/boot"] {
        std::fs::create_dir_all(bench.path(folder)).unwrap();
        bench.put(&format!("{folder}/vmlinux-6.12.117"), &elf);
    }
    let asked = |kernel: &str| {
        let output = bench.stoop(&["check", "--json", "--kernel", kernel]);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["kernel"]["config"].clone()
    };
    let (boot, build) = ("boot/vmlinux-6.12.117", "build/arch/mips/boot/vmlinux-6.12.117");
    assert!(asked(boot).is_null() && asked(build).is_null());
    bench.put("boot/config-6.12.117", CONFIG.as_bytes());
    bench.put("build/.config", CONFIG.as_bytes());
    assert_eq!(asked(boot), "boot/config-6.12.117");
    assert!(asked(build).as_str().unwrap().ends_with("build/.config"));
    let words = ["pack", "--board", "qemu-malta-le", "--kernel", boot, "--dry-run", "-o", "image"];
    let output = bench.stoop(&words);
    assert!(String::from_utf8_lossy(&output.stdout).contains("boot/config-6.12.117"));
    // Another kernel's is not this one's.
    bench.put("boot/config-6.12.117", format!("CONFIG_CPU_BIG_ENDIAN=y\n{CONFIG}").as_bytes());
    assert!(asked(boot).is_null());
}

#[test]
fn a_malta_kernel_without_its_configuration_is_not_packed_for_uhi() {
    let bench = Bench::new();
    let mut elf = Kernel::new(false).elf();
    let at = elf.windows(8).position(|window| window == b"IKCFG_ST").unwrap();
    elf[at..at + 24].copy_from_slice(b"\0MIPS Malta\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let kernel = Bench::new();
    let request = stoop_image::plan::Request { kernel: kernel.put("vmlinuz", &elf), initrd: None, ..bench.full() };
    let (plan, _) = packed(&request);
    assert_eq!(plan.handoff.value.name(), "argv");
    assert!(plan.handoff_reason.contains("MIPS Malta"), "{}", plan.handoff_reason);
    assert_eq!(plan.phram.value.name(), "cmdline");
}

#[test]
fn pages_of_64_kib_matter_only_with_a_root_filesystem() {
    let bench = Bench::new();
    let mut image = arm64();
    image[24] |= 3 << 1;
    let full = stoop_image::plan::Request { kernel: bench.put("Image64", &image), ..bench.arm64() };
    let failure = stoop_image::plan::Plan::resolve(&full, &mut Quiet).unwrap_err();
    assert!(failure.to_string().contains("64 KiB") && failure.to_string().contains("root filesystem"), "{failure}");
    let (plan, _) = packed(&stoop_image::plan::Request { rootfs: None, ..full });
    assert!(plan.warnings.iter().any(|warning| warning.contains("pages of 64 KiB")));
}

#[test]
fn another_architecture_is_not_a_byte_order_and_foreign_kernels_are_named() {
    let bench = Bench::new();
    bench.put("Image", &arm64());
    has(
        &refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "Image"]),
        &["built for this board's architecture"],
    );
    let mut bzimage = vec![0; 0x400];
    bzimage[0x202..0x206].copy_from_slice(b"HdrS");
    bench.put("bzImage", &bzimage);
    has(&refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "bzImage"]), &["a kernel for x86"]);
}

#[test]
fn check_asks_only_for_what_the_kernels_architecture_has() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("Image", &arm64());
    for (kernel, needs) in [("vmlinux", "arm64"), ("Image", "uhi"), ("Image", "argv"), ("Image", "appended")] {
        let output = bench.stoop(&["check", "--kernel", kernel, "--for", needs]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("no      {needs}")), "{text}");
    }
}

#[test]
fn check_of_an_image_for_another_machine_says_no_and_names_the_hashes() {
    let bench = Bench::new();
    bench.put("i386", &{
        let mut image = uimage(0x2705_1956, 2, 0x8010_0000, 0x8010_0000, &[0; 100]);
        image[29] = 3;
        image[4..8].fill(0);
        let sum = Crc32::new().of(&image[..64]);
        image[4..8].copy_from_slice(&sum.to_be_bytes());
        image
    });
    for board in ["qemu-malta-le", "qemu-virt-arm64"] {
        let output = bench.stoop(&["check", "i386", "--board", board]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("no      arch"), "{text}");
        assert!(text.contains("CRC-32 of the uImage's header and data"), "{text}");
    }
}

#[test]
fn a_fit_may_have_the_longer_hashes_and_check_says_which_held() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    for (hash, known) in [("sha384", true), ("sha512", true), ("md5", false)] {
        let source = format!(
            "/dts-v1/;/{{description=\"d\";#address-cells=<1>;images{{k{{description=\"k\";data=/incbin/(\"vmlinux\");\
             type=\"kernel\";arch=\"mips\";os=\"linux\";compression=\"none\";load=<0x80100000>;entry=<0x80100000>;\
             hash{{algo=\"{hash}\";}};}};}};configurations{{default=\"c\";c{{kernel=\"k\";}};}};}};"
        );
        bench.put("f.its", source.as_bytes());
        let its = bench.path("f.its");
        let fit = bench.path("f.itb");
        let Some(output) = tool("mkimage", &["-f", its.to_str().unwrap()], &fit) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = bench.stoop(&["check", "f.itb", "--board", "qemu-malta-le"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected =
            if known { format!("every one holds: {hash} of the FIT's k") } else { format!("not known here: {hash}") };
        assert!(text.contains(&expected), "{text}");
        let mut bytes = std::fs::read(&fit).unwrap();
        let at = bytes.windows(4).rposition(|window| window == b"\x7fELF").unwrap();
        bytes[at + 100] ^= 1;
        bench.put("bad.itb", &bytes);
        if known {
            let said = refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "bad.itb"]);
            has(&said, &[&format!("is damaged: {hash}")]);
        }
    }
}
