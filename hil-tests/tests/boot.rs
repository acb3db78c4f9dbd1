//! Packed images on the board: the kernel sees exactly what `simulate` says, whatever the bootloader passes. Whichever way
//! the image is started: `matrix.rs`.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::{Endian, Lab};
use stoop_hil_tests::cases::{Cases, VENDOR, on};
use stoop_hil_tests::packed::lab_request;
use stoop_hil_tests::seen::END;
use stoop_hil_tests::{Cap, Packed};
use stoop_image::commands;
use stoop_image::image::LONGEST_LINE;
use stoop_image::plan::{CookieMatch, Format, Request};
use stoop_lab::qemu::uboot;

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

/// Types these lines as they are, the last one to start the image, and waits for the end of init's report.
fn type_all(cases: &mut Cases<'_>, packed: &Packed, lines: &[String]) -> Result<()> {
    cases.rig.power_off()?;
    assert_eq!(cases.rig.stage("printed.img", &packed.built.file)?, "printed.img");
    let facts = cases.rig.bootloader().clone();
    cases.rig.power_on()?;
    let console = cases.rig.console()?;
    uboot::attach(console, &facts)?;
    uboot::network(console, &facts)?;
    let (last, before) = lines.split_last().expect("something to type");
    for line in before {
        uboot::command(console, &facts, line)?;
    }
    console.send(format!("{last}\n").as_bytes())?;
    console
        .expect(&format!("{END}[\r\n]"), Duration::from_secs(600))
        .map(drop)
        .map_err(|failure| failure.within(last).into())
}

/// An ELF image also without the option, by its sections: what a bootloader does that has only them.
fn what_pack_prints(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    for format in [Format::Uimage, Format::Raw, Format::Elf] {
        let packed = Packed::of(&Request { format: Some(format), ..lab_request(lab, endian) })?;
        let lines = commands::printed(&packed.plan, &packed.built, "printed.img");
        type_all(cases, &packed, &lines)?;
        if format == Format::Elf {
            let by_sections: Vec<String> = lines.iter().map(|line| line.replace("bootelf -p ", "bootelf ")).collect();
            assert_ne!(by_sections, lines);
            type_all(cases, &packed, &by_sections)?;
        }
    }
    Ok(())
}

#[test]
fn what_pack_prints_for_the_bootloader_starts_a_little_endian_image() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], what_pack_prints)
}

#[test]
fn what_pack_prints_for_the_bootloader_starts_a_big_endian_image() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot], what_pack_prints)
}
