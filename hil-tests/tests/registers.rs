//! Random registers at entry end in a boot with defaults. U-Boot starts a few instructions that load the first four and jump to
//! the image, which was fetched beside them; the shim is the one that everybody gets.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::Endian;
use stoop_hil_tests::packed::{ARM64_BOARD, arm64_lab, arm64_request, board, file, lab, lab_request, machine_tree};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Cap, Packed, Rig};
use stoop_image::plan::{Format, Request};
use stoop_lab::qemu::uboot;

const PATIENCE: Duration = Duration::from_secs(300);
/// For each byte order and exception level; 100 together.
const ROUNDS: usize = 25;
const SEED: u64 = 0x5700_0b5e_5700_0b5e;

/// What U-Boot starts.
struct Prologue {
    at: u32,
    code: Vec<u8>,
    /// As typed.
    command: String,
}

/// lui and ori for a0 to a3 and t9, then `jr t9`. MIPS32, runs anywhere.
fn mips(registers: [u32; 4], image: u32, big: bool) -> Prologue {
    const T9: u32 = 25;
    let numbered = (4..).zip(registers).chain([(T9, image)]);
    let loads = numbered.flat_map(|(register, value)| {
        [0x3c00_0000 | register << 16 | value >> 16, 0x3400_0000 | register << 21 | register << 16 | value & 0xffff]
    });
    let code = loads.chain([0x0320_0008, 0]);
    let code = code.flat_map(|word| if big { word.to_be_bytes() } else { word.to_le_bytes() }).collect();
    // Between the kernel's own place and the image: nothing else is there before the shim runs.
    let at = image - 0x1_0000;
    Prologue { at, code, command: format!("go {at:#x}") }
}

/// An Image that loads x0 to x3 and x9 by movz and movk, then `br x9`. `tree`: what U-Boot calls its own, which booti wants.
fn arm64(registers: [u64; 4], image: u32, tree: &str) -> Prologue {
    const X9: u32 = 9;
    let numbered = (0..).zip(registers).chain([(X9, image.into())]);
    let loads = numbered.flat_map(|(register, value)| {
        (0..4).map(move |part| {
            let half = (value >> (16 * part)) as u32 & 0xffff;
            let keep = if part == 0 { 0xd280_0000 } else { 0xf280_0000 };
            keep | part << 21 | half << 5 | register
        })
    });
    // Documentation/arch/arm64/booting.rst: a branch over the header, image_size, anywhere in RAM, the magic.
    let header = [0x1400_0010, 0, 0, 0, 0x1000, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0x644d_5241, 0];
    let code = header.into_iter().chain(loads).chain([0xd61f_0000 | X9 << 5]).flat_map(u32::to_le_bytes).collect();
    // A multiple of 2 MiB, so that it is not moved, behind all that the image's header asks for.
    let at = 0x5000_0000;
    Prologue { at, code, command: format!("booti {at:#x} - {tree}") }
}

/// xorshift64
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Anything, and what looks like something: argc, UHI's mark, pointers into RAM, devices and nowhere, at odd addresses too.
fn mips_registers(state: &mut u64) -> [u32; 4] {
    let mut next = || next(state) as u32;
    [(); 4].map(|()| match next() % 8 {
        0 => next() % 64,
        1 => -2i32 as u32,
        2 => 0x8000_0000 | (next() % 0x1000_0000),
        3 => 0xa000_0000 | (next() % 0x1000_0000) & !3,
        4 => 0xbf00_0000 | (next() % 0x100_0000),
        5 => next() % 0x8000_0000,
        _ => next(),
    })
}

/// The same for arm64: flash, the UART and its neighbours, RAM, above it, and addresses that no table can map.
fn arm64_registers(state: &mut u64) -> [u64; 4] {
    let mut next = || next(state);
    [(); 4].map(|()| match next() % 8 {
        0 => next() % 64,
        1 => next() % 0x400_0000,
        2 => 0x800_0000 + next() % 0x800_0000,
        3 => 0x4000_0000 + next() % 0x2000_0000,
        4 => (0x4000_0000 + next() % 0x2000_0000) & !7,
        5 => 0x6000_0000 + next() % 0x10_0000_0000,
        _ => next(),
    })
}

fn boots_with_defaults(rig: &mut dyn Rig, packed: &Packed, image: u32, prologue: &Prologue) -> Result<()> {
    let facts = rig.bootloader().clone();
    rig.stage("image", &packed.built.file)?;
    rig.stage("prologue", &prologue.code)?;
    rig.power_cycle()?;
    let console = rig.console()?;
    uboot::attach(console, &facts)?;
    uboot::network(console, &facts)?;
    uboot::fetch(console, &facts, image, "image", packed.built.file.len())?;
    uboot::fetch(console, &facts, prologue.at, "prologue", prologue.code.len())?;
    console.send(format!("{}\n", prologue.command).as_bytes())?;
    let shim = console.expect(r"^stoop [0-9.]+: entry (\w+), slot -, bootargs (\w+)\r?\n", PATIENCE)?;
    let verdict = shim.groups.last().cloned().unwrap_or_default();
    assert!(["none", "ignored", "refused"].contains(&verdict.as_str()), "{verdict}");
    let line = console.expect(r"Kernel command line: ([^\r\n]*)\r?\n", PATIENCE)?;
    let own = String::from_utf8_lossy(&packed.built.line).into_owned();
    assert_eq!(line.groups.last(), Some(&own));
    Ok(())
}

/// Boots with one set of registers after the other.
fn rounds<R: std::fmt::Debug + Copy>(
    rig: &mut dyn Rig,
    packed: &Packed,
    registers: fn(&mut u64) -> [R; 4],
    prologue: impl Fn([R; 4], u32) -> Prologue,
) -> Result<()> {
    let image = rig.board().typed(packed.built.places.download) as u32;
    let mut state = SEED;
    for round in 0..ROUNDS {
        let registers = registers(&mut state);
        println!("round {round}: {registers:x?}");
        boots_with_defaults(rig, packed, image, &prologue(registers, image))
            .map_err(|failure| failure.within(format!("round {round}, {registers:x?}")))?;
    }
    rig.power_off()?;
    Ok(())
}

fn on(endian: Endian) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() })?
    else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = Packed::of(&Request { format: Some(Format::Raw), rootfs: None, ..lab_request(&lab, endian) })?;
    let big = endian == Endian::Big;
    rounds(rig.as_mut(), &packed, mips_registers, |registers, image| mips(registers, image, big))
}

/// The image has a device tree of its own: without one x0 would have to be right.
fn on_arm64(emulator: &[&str]) -> Result<()> {
    let Some(mut rig) = rig::open(ARM64_BOARD, &BootRequest { caps: &[Cap::Uboot], emulator })? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let tree = file(&machine_tree(emulator)?)?;
    let packed = Packed::of(&Request { dtb: Some(tree.path().into()), rootfs: None, ..arm64_request(&lab) })?;
    let own_tree = rig.bootloader().own_tree.clone().unwrap_or_default();
    rounds(rig.as_mut(), &packed, arm64_registers, |registers, image| arm64(registers, image, &own_tree))
}

#[test]
fn random_registers_boot_a_little_endian_board_with_defaults() -> Result<()> {
    on(Endian::Little)
}

#[test]
fn random_registers_boot_a_big_endian_board_with_defaults() -> Result<()> {
    on(Endian::Big)
}

#[test]
fn random_registers_boot_arm64_at_el1_with_defaults() -> Result<()> {
    on_arm64(&[])
}

#[test]
fn random_registers_boot_arm64_at_el2_with_defaults() -> Result<()> {
    on_arm64(&["-machine", "virtualization=on"])
}
