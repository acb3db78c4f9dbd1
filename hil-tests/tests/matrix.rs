//! Every way from power-on to the kernel, with every handoff: the same facts each time. The kernels are unpatched.

use stoop_ci::Result;
use stoop_ci::lab::{DEBIAN_KERNELS, Endian, Flavour, Lab};
use stoop_core::manifest::HandoffKind;
use stoop_hil_tests::cases::{Cases, VENDOR, on};
use stoop_hil_tests::packed::{debian_request, lab_request};
use stoop_hil_tests::{Cap, Packed, Rig, Via, oracle, router};
use stoop_image::board::Container;
use stoop_image::plan::{Format, HandoffChoice, Request};
use stoop_lab::qemu::uboot;

/// Bootargs that count.
const ACCEPTED: &str = "x.y=1 liminix z.z";

/// A way to start an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// U-Boot's `bootm` of what it fetched over TFTP: argc, argv, env.
    Bootm,
    /// The same with the board's tree, which has the bootargs: UHI.
    BootmTree,
    /// `bootm` of a FIT, where U-Boot has that; as [`Path::Bootm`] otherwise.
    Fit,
    /// U-Boot's `go`.
    Go,
    /// U-Boot's `bootelf`.
    Bootelf,
    /// No bootloader: QEMU loads the ELF.
    Direct,
    /// Linux' kexec, by Debian's kexec-tools and the script of `stoop kexec`.
    Kexec,
}

impl Path {
    fn format(self) -> Format {
        match self {
            Path::Bootm | Path::BootmTree => Format::Uimage,
            Path::Fit => Format::Fit,
            Path::Go => Format::Raw,
            Path::Bootelf | Path::Direct | Path::Kexec => Format::Elf,
        }
    }
}

/// The bootargs on a way, the verdict, and what the kernel sees of them behind its own line.
type Row = (Path, Option<&'static str>, &'static str, &'static str);

/// Boots the image along each row.
fn every_way(cases: &mut Cases<'_>, lab: &Lab, request: &Request, rows: &[Row]) -> Result<()> {
    for (path, bootargs, verdict, passed) in rows {
        let bootloader = &cases.rig.board().bootloader;
        if *path == Path::Fit && !bootloader.containers.contains(&Container::Fit) {
            println!("HIL-SKIP: bootm of a FIT: {} has no FIT", bootloader.name);
            continue;
        }
        let packed = Packed::of(&Request { format: Some(path.format()), ..request.clone() })?;
        let name = format!("{path:?} {} {bootargs:?}", packed.plan.handoff.value.name());
        // U-Boot's bootelf takes the first word for argv[0], and stoop does not take it for an argument.
        let typed = match (path, bootargs) {
            (Path::Bootelf, Some(line)) => Some(format!("argv0 {line}")),
            (Path::BootmTree, _) => None,
            _ => bootargs.map(str::to_owned),
        };
        let running;
        let via = match path {
            Path::Bootm | Path::Fit => Via::Bootm,
            Path::BootmTree => {
                let tree = cases.rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes;
                Via::BootmTree(oracle::with_bootargs(&tree, *bootargs)?)
            }
            Path::Go => Via::Go,
            Path::Bootelf => Via::Bootelf,
            Path::Direct => Via::Direct,
            Path::Kexec => {
                running = router::router(lab, &packed, &router::start(*bootargs))?;
                Via::Kexec(running.path().into())
            }
        };
        // The script adds the image's own root=, or kexec-tools would add the running system's.
        let passed = match path {
            Path::Kexec if !passed.is_empty() => stoop_hil_tests::packed::kexec_words(&packed, Some(passed)),
            _ => (*passed).to_owned(),
        };
        cases.boot_via(&name, &packed, typed.as_deref(), via, verdict, &passed)?;
        if *path == Path::Fit {
            let said = inspected_by_uboot(cases.rig, &packed)?;
            for line in ["Hash algo:    crc32", "Hash algo:    sha1", "Image 0 (stoop): crc32+ sha1+"] {
                assert!(said.contains(line), "{line}: {said}");
            }
        }
    }
    Ok(())
}

/// What `iminfo` says of the image.
fn inspected_by_uboot(rig: &mut dyn Rig, packed: &Packed) -> Result<String> {
    let facts = rig.bootloader().clone();
    rig.power_cycle()?;
    rig.stage("image", &packed.built.file)?;
    let console = rig.console()?;
    uboot::attach(console, &facts)?;
    uboot::network(console, &facts)?;
    uboot::fetch(console, &facts, facts.tftp_address, "image", packed.built.file.len())?;
    let said = uboot::command(console, &facts, &format!("iminfo {:#x}", facts.tftp_address))?;
    rig.power_off()?;
    Ok(said)
}

fn uhi(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let mut rows: Vec<Row> = vec![
        (Path::Bootm, Some(ACCEPTED), "accepted", ACCEPTED),
        (Path::Bootm, Some(VENDOR), "ignored", ""),
        (Path::BootmTree, Some(ACCEPTED), "accepted", ACCEPTED),
        (Path::Fit, Some(VENDOR), "ignored", ""),
        (Path::Go, Some(ACCEPTED), "accepted", ACCEPTED),
        (Path::Go, None, "none", ""),
        (Path::Bootelf, Some(ACCEPTED), "accepted", ACCEPTED),
        (Path::Bootelf, None, "none", ""),
        (Path::Direct, Some(ACCEPTED), "accepted", ACCEPTED),
        (Path::Direct, Some(VENDOR), "ignored", ""),
    ];
    // Debian has kexec-tools for little endian only.
    if endian == Endian::Little {
        rows.push((Path::Kexec, None, "ignored", ""));
        rows.push((Path::Kexec, Some(ACCEPTED), "accepted", ACCEPTED));
    }
    every_way(cases, lab, &lab_request(lab, endian), &rows)
}

#[test]
fn a_little_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], uhi)
}

#[test]
fn a_big_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot], uhi)
}

/// The kernel that is the oracle elsewhere finds the tree behind its own bytes and would join argv to its line: it must not
/// see the bootargs twice. The other one has a section for the tree, and its line comes by argv only.
fn appended(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let rows: [Row; 2] =
        [(Path::Bootm, Some(ACCEPTED), "accepted", ACCEPTED), (Path::Direct, Some(VENDOR), "ignored", "")];
    let raw = lab.vmlinux(endian, Flavour::Oracle);
    let raw = Request { kernel: raw, handoff: HandoffChoice::Appended, ..lab_request(lab, endian) };
    every_way(cases, lab, &raw, &rows)?;
    let section = Request { kernel: lab.vmlinux(endian, Flavour::Slot), ..lab_request(lab, endian) };
    let plan = Packed::of(&section)?.plan;
    assert_eq!(plan.handoff.value, HandoffKind::Appended, "{}", plan.handoff_reason);
    assert!(
        plan.handoff_reason.starts_with("not uhi: CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER: "),
        "{}",
        plan.handoff_reason
    );
    every_way(cases, lab, &section, &rows)
}

#[test]
fn a_kernel_with_a_slot_for_its_tree_finds_the_final_one_there() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], appended)?;
    on(Endian::Big, &[Cap::Uboot], appended)
}

const DEBIAN_ROWS: [Row; 3] = [
    (Path::Bootm, Some(ACCEPTED), "accepted", ACCEPTED),
    (Path::Bootm, Some(VENDOR), "ignored", ""),
    (Path::Direct, None, "none", ""),
];

#[test]
fn debians_generic_kernel_takes_the_tree() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], |cases, lab, _| {
        let [generic, _] = DEBIAN_KERNELS;
        every_way(cases, lab, &debian_request(lab, generic)?, &DEBIAN_ROWS)
    })
}

#[test]
fn debians_malta_kernel_takes_its_line_and_its_memory_from_argv_and_environment() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], |cases, lab, _| {
        let [_, malta] = DEBIAN_KERNELS;
        let request = debian_request(lab, malta)?;
        let packed = Packed::of(&request)?;
        assert_eq!(packed.plan.handoff.value, HandoffKind::Argv);
        let reason = &packed.plan.handoff_reason;
        assert!(reason.contains("not uhi: CONFIG_MIPS_MALTA: "), "{reason}");
        assert!(reason.contains("CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER: takes the command line from argv"), "{reason}");
        every_way(cases, lab, &request, &DEBIAN_ROWS)
    })
}
