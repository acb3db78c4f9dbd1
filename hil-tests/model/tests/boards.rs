//! Every MIPS board of `boards/` in every container, from flash and damaged. A board file that is added is in here.
//! `STOOP_MODEL_BOARD` in the environment: only boards whose name has one of these, divided by commas, in it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoop_image::board::{self, Board};
use stoop_model::suite::{self, Tally};
use stoop_samples::failure::Result;

/// Runs `cases` for every MIPS board, on as many threads as there are CPUs.
fn on_every_board(what: &str, cases: fn(&Board) -> Result<Tally>) -> Result<()> {
    let only = std::env::var("STOOP_MODEL_BOARD").unwrap_or_default();
    let wanted = |board: &Board| board.arch.is_mips() && only.split(',').any(|only| board.name.contains(only));
    let boards: Vec<Board> = board::all()?.into_iter().filter(wanted).collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(board) = boards.get(next.fetch_add(1, Ordering::Relaxed)) {
                let tally = cases(board).map_err(|failure| failure.within(&board.name));
                let tally =
                    tally.unwrap_or_else(|failure| Tally { wrong: vec![failure.to_string()], ..Tally::default() });
                all.lock().unwrap().add(tally);
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
    let all = all.into_inner().unwrap();
    println!("{what}: {} boards, {} boots, {} instructions", boards.len(), all.boots, all.instructions);
    assert!(all.wrong.is_empty(), "{} things are wrong:\n{}", all.wrong.len(), all.wrong.join("\n"));
    Ok(())
}

#[test]
fn every_board_boots_every_container_with_every_codec() -> Result<()> {
    on_every_board("containers", suite::containers)
}

#[test]
fn every_board_puts_the_tree_into_the_kernels_own_slot() -> Result<()> {
    on_every_board("trees in their slots", suite::appended)
}

#[test]
fn every_board_says_what_is_damaged_and_does_what_the_policy_names() -> Result<()> {
    on_every_board("damaged images", suite::damaged)
}
