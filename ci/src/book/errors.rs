//! The page of all codes, from what `stoop explain` says.

use std::fmt::Write as _;

use stoop_image::explain;

/// The page's text.
pub(super) fn page() -> String {
    let mut text = "# Error codes\n\n\
        Made by `cargo ci book` from what `stoop explain` says.\n\n\
        **E** and a number come from the shim: in a line on the UART that begins with `stoop: E`, as blinks of a LED where the board has one, and as the result of \
        the bootloader's `go`. **H** and a number come from the command, in front of its message, **L** and a number from \
        its verbs for a board on a desk or in a lab. `stoop explain E12` prints the same, and \
        takes a whole pasted line as well.\n"
        .to_owned();
    for each in explain::all().chain(stoop_lab::explain::all()) {
        let _ = write!(
            text,
            "\n## {}: {}\n\n{}\n\n**Likely causes.** {}\n\n**What to do.** {}\n",
            each.code, each.title, each.meaning, each.causes, each.advice
        );
    }
    text
}
