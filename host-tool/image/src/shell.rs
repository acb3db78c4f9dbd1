//! Words in commands that people copy: for a POSIX shell quoted, for a bootloader's made of characters that none takes apart.

use std::borrow::Cow;
use std::path::Path;

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '+' | ',' | ':' | '@' | '=')
}

/// A word for a POSIX shell, in quotes where it needs them.
pub fn quoted(word: &str) -> Cow<'_, str> {
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

/// A path's file name as an argument for a POSIX shell: never an option, and quoted where it needs to be.
pub fn file_argument(path: &Path) -> String {
    let name = file_name(path);
    if name.starts_with('-') { quoted(&format!("./{name}")).into_owned() } else { quoted(&name).into_owned() }
}

/// A path's file name; `image` for stdin or stdout.
pub fn file_name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if name != "-" => name.to_string_lossy().into_owned(),
        _ => "image".into(),
    }
}

/// A name by which a file can be fetched and typed anywhere: its own, with `_` for whatever a shell or a bootloader might take
/// apart.
pub fn served_name(path: &Path) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = file_name(path).chars().map(|c| if plain(c) { c } else { '_' }).collect();
    match name.strip_prefix('-') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_more_than_one_to_a_shell() {
        for word in ["plain-1.img", "", "a b", "a$(touch x);b", "it's", "`x`", "-n", "a\nb", "*"] {
            let script = format!("set -- {}; printf '%s.%s' $# \"$1\"", quoted(word));
            let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("1.{word}"));
        }
    }

    #[test]
    fn a_served_name_is_typed_as_it_is() {
        assert_eq!(served_name(Path::new("a/image-1_2.bin")), "image-1_2.bin");
        assert_eq!(served_name(Path::new("a;$(reboot) b.bin")), "a___reboot__b.bin");
        assert_eq!(served_name(Path::new("-")), "image");
        assert_eq!(served_name(Path::new("-x")), "_x");
        assert_eq!(file_argument(Path::new("d/-x y")), "'./-x y'");
    }
}
