//! Packed images on the board: the kernel sees exactly what `simulate` says, whatever the bootloader passes and whichever
//! way the image is started.

use std::time::Duration;

use stoop::Result;
use stoop::board::Container;
use stoop::image::LONGEST_LINE;
use stoop::plan::{CookieMatch, Format, Request};
use stoop::qemu::uboot;
use stoop_ci::lab::{BIG_CRC, BIG_SIZE, DEBIAN_KERNELS, Endian, Lab};
use stoop_hil_tests::packed::{Booting, board, lab, lab_request};
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::seen::Sum;
use stoop_hil_tests::{Cap, Packed, Rig, Via, oracle};

const PATIENCE: Duration = Duration::from_secs(600);

/// Ends with the words that real vendors pass.
const VENDOR: &str = "console=ttyS1,57600 root=31:03 rootfstype=jffs2 init=/etc/preinit mem=32M \
    mtdparts=ar7240-nor0:256k(u-boot),64k(u-boot-env),2752k(rootfs),896k(uImage)";

/// Boots and collects what is not as it should be, case by case, so that one does not hide the others.
struct Cases<'a> {
    rig: &'a mut dyn Rig,
    wrong: Vec<String>,
}

impl Cases<'_> {
    /// The image gets these bootargs and comes to this verdict; behind its own line, the kernel sees `passed`.
    fn boot(&mut self, name: &str, packed: &Packed, bootargs: Option<&str>, verdict: &str, passed: &str) -> Result<()> {
        self.boot_via(name, packed, bootargs, Via::Bootm, verdict, passed)
    }

    fn boot_via(
        &mut self,
        name: &str,
        packed: &Packed,
        bootargs: Option<&str>,
        via: Via,
        verdict: &str,
        passed: &str,
    ) -> Result<()> {
        let booting = Booting::of(self.rig, packed, bootargs, via, PATIENCE).map_err(|failure| failure.within(name))?;
        let mut wrong = booting.differences(packed);
        let seen = &booting.seen;
        let own = String::from_utf8_lossy(&packed.built.line);
        let line = if passed.is_empty() { own.into_owned() } else { format!("{own} {passed}") };
        if (seen.cmdline(), seen.text("chosen/stoop/verdict")) != (line.clone(), verdict.into()) {
            wrong.push(format!(
                "seen {} {:?}, not {verdict} {line:?}",
                seen.text("chosen/stoop/verdict"),
                seen.cmdline()
            ));
        }
        let big = Sum { size: BIG_SIZE as u32, crc: BIG_CRC };
        if packed.plan.rootfs.is_some() && (seen.sum("big"), seen.text("root")) != (Some(big), "31:99".into()) {
            wrong.push(format!("seen root {}, /big {:x?}", seen.text("root"), seen.sum("big")));
        }
        println!("{name}: {}", if wrong.is_empty() { "as simulated" } else { "WRONG" });
        self.wrong.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        Ok(())
    }
}

/// Runs `cases` on the board of that endianness, if there is one, and fails with all that was wrong.
fn on(endian: Endian, caps: &[Cap], cases: fn(&mut Cases<'_>, &Lab, Endian) -> Result<()>) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &Wish { caps, ..Wish::default() })? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let mut all = Cases { rig: rig.as_mut(), wrong: Vec::new() };
    cases(&mut all, &lab, endian)?;
    assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
    Ok(())
}

/// Words that no kernel wants, `length` bytes of them with the cookie in front, in words that U-Boot passes all.
fn long_bootargs(length: usize) -> String {
    let mut line = "liminix".to_owned();
    while line.len() < length {
        line += &format!(" w{:03}.abcdefghijklmnopqrstuvwxyz", line.len() / 30);
    }
    line.truncate(length);
    // The last byte must not be the blank that U-Boot drops.
    if line.ends_with(' ') {
        line.replace_range(length - 1.., "x")
    }
    line
}

fn every_kind_of_bootargs(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let contains = Packed::of(&lab_request(lab, endian))?;
    cases.boot("no bootargs", &contains, None, "none", "")?;
    cases.boot("no cookie", &contains, Some("quiet x.y=1 LIMINIX lim inix"), "ignored", "")?;
    cases.boot("the cookie", &contains, Some("x.y=1 liminix z.z"), "accepted", "x.y=1 liminix z.z")?;
    cases.boot("the cookie in a word", &contains, Some("a.notliminix=1"), "accepted", "a.notliminix=1")?;
    cases.boot("a vendor's stale root= and mtdparts=", &contains, Some(VENDOR), "ignored", "")?;
    let room = LONGEST_LINE - contains.built.line.len() - 1;
    let fits = long_bootargs(room);
    cases.boot("bootargs that just fit", &contains, Some(&fits), "accepted", &fits)?;
    cases.boot("bootargs of a byte more", &contains, Some(&long_bootargs(room + 1)), "refused", "")?;
    cases.boot("bootargs of more than 4 KB", &contains, Some(&long_bootargs(LONGEST_LINE + 1)), "refused", "")?;

    let word = Packed::of(&Request { cookie_match: CookieMatch::Word, ..lab_request(lab, endian) })?;
    cases.boot("word: the cookie in a word", &word, Some("a.notliminix=1 b.liminix"), "ignored", "")?;
    cases.boot("word: the cookie", &word, Some("a.b liminix"), "accepted", "a.b liminix")?;

    let keep = Request { keep: vec!["bootImage".into(), "uboot.slot".into()], ..lab_request(lab, endian) };
    let keep = Packed::of(&keep)?;
    let vendor = format!("{VENDOR} bootImage=1 bootImageX=2 uboot.slot");
    cases.boot("kept keys", &keep, Some(&vendor), "kept", "bootImage=1 uboot.slot")
}

#[test]
fn a_little_endian_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], every_kind_of_bootargs)
}

#[test]
fn a_big_endian_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot], every_kind_of_bootargs)
}

fn every_way_to_start(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = |format| Packed::of(&Request { format: Some(format), ..lab_request(lab, endian) });
    let (uimage, raw, elf) = (packed(Format::Uimage)?, packed(Format::Raw)?, packed(Format::Elf)?);
    let accepted = "x.y=1 liminix z.z";
    let tree = cases.rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes.into_owned();
    let tree = oracle::with_bootargs(&tree, Some(accepted))?;
    cases.boot_via("bootm with a tree", &uimage, None, Via::BootmTree(tree), "accepted", accepted)?;
    if cases.rig.board().bootloader.containers.contains(&Container::Fit) {
        let fit = packed(Format::Fit)?;
        cases.boot_via("bootm of a FIT", &fit, Some(VENDOR), Via::Bootm, "ignored", "")?;
        let said = inspected_by_uboot(cases.rig, &fit)?;
        for line in ["Hash algo:    crc32", "Hash algo:    sha1", "Image 0 (stoop): crc32+ sha1+"] {
            assert!(said.contains(line), "{line}: {said}");
        }
    } else {
        println!("HIL-SKIP: bootm of a FIT: {} has no FIT", cases.rig.board().bootloader.name);
    }
    cases.boot_via("go", &raw, Some(accepted), Via::Go, "accepted", accepted)?;
    cases.boot_via("go, no bootargs", &raw, None, Via::Go, "none", "")?;
    let with_name = format!("argv0 {accepted}");
    cases.boot_via("bootelf", &elf, Some(&with_name), Via::Bootelf, "accepted", accepted)?;
    cases.boot_via("bootelf, no bootargs", &elf, None, Via::Bootelf, "none", "")?;
    cases.boot_via("no bootloader", &elf, Some(accepted), Via::Direct, "accepted", accepted)?;
    cases.boot_via("no bootloader, no cookie", &elf, Some(VENDOR), Via::Direct, "ignored", "")
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

#[test]
fn a_little_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot, Cap::Direct], every_way_to_start)
}

#[test]
fn a_big_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot, Cap::Direct], every_way_to_start)
}

#[test]
fn debians_stock_kernel_sees_what_simulate_says() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], |cases, lab, endian| {
        let [generic, _] = DEBIAN_KERNELS;
        let packed = Packed::of(&Request {
            board: board(endian).into(),
            kernel: lab.debian_kernel(generic)?,
            initrd: Some(lab.initramfs(endian)),
            ..Request::default()
        })?;
        cases.boot("a vendor's line", &packed, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")
    })
}
