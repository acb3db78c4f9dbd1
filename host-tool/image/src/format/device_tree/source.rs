//! Device tree source as people have it: dtc's language (Devicetree Specification v0.4, chapter 6) with the includes of
//! Linux and OpenWrt, read without a preprocessor and without the headers of a kernel.
//!
//! What only a preprocessor knows has no value here: each word of a header, expression and reference is the cell
//! [`UNKNOWN`]. Both sides of an `#if` are read. So the result is not a tree to boot from, but one to compare literal
//! figures with, such as a flash map.

mod cursor;
mod value;

use std::collections::HashMap;

use self::cursor::Cursor;
pub use self::value::UNKNOWN;
use super::DEEPEST;
use super::error::Error;
use super::tree::Node;
use crate::Result;

/// As many files within one another as nobody has.
const NESTED: usize = 16;
/// Most bytes of all files together.
const MOST: usize = 16 << 20;

/// What a file and its includes say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Source {
    /// The root node. What is said of a label that no file defines is a child of the root with the name `&label`.
    pub root: Node,
    /// Included files that are not at hand, by the names that were written.
    pub missing: Vec<String>,
}

/// Gives the text of an included file by the name that was written, if it is at hand.
pub type Open<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Reads `text`, which messages call `file`, and asks `open` for what it includes.
///
/// # Errors
/// Not device tree source, with file and line; files that include themselves; nodes nested deeper than Linux looks.
pub fn parse(file: &str, text: &str, open: &Open<'_>) -> Result<Source> {
    let mut reader = Reader { open, source: Source::default(), labels: HashMap::new(), nested: 0, read: 0 };
    reader.file(file, text)?;
    Ok(reader.source)
}

/// Names from the root's child on.
type Path = Vec<String>;

struct Reader<'a> {
    open: &'a Open<'a>,
    source: Source,
    labels: HashMap<String, Path>,
    nested: usize,
    read: usize,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, text: &str) -> Result<()> {
        self.read = self.read.saturating_add(text.len());
        if self.nested == NESTED || self.read > MOST {
            return Err(Error::SourceTooLarge { file: file.to_string(), nested: NESTED, most: MOST }.into());
        }
        self.nested += 1;
        let text = cursor::plain(text);
        let mut at = Cursor::new(file, &text);
        while !at.is_at_end() {
            self.top(&mut at)?;
        }
        self.nested -= 1;
        Ok(())
    }

    /// One statement outside of nodes.
    fn top(&mut self, at: &mut Cursor<'_>) -> Result<()> {
        if let Some(name) = at.include() {
            return self.include(&name);
        }
        if at.takes("/delete-node/") {
            at.takes("&");
            let label = at.name();
            if let Some(path) = self.labels.get(&label).cloned() {
                self.delete(&path);
            }
            return at.expect(";");
        }
        if at.takes_directive() {
            at.skip_past(b';');
            return Ok(());
        }
        let labels = at.labels();
        let path = match (at.takes("&{"), at.takes("&"), at.takes("/")) {
            (true, ..) => {
                let path = at.until(b'}').split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
                at.expect("}")?;
                path
            }
            (_, true, _) => {
                let label = at.name();
                self.labels.get(&label).cloned().unwrap_or_else(|| vec![format!("&{label}")])
            }
            (_, _, true) => Path::new(),
            _ => return Err(at.wrong("a node, `&label`, `#include` or `/…/;`").into()),
        };
        self.node(at, path, labels)
    }

    fn include(&mut self, name: &str) -> Result<()> {
        match (self.open)(name) {
            Some(text) => self.file(name, &text),
            None => {
                self.source.missing.push(name.to_owned());
                Ok(())
            }
        }
    }

    /// A node from its `{` to its `;`.
    fn node(&mut self, at: &mut Cursor<'_>, path: Path, labels: Vec<String>) -> Result<()> {
        if path.len() >= DEEPEST {
            return Err(at.wrong(&format!("less than {DEEPEST} nodes within one another")).into());
        }
        self.labels.extend(labels.into_iter().map(|label| (label, path.clone())));
        self.at(&path);
        at.expect("{")?;
        while !at.takes("}") {
            self.item(at, &path)?;
        }
        at.expect(";")
    }

    /// A property, a node, or what takes one away.
    fn item(&mut self, at: &mut Cursor<'_>, path: &Path) -> Result<()> {
        if at.is_at_end() {
            return Err(at.wrong("`}`").into());
        }
        if let Some(name) = at.include() {
            return self.include(&name);
        }
        if at.takes("/delete-node/") {
            let whole = match at.takes("&") {
                true => self.labels.get(&at.name()).cloned(),
                false => Some([&path[..], &[at.name()]].concat()),
            };
            whole.iter().for_each(|whole| self.delete(whole));
            return at.expect(";");
        }
        if at.takes("/delete-property/") {
            let name = at.name();
            self.at(path).remove(&name);
            return at.expect(";");
        }
        if at.takes("/omit-if-no-ref/") {
            return Ok(());
        }
        let labels = at.labels();
        let name = at.name();
        if name.is_empty() {
            return Err(at.wrong("a property or a node").into());
        }
        if at.is_next(b'{') {
            return self.node(at, [&path[..], &[name]].concat(), labels);
        }
        let value = if at.takes("=") { value::read(at)? } else { Vec::new() };
        self.at(path).set(&name, &value);
        at.expect(";")
    }

    fn at(&mut self, path: &[String]) -> &mut Node {
        path.iter().fold(&mut self.source.root, |node, name| node.child_or_new(name))
    }

    fn delete(&mut self, path: &[String]) {
        if let Some((name, parent)) = path.split_last() {
            self.at(parent).children.retain(|child| child.name != *name);
        }
    }
}

#[cfg(test)]
mod tests;
