//! A bit that flipped in an image: the shim names the part and its code on the console as `simulate` predicts, and then
//! does what the params want.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::{Endian, Lab};
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Kind};
use stoop_core::params::Policy;
use stoop_core::{Code, Error, Subject};
use stoop_hil_tests::packed::{
    ARM64_BOARD, arm64_lab, arm64_request, board, file, lab, lab_request, machine_tree, outcome,
};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot};
use stoop_image::image::open;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_image::shim_image::{self, Variant};
use stoop_image::simulate::Entry;
use stoop_lab::qemu::uboot;

pub const PATIENCE: Duration = Duration::from_secs(300);

/// What is damaged, and the words of the error up to its value.
pub const PARTS: [(Part, &str); 6] = [
    (Part::Payload(Kind::Kernel), "E12 kernel crc"),
    (Part::Payload(Kind::Rootfs), "E12 rootfs crc"),
    (Part::Payload(Kind::Dtb), "E12 dtb crc"),
    (Part::Payload(Kind::Overlay), "E12 overlay crc"),
    (Part::Manifest(20), "E04 manifest crc"),
    (Part::Manifest(0), "E02 manifest missing"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// In its middle.
    Payload(Kind),
    /// At this offset.
    Manifest(usize),
}

fn packed(request: &Request, policy: Policy) -> Result<Packed> {
    Packed::with(request, |plan| plan.board.defaults.policy = policy)
}

/// The file with one bit flipped, and a container that agrees.
fn damaged(image: &[u8], part: Part) -> Vec<u8> {
    let opened = open(image).expect("it was just packed");
    let header = image.len() - opened.image.len();
    let offset = match part {
        Part::Manifest(offset) => opened.note.manifest + offset,
        Part::Payload(kind) => {
            let source = opened.manifest(&Crc32::new()).expect("it was just packed").payload(kind).source;
            source.start() + source.size() / 2 - opened.load
        }
    };
    let mut bytes = image.to_vec();
    bytes[header + offset] ^= 0x10;
    agree(&mut bytes, header, opened.format);
    bytes
}

/// Makes the container's checksums those of what is behind its header of `header` bytes.
fn agree(bytes: &mut [u8], header: usize, format: Format) {
    if format == Format::Uimage {
        // The CRC of the data, then the header's own, over itself with zeros in its place (U-Boot include/image.h).
        let sum = Crc32::new().of(&bytes[header..]).to_be_bytes();
        bytes[24..28].copy_from_slice(&sum);
        bytes[4..8].fill(0);
        let sum = Crc32::new().of(&bytes[..header]).to_be_bytes();
        bytes[4..8].copy_from_slice(&sum);
    }
}

/// The file with a manifest, sound in itself, that says the kernel is LZMA.
fn called_lzma(image: &[u8]) -> Vec<u8> {
    let opened = open(image).expect("it was just packed");
    let (header, big_endian) = (image.len() - opened.image.len(), opened.note.big_endian);
    let mut bytes = image.to_vec();
    let (block, sum) = bytes[header + opened.note.manifest..][..manifest::SIZE].split_at_mut(manifest::SIZE - 4);
    let codec = &mut block[manifest::CODEC..][..4];
    codec[if big_endian { 3 } else { 0 }] = Codec::Lzma as u8;
    let crc = Crc32::new().of(block);
    sum.copy_from_slice(&if big_endian { crc.to_be_bytes() } else { crc.to_le_bytes() });
    agree(&mut bytes, header, opened.format);
    bytes
}

/// Starts the damaged image, and waits for the error that `simulate` predicts.
pub fn fails_as_foretold(rig: &mut dyn Rig, packed: &Packed, via: Via, part: Part, words: &str) -> Result<()> {
    let bytes = damaged(&packed.built.file, part);
    let bootargs = "liminix x.y=1";
    let predicted = outcome(&bytes, Entry::Argv(bootargs.into()))?.result.expect_err("it is damaged").to_string();
    assert!(predicted.starts_with(&format!("{words} 0x")), "{part:?}: {predicted}");
    let image = file(&bytes)?;
    let what = Boot { image: image.path(), bootargs: Some(bootargs), files: &[], via };
    let said = boot(rig, &what, &format!(r"^stoop: {predicted}, slot -\r?\n"), PATIENCE)?;
    assert!(!said.contains("Linux version"), "{part:?}: the kernel ran: {said}");
    Ok(())
}

/// Nothing comes behind the error.
fn stays_silent(rig: &mut dyn Rig) -> Result<()> {
    // That nothing comes any more can only be seen for so long; a slow machine cannot make it fail.
    let silence = rig.wait_end(Duration::from_secs(2)).expect_err("it halts");
    assert_eq!(silence.exit_code(), 3, "{silence}");
    let said = rig.power_off()?;
    assert!(said.trim_end().ends_with(", slot -"), "nothing comes behind the error: {said}");
    Ok(())
}

fn on(endian: Endian, test: fn(&mut dyn Rig, &Lab, Endian) -> Result<()>) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() })?
    else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    test(rig.as_mut(), &lab, endian)
}

fn returns(rig: &mut dyn Rig, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = packed(&Request { format: Some(Format::Raw), ..lab_request(lab, endian) }, Policy::Return)?;
    let facts = rig.bootloader().clone();
    for (part, words) in PARTS {
        fails_as_foretold(rig, &packed, Via::Go, part, words)?;
        let number = words[1..3].parse::<u8>().expect("two digits");
        rig.console()?.expect(&format!(r"^## Application terminated, rc = 0x{number:X}\r?\n"), PATIENCE)?;
        uboot::attach(rig.console()?, &facts)?;
        assert_eq!(uboot::command(rig.console()?, &facts, "echo still here")?, "still here\n", "{part:?}");
    }
    Ok(())
}

fn resets(rig: &mut dyn Rig, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = packed(&Request { format: Some(Format::Uimage), ..lab_request(lab, endian) }, Policy::Reset)?;
    for (part, words) in PARTS {
        fails_as_foretold(rig, &packed, Via::Bootm, part, words)?;
        rig.wait_end(PATIENCE)?;
        let said = rig.power_off()?;
        assert!(said.trim_end().ends_with(", slot -"), "{part:?}: nothing comes behind the error: {said}");
    }
    Ok(())
}

fn halts(rig: &mut dyn Rig, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = packed(&Request { format: Some(Format::Uimage), ..lab_request(lab, endian) }, Policy::Halt)?;
    let [(part, words), ..] = PARTS;
    fails_as_foretold(rig, &packed, Via::Bootm, part, words)?;
    stays_silent(rig)
}

#[test]
fn a_little_endian_image_that_is_damaged_returns_to_the_prompt() -> Result<()> {
    on(Endian::Little, returns)
}

#[test]
fn a_big_endian_image_that_is_damaged_returns_to_the_prompt() -> Result<()> {
    on(Endian::Big, returns)
}

#[test]
fn a_little_endian_image_that_is_damaged_resets_the_board() -> Result<()> {
    on(Endian::Little, resets)
}

#[test]
fn a_big_endian_image_that_is_damaged_resets_the_board() -> Result<()> {
    on(Endian::Big, resets)
}

#[test]
fn a_damaged_image_halts_where_the_params_want_it() -> Result<()> {
    on(Endian::Little, halts)?;
    on(Endian::Big, halts)
}

/// One bit of the shim flips, in front of the first payload; `sums`: and somebody makes the first sum right again.
fn flipped(image: &[u8], at: usize, sums: bool) -> Result<tempfile::NamedTempFile> {
    let mut bytes = image.to_vec();
    bytes[at] ^= 0x10;
    if sums {
        shim_image::close(&mut bytes);
    }
    file(&bytes)
}

/// Every so many bytes of the shim, from behind what runs before the first verdict.
const STEP: usize = 1999;
const JUDGED: usize = 0x110;

/// The number comes back, and the bootloader is what it was.
fn returns_when_the_shim_is_damaged(rig: &mut dyn Rig, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = packed(&Request { format: Some(Format::Raw), ..lab_request(lab, endian) }, Policy::Return)?;
    let (image, facts) = (&packed.built.file, rig.bootloader().clone());
    let stub = 0x500;
    let seen_by_the_first = (JUDGED..packed.built.shim).step_by(STEP).chain([packed.built.shim - 1]);
    let seen_by_the_second = (stub..packed.built.shim - 0x200).step_by(STEP);
    let all = seen_by_the_first.map(|at| (at, false)).chain(seen_by_the_second.map(|at| (at, true)));
    for (at, sums) in all {
        let image = flipped(image, at, sums)?;
        let what = Boot { image: image.path(), bootargs: None, files: &[], via: Via::Go };
        let said = boot(rig, &what, r"^## Application terminated, rc = 0x6\r?\n", PATIENCE)?;
        assert!(!said.contains("stoop:"), "byte {at}: nothing of the shim has run: {said}");
        uboot::attach(rig.console()?, &facts)?;
        assert_eq!(uboot::command(rig.console()?, &facts, "echo still here")?, "still here\n", "byte {at}");
    }
    Ok(())
}

#[test]
fn a_little_endian_shim_that_is_damaged_gives_its_code_to_the_prompt() -> Result<()> {
    on(Endian::Little, returns_when_the_shim_is_damaged)
}

#[test]
fn a_big_endian_shim_that_is_damaged_gives_its_code_to_the_prompt() -> Result<()> {
    on(Endian::Big, returns_when_the_shim_is_damaged)
}

#[test]
fn an_arm64_shim_that_is_damaged_resets_the_board() -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let packed = packed(&arm64_request(&lab), Policy::Halt)?;
    for (at, sums) in [(0x2a0, false), (0x1000, false), (packed.built.shim - 1, false), (0x1000, true)] {
        let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
        let image = flipped(&packed.built.file, at, sums)?;
        let what = Boot { image: image.path(), bootargs: None, files: &[], via: Via::Booti };
        boot(rig.as_mut(), &what, r"Starting kernel \.\.\.", PATIENCE)?;
        rig.wait_end(PATIENCE)?;
        let said = rig.power_off()?;
        assert!(!said.contains("stoop"), "byte {at}: nothing of the shim has run: {said}");
    }
    Ok(())
}

/// `simulate` has all decoders, so it cannot predict this.
fn lacks_a_decoder(rig: &mut dyn Rig, lab: &Lab, endian: Endian) -> Result<()> {
    let request = Request { format: Some(Format::Uimage), codec: CodecChoice::Store, ..lab_request(lab, endian) };
    let packed = packed(&request, Policy::Reset)?;
    assert_eq!(open(&packed.built.file)?.note.variant, Variant::Store);
    let image = file(&called_lzma(&packed.built.file))?;
    let what = Boot { image: image.path(), bootargs: None, files: &[], via: Via::Bootm };
    let error = Error::new(Code::Codec, Subject::Kernel, Codec::Lzma as usize);
    let said = boot(rig, &what, &format!(r"^stoop: {error}, slot -\r?\n"), PATIENCE)?;
    assert!(!said.contains("Linux version"), "the kernel ran: {said}");
    rig.wait_end(PATIENCE)
}

#[test]
fn a_shim_without_decoders_names_the_codec_that_it_lacks_and_resets() -> Result<()> {
    on(Endian::Little, lacks_a_decoder)?;
    on(Endian::Big, lacks_a_decoder)
}

#[test]
fn an_arm64_image_that_is_damaged_says_so_and_halts() -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let tree = file(&machine_tree(&[])?)?;
    let packed = packed(&Request { dtb: Some(tree.path().into()), ..arm64_request(&lab) }, Policy::Halt)?;
    for (part, words) in PARTS {
        fails_as_foretold(rig.as_mut(), &packed, Via::Booti, part, words)?;
    }
    stays_silent(rig.as_mut())
}
