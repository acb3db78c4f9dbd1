//! What the TOML reader and serde say of a file, in the words of the file.

use super::suggest::nearest;

/// Fact and next step for a message of the TOML reader's.
pub(super) fn told(message: &str) -> (String, String) {
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        // "unknown field `a`, expected one of `b`, `c`": every second piece is a quoted word.
        let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let known = words.iter().skip(1).copied();
        let next = match words.first().and_then(|word| nearest(word, known.clone())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "see boards/README.md for the keys".to_owned(),
        };
        return (message.to_owned(), next);
    }
    if message.starts_with("missing field") {
        return (message.to_owned(), "add it; boards/README.md says what it means".to_owned());
    }
    let mistaken = ["invalid type: ", "invalid value: "].into_iter().find_map(|front| message.strip_prefix(front));
    match mistaken.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, wanted)) => {
            let wanted = wanted_words(wanted);
            (
                format!("{} is no {wanted}", found_words(found)),
                format!("write {wanted}", wanted = with_article(&wanted)),
            )
        }
        None => (message.to_owned(), "correct the file".to_owned()),
    }
}

/// serde's `Unexpected`: a kind, and a value in quotes for some.
fn found_words(found: &str) -> String {
    let value = found.split_once(' ').map_or("", |(_, value)| value).trim_matches('`');
    match found.split(' ').next().unwrap_or_default() {
        "string" => format!("the text {value}"),
        "character" | "integer" => value.to_owned(),
        "floating" => value.trim_start_matches("point ").trim_matches('`').to_owned(),
        "boolean" => value.to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        _ => found.to_owned(),
    }
}

/// What serde expects, by the type it names.
fn wanted_words(wanted: &str) -> String {
    match wanted {
        "u8" => format!("whole number from 0 to {}", u8::MAX),
        "u32" => format!("whole number from 0 to {:#x}", u32::MAX),
        "usize" | "u64" | "i64" => "whole number that is not negative".to_owned(),
        "a string" | "string" | "a borrowed string" => "text in quotes".to_owned(),
        "a character" | "char" => "single character in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "list in [ ]".to_owned(),
        _ if wanted.starts_with("struct") || wanted == "a map" => "table of keys".to_owned(),
        other => other.trim_start_matches("a ").to_owned(),
    }
}

fn with_article(words: &str) -> String {
    if words == "true or false" { format!("{words}, without quotes") } else { format!("a {words}") }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn values_of_the_wrong_kind_are_told_without_the_names_of_types() {
        for (message, fact, next) in [
            (
                "invalid type: string \"128M\", expected usize",
                "the text \"128M\" is no whole number that is not negative",
                "write a whole number that is not negative",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "-1 is no whole number that is not negative",
                "write a whole number that is not negative",
            ),
            (
                "invalid value: integer `4294967308`, expected u32",
                "4294967308 is no whole number from 0 to 0xffffffff",
                "write a whole number from 0 to 0xffffffff",
            ),
            (
                "invalid type: floating point `1.5`, expected usize",
                "1.5 is no whole number that is not negative",
                "write a whole number that is not negative",
            ),
            ("invalid type: sequence, expected a string", "a list is no text in quotes", "write a text in quotes"),
            ("invalid type: map, expected a sequence", "a table is no list in [ ]", "write a list in [ ]"),
            (
                "invalid type: string \"x\", expected struct Range",
                "the text \"x\" is no table of keys",
                "write a table of keys",
            ),
            (
                "invalid type: string \"yes\", expected a boolean",
                "the text \"yes\" is no true or false",
                "write true or false, without quotes",
            ),
        ] {
            assert_eq!(told(message), (fact.to_owned(), next.to_owned()));
        }
    }
}
