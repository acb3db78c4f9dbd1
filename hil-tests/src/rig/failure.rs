//! A failure of the lab, told as one of the suite.

use stoop_ci::Failure;
use stoop_image::explained::Explained;

/// A lab's error as ours.
pub(super) fn failure<E: Explained + std::fmt::Display>(error: &E) -> Failure {
    let failure = match error.exit_code() {
        stoop_image::explained::USAGE => Failure::usage(error.to_string()),
        stoop_image::explained::NO_ANSWER => Failure::no_answer(error.to_string()),
        _ => Failure::new(error.to_string()),
    };
    match error.next_step() {
        Some(next) => failure.next(next),
        None => failure,
    }
}
