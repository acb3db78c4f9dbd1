//! `stoop netboot` and `stoop flash` by their library, against real U-Boots on a pseudo-terminal: MIPS of both byte orders, and arm64.

use std::time::Duration;

use stoop_ci::lab::Endian;
use stoop_ci::{Failure, Result};
use stoop_hil_tests::desk::{Desk, collected, no_tftp, typed};
use stoop_hil_tests::fault::assert_documented;
use stoop_hil_tests::packed::{ARM64_BOARD, arm64_lab, arm64_request, board, lab, lab_request};
use stoop_hil_tests::stand::Wiring;
use stoop_hil_tests::{Packed, skip};
use stoop_image::commands;
use stoop_image::image::flash::Area;
use stoop_image::plan::{Format, Request};
use stoop_lab::Explained;
use stoop_lab::flash::{self, Job, Step};
use stoop_lab::netboot::Step as Boot;

const PATIENCE: Duration = Duration::from_secs(600);

/// Boots it, and compares what was typed with what pack prints.
fn netboots(packed: &Packed, board: &str) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let desk = Desk::emulated(board, Wiring::Pty, false)?;
    let mut console = desk.console()?;
    let (tell, steps) = collected();
    desk.netboot(&mut console, &packed.built.file, &tell)?;
    console.expect(r"^stoop [^\n]*bootargs none\n", PATIENCE)?;
    console.expect("Linux version", PATIENCE)?;
    let typed = typed(&steps);
    let printed = commands::printed(&packed.plan, &packed.built, "image.bin");
    assert!(typed.ends_with(&printed), "{typed:?} does not end with {printed:?}");
    Ok(())
}

fn netboots_on_mips(endian: Endian) -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = Packed::of(&Request { format: Some(Format::Uimage), ..lab_request(&lab, endian) })?;
    netboots(&packed, board(endian))
}

#[test]
fn a_little_endian_board_on_a_pty_boots_by_the_commands_that_pack_prints() -> Result<()> {
    netboots_on_mips(Endian::Little)
}

#[test]
fn a_big_endian_board_on_a_pty_boots_by_the_commands_that_pack_prints() -> Result<()> {
    netboots_on_mips(Endian::Big)
}

#[test]
fn an_arm64_board_on_a_pty_boots_by_the_commands_that_pack_prints() -> Result<()> {
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    netboots(&Packed::of(&arm64_request(&lab))?, ARM64_BOARD)
}

#[test]
fn a_server_that_is_there_already_delivers_the_image_from_its_folder_which_is_as_before_then() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = Packed::of(&Request { format: Some(Format::Uimage), ..lab_request(&lab, Endian::Little) })?;
    let mut desk = Desk::emulated(board(Endian::Little), Wiring::Pty, false)?;
    let folder = desk.served_by_qemu()?;
    let mut console = desk.console()?;
    let (tell, steps) = collected();
    desk.netboot(&mut console, &packed.built.file, &tell)?;
    console.expect("Linux version", PATIENCE)?;
    let steps: Vec<_> = steps.try_iter().collect();
    assert!(!steps.iter().any(|step| matches!(step, Boot::Listening(_) | Boot::Acknowledged { .. })), "{steps:?}");
    assert!(steps.iter().any(|step| matches!(step, Boot::Fetched { .. })), "{steps:?}");
    assert!(!folder.join("image.bin").exists(), "it is left behind");
    Ok(())
}

/// Bytes that differ from block to block: what the bootloader would start, for all that flash knows.
fn contents(seed: u32) -> Vec<u8> {
    (0..0xb000_u32).flat_map(|number| (number ^ seed).wrapping_mul(0x9e37_79b9).to_be_bytes()).collect()
}

/// What a run did to each extent, without the commands.
fn done(steps: &std::sync::mpsc::Receiver<Step>) -> Vec<Step> {
    steps.try_iter().filter(|step| !matches!(step, Step::Boot(_) | Step::Typed(_))).collect()
}

fn image_area(job: &Job) -> &Area {
    &job.writes.last().expect("one extent").area
}

/// Writes, writes again, writes another image of which one block is the same, loses power in the middle, and goes on.
fn flashes(board: &str) -> Result<()> {
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let mut desk = Desk::emulated(board, Wiring::Pty, true)?;
    let lab = |error: stoop_lab::Error| Failure::from(error);
    let (first, second) = (contents(1), contents(2));
    let job = Job::of(&desk.board, &first, false).map_err(stoop_lab::Error::from).map_err(lab)?;
    let (what, size) = ("image", image_area(&job).size());
    let at = flash::area(&desk.board, image_area(&job));
    let (tell, steps) = collected();
    desk.flash(&job, &tell)?;
    assert_eq!(done(&steps), [Step::Writing { what, bytes: size, size }, Step::Verified { what }]);
    let behind = (at.0 + size, 0x1000);
    let read = desk.read(&[at, behind])?;
    assert!(read[0][..first.len()] == first[..] && read[0][first.len()..].iter().all(|byte| *byte == 0xff));
    assert!(read[1].iter().all(|byte| *byte == 0xff), "nothing behind it was written");

    desk.flash(&job, &tell)?;
    assert_eq!(done(&steps), [Step::Kept { what }], "what is there is not written again");

    // The second block is the first image's.
    let mut mixed = second;
    mixed[0x1_0000..0x2_0000].copy_from_slice(&first[0x1_0000..0x2_0000]);
    let job = Job::of(&desk.board, &mixed, false).map_err(stoop_lab::Error::from).map_err(lab)?;
    desk.patience.flash_rate = 0x10_0000;
    desk.patience.command = Duration::from_secs(10);
    let (typed, lines) = collected();
    let relay = desk.place.clone();
    let cut: flash::Tell = std::sync::Arc::new(move |step| {
        let is_copy = matches!(&step, Step::Typed(line) if line.starts_with("cp.b"));
        typed(step);
        // The line is not entered yet: power goes before its first byte is written.
        if is_copy && let Ok(Some(mut power)) = relay.power() {
            power.set(false).expect("a relay");
        }
    });
    let lost = desk.flash(&job, &cut).expect_err("the power is gone");
    assert_eq!((lost.code(), lost.exit_code()), ("L046", 3), "{lost}");
    assert_documented(lost.code(), lost.exit_code(), &lost.to_string());
    assert_eq!(done(&lines), [Step::Writing { what, bytes: size - 0x1_0000, size }]);
    let front = desk.read(&[(at.0, 0x1000)])?;
    assert!(front[0].iter().all(|byte| *byte == 0xff), "nothing takes it for whole");

    desk.patience.command = Duration::from_secs(60);
    desk.flash(&job, &tell)?;
    assert_eq!(done(&steps).last(), Some(&Step::Verified { what }));
    let read = desk.read(&[at])?;
    assert!(read[0][..mixed.len()] == mixed[..]);
    Ok(())
}

#[test]
fn a_little_endian_boards_flash_is_written_read_back_and_gone_on_with_after_a_power_loss() -> Result<()> {
    if lab()?.is_none() {
        return Ok(());
    }
    flashes("qemu-malta-le")
}

#[test]
fn a_big_endian_boards_flash_is_written_read_back_and_gone_on_with_after_a_power_loss() -> Result<()> {
    if lab()?.is_none() {
        return Ok(());
    }
    flashes("qemu-malta-be")
}
