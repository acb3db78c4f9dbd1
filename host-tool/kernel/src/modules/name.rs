//! Module names: one spelling for each, and patterns as `modules.alias` has them.

/// The name of a module as the kernel spells it: `-` is `_`, and nothing after the first dot counts.
pub fn normalize(name: &str) -> String {
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

/// The name of the module in a file of this path.
pub fn of_path(path: &str) -> String {
    normalize(path.rsplit('/').next().unwrap_or(path))
}

/// An alias or a pattern in one spelling: `-` is `_` except inside `[…]`, where it is a range.
pub fn normalize_alias(alias: &str) -> String {
    let mut in_set = false;
    alias
        .chars()
        .map(|c| match c {
            '[' => {
                in_set = true;
                c
            }
            ']' => {
                in_set = false;
                c
            }
            '-' if !in_set => '_',
            _ => c,
        })
        .collect()
}

/// Whether `text` matches a pattern of `modules.alias`: `*`, `?` and `[a-f0-9]` (`[!…]` for any other).
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the rest does not match: one more byte for the last star.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let stepped = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(b'['), Some(&byte)) => match one_of(&pattern[p..], byte) {
                Some((true, length)) => {
                    p += length;
                    true
                }
                Some((false, _)) => false,
                None => {
                    p += 1;
                    byte == b'['
                }
            },
            (Some(&wanted), Some(&byte)) => {
                p += 1;
                wanted == b'?' || wanted == byte
            }
            _ => false,
        };
        if stepped {
            t += 1;
            continue;
        }
        match star {
            Some((after, from)) if from < text.len() => {
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether `byte` is in the set that begins `pattern`, and how long the set's text is; nothing if it never ends.
fn one_of(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut at = first;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((found != negated, at + 1));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(of_path("kernel/net/ipv4/netfilter/nf-nat.ko.xz"), "nf_nat");
        assert_eq!(normalize_alias("pci:v-d[0-9]-"), "pci:v_d[0-9]_");
    }

    #[test]
    fn patterns_match_as_in_modules_alias() {
        for (pattern, text, matched) in [
            ("fs-ext4", "fs-ext4", true),
            ("usb:v0CF3p*d*", "usb:v0CF3p9271d0108", true),
            ("usb:v0CF3p*d*", "usb:v0CF4p9271d0108", false),
            ("of:N*T*Cqca,ath79*", "of:NwifiTCqca,ath79-wmac", true),
            ("a[0-9a-f]c", "abc", true),
            ("a[0-9a-f]c", "agc", false),
            ("a[!0-9]c", "a1c", false),
            ("a[!0-9]c", "axc", true),
            ("a[]]c", "a]c", true),
            ("a[b", "a[b", true),
            ("*a*b*c", "xxaybbzc", true),
            ("*a*b*c", "xxaybbz", false),
            ("?", "", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }
}
