//! Text from files and wires, made harmless where it is shown.

/// The text with every control character and every invisible or direction-changing one spelled as an escape, so that what a
/// board or a server sends can neither move the cursor nor hide a part of a message.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn escapes_what_a_terminal_would_act_upon_and_nothing_else() {
        assert_eq!(shown("it's \"fine\\\" é"), "it's \"fine\\\" é");
        assert_eq!(shown("a\x1b[2Jb\r\n\u{202e}c\0"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c\\0");
    }
}
