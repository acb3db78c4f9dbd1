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

/// The device of a flash partition on a Linux, found by its name, in which a board's data have no character that a shell or sed knows
/// but `.` (and `+`, which basic regular expressions do not).
pub fn mtd_device(partition: &str) -> String {
    format!("/dev/$(sed -n 's/:.*\"{}\"$//p' /proc/mtd)", partition.replace('.', "[.]"))
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
    fn the_device_of_a_partition_is_the_one_of_just_that_name() {
        let table =
            "dev: size erasesize name\nmtd0: 1 1 \"a-b\"\nmtd1: 1 1 \"a.b\"\nmtd2: 1 1 \"SC PID\"\nmtd3: 1 1 \"a+b\"\n";
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mtd"), table).expect("written");
        for (name, found) in [("a.b", "/dev/mtd1"), ("a-b", "/dev/mtd0"), ("SC PID", "/dev/mtd2"), ("a+b", "/dev/mtd3")]
        {
            let script = format!("mtd={}; echo $mtd", mtd_device(name).replace("/proc/mtd", "mtd"));
            let shell = std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output();
            let said = shell.expect("sh").stdout;
            assert_eq!(String::from_utf8_lossy(&said).trim(), found, "{script}");
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
