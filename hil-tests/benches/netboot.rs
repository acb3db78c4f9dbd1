//! From power on to the kernel's first line, the same image on the same U-Boot in QEMU, interleaved: by `stoop run` (QEMU's own TFTP
//! server), by `stoop netboot` on a desk (a pseudo-terminal, a relay, our TFTP server), and by `stoop netboot` with QEMU's server
//! (`--tftp-folder`), which leaves the server out of the comparison. Each image with its kernel stored as it is, in LZ4, which is what
//! `stoop pack` takes for these boards, and in LZMA, which it takes for most boards that start from flash.
//!
//! `cargo bench -p stoop-hil-tests --bench netboot [ROUNDS]`, as root or with `sysctl net.ipv4.ip_unprivileged_port_start=69`. It prints
//! medians and their ratios and asks for nothing, since times on a shared machine differ by a factor of two. Each clock starts when QEMU
//! was started. All sides are the library calls that the verbs make; starting the process and reading the file is in none.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use stoop_ci::Result;
use stoop_ci::lab::Endian;
use stoop_hil_tests::desk::{Desk, no_tftp};
use stoop_hil_tests::packed::{ARM64_BOARD, arm64_lab, arm64_request, board, lab, lab_request};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::stand::Wiring;
use stoop_hil_tests::{Boot, Cap, Packed, Via, boot_again};
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_lab::netboot::{Step, Tell};

const PATIENCE: Duration = Duration::from_secs(600);

/// The kernel's first line, with or without a time in front.
const FIRST_LINE: &str = "Linux version";

/// Seconds from power on to the first line by `stoop run`; `None` where QEMU is missing.
fn by_run(packed: &Packed, board: &str, via: Via) -> Result<Option<f64>> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board, &asked)? else { return Ok(None) };
    let what = Boot { image: packed.path(), bootargs: None, files: &[], via };
    rig.power_on()?;
    let began = Instant::now();
    boot_again(rig.as_mut(), &what, FIRST_LINE, PATIENCE)?;
    let took = began.elapsed();
    rig.power_off()?;
    Ok(Some(took.as_secs_f64()))
}

/// The same by `stoop netboot`.
fn by_netboot(packed: &Packed, board: &str, by_qemus_server: bool) -> Result<f64> {
    let mut desk = Desk::emulated(board, Wiring::Pty, false)?;
    if by_qemus_server {
        desk.served_by_qemu()?;
    }
    let mut console = desk.console()?;
    let on = Arc::new(OnceLock::new());
    let switched = Arc::clone(&on);
    let tell: Tell = Arc::new(move |step| {
        if step == Step::PowerCycled {
            switched.get_or_init(Instant::now);
        }
    });
    desk.netboot(&mut console, &packed.built.file, &tell)?;
    console.expect(FIRST_LINE, PATIENCE)?;
    let began = on.get().expect("a desk with a relay is switched on by it");
    Ok(began.elapsed().as_secs_f64())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn row(packed: &Packed, board: &str, via: &Via, rounds: usize) -> Result<()> {
    let (mut run, mut ours, mut qemus) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let Some(time) = by_run(packed, board, via.clone())? else { return Ok(()) };
        run.push(time);
        ours.push(by_netboot(packed, board, false)?);
        qemus.push(by_netboot(packed, board, true)?);
    }
    let [run, ours, qemus] = [run, ours, qemus].map(median);
    let (size, codec) = (packed.built.file.len(), packed.built.payloads[0].codec.name());
    println!(
        "| {board} | {codec} | {size} | {run:.2} | {ours:.2} | {:.2} | {qemus:.2} | {:.2} |",
        ours / run,
        qemus / run
    );
    Ok(())
}

fn main() -> Result<()> {
    if let Some(reason) = no_tftp() {
        println!("SKIP: {reason}");
        return Ok(());
    }
    let rounds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(5);
    println!("from power on to the kernel's first line, {rounds} interleaved rounds, seconds (median)\n");
    println!("| board | kernel | bytes of image | run | netboot | ratio | netboot, QEMU's server | ratio |");
    println!("|---|---|---|---|---|---|---|---|");
    let (mips, arm64) = (lab()?, arm64_lab()?);
    for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
        for (lab, endian) in mips.iter().flat_map(|lab| Endian::ALL.map(|endian| (lab, endian))) {
            let packed = Packed::of(&Request { codec, format: Some(Format::Uimage), ..lab_request(lab, endian) })?;
            row(&packed, board(endian), &Via::Bootm, rounds)?;
        }
        if let Some(lab) = &arm64 {
            row(&Packed::of(&Request { codec, ..arm64_request(lab) })?, ARM64_BOARD, &Via::Booti, rounds)?;
        }
    }
    Ok(())
}
