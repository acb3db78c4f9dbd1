//! Kconfig's dependency expressions (`Documentation/kbuild/kconfig-language.rst`): parsed, evaluated with the values of a
//! configuration, and taken apart to say which part does not hold.

/// A three-valued truth: n, m, y.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tristate {
    /// No.
    N,
    /// As a module.
    M,
    /// Yes.
    Y,
}

/// A dependency expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// A symbol, or a constant such as `y`.
    Symbol(String),
    /// `A = B`, `A != B`, `A < B` and so on: the operator and both sides as written.
    Compare(String, String, String),
    /// `!A`.
    Not(Box<Expression>),
    /// `A && B`.
    And(Box<Expression>, Box<Expression>),
    /// `A || B`.
    Or(Box<Expression>, Box<Expression>),
    /// What only make or the compiler can tell: `$(cc-option,…)`. Taken to hold.
    Unknown,
}

impl Expression {
    /// Parses an expression; nothing if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let expression = parser.or()?;
        (parser.at == tokens.len()).then_some(expression)
    }

    /// Its value, with `value` giving what a symbol is set to as text (`y`, `m`, `n`, a number, a text).
    pub fn evaluate(&self, value: &dyn Fn(&str) -> String) -> Tristate {
        match self {
            Expression::Unknown => Tristate::Y,
            Expression::Symbol(name) => match value_of(name, value).as_str() {
                "y" => Tristate::Y,
                "m" => Tristate::M,
                _ => Tristate::N,
            },
            Expression::Compare(operator, left, right) => {
                let (left, right) = (value_of(left, value), value_of(right, value));
                let order = match (number(&left), number(&right)) {
                    (Some(left), Some(right)) => left.cmp(&right),
                    _ => left.cmp(&right),
                };
                let holds = match operator.as_str() {
                    "=" => order.is_eq(),
                    "!=" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                };
                if holds { Tristate::Y } else { Tristate::N }
            }
            Expression::Not(inner) => match inner.evaluate(value) {
                Tristate::N => Tristate::Y,
                Tristate::M => Tristate::M,
                Tristate::Y => Tristate::N,
            },
            Expression::And(left, right) => left.evaluate(value).min(right.evaluate(value)),
            Expression::Or(left, right) => left.evaluate(value).max(right.evaluate(value)),
        }
    }

    /// The parts joined by `&&` at the top.
    pub fn conjuncts(&self) -> Vec<&Expression> {
        match self {
            Expression::And(left, right) => [left.conjuncts(), right.conjuncts()].concat(),
            other => vec![other],
        }
    }

    /// The symbols in it, each once.
    pub fn symbols(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Expression::Unknown => {}
            Expression::Symbol(name) => add_symbol(name, found),
            Expression::Compare(_, left, right) => {
                add_symbol(left, found);
                add_symbol(right, found);
            }
            Expression::Not(inner) => inner.collect(found),
            Expression::And(left, right) | Expression::Or(left, right) => {
                left.collect(found);
                right.collect(found);
            }
        }
    }
}

fn add_symbol<'a>(name: &'a str, found: &mut Vec<&'a str>) {
    if is_symbol(name) && !found.contains(&name) {
        found.push(name);
    }
}

/// Constants are in lower case, in quotes, or numbers.
fn is_symbol(word: &str) -> bool {
    !matches!(word, "y" | "m" | "n") && !word.starts_with('"') && number(word).is_none()
}

fn value_of(word: &str, value: &dyn Fn(&str) -> String) -> String {
    if is_symbol(word) { value(word) } else { word.trim_matches('"').to_owned() }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expression::Unknown => f.write_str("$(…)"),
            Expression::Symbol(name) => f.write_str(name),
            Expression::Compare(operator, left, right) => write!(f, "{left} {operator} {right}"),
            Expression::Not(inner) => match **inner {
                Expression::Symbol(_) | Expression::Unknown => write!(f, "!{inner}"),
                _ => write!(f, "!({inner})"),
            },
            Expression::And(left, right) => write!(f, "{left} && {right}"),
            Expression::Or(left, right) => write!(f, "({left} || {right})"),
        }
    }
}

fn tokens(text: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => break,
            '(' | ')' => 1,
            '"' => rest[1..].find('"')? + 2,
            '\'' => rest[1..].find('\'')? + 2,
            '$' => macro_length(rest)?,
            '&' | '|' => 2,
            '!' | '<' | '>' if rest[1..].starts_with('=') => 2,
            '!' | '<' | '>' | '=' => 1,
            _ => rest.find(|c: char| !(c.is_alphanumeric() || "_-./".contains(c))).unwrap_or(rest.len()),
        };
        if length == 0 {
            return None;
        }
        tokens.push(rest.get(..length)?.replace('\'', "\""));
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// The length of `$(…)`, which may have more of the kind in it.
fn macro_length(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at + 1),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
}

impl Parser<'_> {
    fn accept(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Option<Expression> {
        let mut left = self.and()?;
        while self.accept("||") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Expression> {
        let mut left = self.unary()?;
        while self.accept("&&") {
            left = Expression::And(Box::new(left), Box::new(self.unary()?));
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expression> {
        if self.accept("!") {
            return Some(Expression::Not(Box::new(self.unary()?)));
        }
        if self.accept("(") {
            let inner = self.or()?;
            return self.accept(")").then_some(inner);
        }
        let word = self.tokens.get(self.at)?.clone();
        if ["&&", "||", ")", "="].contains(&word.as_str()) {
            return None;
        }
        self.at += 1;
        for operator in ["=", "!=", "<=", ">=", "<", ">"] {
            if self.accept(operator) {
                let right = self.tokens.get(self.at)?.clone();
                self.at += 1;
                let known = !word.starts_with('$') && !right.starts_with('$');
                return Some(if known {
                    Expression::Compare(operator.to_owned(), word, right)
                } else {
                    Expression::Unknown
                });
            }
        }
        Some(if word.starts_with('$') { Expression::Unknown } else { Expression::Symbol(word) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> String {
        match name {
            "YES" => "y",
            "MODULE" => "m",
            "NUMBER" => "0x10",
            "TEXT" => "abc",
            _ => "n",
        }
        .to_owned()
    }

    #[test]
    fn expressions_evaluate_as_kconfig_does() {
        for (text, expected) in [
            ("YES && MODULE", Tristate::M),
            ("YES || MODULE", Tristate::Y),
            ("!MODULE", Tristate::M),
            ("!NO && (YES || NO)", Tristate::Y),
            ("NO || YES && NO", Tristate::N),
            ("NUMBER = 16", Tristate::Y),
            ("NUMBER < 9", Tristate::N),
            ("TEXT != \"abd\"", Tristate::Y),
            ("MODULE=m", Tristate::Y),
            ("YES = NO", Tristate::N),
            ("$(cc-option,-mfoo(1)) && MODULE", Tristate::M),
            ("YES # with a remark", Tristate::Y),
        ] {
            assert_eq!(Expression::parse(text).map(|e| e.evaluate(&value)), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_not_taken_for_one() {
        for text in ["", "A &&", "(A", "A B", "&& A", "A = ", "\"open"] {
            assert_eq!(Expression::parse(text), None, "{text}");
        }
    }

    #[test]
    fn conjuncts_and_symbols_come_apart() {
        let expression = Expression::parse("A && (B || !C) && D=\"x\" && y").unwrap();
        let parts: Vec<String> = expression.conjuncts().iter().map(ToString::to_string).collect();
        assert_eq!(parts, ["A", "(B || !C)", "D = \"x\"", "y"]);
        assert_eq!(expression.symbols(), ["A", "B", "C", "D"]);
    }
}
