//! The code on the LED, on a board that QEMU plays. It has no LED, but a UART that needs no setting up: what lights the LED
//! is sent, what darkens it goes to the scratch register, and QEMU's trace has the writes to both in their order.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use regex::Regex;
use stoop_ci::lab::{Endian, Lab};
use stoop_ci::{Failure, Result};
use stoop_core::params::{Led, Policy};
use stoop_hil_tests::packed::{board, lab, lab_request};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Cap, Packed, Rig, Via};
use stoop_image::plan::{Format, Request};
use tempfile::TempDir;

use crate::damage::{PARTS, PATIENCE, fails_as_foretold};

/// Malta's CBUS UART, QEMU's third `-serial`: registers of a 16550, 8 bytes apart (QEMU `hw/mips/malta.c`).
const CBUS_UART: usize = 0x1f00_0900;
const TRANSMIT: usize = 0;
const SCRATCH: usize = 7;

/// A bit that no character of the console has.
const BIT: u8 = 0x80;
const LED: Led = Led { mask: BIT as u32, set: CBUS_UART + 8 * TRANSMIT, clear: CBUS_UART + 8 * SCRATCH };

/// E12: one long flash and two short ones.
const TENS: usize = 1;
const FLASHES: usize = 3;

/// A board that has given up, and what records its LED.
struct Blinking {
    rig: Box<dyn Rig>,
    /// What the UART sends.
    sent: UnixStream,
    trace: PathBuf,
    _folder: TempDir,
}

/// A write to the LED, and when, in seconds.
#[derive(Clone, Copy, Debug)]
struct Write {
    at: f64,
    lights: bool,
}

impl Blinking {
    /// Starts an image whose kernel is damaged; `None` where there is no lab.
    fn start(endian: Endian, policy: Policy) -> Result<Option<Blinking>> {
        let Some(lab) = lab()? else { return Ok(None) };
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let (socket, trace) = (folder.path().join("uart"), folder.path().join("trace"));
        let listener = UnixListener::bind(&socket).map_err(|error| Failure::io(&socket, &error))?;
        let (uart, log) = (format!("unix:{}", socket.display()), trace.display().to_string());
        let emulator =
            ["-serial", "null", "-serial", &uart, "-d", "trace:serial_write", "-D", &log, "-msg", "timestamp=on"];
        let asked = BootRequest { caps: &[Cap::Uboot], emulator: &emulator };
        let Some(mut rig) = rig::open(board(endian), &asked)? else { return Ok(None) };
        let packed = packed(&lab, endian, policy)?;
        let [(part, words), ..] = PARTS;
        fails_as_foretold(rig.as_mut(), &packed, Via::Bootm, part, words)?;
        // QEMU runs, so it has connected already.
        let (sent, _) = listener.accept().map_err(|error| Failure::io(&socket, &error))?;
        sent.set_read_timeout(Some(PATIENCE)).map_err(|error| Failure::io(&socket, &error))?;
        Ok(Some(Blinking { rig, sent, trace, _folder: folder }))
    }

    /// Every write to the LED until now.
    fn writes(&self) -> Result<Vec<Write>> {
        let text = std::fs::read_to_string(&self.trace).map_err(|error| Failure::io(&self.trace, &error))?;
        let writes = Regex::new(r"@(\d+\.\d+):serial_write write addr 0x0([07]) val 0x80").expect("it is a pattern");
        let writes = writes.captures_iter(&text).map(|found| {
            let at = found[1].parse().expect("digits with a point");
            Write { at, lights: found[2] == TRANSMIT.to_string() }
        });
        Ok(writes.collect())
    }
}

fn packed(lab: &Lab, endian: Endian, policy: Policy) -> Result<Packed> {
    Packed::with(&Request { format: Some(Format::Uimage), ..lab_request(lab, endian) }, |plan| {
        plan.board.led = Some(LED);
        plan.board.defaults.policy = policy;
    })
}

/// It is lit and darkened in turns, so often.
fn assert_in_turns(writes: &[Write], flashes: usize) {
    let lights: Vec<bool> = writes.iter().map(|write| write.lights).collect();
    assert_eq!(lights, [true, false].repeat(flashes), "{writes:?}");
}

fn blinks_once(endian: Endian) -> Result<()> {
    let Some(mut board) = Blinking::start(endian, Policy::Reset)? else { return Ok(()) };
    board.rig.wait_end(PATIENCE)?;
    let mut sent = Vec::new();
    board.sent.read_to_end(&mut sent).map_err(|error| Failure::io(Path::new("the UART"), &error))?;
    assert_eq!(sent, [BIT; FLASHES]);
    assert_in_turns(&board.writes()?, FLASHES);
    Ok(())
}

#[test]
fn a_damaged_little_endian_image_blinks_its_code_once_and_resets() -> Result<()> {
    blinks_once(Endian::Little)
}

#[test]
fn a_damaged_big_endian_image_blinks_its_code_once_and_resets() -> Result<()> {
    blinks_once(Endian::Big)
}

#[test]
fn a_board_that_halts_repeats_a_long_flash_and_two_short_ones_and_a_pause() -> Result<()> {
    const ROUNDS: usize = 3;
    let Some(mut board) = Blinking::start(Endian::Little, Policy::Halt)? else { return Ok(()) };
    // The first flash of the round behind says how long the last pause was.
    let mut sent = [0; ROUNDS * FLASHES + 1];
    board.sent.read_exact(&mut sent).map_err(|error| Failure::io(Path::new("the UART"), &error))?;
    assert_eq!(sent, [BIT; ROUNDS * FLASHES + 1]);
    board.rig.power_off()?;
    let writes = board.writes()?;
    assert_in_turns(writes.get(..2 * ROUNDS * FLASHES).unwrap_or(&writes), ROUNDS * FLASHES);
    // A machine that is busy makes waits longer, not shorter: of each flash and each pause the shortest of the rounds counts.
    let shortest = |number: usize| {
        let waits = (0..ROUNDS).map(|round| 2 * FLASHES * round + number);
        waits.map(|number| writes[number + 1].at - writes[number].at).fold(f64::INFINITY, f64::min)
    };
    let waits: Vec<(f64, f64)> = (0..FLASHES).map(|flash| (shortest(2 * flash), shortest(2 * flash + 1))).collect();
    println!("lit and dark, in seconds: {waits:?}");
    // A short flash is the shortest of all; a long one is six times as long, between two it is dark for twice as long, and the
    // pause behind the last is eight times as long.
    let short = waits.iter().map(|(lit, _)| *lit).fold(f64::INFINITY, f64::min);
    let is_long: Vec<bool> = waits.iter().map(|(lit, _)| *lit > 3.0 * short).collect();
    assert_eq!(is_long, [[true; TENS].as_slice(), &[false; FLASHES - TENS]].concat(), "{waits:?}");
    let is_pause: Vec<bool> = waits.iter().map(|(_, dark)| *dark > 4.0 * short).collect();
    assert_eq!(is_pause, [[false; FLASHES - 1].as_slice(), &[true]].concat(), "{waits:?}");
    Ok(())
}
