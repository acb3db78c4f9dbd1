//! What is said about a console's lines beside what is on them.

/// What there is to say about one line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// Behind the line itself.
    pub beside: Option<String>,
    /// As lines of their own below it.
    pub below: Vec<String>,
}

impl Notes {
    /// Adds what another one says about the same line.
    pub fn add(&mut self, more: Notes) {
        self.beside = match (self.beside.take(), more.beside) {
            (Some(first), Some(second)) => Some(format!("{first}; {second}")),
            (first, second) => first.or(second),
        };
        self.below.extend(more.below);
    }
}

/// Knows something about some lines of a console.
pub trait Annotator: Send {
    /// What there is to say about the next line, which comes without its end and without what only moves a cursor.
    fn line(&mut self, line: &str) -> Notes;
}

/// The codes by which the shim says what went wrong (`stoop: E12 …`), explained by a function of the caller's.
pub struct Codes<F>(F);

impl<F: FnMut(&str) -> Vec<String> + Send> Codes<F> {
    /// `explain` gets a code (`E12`) and returns what is to be said about it, line by line; nothing for one that it does not know.
    pub fn new(explain: F) -> Self {
        Codes(explain)
    }
}

impl<F: FnMut(&str) -> Vec<String> + Send> Annotator for Codes<F> {
    fn line(&mut self, line: &str) -> Notes {
        let code = line.strip_prefix("stoop: ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let is_code = code
            .strip_prefix('E')
            .is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit()));
        Notes { beside: None, below: if is_code { (self.0)(code) } else { Vec::new() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shims_own_codes_are_asked_for() {
        let mut asked = Codes::new(|code: &str| vec![code.to_owned()]);
        assert_eq!(asked.line("stoop: E12 kernel crc 0x0badc0de, slot a").below, ["E12"]);
        assert_eq!(asked.line("stoop: E06").below, ["E06"]);
        for other in
            ["stoop: ignored: E12", "E12", "stoop: E1", "stoop: E123", "stoop: Exy", " stoop: E12", "stoop 0.1.0"]
        {
            assert_eq!(asked.line(other), Notes::default(), "{other}");
        }
    }

    #[test]
    fn two_notes_on_one_line_are_both_shown() {
        let note = |text: &str| Notes { beside: Some(text.to_owned()), below: vec![text.to_owned()] };
        let mut notes = Notes::default();
        notes.add(note("a"));
        notes.add(Notes::default());
        notes.add(note("b"));
        assert_eq!(notes, Notes { beside: Some("a; b".to_owned()), below: vec!["a".to_owned(), "b".to_owned()] });
    }
}
