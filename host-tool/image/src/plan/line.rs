//! The command line as words: what is the kernel's and what is init's, and which of several counts.

use stoop_core::bootargs::word;

/// Where the kernel takes no further words: at the first word `--`, in quotes or not, behind which all are init's (kernel/params.c:
/// parse_args), and at a word with a quote that is not closed, of which all that follows is a part (lib/cmdline.c: next_arg). The line's
/// end if there is neither.
pub fn kernels_part(line: &[u8]) -> usize {
    let ends = |word: &[u8]| is_dashes(word) || has_open_quote(word);
    words(line).find(|(start, end)| ends(&line[*start..*end])).map_or(line.len(), |(start, _)| start)
}

/// Where the words begin and end, separated as the kernel and the shim separate them.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let length = word(&mut rest)?.len();
        let end = line.len() - rest.len();
        Some((end - length, end))
    })
}

fn is_dashes(word: &[u8]) -> bool {
    matches!(word, b"--" | b"\"--\"")
}

fn has_open_quote(line: &[u8]) -> bool {
    line.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

/// A word of the kernel's part of `line` for which `is` holds.
pub fn has_word(line: &[u8], is: impl Fn(&[u8]) -> bool) -> bool {
    let line = &line[..kernels_part(line)];
    words(line).any(|(start, end)| is(&line[start..end]))
}

/// What follows `key` in the last word of the kernel's part of `line` that begins with it.
pub fn last_value<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let line = &line[..kernels_part(line)];
    words(line).filter_map(|(start, end)| line[start..end].strip_prefix(key)).last()
}

/// Adds words behind one blank; the kernel's in front of a `--` or of a quote that is not closed, init's behind it.
pub fn add_words(line: &mut Vec<u8>, words: &[u8]) {
    if words.is_empty() {
        return;
    }
    let (kernels, inits) = words.split_at(kernels_part(words));
    let rest = line.split_off(kernels_part(line));
    if rest.is_empty() {
        join(line, words);
        return;
    }
    line.truncate(line.trim_ascii_end().len());
    join(line, kernels.trim_ascii_end());
    join(line, &rest);
    let dashes = word(&mut &inits[..]).filter(|word| is_dashes(word)).map_or(0, <[u8]>::len);
    join(line, inits[dashes..].trim_ascii_start());
}

fn join(line: &mut Vec<u8>, words: &[u8]) {
    if !line.is_empty() && !words.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(words);
}

/// What to know of a finished line, before the bootloader's words: words that are there more than once, and which counts.
pub fn warnings(line: &[u8]) -> Vec<String> {
    let end = kernels_part(line);
    let (kernels, inits) = line.split_at(end);
    let mut warnings = Vec::new();
    // init/do_mounts.c: root_dev_setup, fs_names_setup; kernel/printk/printk.c: __add_preferred_console.
    for (key, which) in [
        ("root=", "the kernel takes the last"),
        ("rootfstype=", "the kernel takes the last"),
        ("console=", "all of them are used, and /dev/console is the last"),
    ] {
        let found =
            words(kernels).map(|(start, end)| &kernels[start..end]).filter(|word| word.starts_with(key.as_bytes()));
        let found: Vec<String> = found.map(|word| word.escape_ascii().to_string()).collect();
        if found.len() > 1 {
            warnings.push(format!("the command line has {}: {which}", found.join(" and ")));
        }
    }
    if has_open_quote(inits) && !word(&mut &inits[..]).is_some_and(is_dashes) {
        warnings.push(format!(
            "the command line has a quote that is not closed: the bootloader's accepted bootargs become part of the word {}",
            inits.escape_ascii()
        ));
    } else if !inits.is_empty() {
        warnings.push(format!(
            "the command line has a `--`: what follows it, and with it the bootloader's accepted bootargs, goes to init and \
             not to the kernel ({}); omit it if the bootloader's words are for the kernel",
            inits.escape_ascii()
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_kernel_go_in_front_of_a_double_dash() {
        for (line, words, joined) in [
            ("a=1", "root=x", "a=1 root=x"),
            ("", "root=x", "root=x"),
            ("a=1", "", "a=1"),
            ("a=1 -- single", "root=x", "a=1 root=x -- single"),
            ("-- single", "root=x", "root=x -- single"),
            ("a=1 --", "root=x", "a=1 root=x --"),
            ("a=1 -- single", "quiet -- emergency", "a=1 quiet -- single emergency"),
            ("a=1", "quiet -- emergency", "a=1 quiet -- emergency"),
            ("a=\"x -- y\" b", "root=x", "a=\"x -- y\" b root=x"),
            ("a=1 \"--\" single", "root=x", "a=1 root=x \"--\" single"),
            ("a=1 -- single", "quiet \"--\" emergency", "a=1 quiet -- single emergency"),
            ("a=1 b=\"x y", "root=x", "a=1 root=x b=\"x y"),
            ("a=1  ", "b", "a=1   b"),
            ("--x y", "b", "--x y b"),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            add_words(&mut bytes, words.as_bytes());
            assert_eq!(String::from_utf8(bytes).unwrap(), joined);
        }
    }

    #[test]
    fn repeated_words_are_shown_with_the_one_that_counts() {
        let said = warnings(b"root=/dev/mtdblock5 console=tty0 console=ttyS0 root=/dev/mtdblock99");
        assert_eq!(said.len(), 2);
        assert!(
            said[0].contains("root=/dev/mtdblock5 and root=/dev/mtdblock99: the kernel takes the last"),
            "{said:?}"
        );
        assert!(said[1].contains("/dev/console is the last"));
        assert!(warnings(b"a=\"x y\" b=\"c d")[0].contains("part of the word b="));
        assert!(warnings(b"root=a rootfstype=b console=c -- root=d")[0].contains("goes to init"));
    }

    #[test]
    fn a_word_behind_the_double_dash_is_not_the_kernels() {
        let root = |word: &[u8]| word.starts_with(b"root=");
        assert!(has_word(b"quiet root=x", root));
        assert!(!has_word(b"quiet -- root=x", root));
    }
}
