//! What a console is read for: a pattern that ends it well, patterns that end it badly, and how long either may take.

use std::time::Duration;

use anstream::adapter::StripBytes;
use regex::bytes::{Regex, RegexBuilder};

use super::Error;
use crate::Result;

/// So many bytes of a match may have come before the newest ones: longer matches can be missed.
const LONGEST_MATCH: usize = 16 * 1024;

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// What was waited for has come: the matched text.
    Seen(String),
    /// What must not come has come: the matched text.
    Failed(String),
    /// Neither within this time.
    TimedOut(Duration),
}

/// Waits for patterns: regular expressions over the console's text, of which `^` and `$` are the ends of a line. Carriage returns
/// and what moves a cursor are no part of the text. Nothing is waited for until something is asked for.
#[derive(Default)]
pub struct Watch {
    until: Vec<Regex>,
    fail_on: Vec<Regex>,
    patience: Option<Duration>,
    strip: StripBytes,
    text: Vec<u8>,
}

impl Watch {
    /// Ends well at the first of the `until`, badly at the first of the `fail_on` or when `patience` is over. Where both begin at
    /// the same byte, it ends well.
    ///
    /// # Errors
    /// A pattern is no regular expression.
    pub fn new(until: &[String], fail_on: &[String], patience: Option<Duration>) -> Result<Watch> {
        let all = |patterns: &[String]| patterns.iter().map(|pattern| compile(pattern)).collect::<Result<Vec<_>>>();
        Ok(Watch { until: all(until)?, fail_on: all(fail_on)?, patience, ..Watch::default() })
    }

    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Verdict> {
        if self.until.is_empty() && self.fail_on.is_empty() {
            return None;
        }
        for part in self.strip.strip_next(bytes) {
            self.text.extend(part.iter().filter(|&&byte| byte != b'\r'));
        }
        let good = earliest(&self.until, &self.text);
        let bad = earliest(&self.fail_on, &self.text);
        let text = |(start, end): (usize, usize)| String::from_utf8_lossy(&self.text[start..end]).into_owned();
        match (good, bad) {
            (Some(good), Some(bad)) if bad.0 < good.0 => return Some(Verdict::Failed(text(bad))),
            (Some(good), _) => return Some(Verdict::Seen(text(good))),
            (None, Some(bad)) => return Some(Verdict::Failed(text(bad))),
            (None, None) => {}
        }
        if self.text.len() > 2 * LONGEST_MATCH {
            // From the beginning of a line, so that `^` matches where it would have.
            let from = self.text.len() - LONGEST_MATCH;
            let line = self.text[..from].iter().rposition(|&byte| byte == b'\n').map_or(from, |end| end + 1);
            self.text.drain(..if from - line < LONGEST_MATCH / 2 { line } else { from });
        }
        None
    }

    /// How much time is left when this much has passed; nothing, if it may take for ever.
    pub fn left(&self, passed: Duration) -> Option<Duration> {
        Some(self.patience?.saturating_sub(passed))
    }

    /// Whether that much is too much.
    pub fn timed_out(&self, passed: Duration) -> Option<Verdict> {
        let patience = self.patience?;
        (passed >= patience).then_some(Verdict::TimedOut(patience))
    }

    /// What was waited for, for messages.
    pub fn wanted(&self) -> String {
        let all: Vec<String> = self.until.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect();
        all.join(" or ")
    }
}

fn compile(pattern: &str) -> Result<Regex> {
    let compiled = RegexBuilder::new(pattern).multi_line(true).build();
    compiled.map_err(|error| Error::Pattern { pattern: pattern.to_owned(), fact: error.to_string() }.into())
}

fn earliest(patterns: &[Regex], text: &[u8]) -> Option<(usize, usize)> {
    let matches = patterns.iter().filter_map(|pattern| pattern.find(text).map(|found| (found.start(), found.end())));
    matches.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained;

    fn watch(until: &[&str], fail_on: &[&str]) -> Watch {
        let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
        Watch::new(&owned(until), &owned(fail_on), None).unwrap()
    }

    #[test]
    fn a_prompt_is_seen_across_pieces_colours_and_carriage_returns() {
        let mut watch = watch(&["^login: $"], &["panic"]);
        assert_eq!(watch.feed(b"Last login: today\r\n\x1b[1ml"), None);
        assert_eq!(watch.feed(b"og\x1b[0m"), None);
        assert_eq!(watch.feed(b"in: "), Some(Verdict::Seen("login: ".to_owned())));
    }

    #[test]
    fn the_earlier_match_decides() {
        let both = ["login", "Kernel panic"];
        for (console, wanted) in [
            ("Kernel panic\nlogin", Verdict::Failed("Kernel panic".to_owned())),
            ("login\nKernel panic", Verdict::Seen("login".to_owned())),
        ] {
            assert_eq!(watch(&both[..1], &both[1..]).feed(console.as_bytes()), Some(wanted));
        }
        assert_eq!(watch(&["x"], &["x"]).feed(b"x"), Some(Verdict::Seen("x".to_owned())));
    }

    #[test]
    fn a_match_survives_that_old_text_is_dropped() {
        let mut watch = watch(&["^end$"], &[]);
        for _ in 0..100 {
            assert_eq!(watch.feed(&[b"x".repeat(1000), b"\n".to_vec()].concat()), None);
            assert!(watch.text.len() < 3 * LONGEST_MATCH);
        }
        assert_eq!(watch.feed(&b"y".repeat(100_000)), None);
        assert_eq!(watch.feed(b"end\n"), None, "not at the beginning of a line");
        assert_eq!(watch.feed(b"en"), None);
        assert_eq!(watch.feed(b"d\n"), Some(Verdict::Seen("end".to_owned())));
    }

    #[test]
    fn time_ends_it_only_when_it_is_limited() {
        let mut watch = Watch::new(&[], &[], Some(Duration::from_secs(5))).unwrap();
        assert_eq!(watch.feed(b"x"), None);
        assert_eq!(watch.left(Duration::from_secs(2)), Some(Duration::from_secs(3)));
        assert_eq!(watch.timed_out(Duration::from_millis(4_999)), None);
        assert_eq!(watch.timed_out(Duration::from_secs(5)), Some(Verdict::TimedOut(Duration::from_secs(5))));
        assert_eq!(Watch::default().timed_out(Duration::MAX), None);
    }

    #[test]
    fn what_is_no_regular_expression_is_the_users_mistake() {
        let error = Watch::new(&["(".to_owned()], &[], None).err().unwrap();
        assert_eq!((error.exit_code(), error.code()), (2, "L051"));
    }
}
