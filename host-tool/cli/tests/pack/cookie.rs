//! Generated cases against a model of the kernel patch's rule, written from the rule and not from the code.

use proptest::prelude::*;
use stoop_image::plan::{CookieMatch, Request};
use stoop_image::simulate::Entry;

use crate::bench::{Bench, Kernel, booted, packed, tree};

/// One case.
#[derive(Clone, Debug)]
struct Case {
    own: Option<String>,
    passed: Option<String>,
    cookie: String,
    rule: Rule,
    keep: Vec<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    Off,
    Contains,
    Word,
}

/// Words as the kernel cuts them: at blanks outside of double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        quoted ^= letter == '"';
        if (letter == ' ' || letter == '\t') && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(letter);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Command line and verdict by the rule: DT bootargs, one blank, accepted bootargs; a line too long to hold is judged all the same.
fn model(case: &Case) -> (String, &'static str) {
    let own = case.own.clone().unwrap_or_default();
    let mut line = case.passed.clone().unwrap_or_default();
    // U-Boot cuts the line at single blanks outside of quotes, and one at the very end leaves no word behind it.
    if line.ends_with(' ') && line.matches('"').count().is_multiple_of(2) {
        line.pop();
    }
    let accepted = match case.rule {
        Rule::Off => true,
        Rule::Contains => line.contains(&case.cookie),
        Rule::Word => words(&line).contains(&case.cookie),
    };
    let is_kept = |word: &String| {
        let mut parts = word.splitn(2, '=');
        case.keep.iter().any(|key| Some(*key) == parts.clone().next()) && parts.next().is_some()
    };
    let kept: Vec<String> = words(&line).into_iter().filter(is_kept).collect();
    let (passed, verdict) = if line.is_empty() {
        (String::new(), "none")
    } else if accepted {
        (line, "accepted")
    } else if !kept.is_empty() {
        (kept.join(" "), "kept")
    } else {
        (String::new(), "ignored")
    };
    let joint = match (own.is_empty(), passed.is_empty()) {
        (_, true) => own.clone(),
        (true, _) => passed,
        _ => format!("{own} {passed}"),
    };
    if joint.len() > 4095 { (own, "refused") } else { (joint, verdict) }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[a-z.]{1,6}=[a-zA-Z0-9/:,]{0,12}",
        Just("root=31:03".to_owned()),
        Just("mtdparts=spi0.0:128k(u-boot),64k(env)ro".to_owned()),
        Just("bootImage=1".to_owned()),
        Just("bootImage".to_owned()),
        Just("bootImage2=x".to_owned()),
        Just("x=\"a b\"".to_owned()),
        Just("\"liminix\"".to_owned()),
        Just("liminix".to_owned()),
        Just("xliminixy".to_owned()),
        Just("liminix=1".to_owned()),
        Just("limini".to_owned()),
        Just("\"".to_owned()),
        Just("".to_owned()),
        "[!-~]{1,6}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(word(), 0..8).prop_map(|words| words.join(" ")),
        1 => prop::collection::vec(word(), 1..4).prop_map(|words| format!(" {}  ", words.join("  "))),
        1 => (3900usize..4200, word()).prop_map(|(length, word)| format!("{} {word} liminix", "a".repeat(length))),
        1 => (4080usize..4100).prop_map(|length| format!("liminix {}", "b".repeat(length - 8))),
    ]
}

prop_compose! {
    fn case()(
        own in prop::option::of(prop_oneof![
            Just(String::new()),
            line().prop_map(|line| line.chars().take(4095).collect::<String>()),
        ]),
        passed in prop::option::of(line()),
        cookie in prop_oneof![4 => Just("liminix".to_owned()), 1 => "[a-z]{1,3}"],
        rule in prop_oneof![1 => Just(Rule::Off), 3 => Just(Rule::Contains), 2 => Just(Rule::Word)],
        keep in prop_oneof![Just(vec![]), Just(vec!["bootImage"]), Just(vec!["root", "mtdparts"])],
    ) -> Case {
        Case { own, passed, cookie, rule, keep }
    }
}

fn request(bench: &Bench, case: &Case) -> Request {
    Request {
        board: "qemu-malta-be".into(),
        kernel: bench.put("vmlinux", &Kernel { filler: 64, ..Kernel::new(true) }.elf()),
        dtb: Some(bench.put("board.dtb", &tree(case.own.as_ref().map(String::as_bytes)))),
        codec: stoop_image::plan::CodecChoice::Store,
        cookie: (case.rule != Rule::Off).then(|| case.cookie.clone()),
        cookie_match: if case.rule == Rule::Word { CookieMatch::Word } else { CookieMatch::Contains },
        no_cookie: case.rule == Rule::Off,
        keep: case.keep.iter().map(|key| (*key).to_owned()).collect(),
        ..Request::default()
    }
}

fn holds(bench: &Bench, case: &Case) {
    let (_, built) = packed(&request(bench, case));
    let entry = case.passed.as_ref().map_or(Entry::None, |line| Entry::Argv(line.clone().into_bytes()));
    let booted = booted(&built.file, entry);
    let (line, verdict) = model(case);
    assert_eq!(
        (String::from_utf8(booted.cmdline).unwrap().as_str(), booted.verdict.text()),
        (line.as_str(), verdict),
        "{case:?}"
    );
    assert_eq!(booted.entry.text(), if case.passed.is_some() { "argv" } else { "none" });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_shim_decides_as_the_rule_says(case in case()) {
        thread_local!(static BENCH: Bench = Bench::new());
        BENCH.with(|bench| holds(bench, &case));
    }
}

#[test]
fn exactly_4095_bytes_fit_and_one_more_is_refused_whole() {
    let bench = Bench::new();
    for (length, verdict) in [(4094, "accepted"), (4095, "accepted"), (4096, "refused")] {
        let own = "console=ttyS0".to_owned();
        let line = format!("liminix {}", "c".repeat(length - own.len() - 1 - 8));
        let case =
            Case { own: Some(own), passed: Some(line), cookie: "liminix".into(), rule: Rule::Contains, keep: vec![] };
        assert_eq!(model(&case).1, verdict, "the model itself at {length}");
        holds(&bench, &case);
    }
}

#[test]
fn a_device_tree_from_the_bootloader_is_judged_like_argv() {
    let bench = Bench::new();
    for (line, verdict, expected) in [
        ("liminix hello", "accepted", "console=ttyS0 liminix hello"),
        ("root=31:03", "ignored", "console=ttyS0"),
        ("", "none", "console=ttyS0"),
    ] {
        let case = Case {
            own: Some("console=ttyS0".into()),
            passed: None,
            cookie: "liminix".into(),
            rule: Rule::Contains,
            keep: vec![],
        };
        let (_, built) = packed(&request(&bench, &case));
        let booted = booted(&built.file, Entry::Uhi(tree(Some(line.as_bytes()))));
        assert_eq!((booted.entry.text(), booted.verdict.text()), ("uhi", verdict));
        assert_eq!(booted.cmdline, expected.as_bytes());
    }
}
