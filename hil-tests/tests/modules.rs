//! A kernel with squashfs and phram as modules: an image packed with `--require` brings what its root in RAM needs, in the
//! order in which it loads, and all of it can be unloaded again in reverse. Debian's kernel loads modules with symbol versions.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::{BIG_CRC, BIG_SIZE, DEBIAN_KERNELS, Endian, Flavour};
use stoop_hil_tests::packed::{Booting, board, debian_request, lab, lab_request};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::seen::{Seen, Sum};
use stoop_hil_tests::{Cap, Packed, Via};
use stoop_image::plan::Request;
use stoop_image::progress::Quiet;
use stoop_image::simulate::shown;
use stoop_kernel::modules::initrd::{ModuleSelection, plan_with};

const PATIENCE: Duration = Duration::from_secs(300);
const GENERIC: &str = DEBIAN_KERNELS[0];

/// What became of each module, by its name.
fn outcomes(seen: &Seen, prefix: &str) -> Vec<(String, String)> {
    seen.keys().filter_map(|key| Some((key.strip_prefix(prefix)?.to_owned(), seen.text(key)))).collect()
}

fn all_ok(mut names: Vec<String>) -> Vec<(String, String)> {
    names.sort();
    names.into_iter().map(|name| (name, "ok".to_owned())).collect()
}

fn boots_from_its_modules(endian: Endian) -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(endian), &asked)? else { return Ok(()) };
    let request = Request {
        kernel: lab.vmlinux(endian, Flavour::Modular),
        initrd: Some(lab.initramfs(endian)),
        ..lab_request(&lab, endian)
    };
    let modules = ModuleSelection {
        directory: lab.modules(endian, Flavour::Modular)?,
        names: vec!["squashfs-root".into(), "phram-root".into()],
        ..ModuleSelection::default()
    };
    let (plan, included) = plan_with(&modules, &request, &mut Quiet)?;
    let packed = Packed::planned(plan)?;
    let names: Vec<String> = included.order.iter().map(|path| stoop_kernel::modules::name::of_path(path)).collect();
    for needed in ["squashfs", "phram", "mtdblock"] {
        assert!(names.iter().any(|name| name == needed), "{needed} is not among {names:?}");
    }
    // At least one was not asked for by name: the closure, not a list.
    assert!(names.len() > 3, "{names:?}");

    let Booting { seen, simulated, .. } = Booting::of(rig.as_mut(), &packed, Some("liminix"), Via::Bootm, PATIENCE)?;
    assert_eq!(seen.cmdline(), shown(&simulated.cmdline));
    assert_eq!(seen.text("order").lines().collect::<Vec<_>>(), included.order);
    assert_eq!(outcomes(&seen, "load/"), all_ok(names.clone()));
    // The kernel lists what came last first.
    let loaded = seen.text("modules");
    let loaded: Vec<&str> = loaded.lines().rev().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(loaded, names);

    assert_eq!(seen.text("mount"), "ok");
    let rootfs = packed.plan.rootfs.as_ref().expect("a root filesystem").size.next_multiple_of(0x1000) as u32;
    assert!(seen.mtd().iter().any(|(_, size)| *size == rootfs), "{:x?}", seen.mtd());
    assert!(seen.text("mounts").contains("/dev/mtdblock99 /mnt squashfs ro"), "{}", seen.text("mounts"));
    assert_eq!(seen.sum("mounted/big"), Some(Sum { size: BIG_SIZE as u32, crc: BIG_CRC }));

    assert_eq!(seen.text("unmount"), "ok");
    assert_eq!(outcomes(&seen, "unload/"), all_ok(names));
    assert_eq!(seen.text("modules/left"), "");
    Ok(())
}

#[test]
fn little_endian_boots_from_the_modules_that_a_requirement_needs_and_unloads_them() -> Result<()> {
    boots_from_its_modules(Endian::Little)
}

#[test]
fn big_endian_boots_from_the_modules_that_a_requirement_needs_and_unloads_them() -> Result<()> {
    boots_from_its_modules(Endian::Big)
}

#[test]
fn debians_kernel_loads_and_unloads_modules_whose_symbols_have_versions() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &asked)? else { return Ok(()) };
    let request = debian_request(&lab, GENERIC)?;
    let modules = ModuleSelection {
        directory: lab.debian_modules(GENERIC)?,
        names: vec!["squashfs".into(), "overlay".into()],
        ..ModuleSelection::default()
    };
    let (plan, included) = plan_with(&modules, &request, &mut Quiet)?;
    let names: Vec<String> = included.order.iter().map(|path| stoop_kernel::modules::name::of_path(path)).collect();
    let packed = Packed::planned(plan)?;
    let Booting { seen, .. } = Booting::of(rig.as_mut(), &packed, None, Via::Bootm, PATIENCE)?;
    assert_eq!(outcomes(&seen, "load/"), all_ok(names.clone()));
    assert_eq!(outcomes(&seen, "unload/"), all_ok(names));
    Ok(())
}
