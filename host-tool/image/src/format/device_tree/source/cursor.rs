//! A place in device tree source, and the words from there on.

use crate::format::device_tree::Error;

/// What a preprocessor does with a line that begins with `#` and one of these; `#address-cells` is none of them.
const DIRECTIVES: [&str; 11] =
    ["define", "undef", "ifdef", "ifndef", "if", "elif", "else", "endif", "error", "pragma", "line"];
/// Statements without a node.
const STATEMENTS: [&str; 4] = ["/dts-v1/", "/plugin/", "/memreserve/", "/omit-if-no-ref/"];

/// The text without comments and without lines for the preprocessor, `#include` aside; lines keep their numbers.
pub(super) fn plain(text: &str) -> String {
    let text = without_comments(text);
    let mut plain = String::with_capacity(text.len());
    let mut continues = false;
    for line in text.split_inclusive('\n') {
        let word = line.trim_start().strip_prefix('#').map(str::trim_start);
        let is_directive = word.is_some_and(|word| {
            let end = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
            DIRECTIVES.contains(&&word[..end]) && !word[end..].starts_with(['-', ',', '.'])
        });
        if is_directive || continues {
            continues = line.trim_end().ends_with('\\');
            plain.push('\n');
        } else {
            plain.push_str(line);
        }
    }
    plain
}

fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(at) = rest.find(['"', '/']) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let end = match from {
            _ if from.starts_with("//") => from.find('\n').unwrap_or(from.len()),
            _ if from.starts_with("/*") => {
                let end = from[2..].find("*/").map_or(from.len(), |end| end + 4);
                kept.push(' ');
                kept.extend(from[..end].chars().filter(|c| *c == '\n'));
                end
            }
            _ if from.starts_with('"') => {
                let end = end_of_text(from);
                kept.push_str(&from[..end]);
                end
            }
            _ => {
                kept.push('/');
                1
            }
        };
        rest = &from[end..];
    }
    kept + rest
}

/// Where a text ends that begins with a quotation mark, this and the last one included.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b",._+*#?@-".contains(&byte)
}

/// A place in one file.
pub(super) struct Cursor<'a> {
    file: &'a str,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Cursor<'a> {
        Cursor { file, text, at: 0 }
    }

    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        self.at = self.text.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn is_next(&mut self, byte: u8) -> bool {
        self.rest().as_bytes().first() == Some(&byte)
    }

    /// Whether a parenthesis follows at once, as behind a macro's name; one behind a blank begins an expression.
    pub(super) fn is_called(&self) -> bool {
        self.text[self.at..].starts_with('(')
    }

    /// Whether `word` is next, which then lies behind.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    pub(super) fn expect(&mut self, word: &str) -> crate::Result<()> {
        if self.takes(word) { Ok(()) } else { Err(self.wrong(&format!("`{word}`")).into()) }
    }

    /// A statement such as `/dts-v1/`, without what follows it.
    pub(super) fn takes_directive(&mut self) -> bool {
        STATEMENTS.iter().any(|word| self.takes(word))
    }

    /// A name of a node, property, label or macro; empty when there is none.
    pub(super) fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_of_name(byte)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// A label with its colon.
    fn label(&mut self) -> Option<String> {
        let before = self.at;
        let name = self.name();
        if !name.is_empty() && self.takes(":") {
            return Some(name);
        }
        self.at = before;
        None
    }

    /// All labels that are next, with their colons.
    pub(super) fn labels(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.label()).collect()
    }

    /// What stands behind a `&`: a label, or a path in braces.
    pub(super) fn skip_reference(&mut self) {
        match self.takes("{") {
            true => self.skip_past(b'}'),
            false => drop(self.name()),
        }
    }

    /// The name behind `#include` or `/include/`, without folders; that of a header, in angle brackets, is skipped.
    pub(super) fn include(&mut self) -> Option<String> {
        while self.rest().starts_with("#include") && self.rest()[8..].trim_start().starts_with('<') {
            self.skip_past(b'\n');
        }
        if !self.takes("#include") && !self.takes("/include/") {
            return None;
        }
        self.takes("\"");
        let name = self.until(b'"').to_owned();
        self.takes("\"");
        Some(name.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// The text up to `byte`, or to the end.
    pub(super) fn until(&mut self, byte: u8) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.bytes().position(|it| it == byte).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn skip_past(&mut self, byte: u8) {
        self.until(byte);
        self.at = (self.at + 1).min(self.text.len());
    }

    /// A text in quotation marks, which is next, without them.
    pub(super) fn text(&mut self) -> &'a str {
        let rest = self.rest();
        let end = end_of_text(rest);
        self.at += end;
        rest[..end].trim_start_matches('"').strip_suffix('"').unwrap_or_default()
    }

    /// What is inside of parentheses, the first of which is next.
    pub(super) fn parenthesised(&mut self) -> &'a str {
        let rest = self.rest();
        let mut depth = 0usize;
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == 0 {
                self.at += at + 1;
                return rest[..at].trim_start_matches('(');
            }
        }
        self.at = self.text.len();
        rest
    }

    /// The next character, skipped.
    pub(super) fn skip(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    pub(super) fn wrong(&self, expected: &str) -> Error {
        let line = self.text[..self.at].matches('\n').count() + 1;
        Error::Source { file: self.file.escape_default().to_string(), line, expected: expected.to_owned() }
    }
}
