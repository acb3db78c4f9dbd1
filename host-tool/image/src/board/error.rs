//! Why there is no board's data.

use std::path::PathBuf;

use super::problem::Problem;

crate::explained! {
    /// Why a board's data cannot be had, or a first file of them not be made.
    pub enum Error {
        /// `near` is the name that is spelled most like it.
        #[error("no board is called {name:?}")]
        NoSuchBoard { name: String, near: Option<String> } => NoSuchBoard USAGE, (format!(
            "{}`stoop boards list` shows all; a file of your own needs its path, as ./{name}.toml",
            near.as_ref().map_or(String::new(), |near| format!("did you mean {near}? "))
        ));
        /// `why` names the file.
        #[error("{why}")]
        Unreadable { why: String } => File, "give the path of a board file, or a name from `stoop boards list`";
        /// Says the first of them.
        #[error("{}", problems.first().map_or("the board file is broken".to_owned(), Problem::to_string))]
        Broken { problems: Vec<Problem> } => BoardFile USAGE, [problems.first().map(|first| match problems.len() {
            1 => first.next.clone(),
            n => format!("{}; `stoop boards check {}` shows all {n} problems", first.next, first.file),
        })];
        #[error("it was packed for the board {name}, which does not come with stoop")]
        ForeignBoard { name: String } => BoardUnnamed USAGE, "name its file with --board";
        #[error("it does not say which board it is for")]
        BoardUnsaid => BoardUnnamed USAGE, "name one with --board";

        #[error("{path}: no .dts, .dtso or .dtb file in it")]
        NoTrees { path: PathBuf }
            => NotATree USAGE, "name the folder of a checkout, such as target/linux/ramips/dts of OpenWrt";
        #[error("{file}: the root has no compatible, which names the board")]
        NoCompatible { file: String }
            => BoardUnnamed USAGE, "give the device tree of the board itself, not an overlay";
        #[error("{key}: {answer:?} is no such figure")]
        Answer { key: String, answer: String } => Options USAGE, "give it as in the proposal";
        #[error("no board here has the SoC of {named:?}")]
        NoSuchSoc { named: String } => NoSuchBoard USAGE, "name its family with --soc, one of those that `stoop boards list --json` shows; a new one begins with a file in boards/soc";
    }
}
