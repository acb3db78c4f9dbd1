//! Why a symbol did not hold: the tree's Kconfig files, read far enough to know where a symbol is defined, what it
//! depends on and who selects it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::expression::{Expression, Tristate};
use super::fragment::{Request, text_of};
use crate::Result;
use crate::kernel_build::Error;
use stoop_image::board::nearest;
use stoop_image::kconfig::Kconfig;

/// One definition of a symbol.
#[derive(Clone, Default, Debug)]
struct Definition {
    /// `FILE:LINE` in the tree.
    place: String,
    /// `bool`, `tristate`, `int`, `hex` or `string`, where this definition says it.
    kind: String,
    /// All that must hold: of itself and of the menus and ifs around it.
    depends: Vec<Expression>,
    /// It can be set by hand.
    has_prompt: bool,
    /// The choice that it is a member of.
    choice: Option<usize>,
    /// The `range` lines, as written.
    ranges: Vec<String>,
}

/// The symbols of a kernel tree.
#[derive(Default, Debug)]
pub struct Symbols {
    definitions: BTreeMap<String, Vec<Definition>>,
    /// Who selects a symbol, and under which condition.
    selected_by: HashMap<String, Vec<(String, Option<Expression>)>>,
    choices: usize,
}

/// Something between its first line and its end: what depends on what.
enum Block {
    If(Option<Expression>),
    Menu(Vec<Expression>),
    Choice(usize, Vec<Expression>),
}

/// What the lines of attributes belong to.
enum Attributes {
    None,
    Config(String),
    Menu,
    Choice,
    Other,
}

impl Symbols {
    /// Reads the Kconfig files of a tree, beginning with its topmost, for an architecture (its directory under `arch`).
    ///
    /// # Errors
    /// The topmost file cannot be read.
    pub fn read(tree: &Path, architecture: &str) -> Result<Self> {
        let mut symbols = Symbols::default();
        let top = tree.join("Kconfig");
        if !top.is_file() {
            return Err(Error::NoKconfig { path: top }.into());
        }
        symbols.read_file(tree, "Kconfig", architecture, &mut Vec::new(), 0);
        Ok(symbols)
    }

    /// Reads one file and what it sources. What cannot be read is left out: the kernel's own tools have read it before
    /// and would have complained.
    fn read_file(&mut self, tree: &Path, file: &str, architecture: &str, blocks: &mut Vec<Block>, depth: u32) {
        let Ok(bytes) = std::fs::read(tree.join(file)) else { return };
        if depth > 32 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).replace("\\\n", " ");
        let mut entry = Attributes::None;
        let mut help: Option<Option<usize>> = None;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            if let Some(indent) = &mut help {
                let this = indentation(line);
                let indent = *indent.get_or_insert(this);
                if this >= indent && indent > 0 {
                    continue;
                }
                help = None;
            }
            let line = line.trim();
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "help" | "---help---" => help = Some(None),
                "source" | "osource" | "rsource" => {
                    let path = rest
                        .trim_matches('"')
                        .replace("$(SRCARCH)", architecture)
                        .replace("$(HEADER_ARCH)", architecture);
                    self.read_file(tree, &path, architecture, blocks, depth + 1);
                    entry = Attributes::None;
                }
                "config" | "menuconfig" => {
                    let definition = Definition {
                        place: format!("{file}:{}", number + 1),
                        depends: around(blocks),
                        choice: blocks.iter().rev().find_map(|block| match block {
                            Block::Choice(id, _) => Some(*id),
                            _ => None,
                        }),
                        ..Definition::default()
                    };
                    self.definitions.entry(rest.to_owned()).or_default().push(definition);
                    entry = Attributes::Config(rest.to_owned());
                }
                "if" => {
                    blocks.push(Block::If(Expression::parse(rest)));
                    entry = Attributes::Other;
                }
                "menu" => {
                    blocks.push(Block::Menu(Vec::new()));
                    entry = Attributes::Menu;
                }
                "choice" => {
                    self.choices += 1;
                    blocks.push(Block::Choice(self.choices, Vec::new()));
                    entry = Attributes::Choice;
                }
                "endif" | "endmenu" | "endchoice" => {
                    blocks.pop();
                    entry = Attributes::Other;
                }
                "comment" | "mainmenu" => entry = Attributes::Other,
                _ => self.attribute(&entry, blocks, word, rest),
            }
        }
    }

    fn attribute(&mut self, entry: &Attributes, blocks: &mut [Block], word: &str, rest: &str) {
        let depends = || rest.strip_prefix("on").and_then(Expression::parse);
        match entry {
            Attributes::Menu | Attributes::Choice if word == "depends" => {
                if let (Some(Block::Menu(list) | Block::Choice(_, list)), Some(expression)) =
                    (blocks.last_mut(), depends())
                {
                    list.push(expression);
                }
            }
            Attributes::Config(symbol) => {
                let Some(definition) = self.definitions.get_mut(symbol).and_then(|list| list.last_mut()) else {
                    return;
                };
                match word {
                    "bool" | "tristate" | "int" | "hex" | "string" => {
                        definition.kind = word.to_owned();
                        definition.has_prompt |= !rest.is_empty();
                    }
                    "def_bool" => definition.kind = "bool".to_owned(),
                    "def_tristate" => definition.kind = "tristate".to_owned(),
                    "prompt" => definition.has_prompt = true,
                    "range" => definition.ranges.push(rest.to_owned()),
                    "depends" => definition.depends.extend(depends()),
                    "select" => {
                        let (target, condition) = match rest.split_once(" if ") {
                            Some((target, condition)) => (target.trim(), Expression::parse(condition)),
                            None => (rest, None),
                        };
                        self.selected_by.entry(target.to_owned()).or_default().push((symbol.clone(), condition));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Whether the tree knows a symbol.
    pub fn knows(&self, symbol: &str) -> bool {
        self.definitions.contains_key(symbol)
    }

    /// The symbol that a wrong name may have meant.
    pub fn nearest(&self, wrong: &str) -> Option<&str> {
        nearest(wrong, self.definitions.keys().map(String::as_str))
    }

    /// Why a symbol is not what was asked for, in one line.
    pub fn explain(&self, symbol: &str, request: &Request, config: &Kconfig) -> String {
        let value = |name: &str| text_of(&config.get(name)).trim_matches('"').to_owned();
        let Some(definitions) = self.definitions.get(symbol) else {
            return match self.nearest(symbol) {
                Some(near) => format!("no Kconfig file of this kernel has it; did you mean CONFIG_{near}?"),
                None => "no Kconfig file of this kernel has it".to_owned(),
            };
        };
        let wanted = match request.value.as_str() {
            "n" => Tristate::N,
            "m" => Tristate::M,
            _ => Tristate::Y,
        };
        if let Some(selectors) = self.selectors(symbol, &value).filter(|_| value(symbol) != "n" && wanted < Tristate::Y)
        {
            return format!("selected by {selectors}");
        }
        let is_bool = definitions.iter().any(|definition| definition.kind == "bool");
        if wanted == Tristate::M && is_bool {
            return format!("it is a bool, which cannot be m ({})", definitions[0].place);
        }
        if wanted == Tristate::M && value("MODULES") != "y" {
            return "CONFIG_MODULES is not set".to_owned();
        }
        // What fails in the definition that is nearest to holding.
        let failing: Vec<(&Definition, Vec<String>)> = definitions
            .iter()
            .map(|definition| (definition, failing_parts(definition, wanted, is_bool, &value)))
            .collect();
        let Some((definition, parts)) = failing.iter().min_by_key(|(_, parts)| parts.len()) else {
            return "it has no definition".to_owned();
        };
        if !parts.is_empty() {
            return format!("it depends on {} ({})", parts.join(" and "), definition.place);
        }
        if let Some(other) = self.chosen_instead(symbol, definition, &value) {
            return format!("CONFIG_{other} of the same choice is set ({})", definition.place);
        }
        if !definitions.iter().any(|definition| definition.has_prompt) {
            let who: Vec<&str> =
                self.selected_by.get(symbol).into_iter().flatten().map(|(who, _)| who.as_str()).take(4).collect();
            let who = if who.is_empty() { "nothing".to_owned() } else { format!("CONFIG_{}", who.join(" or CONFIG_")) };
            return format!("it cannot be set by hand; {who} selects it ({})", definition.place);
        }
        if !definition.ranges.is_empty() {
            return format!("its range is {} ({})", definition.ranges.join(" or "), definition.place);
        }
        format!("its dependencies hold; see its choice and defaults in {}", definition.place)
    }

    /// The symbols that select one and are set themselves.
    fn selectors(&self, symbol: &str, value: &dyn Fn(&str) -> String) -> Option<String> {
        let active: Vec<String> = self
            .selected_by
            .get(symbol)?
            .iter()
            .filter(|(who, condition)| {
                value(who) != "n" && condition.as_ref().is_none_or(|condition| condition.evaluate(value) != Tristate::N)
            })
            .map(|(who, _)| format!("CONFIG_{who}={}", value(who)))
            .take(4)
            .collect();
        (!active.is_empty()).then(|| active.join(", "))
    }

    fn chosen_instead(&self, symbol: &str, definition: &Definition, value: &dyn Fn(&str) -> String) -> Option<&str> {
        let choice = definition.choice?;
        self.definitions
            .iter()
            .filter(|(name, list)| *name != symbol && list.iter().any(|other| other.choice == Some(choice)))
            .map(|(name, _)| name.as_str())
            .find(|name| value(name) == "y")
    }
}

/// The parts of a definition's dependencies that stand in the way, each with the values of its symbols.
fn failing_parts(
    definition: &Definition,
    wanted: Tristate,
    is_bool: bool,
    value: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let mut parts = Vec::new();
    for part in definition.depends.iter().flat_map(Expression::conjuncts) {
        let got = part.evaluate(value);
        // A bool needs no more than m of what it depends on.
        if got >= wanted.min(if is_bool { Tristate::M } else { Tristate::Y }) && got != Tristate::N {
            continue;
        }
        let values: Vec<String> = part.symbols().iter().map(|symbol| format!("{symbol}={}", value(symbol))).collect();
        let text = match part {
            Expression::Symbol(name) => format!("CONFIG_{name}, which is {}", value(name)),
            other => format!("{other} with {}", values.join(", ")),
        };
        if !parts.contains(&text) {
            parts.push(text);
        }
    }
    parts
}

fn around(blocks: &[Block]) -> Vec<Expression> {
    blocks
        .iter()
        .flat_map(|block| match block {
            Block::If(expression) => expression.iter().cloned().collect::<Vec<_>>(),
            Block::Menu(list) | Block::Choice(_, list) => list.clone(),
        })
        .collect()
}

/// The width of the blanks in front, a tab reaching to the next multiple of 8.
fn indentation(line: &str) -> usize {
    let mut width = 0;
    for c in line.chars() {
        match c {
            '\t' => width = (width / 8 + 1) * 8,
            ' ' => width += 1,
            _ => break,
        }
    }
    width
}
