//! Who talks: the console, what is known, and what has been found out on the way.

use super::{Facts, Patience};
use crate::qemu::Console;

/// A bootloader at its prompt, or on the way there.
pub struct Bootloader<'a> {
    pub(super) console: &'a mut Console,
    pub(super) facts: &'a Facts,
    pub(super) patience: Patience,
    /// Type one character after the other, each when the one before came back: a line was garbled before.
    pub(super) is_slow: bool,
}

impl<'a> Bootloader<'a> {
    /// Says nothing yet. Waits are [`Console`]'s; its fatal patterns are replaced, since here words decide that stand beside their cause.
    pub fn new(console: &'a mut Console, facts: &'a Facts, patience: Patience) -> Bootloader<'a> {
        console.clear_fatal();
        Bootloader { console, facts, patience, is_slow: false }
    }

    /// The console, for waits of the caller's own.
    pub fn console(&mut self) -> &mut Console {
        self.console
    }

    /// How long steps may take.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// What is known of it.
    pub fn facts(&self) -> &Facts {
        self.facts
    }

    /// The prompt as a pattern: at the start of a line, where the end of `==>` or an echo cannot be taken for it; a time that a
    /// console server puts in front and a menu's escapes do not count.
    pub(super) fn prompt(&self) -> String {
        prompt_pattern(&self.facts.prompt)
    }
}

/// A prompt as a pattern.
pub(super) fn prompt_pattern(prompt: &str) -> String {
    format!(r"^(?:\[[^\]\n]*\] )?(?:\x1b\[[0-9;?]*[A-Za-z])*{} ?", regex::escape(prompt))
}
