//! `stoop check IMAGE --board B`: what would go wrong with a finished image on that board.

use std::path::Path;

use crate::json;
use crate::ui::put;
use stoop_image::board;
use stoop_image::board_check::{Finding, examine};
use stoop_image::image::{Opened, open};
use stoop_image::input::read_file;
use stoop_image::preflight::Level;
use stoop_image::{ErrorCode, Failure, Result};

/// Prints every finding.
///
/// # Errors
/// The image or the board cannot be read, or the image would not boot there.
pub(super) fn run(image: &Path, board: Option<&str>, as_json: bool) -> Result<()> {
    let file = read_file(image)?;
    let board = match board {
        Some(board) => board::load(board)?,
        None => board::of_image(open(&file).ok().as_ref().and_then(Opened::board))
            .map_err(|failure| failure.within(image.display()))?,
    };
    let findings = examine(&file, &board).map_err(|failure| failure.within(image.display()))?;
    let wrong: Vec<&str> = findings.iter().filter(|finding| finding.level == Level::No).map(|f| f.what).collect();
    let row = |finding: &Finding| {
        let fix = finding.fix.as_ref().map_or(String::new(), |fix| format!("{:<29}-> {fix}\n", ""));
        format!("{:<8}{:<21}{}\n{fix}", finding.level.name(), finding.what, finding.says)
    };
    let value = |finding: &Finding| json::BoardFinding {
        result: finding.level.name().to_owned(),
        what: finding.what.to_owned(),
        says: finding.says.clone(),
        fix: finding.fix.clone(),
    };
    let failure = (!wrong.is_empty()).then(|| {
        Failure::new(ErrorCode::WouldNotBoot, format!("it would not boot on {}: {}", board.name, wrong.join(", ")))
            .next("see what to do behind each \"no\" above")
    });
    put(&match as_json {
        true => json::result(&json::BoardCheck {
            ok: failure.is_none(),
            board: board.name.clone(),
            findings: findings.iter().map(value).collect(),
            error: failure.as_ref().map(Into::into),
        })?,
        false => findings.iter().map(row).collect(),
    })?;
    failure.map_or(Ok(()), Err)
}
