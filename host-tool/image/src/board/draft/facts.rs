//! What a draft knows, and who says so.

use super::super::types::{Container, FlashKind, Interrupt, Role};
use crate::machine::Machine;

/// A figure, and who says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) by: By,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum By {
    Tree,
    Log,
    /// Somebody who was asked.
    Person,
    /// Nobody: the text says where it was taken from.
    Guess(String),
}

/// What a board file needs to say.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The file's name without `.toml`.
    pub name: String,
    pub(super) title: String,
    pub(super) soc: String,
    pub(super) chip: String,
    pub(super) arch: Machine,
    /// The board whose `arch` was taken, where its SoC comes with either byte order.
    pub(super) arch_of: Option<String>,
    pub(super) compatible: Vec<String>,
    pub(super) ram_start: usize,
    pub(super) ram: Said<usize>,
    /// RAM that code with 32-bit addresses reaches ends here at the latest.
    pub(super) reach: usize,
    pub(super) led: Option<(u32, bool)>,
    pub(super) cpu_clock: Option<usize>,
    pub(super) loader: Loader,
    pub(super) flash: Option<Chip>,
    pub(super) files: [String; 2],
}

#[derive(Clone, Debug)]
pub(super) struct Loader {
    pub(super) name: Said<String>,
    pub(super) prompt: Option<String>,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) containers: Said<Vec<Container>>,
    pub(super) tftp: Said<usize>,
    pub(super) reserved: Said<usize>,
    pub(super) command: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Chip {
    pub(super) kind: FlashKind,
    pub(super) size: Said<usize>,
    pub(super) erase: Said<usize>,
    pub(super) clock: Option<u32>,
    pub(super) parts: Vec<Partition>,
    /// What of the tree's map was left out or guessed, whole sentences.
    pub(super) doubts: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) offset: usize,
    pub(super) size: usize,
    pub(super) role: Role,
    pub(super) protected: bool,
}

impl<T> Said<T> {
    pub(super) fn guess(value: T, sister: &str) -> Said<T> {
        Said { value, by: By::Guess(format!("as on the board {sister}, of the same SoC family")) }
    }

    pub(super) fn person(value: T) -> Said<T> {
        Said { value, by: By::Person }
    }

    #[cfg(test)]
    pub(super) fn is_guess(&self) -> bool {
        matches!(self.by, By::Guess(_))
    }
}
