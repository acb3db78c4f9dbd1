//! The same on arm64: packed images behind U-Boot's booti and bootm, by QEMU itself, at EL1 and EL2, with one CPU
//! and more, with little RAM and much. The kernel sees exactly what `simulate` says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use stoop_image::machine::Machine;

use stoop_ci::{Failure, Result};
use stoop_core::Region;
use stoop_hil_tests::cases::on_arm64;
use stoop_hil_tests::packed::{ARM64_BOARD, Booting, arm64_request, file, machine_tree, outcome};
use stoop_hil_tests::router::{self, Host};
use stoop_hil_tests::{Boot, Cap, Packed, Via, boot, oracle};
use stoop_image::image::longest_line;
use stoop_image::plan::{CodecChoice, CookieMatch, Format, Request};
use stoop_image::simulate::Entry;

const PATIENCE: Duration = Duration::from_secs(600);
const VENDOR: &str =
    "console=ttyS0,115200n1 root=/dev/mmcblk0p65 rootwait earlycon=uart8250,mmio32,0x11002000 ubi.mtd=ubi";

#[test]
fn the_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let contains = Packed::of(&arm64_request(lab))?;
        cases.boot("no bootargs", &contains, None, "none", "")?;
        cases.boot("no cookie", &contains, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &contains, Some("x.y=1 liminix z.z"), "accepted", "x.y=1 liminix z.z")?;
        let room = longest_line(Machine::Arm64) - contains.built.line.len() - 1;
        let longest = format!("liminix {}", "w".repeat(room - 8));
        cases.boot("the longest line", &contains, Some(&longest), "accepted", &longest)?;
        cases.boot("one byte too many", &contains, Some(&format!("{longest}w")), "refused", "")?;
        let word = Packed::of(&Request {
            cookie_match: CookieMatch::Word,
            keep: vec!["bootImage".into()],
            ..arm64_request(lab)
        })?;
        cases.boot("no word", &word, Some("a.notliminix=1"), "ignored", "")?;
        cases.boot("a kept key", &word, Some("root=31:03 bootImage=1"), "kept", "bootImage=1")?;
        let off = Packed::of(&Request { no_cookie: true, ..arm64_request(lab) })?;
        cases.boot("no cookie wanted", &off, Some("x.y=2"), "accepted", "x.y=2")
    })
}

#[test]
fn the_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let accepted = "x.y=1 liminix z.z";
        let packed = |format| Packed::of(&Request { format: Some(format), ..arm64_request(lab) });
        let (image, uimage, fit) = (packed(Format::Image)?, packed(Format::Uimage)?, packed(Format::Fit)?);
        cases.boot_via("bootm, uImage", &uimage, Some(accepted), Via::Bootm, "accepted", accepted)?;
        cases.boot_via("bootm, FIT", &fit, Some(accepted), Via::Bootm, "accepted", accepted)?;
        cases.boot_via("no bootloader", &image, Some(accepted), Via::Direct, "accepted", accepted)?;
        cases.boot_via("no bootloader, no bootargs", &image, None, Via::Direct, "none", "")?;
        for codec in [CodecChoice::Lzma, CodecChoice::Lz4] {
            let compressed = Packed::of(&Request { codec, ..arm64_request(lab) })?;
            cases.boot(&format!("{codec:?}"), &compressed, Some(VENDOR), "ignored", "")?;
        }
        let gz = file(&gzip(&lab.image())?)?;
        let packed = Packed::of(&Request { kernel: gz.path().into(), ..arm64_request(lab) })?;
        cases.boot("Image.gz", &packed, Some(VENDOR), "ignored", "")
    })
}

/// The file as arch/arm64/boot/Makefile makes an Image.gz.
fn gzip(image: &Path) -> Result<Vec<u8>> {
    let output = Command::new("gzip").arg("-9nc").arg(image).output();
    let output = output.map_err(|error| Failure::new(format!("cannot start gzip: {error}")))?;
    assert!(output.status.success(), "{output:?}");
    Ok(output.stdout)
}

#[test]
fn a_packed_tree_is_extended_and_the_bootloaders_is_only_asked_for_its_bootargs() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let tree = machine_tree(&[])?;
        let file = file(&oracle::with_bootargs(&tree, Some("own.word=1"))?)?;
        let packed = Packed::of(&Request { dtb: Some(file.path().into()), ..arm64_request(lab) })?;
        cases.boot("no cookie", &packed, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")?;
        let other = oracle::with_bootargs(&tree, Some("liminix from.the=tree"))?;
        let via = Via::BootiTree(other);
        cases.boot_via("bootargs of its tree", &packed, None, via, "accepted", "liminix from.the=tree")
    })
}

#[test]
fn debians_stock_kernels_see_what_simulate_says() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        for kernel in lab.debian_kernels()? {
            let packed = Packed::of(&Request {
                board: ARM64_BOARD.into(),
                kernel,
                initrd: Some(lab.initramfs()),
                ..Request::default()
            })?;
            let version = packed.plan.kernel.version.clone().unwrap_or_default();
            cases.boot(&format!("{version}, a vendor's line"), &packed, Some(VENDOR), "ignored", "")?;
            cases.boot(
                &format!("{version}, the cookie"),
                &packed,
                Some("liminix x.y=1"),
                "accepted",
                "liminix x.y=1",
            )?;
        }
        Ok(())
    })
}

#[test]
fn at_el2_and_with_four_cpus_the_kernel_sees_the_same() -> Result<()> {
    for (name, emulator) in [
        ("EL2", &["-machine", "virtualization=on"][..]),
        ("EL1, 4 CPUs", &["-smp", "4"][..]),
        ("EL2, 4 CPUs, GICv3", &["-machine", "virtualization=on,gic-version=3", "-smp", "4"][..]),
    ] {
        on_arm64(emulator, |cases, lab| {
            let packed = Packed::of(&arm64_request(lab))?;
            cases.boot(name, &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")?;
            cases.boot_via(&format!("{name}, no bootloader"), &packed, Some("x.y=1"), Via::Direct, "ignored", "")
        })?;
    }
    Ok(())
}

#[test]
fn little_ram_and_much_are_the_same() -> Result<()> {
    for mib in [128, 1024, 4096] {
        on_arm64(&["-m", &mib.to_string()], |cases, lab| {
            let ram = Region::new(0x4000_0000, mib << 20).unwrap_or(Region::EMPTY);
            let packed = Packed::with(&arm64_request(lab), |plan| plan.board.ram = ram)?;
            cases.boot(&format!("{mib} MiB"), &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")
        })?;
    }
    Ok(())
}

/// U-Boot puts its device tree near the end of RAM, where the image's params know none.
#[test]
fn a_tree_behind_the_ram_that_the_image_knows_is_read_where_it_is() -> Result<()> {
    for mib in [1024, 4096] {
        on_arm64(&["-m", &mib.to_string()], |cases, lab| {
            let packed = Packed::of(&arm64_request(lab))?;
            assert_eq!(packed.plan.board.ram.size(), 512 << 20);
            cases.boot(&format!("{mib} MiB for 512"), &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")?;
            let file = file(&machine_tree(&["-m", &mib.to_string()])?)?;
            let packed = Packed::of(&Request { dtb: Some(file.path().into()), ..arm64_request(lab) })?;
            let name = format!("{mib} MiB for 512, and a packed tree");
            cases.boot(&name, &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")
        })?;
    }
    Ok(())
}

#[test]
fn a_tree_that_is_only_4_aligned_is_handled() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        let tree = oracle::with_bootargs(&machine_tree(&[])?, Some("liminix x.y=1"))?;
        let facts = cases.rig.bootloader().clone();
        let image = std::fs::read(packed.path()).map_err(|error| Failure::io(packed.path(), &error))?;
        let at = facts.image_address(&stoop_image::bootloader::image::Image::of(&image)?, image.len())?;
        // With fdt_high of all ones U-Boot passes the tree where it is.
        let tree_at = 0x4a00_0004;
        let line = format!("setenv fdt_high 0xffffffffffffffff; booti {at:#x} - {tree_at:#x}");
        let what = Boot {
            image: packed.path(),
            bootargs: None,
            files: &[(at, &image), (tree_at, &tree)],
            via: Via::Command(line),
        };
        let said = boot(cases.rig, &what, "Kernel command line: .*\n", PATIENCE)?;
        assert!(said.contains("bootargs accepted"), "{said}");
        assert!(said.contains("liminix x.y=1"), "{said}");
        Ok(())
    })
}

/// Bootargs that count.
const ACCEPTED: &str = "x.y=1 liminix z.z";

#[test]
fn kexec_by_either_system_call_starts_one_file_with_its_root_in_ram() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        for (options, bootargs, verdict, passed) in [
            ("-s -l", None, "none", ""),
            ("-s -l", Some(VENDOR), "ignored", ""),
            ("-s -l", Some(ACCEPTED), "accepted", ACCEPTED),
            ("-l", Some(VENDOR), "ignored", ""),
            ("-l", Some(ACCEPTED), "accepted", ACCEPTED),
        ] {
            let running = router::router(lab, &packed, &router::start_by_hand(options, bootargs))?;
            let via = Via::Kexec(running.path().into());
            cases.boot_via(&format!("kexec {options} {bootargs:?}"), &packed, bootargs, via, verdict, passed)?;
        }
        Ok(())
    })
}

#[test]
fn kexec_without_append_hands_on_the_running_systems_bootargs_which_count_as_others_do() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        let commands = router::start_by_hand("-l", None);
        for (append, verdict) in [(router::OLD_ROOT, "ignored"), (ACCEPTED, "accepted")] {
            let request = Request { append: Some(append.into()), ..lab.request() };
            let running = router::router_of(lab, request, &packed, &commands)?;
            let inherited = String::from_utf8_lossy(&running.built.line).into_owned();
            assert!(inherited.ends_with(append), "{inherited}");
            let passed = if verdict == "accepted" { &inherited } else { "" };
            let via = Via::Kexec(running.path().into());
            cases.boot_via(append, &packed, Some(&inherited), via, verdict, passed)?;
        }
        Ok(())
    })
}

/// What the script of `stoop kexec` passes to kexec-tools when it has no bootargs: with nothing they would inherit some. The
/// kernel's own loader gets none.
const NO_BOOTARGS: Option<&str> = Some(" ");

#[test]
fn the_script_starts_it_from_the_labs_kernel_and_from_debians() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        let running = router::router(lab, &packed, &router::start(None))?;
        let via = Via::Kexec(running.path().into());
        cases.boot_via("the lab's, no bootargs", &packed, None, via, "none", "")?;
        for kernel in lab.debian_kernels()? {
            // They have no kexec_file_load, and the cookie in their own line, which must not count.
            for (bootargs, passed_on, verdict, passed) in
                [(None, NO_BOOTARGS, "ignored", ""), (Some(ACCEPTED), Some(ACCEPTED), "accepted", ACCEPTED)]
            {
                let append = Some(format!("liminix {}", router::OLD_ROOT));
                let request = Request { kernel: kernel.clone(), append, ..lab.request() };
                let running = router::router_of(lab, request, &packed, &router::start(bootargs))?;
                let name = format!("{:?}, {bootargs:?}", running.plan.kernel.version);
                let via = Via::Kexec(running.path().into());
                cases.boot_via(&name, &packed, passed_on, via, verdict, passed)?;
            }
        }
        Ok(())
    })
}

#[test]
fn kexec_at_el2_and_with_four_cpus_comes_to_the_same() -> Result<()> {
    on_arm64(&["-machine", "virtualization=on,gic-version=3", "-smp", "4"], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        for options in ["-s -l", "-l"] {
            let running = router::router(lab, &packed, &router::start_by_hand(options, Some(ACCEPTED)))?;
            let via = Via::Kexec(running.path().into());
            cases.boot_via(options, &packed, Some(ACCEPTED), via, "accepted", ACCEPTED)?;
        }
        Ok(())
    })
}

#[test]
fn a_packed_tree_and_a_routers_own_root_in_ram_do_not_mix_under_kexec() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let file = file(&oracle::with_bootargs(&machine_tree(&[])?, Some("own.word=1"))?)?;
        let with_tree = Packed::of(&Request { dtb: Some(file.path().into()), ..arm64_request(lab) })?;
        let without = Packed::of(&arm64_request(lab))?;
        for (name, packed) in [("a packed tree", &with_tree), ("the running system's tree", &without)] {
            for options in ["-s -l", "-l"] {
                // It was started by stoop as well: its tree has a phram, its alias and a report.
                let request = Request { rootfs: Some(lab.squashfs()), ..lab.request() };
                let commands = router::start_by_hand(options, Some(ACCEPTED));
                let running = router::router_of(lab, request, packed, &commands)?;
                let via = Via::Kexec(running.path().into());
                let name = format!("{name}, kexec {options}");
                cases.boot_via(&name, packed, Some(ACCEPTED), via, "accepted", ACCEPTED)?;
            }
        }
        Ok(())
    })
}

/// The kernel's own loader would put the device tree behind the RAM that the image was packed for, and kexec-tools want a
/// kaslr-seed of zeros.
#[test]
fn the_script_finds_the_way_when_there_is_more_ram_and_a_kaslr_seed_is_left() -> Result<()> {
    on_arm64(&["-m", "1024"], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        let append = Some(format!("nokaslr {}", router::OLD_ROOT));
        let running = router::router_of(lab, Request { append, ..lab.request() }, &packed, &router::start(None))?;
        let via = Via::Kexec(running.path().into());
        cases.boot_via("packed for 512 MiB", &packed, NO_BOOTARGS, via, "ignored", "")?;
        let ram = Region::new(0x4000_0000, 1 << 30).unwrap_or(Region::EMPTY);
        let packed = Packed::with(&arm64_request(lab), |plan| plan.board.ram = ram)?;
        let running = router::router(lab, &packed, &router::start(None))?;
        let via = Via::Kexec(running.path().into());
        cases.boot_via("packed for 1024 MiB", &packed, None, via, "none", "")
    })
}

/// The tree with a property in its root that has so many bytes, a multiple of 4, and means nothing.
fn with_filler(tree: &[u8], size: u32) -> Vec<u8> {
    let word = |at: usize| u32::from_be_bytes(*tree[at..].first_chunk().expect("a word of the header"));
    // Devicetree Specification 5.2: totalsize, off_dt_struct, off_dt_strings, size_dt_struct. The strings come last.
    let [total, structure, strings, structure_size] = [4, 8, 12, 36];
    let mut bytes = tree.to_vec();
    for field in [total, strings, structure_size] {
        bytes[field..field + 4].copy_from_slice(&(word(field) + size + 12).to_be_bytes());
    }
    // FDT_PROP, its length, and a name: the first string without its first letter.
    let mut property: Vec<u8> = [3, size, 1].into_iter().flat_map(u32::to_be_bytes).collect();
    property.resize(12 + size as usize, 0x5a);
    // Behind the root's FDT_BEGIN_NODE and its empty name.
    let at = word(structure) as usize + 8;
    bytes.splice(at..at, property);
    bytes
}

#[test]
fn a_bootloaders_tree_of_more_than_2_mib_is_refused_by_name_or_only_asked_for_its_bootargs() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let tree = machine_tree(&[])?;
        let large = with_filler(&oracle::with_bootargs(&tree, Some("liminix x.y=1"))?, 0x20_0000);
        let packed = Packed::of(&arm64_request(lab))?;
        let predicted =
            outcome(&packed.built.file, Entry::Uhi(large.clone()))?.result.expect_err("too large").to_string();
        assert!(predicted.starts_with("E23 dtb room 0x"), "{predicted}");
        let via = Via::BootiTree(large.clone());
        let what = Boot { image: packed.path(), bootargs: None, files: &[], via };
        let said = boot(cases.rig, &what, &format!(r"^stoop: {predicted}, slot -\r?\n"), PATIENCE)?;
        assert!(!said.contains("Linux version"), "{said}");

        let file = file(&tree)?;
        let packed = Packed::of(&Request { dtb: Some(file.path().into()), ..arm64_request(lab) })?;
        let accepted = "liminix x.y=1";
        cases.boot_via("2 MiB, and a packed tree", &packed, None, Via::BootiTree(large), "accepted", accepted)
    })
}

#[test]
fn a_tree_with_a_huge_totalsize_and_little_in_it_becomes_a_small_one() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        if !cases.rig.caps().contains(&Cap::Direct) {
            println!("HIL-SKIP: only an emulator passes that tree");
            return Ok(());
        }
        let tree = machine_tree(&[])?;
        // QEMU passes 1 MiB whatever is in it (hw/arm/virt.c: create_fdt).
        assert_eq!((tree.len(), &tree[4..8]), (0x10_0000, &[0, 0x10, 0, 0][..]));
        let packed = Packed::of(&arm64_request(lab))?;
        let booting = Booting::of(cases.rig, &packed, Some("liminix x.y=1"), Via::Direct, PATIENCE)?;
        assert_eq!(booting.differences(&packed), [""; 0]);
        let size = booting.seen.sum("fdt").map(|sum| sum.size);
        assert!(size.is_some_and(|size| size < 0x4000), "{size:x?}");
        Ok(())
    })
}

/// phram has two ways to RAM (drivers/mtd/devices/phram.c: phram_map): memremap, cached, for a node without `no-map`, and
/// ioremap otherwise. For RAM that the kernel itself uses arm64 refuses the latter, so a root on such RAM is a cached one.
#[test]
fn the_root_filesystem_in_ram_is_mapped_cached_by_an_unpatched_kernel() -> Result<()> {
    on_arm64(&[], |cases, lab| {
        let packed = Packed::of(&arm64_request(lab))?;
        let booting = Booting::of(cases.rig, &packed, None, Via::Booti, PATIENCE)?;
        assert_eq!(booting.differences(&packed), [""; 0]);
        // The region is RAM to the kernel: reserved, and mapped like all of it (drivers/of/of_reserved_mem.c).
        let phram = booting.simulated.phram.expect("a root in RAM").region;
        let line = booting.console.lines().find(|line| line.contains(&format!("0x{:016x}..", phram.start())));
        assert!(line.is_some_and(|line| line.contains(" map non-reusable phram")), "{line:?}");
        assert!(!booting.console.contains("ioremap"), "{}", booting.console);

        // The same kernel, and phram by its parameter, which takes the other way.
        let parameter = format!("liminix phram.phram=other,0x{:x},0x1000", phram.start());
        let what = Boot { image: packed.path(), bootargs: Some(&parameter), files: &[], via: Via::Booti };
        let said = boot(cases.rig, &what, "phram: ioremap failed.*\n", PATIENCE)?;
        assert!(said.contains("arch/arm64/mm/ioremap.c"), "{said}");
        Ok(())
    })
}
