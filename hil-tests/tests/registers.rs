//! Random registers at entry end in a boot with defaults. U-Boot's `go` starts a few instructions that load a0 to a3 and jump to the
//! image, which was fetched beside them; the shim is the one that everybody gets.

use std::time::Duration;

use stoop::Result;
use stoop::plan::{Format, Request};
use stoop::qemu::uboot;
use stoop_ci::lab::Endian;
use stoop_hil_tests::packed::{board, lab, lab_request};
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::{Cap, Packed, Rig};

const PATIENCE: Duration = Duration::from_secs(300);
/// For each byte order; 50 together.
const ROUNDS: usize = 25;

/// lui and ori for a0 to a3 and t9, then `jr t9`. MIPS32, runs anywhere.
fn prologue(registers: [u32; 4], image: u32, big: bool) -> Vec<u8> {
    const T9: u32 = 25;
    let numbered = (4..).zip(registers).chain([(T9, image)]);
    let loads = numbered.flat_map(|(register, value)| {
        [0x3c00_0000 | register << 16 | value >> 16, 0x3400_0000 | register << 21 | register << 16 | value & 0xffff]
    });
    let code = loads.chain([0x0320_0008, 0]);
    code.flat_map(|word| if big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

/// Anything, and what looks like something: argc, UHI's mark, pointers into RAM, devices and nowhere, at odd addresses too.
fn registers(state: &mut u32) -> [u32; 4] {
    let mut next = || {
        // xorshift32
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state
    };
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

fn boots_with_defaults(rig: &mut dyn Rig, packed: &Packed, registers: [u32; 4]) -> Result<()> {
    let facts = rig.bootloader().clone();
    let image = rig.board().typed(packed.built.places.download) as u32;
    let code = prologue(registers, image, rig.board().arch.is_big_endian());
    // Between the kernel's own place and the image: nothing else is there before the shim runs.
    let at = image - 0x1_0000;
    rig.stage("image", &packed.built.file)?;
    rig.stage("prologue", &code)?;
    rig.power_cycle()?;
    let console = rig.console()?;
    uboot::attach(console, &facts)?;
    uboot::network(console, &facts)?;
    uboot::fetch(console, &facts, image, "image", packed.built.file.len())?;
    uboot::fetch(console, &facts, at, "prologue", code.len())?;
    console.send(format!("go {at:#x}\n").as_bytes())?;
    let shim = console.expect(r"^stoop [0-9.]+: entry (\w+), slot -, bootargs (\w+)\r?\n", PATIENCE)?;
    let verdict = shim.groups.last().cloned().unwrap_or_default();
    assert!(["none", "ignored", "refused"].contains(&verdict.as_str()), "{registers:x?}: {verdict}");
    let line = console.expect(r"Kernel command line: ([^\r\n]*)\r?\n", PATIENCE)?;
    let own = String::from_utf8_lossy(&packed.built.line).into_owned();
    assert_eq!(line.groups.last(), Some(&own), "{registers:x?}");
    Ok(())
}

fn on(endian: Endian) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &Wish { caps: &[Cap::Uboot], ..Wish::default() })? else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = Packed::of(&Request { format: Some(Format::Raw), rootfs: None, ..lab_request(&lab, endian) })?;
    let mut state = 0x5700_0b5e;
    for round in 0..ROUNDS {
        let registers = registers(&mut state);
        boots_with_defaults(rig.as_mut(), &packed, registers)
            .map_err(|failure| failure.within(format!("round {round}, a0 to a3 {registers:x?}")))?;
    }
    rig.power_off()?;
    Ok(())
}

#[test]
fn random_registers_boot_a_little_endian_board_with_defaults() -> Result<()> {
    on(Endian::Little)
}

#[test]
fn random_registers_boot_a_big_endian_board_with_defaults() -> Result<()> {
    on(Endian::Big)
}
