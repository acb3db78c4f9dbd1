//! `stoop check IMAGE --board B`: what would go wrong with a finished image on that board.

use std::path::Path;

use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui::{on_one_line, put};
use stoop_image::board::{self, Board};
use stoop_image::board_check::{Finding, examine};
use stoop_image::bootloader::image::Image;
use stoop_image::image::open;
use stoop_image::input::{read_file, recognised};
use stoop_image::preflight::Level;

/// Prints every finding.
///
/// # Errors
/// The image or the board cannot be read, or the image would not boot there.
pub(super) fn run(image: &Path, board: Option<&str>, as_json: bool) -> Result<()> {
    let file = read_file(image)?;
    let board = match board {
        Some(board) => board::load(board)?,
        None => board_of(&file).map_err(|failure| failure.within(image.display()))?,
    };
    let findings = examine(&file, &board).map_err(|failure| failure.within(image.display()))?;
    let wrong: Vec<&str> = findings.iter().filter(|finding| finding.level == Level::No).map(|f| f.what).collect();
    let row = |finding: &Finding| {
        let fix = finding.fix.as_deref().map(on_one_line);
        let fix = fix.map_or(String::new(), |fix| format!("{:<29}-> {fix}\n", ""));
        format!("{:<8}{:<21}{}\n{fix}", finding.level.name(), finding.what, on_one_line(&finding.says))
    };
    let value = |finding: &Finding| json::BoardFinding {
        result: finding.level.name().to_owned(),
        what: finding.what.to_owned(),
        says: finding.says.clone(),
        fix: finding.fix.clone(),
    };
    let failure = (!wrong.is_empty()).then(|| Error::WouldNotBoot {
        board: board.name.clone(),
        findings: wrong.iter().map(|what| what.to_string()).collect(),
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
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// The board that an image was packed for.
///
/// # Errors
/// It says none, or is no image at all.
fn board_of(file: &[u8]) -> Result<Board> {
    if let Ok(opened) = open(file) {
        return Ok(board::of_image(opened.board())?);
    }
    match recognised(file) {
        // What it is says more than that it names no board.
        Some(what) if matches!(Image::of(file), Ok(Image::Raw)) => Err(Error::NotAnImage { what }.into()),
        _ => Ok(board::of_image(None)?),
    }
}

/// Makes sure that nothing is known which keeps the image from booting on the board.
///
/// # Errors
/// Something is; its first finding says what to do, or else `otherwise`.
pub(super) fn would_boot(file: &[u8], board: &Board, otherwise: &str) -> Result<()> {
    let findings = examine(file, board)?;
    let mut wrong = findings.iter().filter(|finding| finding.level == Level::No);
    let Some(first) = wrong.next() else { return Ok(()) };
    let fact =
        wrong.fold(format!("{}: {}", first.what, first.says), |all, next| all + "; " + next.what + ": " + &next.says);
    Err(Error::WouldNotStart {
        board: board.name.clone(),
        findings: fact,
        fix: first.fix.clone(),
        otherwise: otherwise.to_owned(),
    }
    .into())
}
