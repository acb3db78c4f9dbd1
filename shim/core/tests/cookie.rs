//! The cookie rule and the kept keys, as tables of sentences.

use crate::common::{params_block, settings};
use proptest::prelude::*;
use stoop_core::bootargs::{LIMIT, Line, MAX_LINE, is_text, word};
use stoop_core::cookie::{Verdict, judge};
use stoop_core::crc32::Crc32;
use stoop_core::params::{CookieRule, Params};

/// The verdict, and what is left of the line.
fn judged(line: &[u8], rule: CookieRule, cookie: &[u8], keep: &[u8]) -> (Verdict, Vec<u8>) {
    let block = params_block(&settings(rule, cookie, keep), false);
    let params = Params::check(&block, false, &Crc32::new()).unwrap();
    let mut left = Line::new();
    let judged = judge(line, true, &params, &mut left);
    (judged.verdict, left.to_vec())
}

fn contains(line: &str, cookie: &str) -> Verdict {
    judged(line.as_bytes(), CookieRule::Contains, cookie.as_bytes(), b"").0
}

fn as_word(line: &str, cookie: &str) -> Verdict {
    judged(line.as_bytes(), CookieRule::Word, cookie.as_bytes(), b"").0
}

#[test]
fn no_bootargs_are_none_under_every_rule() {
    for rule in [CookieRule::Off, CookieRule::Contains, CookieRule::Word] {
        assert_eq!(judged(b"", rule, b"liminix", b"x\0").0, Verdict::None);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_line_of_more_bytes_than_any_bootloader_passes_is_refused_unread() {
    for (length, verdict) in [(LIMIT, Verdict::Ignored), (LIMIT + 1, Verdict::Refused)] {
        assert_eq!(judged(&vec![b'a'; length], CookieRule::Contains, b"liminix", b"").0, verdict, "{length}");
    }
}

#[test]
fn without_a_rule_everything_counts() {
    assert_eq!(judged(b"root=31:03", CookieRule::Off, b"", b""), (Verdict::Accepted, b"root=31:03".to_vec()));
}

#[test]
fn contains_looks_at_every_byte() {
    for line in ["liminix", "a liminix b", "a=liminix", "xliminixy", "limliminix", "root=1 liminix"] {
        assert_eq!(contains(line, "liminix"), Verdict::Accepted, "{line}");
    }
    for line in ["l", "limini", "Liminix", "limi nix", "root=31:03"] {
        assert_eq!(contains(line, "liminix"), Verdict::Ignored, "{line}");
    }
    assert_eq!(contains("aab", "ab"), Verdict::Accepted, "a false start hides nothing");
}

#[test]
fn word_wants_a_whole_word() {
    for line in ["liminix", " liminix", "a liminix b", "a\tliminix", "a  liminix  ", "x \"a b\" liminix"] {
        assert_eq!(as_word(line, "liminix"), Verdict::Accepted, "{line}");
    }
    for line in ["a=liminix", "liminix=1", "xliminix", "liminixy", "\"a liminix b\"", "   ", "\"liminix\""] {
        assert_eq!(as_word(line, "liminix"), Verdict::Ignored, "{line}");
    }
}

#[test]
fn an_accepted_line_stays_as_it_is() {
    let line = b"  a\t b liminix \"c  d\" ";
    assert_eq!(judged(line, CookieRule::Contains, b"liminix", b"a\0"), (Verdict::Accepted, line.to_vec()));
}

#[test]
fn kept_words_move_to_the_front() {
    let kept = |line: &str, keys: &str| {
        let (verdict, left) = judged(line.as_bytes(), CookieRule::Contains, b"liminix", keys.as_bytes());
        (verdict, String::from_utf8(left).unwrap())
    };
    let table = [
        ("bootImage=1 root=x", "bootImage\0", "bootImage=1"),
        ("root=x bootImage=1", "bootImage\0", "bootImage=1"),
        ("root=x  bootImage  a b=2 c", "b\0bootImage\0", "bootImage b=2"),
        ("a\tb\tc", "a\0b\0c\0", "a b c"),
        ("x=\"1 2\" y x=3", "x\0", "x=\"1 2\" x=3"),
        ("x=\"1\t2\" y", "x\0", "x=\"1 2\""),
    ];
    for (line, keys, left) in table {
        assert_eq!(kept(line, keys), (Verdict::Kept, left.into()), "{line}");
    }
    for (line, keys) in [("bootImages=1", "bootImage\0"), ("xbootImage", "bootImage\0"), ("root=x", ""), ("a b", "c\0")]
    {
        assert_eq!(kept(line, keys), (Verdict::Ignored, line.into()), "an ignored line is left alone");
    }
}

#[test]
fn a_key_matches_its_name_and_its_assignment() {
    for (text, keys, expected) in [
        ("key", "key\0", true),
        ("key=1", "key\0", true),
        ("key=", "key\0", true),
        ("key1", "key\0", false),
        ("ke", "key\0", false),
        ("b", "a\0b\0", true),
        ("c=d", "a\0b\0", false),
        ("a", "", false),
    ] {
        let verdict = judged(text.as_bytes(), CookieRule::Contains, b"liminix", keys.as_bytes()).0;
        assert_eq!(verdict == Verdict::Kept, expected, "{text} of {keys:?}");
    }
}

#[test]
fn words_end_at_blanks_outside_quotes() {
    let words = |line: &[u8]| {
        let mut rest = line;
        let words = std::iter::from_fn(|| word(&mut rest));
        words.map(|word| String::from_utf8(word.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(words(b"  a \"b c\"d\te\""), ["a", "\"b c\"d", "e\""]);
    assert_eq!(words(b"ab   "), ["ab"]);
    assert!(words(b"").is_empty() && words(b" \t ").is_empty());
}

#[test]
fn text_is_everything_but_control_characters() {
    assert!(is_text(b"") && is_text(b"a ~\t\x80\xff"));
    for byte in (0..=255u8).filter(|byte| *byte != b'\t' && byte.is_ascii_control()) {
        assert!(!is_text(&[b'a', byte]), "{byte:#x}");
    }
}

#[test]
fn the_longest_line_is_judged() {
    let mut line = vec![b'x'; MAX_LINE - 2];
    line.extend(b" k");
    assert_eq!(judged(&line, CookieRule::Word, b"c", b"k\0"), (Verdict::Kept, b"k".to_vec()));
    assert_eq!(judged(&line, CookieRule::Contains, b"x k", b"").0, Verdict::Accepted);
}

proptest! {
    #[test]
    fn the_rules_agree_with_the_standard_library(line in "[ab=\t ]{0,20}", cookie in "[ab=]{1,3}") {
        let none = line.is_empty();
        let verdict = |found: bool| match (none, found) {
            (true, _) => Verdict::None,
            (_, true) => Verdict::Accepted,
            _ => Verdict::Ignored,
        };
        prop_assert_eq!(contains(&line, &cookie), verdict(line.contains(&cookie)));
        let words = line.split([' ', '\t']);
        prop_assert_eq!(as_word(&line, &cookie), verdict(words.clone().any(|word| word == cookie)));
        let kept: Vec<&str> = words.filter(|word| matches!(word.split('=').next(), Some("ab" | "b"))).collect();
        let (verdict, left) = judged(line.as_bytes(), CookieRule::Word, b"never", b"ab\0b\0");
        prop_assert_eq!(verdict == Verdict::Kept, !kept.is_empty());
        if verdict == Verdict::Kept {
            prop_assert_eq!(String::from_utf8(left).unwrap(), kept.join(" "));
        }
    }
}
