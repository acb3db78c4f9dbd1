//! The command blocks of README and book, for those who run them.
//!
//! A block says what it is behind its fence: `sh` is run by the command's tests over small files, `sh lab` by `cargo ci transcript` over the
//! lab's, and `sh not run: WHY` by nobody. Any other language is no command: what is printed (`text`), or what stands in a file.

use std::path::{Path, PathBuf};

/// Who runs a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Runs {
    /// Whoever has files of the names that the page uses.
    Anywhere,
    /// Needs the lab: a real kernel, QEMU.
    Lab,
    /// Nobody, and why: a board, root, the network.
    No(String),
}

/// A block of commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// Who runs it.
    pub runs: Runs,
    /// What is typed, a command each: a line that ends in `\` is one with the next.
    pub commands: Vec<String>,
}

/// A page without a word on what its blocks are, or a mark that nobody knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unclear {
    /// The line, from 1.
    pub line: usize,
    /// What is the matter.
    pub fact: &'static str,
}

/// README and the pages that the book's table of contents names, as paths from the repository's top.
///
/// # Errors
/// The table of contents cannot be read.
pub fn pages(repository: &Path) -> std::io::Result<Vec<PathBuf>> {
    let summary = std::fs::read_to_string(repository.join("docs/SUMMARY.md"))?;
    let links = summary.lines().filter_map(|line| line.split_once("](")?.1.split_once(')'));
    Ok([PathBuf::from("README.md")].into_iter().chain(links.map(|(link, _)| Path::new("docs").join(link))).collect())
}

/// The blocks of commands of a page.
///
/// # Errors
/// A block whose fence does not say what it is, and indented ones, which cannot.
pub fn blocks(text: &str) -> Result<Vec<Block>, Unclear> {
    let mut found: Vec<Block> = Vec::new();
    // Of the open block: whether it has commands.
    let mut open: Option<bool> = None;
    let mut after_blank = true;
    let mut in_list = false;
    for (number, line) in (1..).zip(text.lines()) {
        let unclear = |fact| Err(Unclear { line: number, fact });
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(_), Some(_)) => open = None,
            (Some(""), None) => return unclear("a block without a language: sh, text, toml"),
            (Some(info), None) => {
                let runs = match info {
                    "sh" => Some(Runs::Anywhere),
                    "sh lab" => Some(Runs::Lab),
                    _ => match info.strip_prefix("sh ") {
                        None => None,
                        Some(mark) => match mark.strip_prefix("not run: ") {
                            Some(why) if !why.is_empty() => Some(Runs::No(why.to_owned())),
                            _ => return unclear("`sh` is followed by `lab`, or by `not run: ` and a reason"),
                        },
                    },
                };
                open = Some(runs.is_some());
                found.extend(runs.map(|runs| Block { line: number, runs, commands: Vec::new() }));
            }
            (None, Some(true)) => {
                if let Some(block) = found.last_mut() {
                    block.add(line);
                }
            }
            (None, Some(false)) => {}
            (None, None) => {
                let indented = line.starts_with("    ") && !line.trim().is_empty();
                if indented && after_blank && !in_list {
                    return unclear("an indented block; a fence says what it is");
                }
                let item = line.starts_with(['-', '*']) || line.trim_start().starts_with(|c: char| c.is_ascii_digit());
                if item || (!line.trim().is_empty() && !line.starts_with(' ')) {
                    in_list = item;
                }
            }
        }
        after_blank = line.trim().is_empty();
    }
    Ok(found)
}

impl Block {
    fn add(&mut self, line: &str) {
        match self.commands.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push_str(line.trim_start());
            }
            _ if line.trim().is_empty() => {}
            _ => self.commands.push(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_who_runs_it_and_what_is_no_command_is_left_out() {
        let text =
            "x\n```sh\na b\n\nc \\\n    d\n```\n```text\nno\n```\n```sh lab\ne\n```\n```sh not run: a board\nf\n```\n";
        let found = blocks(text).unwrap();
        let runs: Vec<_> = found.iter().map(|block| (block.line, block.runs.clone())).collect();
        assert_eq!(runs, [(2, Runs::Anywhere), (11, Runs::Lab), (14, Runs::No("a board".into()))]);
        assert_eq!(found[0].commands, ["a b", "c d"]);
        assert_eq!(found[1].commands, ["e"]);
    }

    #[test]
    fn a_block_that_does_not_say_what_it_is_is_an_error() {
        for (text, line) in
            [("x\n\n```\na\n```\n", 3), ("x\n\n    a\n", 3), ("```sh quickly\n```\n", 1), ("```sh not run: \n```\n", 1)]
        {
            assert_eq!(blocks(text).unwrap_err().line, line, "{text}");
        }
        // A list's second paragraph, and a line that goes on.
        assert_eq!(blocks("1. x\n\n    more\n\ny\n    z\n").unwrap(), []);
    }
}
