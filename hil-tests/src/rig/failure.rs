//! A failure of the lab, told as one of the suite.

use stoop_image::explained::Explained;
use stoop_image::{ErrorCode, Failure};

/// A lab's error as ours.
pub(super) fn failure<E: Explained + std::fmt::Display>(error: &E) -> Failure {
    let failure = match error.exit_code() {
        stoop_image::explained::USAGE => Failure::usage(ErrorCode::Repository, error.to_string()),
        stoop_image::explained::NO_ANSWER => Failure::no_answer(ErrorCode::Repository, error.to_string()),
        _ => Failure::new(ErrorCode::Repository, error.to_string()),
    };
    match error.next_step() {
        Some(next) => failure.next(next),
        None => failure,
    }
}
