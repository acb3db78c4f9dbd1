//! The device tree's and the bootloader's arguments, generated: `simulate`, the shim on the board and a kernel that joins
//! them itself (CONFIG_MIPS_CMDLINE_DTB_EXTEND) come to the same command line, byte for byte.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stoop_ci::Result;
use stoop_ci::lab::{Endian, Lab};
use stoop_core::cookie::Verdict;
use stoop_hil_tests::packed::{Booting, board, file, lab, lab_request};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Cap, Packed, Via, oracle};
use stoop_image::bootloader::uboot::{BOOTM_WORDS, argv};
use stoop_image::image::LONGEST_LINE;
use stoop_image::plan::{CodecChoice, CookieMatch, Request};
use stoop_image::simulate::Entry;

const PATIENCE: Duration = Duration::from_secs(600);

/// Cases in all, and those of them that are booted on each board.
const SIMULATED: usize = 200;
const BOOTED: usize = 7;

/// When bootargs count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    Always,
    Contains,
    Word,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Case {
    tree: Option<String>,
    bootargs: Option<String>,
    rule: Rule,
}

/// Nothing that a kernel acts on: names with a dot belong to modules that are not there.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z]{1,6}\\.[a-z0-9_]{1,12}",
        4 => "x\\.[a-z]{1,4}=[!#-&(-~]{0,16}",
        2 => "q\\.x=\"[a-z]{0,3} {1,2}[a-z=]{0,3}\"",
        1 => "q\\.y=\"[a-z]{1,3}",
        1 => Just("x.not-liminix".to_owned()),
        2 => Just("liminix".to_owned()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let blank = || prop_oneof![6 => Just(" "), 1 => Just("  "), 1 => Just("\t")];
    let words = |count| proptest::collection::vec((word(), blank()), count);
    let edge = || prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("  ")];
    let words = prop_oneof![8 => words(0..7), 2 => words(180..250)];
    (edge(), words, edge()).prop_map(|(first, words, last)| {
        let words: String = words.iter().flat_map(|(word, blank)| [word.as_str(), blank]).collect();
        format!("{first}{}{last}", words.trim_end())
    })
}

fn cases() -> Vec<Case> {
    let rule = prop_oneof![Just(Rule::Always), Just(Rule::Contains), Just(Rule::Word)];
    let tree =
        proptest::option::weighted(0.9, line().prop_filter("pack refuses it", |line| line.len() <= LONGEST_LINE));
    let case = (tree, proptest::option::weighted(0.95, line()), rule);
    let case = case.prop_map(|(tree, bootargs, rule)| Case { tree, bootargs, rule });
    let mut runner = TestRunner::deterministic();
    (0..SIMULATED).map(|_| case.new_tree(&mut runner).expect("a case").current()).collect()
}

/// Whether the bootargs count, and what the kernel sees.
///
/// Linux arch/mips/kernel/setup.c, `bootcmdline_init` with DTB_EXTEND, on the words that the bootloader delivers joined with
/// blanks (arch/mips/fw/lib/cmdline.c, `fw_init_cmdline`); in front of it the cookie's rule, behind it stoop's for long lines.
fn model(case: &Case) -> (&'static str, String) {
    let delivered = |line: &str| {
        let words: Vec<String> =
            argv(line.as_bytes()).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words
    };
    let bootargs = case.bootargs.as_deref().unwrap_or_default();
    let words = delivered(bootargs).join(" ");
    let tree = case.tree.clone().unwrap_or_default();
    let counts = match case.rule {
        Rule::Always => true,
        Rule::Contains => words.contains("liminix"),
        Rule::Word => delivered(&words.replace('\t', " ")).iter().any(|word| word == "liminix"),
    };
    if words.is_empty() {
        return ("none", tree);
    }
    if words.len() > LONGEST_LINE {
        return ("refused", tree);
    }
    if !counts {
        return ("ignored", tree);
    }
    let joined = if tree.is_empty() { words } else { format!("{tree} {words}") };
    if joined.len() > LONGEST_LINE { ("refused", tree) } else { ("accepted", joined) }
}

fn packed(lab: &Lab, endian: Endian, case: &Case, codec: CodecChoice) -> Result<(Packed, Vec<u8>)> {
    let base = lab_request(lab, endian);
    let tree = stoop_image::board::load(&base.board)?.dtb.expect("QEMU's boards bring a tree").bytes;
    let tree = oracle::with_bootargs(&tree, case.tree.as_deref())?;
    let dtb = file(&tree)?;
    let packed = Packed::of(&Request {
        dtb: Some(dtb.path().into()),
        rootfs: None,
        initrd: Some(lab.initramfs(endian)),
        codec,
        no_cookie: case.rule == Rule::Always,
        cookie_match: if case.rule == Rule::Word { CookieMatch::Word } else { CookieMatch::Contains },
        ..base
    })?;
    Ok((packed, tree))
}

#[test]
fn simulate_follows_the_kernels_rule_for_200_generated_cases() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let mut seen = std::collections::BTreeMap::new();
    for (number, case) in cases().iter().enumerate() {
        let endian = Endian::ALL[number % 2];
        // How the kernel is stored has no say in its line, and compressing it 200 times takes minutes; what is booted below is
        // compressed.
        let (packed, _) = packed(&lab, endian, case, CodecChoice::Store)?;
        let bootargs = case.bootargs.clone().unwrap_or_default();
        let booted = packed.simulate(Entry::Argv(bootargs.into()))?;
        let (verdict, line) = model(case);
        assert_eq!(
            (booted.verdict.text(), String::from_utf8_lossy(&booted.cmdline).as_ref()),
            (verdict, &*line),
            "{case:?}"
        );
        *seen.entry(verdict).or_insert(0) += 1;
    }
    println!("{seen:?}");
    for verdict in ["none", "ignored", "accepted", "refused"] {
        assert!(seen.get(verdict).is_some_and(|&count| count > 2), "hardly any case is {verdict}: {seen:?}");
    }
    Ok(())
}

/// Boots every second of the first cases that the oracle can answer: it cuts what stoop refuses.
fn ask_on(endian: Endian) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() })?
    else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    let all = cases();
    let bootable = |case: &&Case| {
        let words = argv(case.bootargs.as_deref().unwrap_or_default().as_bytes()).len();
        model(case).0 != "refused" && words <= BOOTM_WORDS
    };
    let cases = all.iter().filter(bootable).skip(endian as usize).step_by(2).take(BOOTED);
    for case in cases {
        let (packed, tree) = packed(&lab, endian, case, CodecChoice::Auto)?;
        let bootargs = case.bootargs.as_deref();
        let booting = Booting::of(rig.as_mut(), &packed, bootargs, Via::Bootm, PATIENCE)?;
        assert_eq!(booting.differences(&packed), Vec::<String>::new(), "{case:?}");
        // What the shim holds back, the oracle must not get.
        let passed = bootargs.filter(|_| booting.simulated.verdict == Verdict::Accepted);
        let oracle = oracle::ask(rig.as_mut(), &lab, &tree, passed, PATIENCE)?;
        assert_eq!(booting.seen.cmdline(), oracle.cmdline(), "{case:?}");
        assert_eq!((booting.simulated.verdict.text(), oracle.cmdline()), model(case), "{case:?}");
        println!("{}: {:?}", booting.simulated.verdict.text(), oracle.cmdline());
    }
    Ok(())
}

#[test]
fn little_endian_shim_and_simulate_join_as_the_oracle_kernel_does() -> Result<()> {
    ask_on(Endian::Little)
}

#[test]
fn big_endian_shim_and_simulate_join_as_the_oracle_kernel_does() -> Result<()> {
    ask_on(Endian::Big)
}
