//! A traced shim says on the console what `simulate` predicts, in frames that stay apart from everybody else's text.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::{Endian, Lab};
use stoop_hil_tests::packed::{board, file, lab, lab_request, outcome};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot};
use stoop_image::plan::{CodecChoice, Request};
use stoop_image::simulate::{Booted, Entry};
use stoop_lab::monitor::Monitor;

const PATIENCE: Duration = Duration::from_secs(300);
const BOOTARGS: &str = "liminix x.y=1";

fn packed(lab: &Lab, endian: Endian) -> Result<Packed> {
    // The decoder that needs the most memory beside what tracing needs.
    Packed::of(&Request { trace: true, codec: CodecChoice::Lzma, ..lab_request(lab, endian) })
}

/// What the shim has to say of this boot, by what `simulate` and pack know.
fn predicted(packed: &Packed, booted: &Booted) -> Vec<String> {
    let mut all = vec![
        format!("entry {}: device tree none", booted.entry.text()),
        format!(
            "bootargs {}: cookie liminix, rule contains, a line of {} bytes",
            booted.verdict.text(),
            BOOTARGS.len()
        ),
    ];
    for payload in &packed.built.payloads {
        let (name, crc) = (payload.kind.subject().text(), payload.crc);
        all.push(format!("{name} stored at .*: crc {crc:#010x}, {crc:#010x} in the manifest"));
        if !payload.place.is_empty() {
            let (codec, start, end) = (payload.codec.name(), payload.place.start(), payload.place.end());
            all.push(format!("{name} delivered: {codec}, .* to {start:#010x}[.][.]0x.*, zeros up to {end:#010x}"));
        }
    }
    for (name, region) in &booted.regions {
        if ["kernel", "rootfs"].contains(name) {
            all.push(format!("{name} delivered: .* to {:#010x}[.][.].*", region.start()));
        }
    }
    let own = packed.built.line.len();
    let (tree, verdict) = (booted.tree.len(), booted.verdict.text());
    all.push(format!(
        "dtb is {tree} bytes, command line: {own} of its own, {} passed, bootargs {verdict}",
        BOOTARGS.len()
    ));
    let [a, b, c, d] = booted.handoff.registers;
    let (kind, entry_point) = (packed.plan.handoff.value.name(), booted.handoff.entry_point);
    all.push(format!(
        "slot {} boots: handoff {kind}, entry point {entry_point:#010x}, registers {a:#010x} {b:#010x} {c:#010x} {d:#010x}",
        booted.slot
    ));
    all
}

/// Fails unless each of these lines was said, in any order.
fn said(console: &str, wanted: &[String]) {
    for line in wanted {
        let pattern = format!(r"(?m)^stoop trace \d+: {line}$");
        assert!(regex::Regex::new(&pattern).unwrap().is_match(console), "not said: {line}\n{console}");
    }
}

fn boots(rig: &mut dyn Rig, packed: &Packed) -> Result<()> {
    let booted = packed.simulate(Entry::Argv(BOOTARGS.into()))?;
    let what = Boot { image: packed.path(), bootargs: Some(BOOTARGS), files: &[], via: Via::Bootm };
    let console = boot(rig, &what, "Kernel command line: [^\n]*\n", PATIENCE)?;
    said(&console, &predicted(packed, &booted));
    // What `monitor` reads in a recording, and what somebody without it.
    let (bytes, transcript) = (rig.console()?.bytes(), rig.power_off()?);
    let mut monitor = Monitor::default();
    let mut decoded: Vec<u8> = bytes.chunks(7).flat_map(|chunk| monitor.feed(chunk)).collect();
    decoded.extend(monitor.end());
    let decoded = String::from_utf8_lossy(&decoded).replace('\r', "");
    assert!(transcript.starts_with(&decoded), "{decoded:?}");
    let plain = String::from_utf8_lossy(&bytes).into_owned();
    let line = format!("\nstoop {}: entry argv, slot -, bootargs accepted\r\n", env!("CARGO_PKG_VERSION"));
    assert!(plain.contains(&line) && !plain.contains("stoop trace"), "{plain:?}");
    Ok(())
}

fn gives_up(rig: &mut dyn Rig, packed: &Packed) -> Result<()> {
    let mut bytes = packed.built.file.clone();
    // The last bytes of the image are the last payload's; the container's own sum over them is not looked at by `go`.
    *bytes.last_mut().expect("an image is not empty") ^= 1;
    let error = outcome(&bytes, Entry::Argv(BOOTARGS.into()))?.result.expect_err("it is damaged");
    let image = file(&bytes)?;
    let what = Boot { image: image.path(), bootargs: Some(BOOTARGS), files: &[], via: Via::Go };
    let console = boot(rig, &what, "no slot boots: policy .*\n", PATIENCE)?;
    said(&console, &[format!("slot - does not boot: {error}")]);
    assert!(console.contains(&format!("\nstoop: {error}, slot -\n")), "{console}");
    Ok(())
}

fn on(endian: Endian) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() })?
    else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    boots(rig.as_mut(), &packed(&lab, endian)?)?;
    let raw = Request { trace: true, format: Some(stoop_image::plan::Format::Raw), ..lab_request(&lab, endian) };
    gives_up(rig.as_mut(), &Packed::of(&raw)?)
}

#[test]
fn a_traced_shim_says_what_simulate_foretells_little_endian() -> Result<()> {
    on(Endian::Little)
}

#[test]
fn a_traced_shim_says_what_simulate_foretells_big_endian() -> Result<()> {
    on(Endian::Big)
}
