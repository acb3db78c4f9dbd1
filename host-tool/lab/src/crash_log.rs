//! The logs of a crash (pstore) out of a console on which the boot after it prints them between marks.

use std::path::{Path, PathBuf};

use stoop_image::output::Output;

use crate::Result;
use crate::notes::{Annotator, Notes};

/// What a boot prints around each file, and behind the last one: `=== pstore: dmesg-ramoops-0 ===`, `=== pstore: end ===`.
const MARK: (&str, &str) = ("=== pstore: ", " ===");

/// The name of the last mark.
const END: &str = "end";

/// The shell words that print all of pstore so that [`CrashLogs`] finds it. With nothing in pstore they print the last mark alone.
pub const SHELL_WORDS: &str = "for file in /sys/fs/pstore/*; do [ -f \"$file\" ] && echo \"=== pstore: ${file##*/} ===\" && cat \"$file\"; \
     done; echo '=== pstore: end ==='";

/// Bytes of a file that are kept: pstore's own records are far smaller, and a mark that never ends must not fill the memory.
const MOST: usize = 4 << 20;

/// As many files of one name as are kept.
const MOST_OF_A_NAME: usize = 1000;

/// Writes a log into the folder, which is made if it is not there, and returns its path: under its name, or with a number behind it, since
/// each crash is evidence and none replaces another.
///
/// # Errors
/// It cannot be written.
pub fn keep(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(|error| stoop_image::Error::file(folder, error))?;
    let numbered = (1..MOST_OF_A_NAME).map(|number| folder.join(format!("{name}.{number}")));
    let path = [folder.join(name)].into_iter().chain(numbered).find(|path| !path.exists());
    let is_full = || stoop_image::Error::file(folder.join(name), std::io::ErrorKind::AlreadyExists.into());
    let path = path.ok_or_else(is_full)?;
    Output::new(&path, [])?.write(text.as_bytes())?;
    Ok(path)
}

/// Collects them from a console's lines. Kernel messages that come in between are in the files too.
pub struct CrashLogs<F> {
    /// The file that is coming.
    current: Option<(String, String)>,
    save: F,
}

impl<F: FnMut(&str, &str) -> Vec<String> + Send> CrashLogs<F> {
    /// `save` gets a file's name (letters, digits, `.`, `-` and `_`, never a `.` first) and its text when it is complete, and returns
    /// what is to be said about it, line by line.
    pub fn new(save: F) -> Self {
        CrashLogs { current: None, save }
    }
}

impl<F: FnMut(&str, &str) -> Vec<String> + Send> Annotator for CrashLogs<F> {
    fn line(&mut self, line: &str) -> Notes {
        let Some(name) = marked(line) else {
            if let Some((_, text)) = self.current.as_mut().filter(|(_, text)| text.len() < MOST) {
                text.push_str(line);
                text.push('\n');
            }
            return Notes::default();
        };
        let complete = self.current.take();
        self.current = (name != END).then(|| (name.to_owned(), String::new()));
        Notes { beside: None, below: complete.map(|(name, text)| (self.save)(&name, &text)).unwrap_or_default() }
    }
}

/// The name in a mark. It becomes a file's, so it holds nothing that leads elsewhere.
fn marked(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_prefix(MARK.0)?.strip_suffix(MARK.1)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (!name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{CrashLogs, MOST};
    use crate::notes::Annotator;

    /// What is kept of these lines.
    fn kept(lines: &[&str]) -> Vec<(String, String)> {
        let files = Arc::new(Mutex::new(Vec::new()));
        let saved = Arc::clone(&files);
        let mut logs = CrashLogs::new(move |name: &str, text: &str| {
            saved.lock().expect("no panic").push((name.to_owned(), text.to_owned()));
            vec![name.to_owned()]
        });
        for line in lines {
            logs.line(line);
        }
        files.lock().expect("no panic").clone()
    }

    #[test]
    fn each_file_is_what_stands_between_its_mark_and_the_next() {
        let lines = ["login:", "=== pstore: dmesg-ramoops-0 ===", "Panic#1 Part1", "<0>[  1.0] Kernel panic"];
        let rest = ["=== pstore: console-ramoops-0 ===", "Linux version", "=== pstore: end ===", "# "];
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            kept(&[&lines[..], &rest].concat()),
            [
                file("dmesg-ramoops-0", "Panic#1 Part1\n<0>[  1.0] Kernel panic\n"),
                file("console-ramoops-0", "Linux version\n")
            ]
        );
    }

    #[test]
    fn a_file_without_an_end_and_a_name_that_leads_elsewhere_are_not_kept() {
        assert_eq!(kept(&["=== pstore: dmesg-ramoops-0 ===", "cut"]), []);
        for name in ["../x", "a/b", ".hidden", "", "a b", &"x".repeat(65)] {
            assert_eq!(kept(&[&format!("=== pstore: {name} ==="), "text", "=== pstore: end ==="]), [], "{name}");
        }
    }

    #[test]
    fn a_file_that_does_not_end_stays_small() {
        let line = "x".repeat(MOST / 2);
        let found = kept(&["=== pstore: a ===", &line, &line, &line, &line, "=== pstore: end ==="]);
        assert!(found[0].1.len() < 2 * MOST, "{}", found[0].1.len());
    }
}
