//! The page of the shim's codes, from what `stoop explain` says.

use std::fmt::Write as _;

use stoop_image::explain;

/// The page's text.
pub(super) fn page() -> String {
    let mut text = "# Error codes\n\n\
        Made by `cargo ci book` from what `stoop explain` says. The shim prints such a code in a line that begins with `stoop: E`, blinks it where the \
        board has a LED, and hands it to the bootloader's `go`. `stoop explain E12` prints the same.\n"
        .to_owned();
    for code in explain::all() {
        let _ = write!(
            text,
            "\n## {}: {}\n\n{}\n\n**Likely causes.** {}\n\n**What to do.** {}\n",
            code.name(),
            code.title,
            code.meaning,
            code.causes,
            code.advice
        );
    }
    text
}
