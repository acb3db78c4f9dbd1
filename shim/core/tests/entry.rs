//! How bootloaders call us: argv, a device tree, CFE, and garbage of every kind.

use crate::common::{Machinery, params_block, region, settings};
use crate::fdt_support::{Edits, fixture, write};
use proptest::prelude::*;
use stoop_core::Region;
use stoop_core::abi::{Abi, Entry};
use stoop_core::bootargs::{EntryKind, LIMIT, Line, MAX_LINE, is_control};
use stoop_core::cookie::{Judgement, Refusal, Verdict};
use stoop_core::crc32::Crc32;
use stoop_core::mips::{Mips, kseg0, kseg1, physical, unmapped};
use stoop_core::params::{CookieRule, Params};

const KSEG0: u32 = 0x8000_0000;
const UHI: u32 = 0xffff_fffe;
const NONE: Entry = Entry::NONE;
const ARGV: Entry = Entry {
    kind: EntryKind::Argv,
    tree: Region::EMPTY,
    bootargs: Judgement { verdict: Verdict::Accepted, refusal: None },
};
const TOO_LONG: Entry =
    Entry { bootargs: Judgement { verdict: Verdict::Refused, refusal: Some(Refusal::TooLong) }, ..ARGV };
const EMPTY: Entry = Entry { bootargs: Judgement::NONE, ..ARGV };

/// By that rule, with the cookie `liminix` and the kept key `keep`.
fn enter_by<const BIG: bool>(rule: CookieRule, registers: [u32; 4], memory: &Machinery) -> (Entry, Vec<u8>) {
    let block = params_block(&settings(rule, b"liminix", b"keep\0"), false);
    let params = Params::check(&block, false, &Crc32::new()).unwrap();
    let mut line = Line::new();
    let (mut joined, registers) = ([0; LIMIT + 2], registers.map(|register| register as usize));
    let entry = Mips::<BIG>::enter(registers, memory, &params, &mut joined, &mut line);
    (entry, line.to_vec())
}

fn enter(registers: [u32; 4], memory: &Machinery) -> (Entry, Vec<u8>) {
    enter_by::<false>(CookieRule::Off, registers, memory)
}

/// Puts the arguments at 0x2000 and their pointers at 0x1000; `None` is a NULL pointer.
fn with_argv(arguments: &[Option<&[u8]>], big_endian: bool) -> Machinery {
    let mut memory = Machinery::new();
    let mut at = 0x2000;
    for (index, argument) in arguments.iter().enumerate() {
        let pointer = argument.map_or(0, |_| at as u32 | KSEG0);
        let bytes = if big_endian { pointer.to_be_bytes() } else { pointer.to_le_bytes() };
        memory.put(0x1000 + index * 4, &bytes);
        if let Some(argument) = argument {
            memory.put(at, argument);
            memory.put(at + argument.len(), b"\0");
            at += argument.len() + 1;
        }
    }
    memory
}

fn called(arguments: &[Option<&[u8]>]) -> (Entry, Vec<u8>) {
    enter([arguments.len() as u32, 0x8000_1000, 0, 0], &with_argv(arguments, false))
}

#[test]
fn arguments_are_joined_by_one_blank() {
    type Row = (&'static [Option<&'static [u8]>], &'static [u8]);
    let table: [Row; 10] = [
        (&[Some(b"uImage")], b""),
        (&[None], b""),
        (&[None, Some(b"a"), Some(b"b=c")], b"a b=c"),
        (&[Some(b"go"), Some(b"a")], b"a"),
        (&[Some(b"root=31:03"), Some(b"a")], b"root=31:03 a"),
        (&[Some(b"root=31:03")], b"root=31:03"),
        (&[None, Some(b"a"), None, Some(b"b")], b"a b"),
        (&[None, Some(b" a\tb ")], b" a\tb "),
        (&[None, Some(b""), Some(b"")], b" "),
        (&[None, None, Some(b"a")], b"a"),
    ];
    for (arguments, line) in table {
        let entry = if line.is_empty() { EMPTY } else { ARGV };
        assert_eq!(called(arguments), (entry, line.to_vec()), "{arguments:?}");
    }
}

#[test]
fn pointers_are_read_in_the_machines_byte_order() {
    let memory = with_argv(&[None, Some(b"a"), Some(b"b")], true);
    assert_eq!(enter_by::<true>(CookieRule::Off, [3, 0xa000_1000, 0, 0], &memory), (ARGV, b"a b".to_vec()));
}

#[test]
fn what_makes_no_sense_is_no_bootargs() {
    let good = with_argv(&[None, Some(b"a")], false);
    for registers in [
        [0, 0x8000_1000, 0, 0],
        [2049, 0x8000_1000, 0, 0],
        [2, 0x8000_1001, 0, 0],
        [2, 0x8000_1002, 0, 0],
        [2, 0x0000_1000, 0, 0],
        [2, 0xc000_1000, 0, 0],
        [2, 0x9fff_fffc, 0, 0],
        [2, KSEG0 | 0x3f_0000, 0, 0],
        [2, KSEG0 | 0x3e_fffc, 0, 0],
        [UHI, 0x8000_1000, 0, 0],
        [UHI, 0, 0, 0],
        [0xffff_ffff, 0x8000_1000, 0, 0],
    ] {
        assert_eq!(enter(registers, &good), (NONE, vec![]), "{registers:x?}");
    }
    let mut stray = with_argv(&[None, Some(b"a")], false);
    stray.put(0x1004, &0x1234u32.to_le_bytes());
    assert_eq!(enter([2, 0x8000_1000, 0, 0], &stray), (NONE, vec![]), "a pointer outside KSEG0 and KSEG1");
}

#[test]
fn what_lies_behind_the_ram_that_is_known_is_refused_and_not_looked_at() {
    let memory = with_argv(&[None, Some(b"a")], false);
    let end = settings(CookieRule::Off, b"", b"").ram.end() as u32;
    let refused = |kind| Entry {
        kind,
        bootargs: Judgement { verdict: Verdict::Refused, refusal: Some(Refusal::Unreadable) },
        ..NONE
    };
    for at in [KSEG0 | end, 0xa000_0000 | end, 0x8fff_fffc] {
        assert_eq!(enter([2, at, 0, 0], &memory), (refused(EntryKind::Argv), vec![]), "{at:#x}");
        assert_eq!(enter([UHI, at, 0, 0], &memory), (refused(EntryKind::Uhi), vec![]), "{at:#x}");
        for argc in [0, 2049] {
            assert_eq!(enter([argc, at, 0, 0], &memory), (NONE, vec![]), "{argc} arguments at {at:#x}");
        }
    }
    // Devices are from here on.
    assert_eq!(enter([2, 0x9000_0000, 0, 0], &memory), (NONE, vec![]));
}

#[test]
fn control_characters_are_refused_and_bytes_from_0x80_on_are_text() {
    let control = Judgement { verdict: Verdict::Refused, refusal: Some(Refusal::Control) };
    for garbage in [&b"a\x01"[..], b"a\nb", b"\x7f", b"\x1b[2J"] {
        let expected = [b"root=1 ", garbage].concat();
        let arguments = [None, Some(&b"root=1"[..]), Some(garbage)];
        assert_eq!(called(&arguments), (Entry { bootargs: control, ..ARGV }, expected), "{garbage:?}");
    }
    let line = "liminix name=caf\u{e9} \u{2603}".as_bytes();
    assert_eq!(called(&[None, Some(line)]), (ARGV, line.to_vec()));
    let every: Vec<u8> = (0x80..=0xff).collect();
    assert_eq!(called(&[None, Some(&every)]), (ARGV, every));
}

#[test]
fn an_argument_without_an_end_in_ram_is_too_long() {
    let mut memory = with_argv(&[None, Some(b"a")], false);
    let end = memory.run.start();
    memory.put(0x1004, &(KSEG0 | (end as u32 - 4)).to_le_bytes());
    memory.put(end - 4, b"abcd");
    assert_eq!(enter([2, 0x8000_1000, 0, 0], &memory), (TOO_LONG, b"abcd".to_vec()));
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_line_fits_up_to_its_last_byte_and_is_refused_whole() {
    let shown = |(entry, line): (Entry, Vec<u8>)| (entry, line.len());
    let fits = vec![b'x'; MAX_LINE];
    assert_eq!(called(&[None, Some(&fits)]), (ARGV, fits.clone()));
    let long = vec![b'x'; MAX_LINE + 1];
    assert_eq!(shown(called(&[None, Some(&long)])), (TOO_LONG, MAX_LINE));
    let half = vec![b'x'; MAX_LINE - 3];
    assert_eq!(called(&[None, Some(&half), Some(b"ab")]).0, ARGV);
    assert_eq!(called(&[None, Some(&half), Some(b"abc")]).0, TOO_LONG);
    assert_eq!(called(&[None, Some(&fits), Some(b"")]).0, TOO_LONG);
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_line_too_long_to_hold_is_judged_all_the_same() {
    let judged = |rule, arguments: &[Option<&[u8]>]| {
        let memory = with_argv(arguments, false);
        let (entry, line) = enter_by::<false>(rule, [arguments.len() as u32, 0x8000_1000, 0, 0], &memory);
        (entry.bootargs.verdict, entry.bootargs.refusal, line)
    };
    let long = vec![b'x'; 3000];
    let cookie = [&long[..], b" liminix"].concat();
    for rule in [CookieRule::Contains, CookieRule::Word] {
        let (verdict, refusal, line) = judged(rule, &[None, Some(&long), Some(&long)]);
        assert_eq!((verdict, refusal, line.len()), (Verdict::Ignored, None, MAX_LINE), "{rule:?}");
        let (verdict, refusal, _) = judged(rule, &[None, Some(&long), Some(&cookie)]);
        assert_eq!((verdict, refusal), (Verdict::Refused, Some(Refusal::TooLong)), "{rule:?}");
        let kept = judged(rule, &[None, Some(b"keep=1"), Some(&long), Some(b"a keep"), Some(&long), Some(b"keep=2")]);
        assert_eq!(kept, (Verdict::Kept, None, b"keep=1 keep keep=2".to_vec()), "{rule:?}");
        // What is kept does not fit.
        let value = [b"keep=", &long[..]].concat();
        let (verdict, refusal, _) = judged(rule, &[None, Some(&value), Some(&value)]);
        assert_eq!((verdict, refusal), (Verdict::Refused, Some(Refusal::TooLong)), "{rule:?}");
    }
    // A cookie that lies across two arguments is in the joined line.
    let (verdict, ..) = judged(CookieRule::Contains, &[None, Some(&long), Some(&long), Some(b"limi"), Some(b"nix")]);
    assert_eq!(verdict, Verdict::Ignored);
    // The limit of what is looked at.
    let huge = vec![b'x'; LIMIT - 1];
    assert_eq!(judged(CookieRule::Contains, &[None, Some(&huge)]).0, Verdict::Ignored);
    let huge = vec![b'x'; LIMIT];
    let (verdict, refusal, _) = judged(CookieRule::Contains, &[None, Some(&huge)]);
    assert_eq!((verdict, refusal), (Verdict::Refused, Some(Refusal::TooLong)));
}

#[test]
fn as_many_arguments_as_a_kernel_could_take_are_joined_and_one_more_is_nonsense() {
    for (count, line) in [(2048, &b"a"[..]), (2049, b"")] {
        // All but the last are NULL.
        let mut memory = Machinery::new();
        memory.put(0x1000, &vec![0; 4 * count]);
        memory.put(0x1000 + 4 * (count - 1), &(KSEG0 | 0x4000).to_le_bytes());
        memory.put(0x4000, b"a\0");
        assert_eq!(enter([count as u32, KSEG0 | 0x1000, 0, 0], &memory).1, line, "{count}");
    }
}

#[test]
fn pointers_are_in_the_unmapped_segments_and_lead_back() {
    for at in [0, 0x1000, 0x1fff_fffc] {
        assert_eq!((kseg0(at), kseg1(at)), (0x8000_0000 + at, 0xa000_0000 + at));
        for pointer in [kseg0(at), kseg1(at)] {
            assert_eq!((physical(pointer as u32), unmapped(pointer as u32)), (Some(at), at));
        }
    }
    for mapped in [0, 0x7fff_fffc, 0xc000_0000, 0xffff_fffc] {
        assert_eq!(physical(mapped), None, "0x{mapped:x}");
    }
}

/// The tree `malta` with that line in it.
fn tree(line: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 0x8000];
    let edits = Edits { bootargs: Some(&[line]), ..Edits::default() };
    let (size, _) = write(fixture("malta"), &edits, &mut out).unwrap();
    out.truncate(size);
    out
}

#[test]
fn a_tree_in_a1_brings_its_bootargs() {
    let with = |line: &[u8]| {
        let (mut memory, tree) = (Machinery::new(), tree(line));
        memory.put(0x8000, &tree);
        let uhi = Entry { kind: EntryKind::Uhi, tree: region(0x8000, tree.len()), ..ARGV };
        (memory, uhi)
    };
    let (memory, uhi) = with(b"root=1 liminix");
    assert_eq!(enter([UHI, KSEG0 | 0x8000, 0, 0], &memory), (uhi, b"root=1 liminix".to_vec()));
    let (memory, uhi) = with(&[b'y'; MAX_LINE]);
    assert_eq!(enter([UHI, KSEG0 | 0x8000, 0, 0], &memory), (uhi, vec![b'y'; MAX_LINE]));
    let (mut memory, uhi) = with(&[b'y'; MAX_LINE + 1]);
    let refused = Entry { bootargs: TOO_LONG.bootargs, ..uhi };
    assert_eq!(enter([UHI, KSEG0 | 0x8000, 0, 0], &memory), (refused, vec![b'y'; MAX_LINE]));
    memory.put(0x8000, b"\xd0\x0d\xfe\xee");
    assert_eq!(enter([UHI, KSEG0 | 0x8000, 0, 0], &memory), (NONE, vec![]), "no tree");
}

#[test]
fn cfe_has_no_arguments() {
    let memory = with_argv(&[None, Some(b"a")], false);
    let cfe = Entry { kind: EntryKind::Cfe, ..NONE };
    assert_eq!(enter([2, 0x8000_1000, 0, 0x4346_4531], &memory), (cfe, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    #[cfg_attr(miri, ignore = "too slow there")]
    fn garbage_in_registers_and_memory_never_faults(
        registers in prop::array::uniform4(prop_oneof![
            any::<u32>(),
            0u32..8,
            Just(UHI),
            (0u32..0x40_0100).prop_map(|at| KSEG0 | at),
            (0x10_0000u32..0x10_0100).prop_map(|at| 0xa000_0000 | at & !3),
        ]),
        table in prop::collection::vec(prop_oneof![
            any::<u32>(), Just(0), (0u32..0x40_0000).prop_map(|at| KSEG0 | at), (0x10_0000u32..0x10_0100).prop_map(|at| KSEG0 | at)
        ], 1..64),
    ) {
        thread_local!(static MEMORY: std::cell::RefCell<Machinery> = std::cell::RefCell::new(Machinery::new()));
        MEMORY.with_borrow_mut(|memory| {
            for (index, word) in table.iter().enumerate() {
                memory.put(0x10_0000 + index * 4, &word.to_le_bytes());
            }
            let before = memory.at(region(0x10_0000, 0x100)).to_vec();
            let (entry, line) = enter(registers, memory);
            let refused = entry.bootargs.verdict == Verdict::Refused;
            assert!(line.len() <= MAX_LINE && (refused || !line.iter().any(|byte| is_control(*byte))));
            assert!(matches!(entry.kind, EntryKind::Argv | EntryKind::Uhi | EntryKind::Cfe | EntryKind::None));
            assert!(entry.kind == EntryKind::Argv || line.is_empty());
            let unread = entry.bootargs.refusal == Some(Refusal::Unreadable);
            assert_eq!(entry.bootargs.verdict == Verdict::None || unread, line.is_empty());
            assert_eq!(memory.at(region(0x10_0000, 0x100)), before);
        });
    }
}
