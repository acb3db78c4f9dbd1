//! The same on arm64: packed images behind U-Boot's booti and bootm, by QEMU itself, at EL1 and EL2, with one CPU
//! and more, with little RAM and much. The kernel sees exactly what `simulate` says.

use std::time::Duration;

use stoop::Result;
use stoop::image::longest_line;
use stoop::input::Arch;
use stoop::plan::{CodecWish, CookieMatch, Format, Request};
use stoop_ci::lab::arm64::Arm64;
use stoop_core::Region;
use stoop_hil_tests::cases::Cases;
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::{Cap, Packed, Via, oracle};

const BOARD: &str = "qemu-virt-arm64";
const PATIENCE: Duration = Duration::from_secs(600);
const VENDOR: &str =
    "console=ttyS0,115200n1 root=/dev/mmcblk0p65 rootwait earlycon=uart8250,mmio32,0x11002000 ubi.mtd=ubi";

/// Runs `cases` on the board with these options for QEMU, and fails with all that was wrong.
fn on(emulator: &[&str], cases: impl FnOnce(&mut Cases<'_>, &Arm64) -> Result<()>) -> Result<()> {
    let wish = Wish { caps: &[Cap::Uboot, Cap::Direct], emulator };
    let Some(mut rig) = rig::open(BOARD, &wish)? else { return Ok(()) };
    let lab = match Arm64::open() {
        Ok(lab) => lab,
        Err(failure) => return stoop_hil_tests::skip(&failure.to_string()),
    };
    Cases::collect(rig.as_mut(), Via::Booti, |all| cases(all, &lab))
}

/// The lab's kernel with its root in RAM.
fn lab_request(lab: &Arm64) -> Request {
    Request { board: BOARD.into(), kernel: lab.image(), rootfs: Some(lab.squashfs()), ..Request::default() }
}

#[test]
fn the_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on(&[], |cases, lab| {
        let contains = Packed::of(&lab_request(lab))?;
        cases.boot("no bootargs", &contains, None, "none", "")?;
        cases.boot("no cookie", &contains, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &contains, Some("x.y=1 liminix z.z"), "accepted", "x.y=1 liminix z.z")?;
        let room = longest_line(Arch::Arm64) - contains.built.line.len() - 1;
        let longest = format!("liminix {}", "w".repeat(room - 8));
        cases.boot("the longest line", &contains, Some(&longest), "accepted", &longest)?;
        cases.boot("one byte too many", &contains, Some(&format!("{longest}w")), "refused", "")?;
        let word = Packed::of(&Request {
            cookie_match: CookieMatch::Word,
            keep: vec!["bootImage".into()],
            ..lab_request(lab)
        })?;
        cases.boot("no word", &word, Some("a.notliminix=1"), "ignored", "")?;
        cases.boot("a kept key", &word, Some("root=31:03 bootImage=1"), "kept", "bootImage=1")?;
        let off = Packed::of(&Request { no_cookie: true, ..lab_request(lab) })?;
        cases.boot("no cookie wanted", &off, Some("x.y=2"), "accepted", "x.y=2")
    })
}

#[test]
fn the_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(&[], |cases, lab| {
        let accepted = "x.y=1 liminix z.z";
        let packed = |format| Packed::of(&Request { format: Some(format), ..lab_request(lab) });
        let (image, uimage, fit) = (packed(Format::Image)?, packed(Format::Uimage)?, packed(Format::Fit)?);
        cases.boot_via("bootm, uImage", &uimage, Some(accepted), Via::Bootm, "accepted", accepted)?;
        cases.boot_via("bootm, FIT", &fit, Some(accepted), Via::Bootm, "accepted", accepted)?;
        cases.boot_via("no bootloader", &image, Some(accepted), Via::Direct, "accepted", accepted)?;
        cases.boot_via("no bootloader, no bootargs", &image, None, Via::Direct, "none", "")?;
        for codec in [CodecWish::Lzma, CodecWish::Lz4] {
            let compressed = Packed::of(&Request { codec, ..lab_request(lab) })?;
            cases.boot(&format!("{codec:?}"), &compressed, Some(VENDOR), "ignored", "")?;
        }
        Ok(())
    })
}

#[test]
fn a_packed_tree_is_extended_and_the_bootloaders_is_only_asked_for_its_bootargs() -> Result<()> {
    on(&[], |cases, lab| {
        let tree = machine_tree(&[])?;
        let file = stoop_hil_tests::packed::file(&oracle::with_bootargs(&tree, Some("own.word=1"))?)?;
        let packed = Packed::of(&Request { dtb: Some(file.path().into()), ..lab_request(lab) })?;
        cases.boot("no cookie", &packed, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")?;
        let other = oracle::with_bootargs(&tree, Some("liminix from.the=tree"))?;
        let via = Via::BootiTree(other);
        cases.boot_via("bootargs of its tree", &packed, None, via, "accepted", "liminix from.the=tree")
    })
}

/// The tree that QEMU makes for the machine with firmware; without `-bios` it names a device that the firmware's machine has not.
fn machine_tree(emulator: &[&str]) -> Result<Vec<u8>> {
    let place = tempfile::tempdir().map_err(|error| stoop::Failure::new(error.to_string()))?;
    let file = place.path().join("virt.dtb");
    let uboot = stoop::board::load(BOARD)?.qemu.and_then(|qemu| qemu.u_boot).unwrap_or_default();
    let mut qemu = std::process::Command::new("qemu-system-aarch64");
    qemu.args([
        "-M",
        &format!("virt,dumpdtb={}", file.display()),
        "-cpu",
        "cortex-a57",
        "-m",
        "512",
        "-display",
        "none",
    ]);
    qemu.args(["-nic", "none", "-bios", &uboot]).args(emulator).stderr(std::process::Stdio::null());
    let status = qemu.status().map_err(|error| stoop::Failure::new(format!("cannot start QEMU: {error}")))?;
    assert!(status.success(), "{status}");
    std::fs::read(&file).map_err(|error| stoop::Failure::io(&file, &error))
}

#[test]
fn debians_stock_kernels_see_what_simulate_says() -> Result<()> {
    on(&[], |cases, lab| {
        for kernel in lab.debian_kernels()? {
            let packed = Packed::of(&Request {
                board: BOARD.into(),
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
        on(emulator, |cases, lab| {
            let packed = Packed::of(&lab_request(lab))?;
            cases.boot(name, &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")?;
            cases.boot_via(&format!("{name}, no bootloader"), &packed, Some("x.y=1"), Via::Direct, "ignored", "")
        })?;
    }
    Ok(())
}

#[test]
fn little_ram_and_much_are_the_same() -> Result<()> {
    for mib in [128, 1024, 4096] {
        on(&["-m", &mib.to_string()], |cases, lab| {
            let ram = Region::new(0x4000_0000, mib << 20).unwrap_or(Region::EMPTY);
            let packed = Packed::with(&lab_request(lab), |plan| plan.board.ram = ram)?;
            cases.boot(&format!("{mib} MiB"), &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")
        })?;
    }
    Ok(())
}

#[test]
fn a_tree_that_is_only_4_aligned_is_handled() -> Result<()> {
    on(&[], |cases, lab| {
        let packed = Packed::of(&lab_request(lab))?;
        let tree = oracle::with_bootargs(&machine_tree(&[])?, Some("liminix x.y=1"))?;
        let facts = cases.rig.bootloader().clone();
        let image = std::fs::read(packed.path()).map_err(|error| stoop::Failure::io(packed.path(), &error))?;
        let at = facts.image_address(&stoop::qemu::image::Image::of(&image)?, image.len())?;
        // With fdt_high of all ones U-Boot passes the tree where it is.
        let tree_at = 0x4a00_0004;
        let line = format!("setenv fdt_high 0xffffffffffffffff; booti {at:#x} - {tree_at:#x}");
        let boot = stoop_hil_tests::Boot {
            image: packed.path(),
            bootargs: None,
            files: &[(at, &image), (tree_at, &tree)],
            via: Via::Command(line),
        };
        let said = stoop_hil_tests::boot(cases.rig, &boot, "Kernel command line: .*\n", PATIENCE)?;
        assert!(said.contains("bootargs accepted"), "{said}");
        assert!(said.contains("liminix x.y=1"), "{said}");
        Ok(())
    })
}
