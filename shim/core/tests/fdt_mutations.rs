//! 10,000 damaged trees: never a panic, and what is taken is a tree for dtc as well.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::fdt_support::{FIXTURES, dtc, dtc_run, edit_sets, written};
use stoop_core::Code;
use stoop_core::fdt::{Tree, check};

const CASES: usize = 10_000;
/// Another seed finds other damage; this one makes a failure come again.
const SEED: u64 = 0x7374_6f6f_7021_0001;

/// A generator of Marsaglia's xorshift family: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// One to four damaged places; sometimes the end is cut off.
fn damaged(source: &[u8], random: &mut Random) -> Vec<u8> {
    let mut blob = source.to_vec();
    let most = random.below(4);
    for _ in 0..=random.below(most + 1) {
        // One in eight goes to the header, where nearly all damage is refused at once.
        let span = if random.below(8) == 0 { 40 } else { blob.len() };
        let at = random.below(span);
        match random.below(6) {
            0 => blob[at] = random.below(256) as u8,
            1 => blob[at] ^= 1 << random.below(8),
            2 => blob[at] = blob[at].wrapping_add(1),
            3 => blob[at] = blob[at].wrapping_sub(1),
            // A tag or a small number where a word begins.
            4 => {
                let word = at & !3;
                let value = [0, 1, 2, 3, 4, 9, 0xffff_ffff, 0x8000_0000][random.below(8)];
                blob.get_mut(word..word + 4).into_iter().for_each(|to| to.copy_from_slice(&u32::to_be_bytes(value)));
            }
            // One word over another: names and values move.
            _ => {
                let (to, from) = (at & !3, random.below(blob.len()) & !3);
                if to + 4 <= blob.len() && from + 4 <= blob.len() {
                    blob.copy_within(from..from + 4, to);
                }
            }
        }
    }
    if random.below(20) == 0 {
        let length = random.below(blob.len());
        blob.truncate(length);
        if length >= 8 && random.below(2) == 0 {
            blob[4..8].copy_from_slice(&(length as u32).to_be_bytes());
        }
    }
    blob
}

#[test]
fn ten_thousand_damaged_trees_never_panic_and_what_is_taken_dtc_takes() {
    let mut random = Random(SEED);
    let sets = edit_sets();
    let (mut refused, mut taken) = (0, BTreeSet::new());
    for case in 0..CASES {
        let (_, source) = FIXTURES[case % FIXTURES.len()];
        let blob = damaged(source, &mut random);
        // A reader of a damaged tree gives some line or none.
        let mut tree = Tree::new(&blob);
        let _ = tree.read().map(|()| tree.bootargs());
        let size = match check(&blob) {
            Ok(size) => size,
            Err(error) => {
                assert!(matches!(error.code(), Code::TreeHeader | Code::TreeStructure), "case {case}: {error:?}");
                refused += 1;
                continue;
            }
        };
        let source = blob[..size].to_vec();
        // Every set of edits runs; one of them goes to dtc.
        let chosen = random.below(sets.len());
        for (index, (what, edits)) in sets.iter().enumerate() {
            match written(&source, edits) {
                Ok((out, _)) => {
                    assert!(check(&out).is_ok(), "case {case}, {what}: our own tree is refused");
                    if index == chosen {
                        taken.insert((source.clone(), out));
                    }
                }
                Err(error) => assert_eq!(error.code(), Code::TreeCells, "case {case}, {what}: {error:?}"),
            }
        }
    }
    eprintln!("{CASES} damaged trees: {refused} refused, {} different ones taken", taken.len());
    assert!(refused > CASES / 10 && taken.len() > CASES / 10, "the damage is neither too light nor too heavy");
    if dtc().is_some() {
        compare_with_dtc(&taken.into_iter().collect::<Vec<_>>());
    }
}

/// dtc parses every source that was taken and every new tree, and where it finds no fault in the source, it finds none
/// in the new tree.
fn compare_with_dtc(trees: &[(Vec<u8>, Vec<u8>)]) {
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, |count| count.get());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((source, out)) = trees.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let strict = ["-I", "dtb", "-O", "dtb"];
                    let forced = ["-I", "dtb", "-O", "dtb", "-f"];
                    let (faultless, _, said) = dtc_run(&strict, source);
                    if !faultless {
                        let (parsed, _, messages) = dtc_run(&forced, source);
                        assert!(parsed, "dtc does not parse a source that was taken: {messages}\n{source:02x?}");
                    }
                    let how = if faultless { &strict[..] } else { &forced };
                    let (accepted, _, messages) = dtc_run(how, out);
                    assert!(accepted, "dtc on the source: {said}\non the new tree: {messages}\n{source:02x?}");
                }
            });
        }
    });
}
