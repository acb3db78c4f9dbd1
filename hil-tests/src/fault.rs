//! How `stoop` ends when something is wrong, held against the table of faults in `docs/desk.md`.

use std::process::Output;
use std::sync::LazyLock;

use regex::Regex;
use stoop_ci::{Failure, Result};

/// What a person sees of it.
#[derive(Debug)]
pub struct Fault {
    /// As printed in front.
    pub code: String,
    /// The process's.
    pub exit: u8,
    /// The fact, the console's last lines where it has them, and what to do next.
    pub said: String,
}

impl Fault {
    /// Of a process that ended.
    ///
    /// # Errors
    /// It succeeded, or said nothing that begins as its failures do.
    pub fn of(output: &Output) -> Result<Fault> {
        static FIRST: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?ms)^stoop: ([A-Z]\d{3}): (.*)\z").expect("a constant pattern"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = FIRST.captures(&stderr).ok_or_else(|| Failure::new(format!("nothing went wrong: {stderr}")))?;
        let exit = output.status.code().and_then(|code| u8::try_from(code).ok());
        let exit = exit.ok_or_else(|| Failure::new(format!("it was killed, {}: {stderr}", output.status)))?;
        Ok(Fault { code: words[1].to_owned(), exit, said: words[2].to_owned() })
    }

    /// Code and exit code.
    pub fn codes(&self) -> (&str, u8) {
        (&self.code, self.exit)
    }

    /// The fact alone, as the table has it.
    pub fn fact(&self) -> &str {
        fact(&self.said)
    }
}

/// Without the console's last lines and the next step.
fn fact(said: &str) -> &str {
    let line = said.lines().next().unwrap_or_default();
    line.split("; the console's last lines:")
        .next()
        .and_then(|line| line.split("; the console was silent").next())
        .unwrap_or(line)
}

/// Asserts that a row of the table has this code, this exit code and these words. Words in capitals stand for any.
///
/// # Panics
/// None has.
pub fn assert_documented(code: &str, exit: u8, said: &str) {
    let path = stoop_ci::repository().join("docs/desk.md");
    let text = std::fs::read_to_string(&path).expect("the book");
    let fact = fact(said);
    assert!(
        text.lines().any(|line| is_row(line, code, exit, fact)),
        "no row of docs/desk.md: | {code} | {exit} | {fact}"
    );
}

fn is_row(line: &str, code: &str, exit: u8, fact: &str) -> bool {
    static ANY: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Z]{2,}").expect("a constant pattern"));
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", _, row_code, row_exit, words, ""] = cells[..] else { return false };
    // One that has backticks itself stands between two and a blank.
    let words =
        words.strip_prefix("`` ").and_then(|words| words.strip_suffix(" ``")).unwrap_or(words.trim_matches('`'));
    let words = ANY.replace_all(&regex::escape(words), ".+").into_owned();
    let is_it = || Regex::new(&format!("^{words}$")).is_ok_and(|words| words.is_match(fact));
    row_code == code && row_exit == exit.to_string() && is_it()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_code_exit_code_and_words_and_capitals_stand_for_any() {
        let row = "| it stops | L046 | 3 | `` `LINE` did not come back within SECONDS s `` |";
        let said = "`cp.b 1 2` did not come back within 3 s; the console's last lines:\n  | x";
        assert!(is_row(row, "L046", 3, fact(said)));
        assert!(!is_row(row, "L046", 75, fact(said)) && !is_row(row, "L04", 3, fact(said)));
        assert!(!is_row(row, "L046", 3, "`cp.b 1 2` did not come back within 3 s, or so"));
        assert!(is_row(
            "| x | L062 | 3 | `the board got no address by DHCP` |",
            "L062",
            3,
            "the board got no address by DHCP"
        ));
    }
}
