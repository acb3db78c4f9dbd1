//! Where a tree or a buffer ends: one byte more or less must be an error with a code, never a panic and never half a tree.

use crate::fdt_support::{FIXTURES, edit_sets, fixture, write, written};
use stoop_core::Code;
use stoop_core::fdt::{Tree, check, stated_size};

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_buffer_of_exactly_the_size_is_enough_and_none_smaller_is() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let Ok((whole, count)) = written(source, &edits) else { continue };
            let mut exact = vec![0x55; whole.len()];
            assert_eq!(write(source, &edits, &mut exact), Ok((whole.len(), count)), "{name}, {what}");
            assert!(exact == whole, "{name}, {what}: the bytes do not depend on the buffer");
            for room in 0..whole.len() {
                let error = write(source, &edits, &mut exact[..room]).expect_err("there is no room");
                assert_eq!((error.code(), error.value), (Code::TreeRoom, room), "{name}, {what}: {room}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn nothing_is_written_behind_the_new_tree() {
    for (name, source) in FIXTURES {
        for (what, edits) in edit_sets() {
            let mut out = vec![0x55; source.len() + 4096];
            let Ok((size, _)) = write(source, &edits, &mut out) else { continue };
            assert!(out[size..].iter().all(|byte| *byte == 0x55), "{name}, {what}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_tree_cut_anywhere_is_refused_and_one_with_more_behind_it_is_not() {
    for (name, source) in FIXTURES {
        for length in 0..source.len() {
            let error = check(&source[..length]).expect_err("cut");
            assert_eq!(error.code(), Code::TreeHeader, "{name} cut to {length}");
        }
        let longer = [source, &[0xff; 100]].concat();
        assert_eq!(check(&longer), Ok(source.len()), "{name}");
    }
}

/// The source with one field of the header set.
fn with_field(source: &[u8], index: usize, value: u32) -> Vec<u8> {
    let mut blob = source.to_vec();
    blob[index * 4..index * 4 + 4].copy_from_slice(&value.to_be_bytes());
    blob
}

fn field(source: &[u8], index: usize) -> u32 {
    u32::from_be_bytes(source[index * 4..index * 4 + 4].try_into().expect("four bytes"))
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn every_flipped_bit_of_the_header_is_refused_or_harmless() {
    for (name, source) in FIXTURES {
        for bit in 0..320 {
            let mut blob = source.to_vec();
            blob[bit / 8] ^= 0x80 >> (bit % 8);
            match check(&blob) {
                Err(error) => {
                    let known = matches!(error.code(), Code::TreeHeader | Code::TreeStructure);
                    assert!(known, "{name}, bit {bit}: {error:?}");
                }
                Ok(_) => {
                    for (_, edits) in edit_sets() {
                        let _ = written(&blob, &edits);
                    }
                    assert!(bit >= 32, "{name}: the magic number has no harmless bits");
                    assert_ne!(bit / 32, 2, "{name}: nor has the structure's offset");
                }
            }
        }
    }
}

#[test]
fn headers_that_are_not_version_17_or_point_outside_are_refused() {
    let source = fixture("crowded");
    let (total, structure, strings, reservations) =
        (field(source, 1), field(source, 2), field(source, 3), field(source, 4));
    let (strings_size, structure_size) = (field(source, 8), field(source, 9));
    for (what, index, value) in [
        ("magic", 0, 0xedfe_0dd0),
        ("total size, one more than there is", 1, total + 1),
        ("total size, one less than the strings need", 1, strings + strings_size - 1),
        ("total size 0", 1, 0),
        ("structure not aligned", 2, structure + 2),
        ("structure in front of the reservations' end", 2, structure - 16),
        ("structure at the end", 2, u32::MAX - 3),
        ("strings inside the structure", 3, strings - 1),
        ("strings behind the end", 3, total + 1),
        ("reservations in the header", 4, 36),
        ("reservations without their end", 4, structure - 8),
        ("reservations behind the structure", 4, structure + 4),
        ("version 16", 5, 16),
        ("compatible from 18 on", 6, 18),
        ("strings beyond the end", 8, total - strings + 1),
        ("strings of all there is", 8, u32::MAX),
        ("strings that do not end with NUL", 8, strings_size - 1),
        ("structure beyond the strings", 9, structure_size + 4),
        ("structure of all there is", 9, u32::MAX),
    ] {
        let error = check(&with_field(source, index, value)).expect_err(what);
        assert_eq!(error.code(), Code::TreeHeader, "{what}");
        assert_eq!(error.value, if index == 0 { 0xedfe_0dd0 } else { 0xd00d_feed }, "{what}");
    }
    for (what, index, value) in [
        ("a later version that says it can be read as 17", 5, 18),
        ("compatible from 17 on", 6, 17),
        ("any boot CPU", 7, u32::MAX),
        ("fewer reservations", 4, reservations + 16),
    ] {
        assert!(check(&with_field(source, index, value)).is_ok(), "{what}");
    }
    let error = check(&with_field(source, 9, structure_size - 4)).expect_err("no room for the last tag");
    assert_eq!((error.code(), error.value), (Code::TreeStructure, structure_size as usize - 4));
}

/// A blob with this structure block and the strings `a` and `b`.
fn blob(structure: &[u32]) -> Vec<u8> {
    let strings = b"a\0b\0";
    let size = structure.len() * 4;
    let header = [0xd00d_feed, 56 + size + strings.len(), 56, 56 + size, 40, 17, 16, 0, strings.len(), size];
    let words = header.into_iter().map(|word| word as u32).chain([0; 4]).chain(structure.iter().copied());
    words.flat_map(u32::to_be_bytes).chain(*strings).collect()
}

const BEGIN: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;
/// A node's name `x` with its padding.
const X: u32 = u32::from_be_bytes(*b"x\0\0\0");

#[test]
fn structures_are_refused_at_the_tag_that_is_wrong() {
    for (what, at, structure) in [
        ("nothing", 0, &[][..]),
        ("no node", 0, &[END]),
        ("a property before the root", 0, &[PROPERTY, 0, 0, END]),
        ("a NOP before the root, which dtc refuses", 0, &[NOP, BEGIN, 0, END_NODE, END]),
        ("an end before the root", 0, &[END_NODE, END]),
        ("no last tag", 12, &[BEGIN, 0, END_NODE]),
        ("a NOP behind the root, which dtc refuses", 12, &[BEGIN, 0, END_NODE, NOP, END]),
        ("two roots", 12, &[BEGIN, 0, END_NODE, BEGIN, 0, END_NODE, END]),
        ("one node too few ended", 20, &[BEGIN, 0, BEGIN, X, END_NODE, END]),
        ("an end inside", 8, &[BEGIN, 0, END, END_NODE, END]),
        ("tag 0", 8, &[BEGIN, 0, 0, END_NODE, END]),
        ("tag 5", 8, &[BEGIN, 0, 5, END_NODE, END]),
        ("tag 0x01000000", 8, &[BEGIN, 0, 0x0100_0000, END_NODE, END]),
        ("a name without end", 8, &[BEGIN, 0, BEGIN, 0x7878_7878]),
        ("no name", 8, &[BEGIN, 0, BEGIN]),
        ("a property behind a child", 20, &[BEGIN, 0, BEGIN, X, END_NODE, PROPERTY, 0, 0, END_NODE, END]),
        ("a property cut in its length", 8, &[BEGIN, 0, PROPERTY]),
        ("a property cut in its name", 8, &[BEGIN, 0, PROPERTY, 0]),
        ("a value beyond the block", 8, &[BEGIN, 0, PROPERTY, 9, 0, END_NODE, END]),
        ("a value whose padding is beyond the block", 8, &[BEGIN, 0, PROPERTY, 1, 0]),
        ("a value as long as the address space", 8, &[BEGIN, 0, PROPERTY, u32::MAX, 0, END_NODE, END]),
        ("a value 12 short of the address space", 8, &[BEGIN, 0, PROPERTY, u32::MAX - 11, 0, END_NODE, END]),
        ("a name behind the strings", 8, &[BEGIN, 0, PROPERTY, 0, 4, END_NODE, END]),
        ("a name far behind the strings", 8, &[BEGIN, 0, PROPERTY, 0, u32::MAX, END_NODE, END]),
    ] {
        let error = check(&blob(structure)).expect_err(what);
        assert_eq!((error.code(), error.value), (Code::TreeStructure, at), "{what}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn odd_but_sound_structures_are_taken() {
    for (what, structure) in [
        ("nothing but a root", &[BEGIN, 0, END_NODE, END][..]),
        ("words behind the last tag", &[BEGIN, 0, END_NODE, END, 5, 5]),
        (
            "NOPs",
            &[BEGIN, 0, NOP, PROPERTY, 0, 0, NOP, PROPERTY, 0, 2, NOP, BEGIN, X, NOP, END_NODE, NOP, END_NODE, END],
        ),
        ("a name that is the last byte of the strings", &[BEGIN, 0, PROPERTY, 0, 3, END_NODE, END]),
        ("a root with a name", &[BEGIN, X, END_NODE, END]),
    ] {
        let source = blob(structure);
        for (which, edits) in edit_sets() {
            let (out, _) = written(&source, &edits).unwrap_or_else(|error| panic!("{what}, {which}: {error:?}"));
            assert!(check(&out).is_ok(), "{what}, {which}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn nodes_may_lie_at_any_depth_since_nothing_is_kept_of_them() {
    for depth in [1, 2, 3, 32, 33, 1000, 100_000] {
        let mut structure = [BEGIN, 0].repeat(depth);
        structure.extend([END_NODE].repeat(depth));
        let open = structure[..structure.len() - 1].to_vec();
        structure.push(END);
        for (what, edits) in edit_sets() {
            let (out, _) =
                written(&blob(&structure), &edits).unwrap_or_else(|error| panic!("{depth}, {what}: {error:?}"));
            assert_eq!(check(&out), Ok(out.len()), "{depth}, {what}");
        }
        assert_eq!(check(&blob(&open)).expect_err("one end is missing").code(), Code::TreeStructure);
    }
}

#[test]
fn a_structure_that_is_not_aligned_is_refused_though_all_else_is_sound() {
    for shift in 1..=4_u32 {
        let mut source = blob(&[BEGIN, 0, PROPERTY, 0, 0, END_NODE, END]);
        source.splice(56..56, vec![0; shift as usize]);
        for index in [1, 2, 3] {
            source = with_field(&source, index, field(&source, index) + shift);
        }
        let tree = check(&source);
        assert_eq!(
            tree.map(|_| ()).map_err(|error| error.code()),
            if shift == 4 { Ok(()) } else { Err(Code::TreeHeader) }
        );
    }
}

#[test]
fn no_strings_block_at_all_is_sound() {
    let mut source = blob(&[BEGIN, 0, END_NODE, END]);
    source.truncate(source.len() - 4);
    let source = with_field(&with_field(&source, 8, 0), 1, source.len() as u32);
    for (what, edits) in edit_sets() {
        let (out, _) = written(&source, &edits).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(check(&out).is_ok(), "{what}");
    }
    let mut source = blob(&[BEGIN, 0, PROPERTY, 0, 0, END_NODE, END]);
    source.truncate(source.len() - 4);
    let source = with_field(&with_field(&source, 8, 0), 1, source.len() as u32);
    assert_eq!(check(&source).expect_err("a property without a name").code(), Code::TreeStructure);
}

/// A tree of one root whose structure block is `structure`, with the one name `abc`.
fn tree_of(structure: &[u32]) -> Vec<u8> {
    let end = 56 + structure.len() as u32 * 4;
    let header = [0xd00d_feed, end + 4, 56, end, 40, 17, 16, 0, 4, structure.len() as u32 * 4, 0, 0, 0, 0];
    let words = header.iter().chain(structure).flat_map(|word| word.to_be_bytes());
    words.chain(*b"abc\0").collect()
}

#[test]
fn lengths_and_names_near_the_top_of_32_bits_do_not_wrap_around() {
    let structure = |length: u32, name: u32| tree_of(&[1, 0, 3, length, name, 0x6162_0000, 2, 9]);
    assert!(check(&structure(4, 0)).is_ok());
    for (length, name) in [
        (0xffff_ffff, 0),
        (0xffff_fffc, 0),
        (0xffff_fff8, 0),
        (0xffff_fff4, 0),
        (0x8000_0000, 0),
        (4, 0xffff_ffe4),
        (4, 0xffff_ffff),
        (4, 4),
        (4, 0x8000_0000),
    ] {
        let tree = structure(length, name);
        assert_eq!(check(&tree).map_err(|error| error.code()), Err(Code::TreeStructure), "{length:x} {name:x}");
        let mut read = Tree::new(&tree);
        read.read().expect("the header is right");
        assert_eq!(read.bootargs(), b"", "{length:x} {name:x}");
    }
    // Blocks that would wrap around.
    for (word, value) in [(2, 0xffff_fffc), (3, 0xffff_fffc), (4, 0xffff_fff8), (8, 0xffff_ffff), (9, 0xffff_fffc)] {
        let mut tree = structure(4, 0);
        tree[word * 4..][..4].copy_from_slice(&u32::to_be_bytes(value));
        assert_eq!(check(&tree).map_err(|error| error.code()), Err(Code::TreeHeader), "word {word}");
    }
}

#[test]
fn only_a_magic_and_a_size_that_a_kernel_maps_state_a_tree() {
    for (magic, total, size) in [
        (0xd00d_feed, 40, Some(40)),
        (0xd00d_feed, 0x20_0000, Some(0x20_0000)),
        (0xd00d_feed, 0x20_0001, None),
        (0xd00d_feed, 39, None),
        (0xd00d_feed, u32::MAX, None),
        (0xedfe_0dd0, 40, None),
        (0, 40, None),
    ] {
        assert_eq!(stated_size(magic, total), size, "{magic:x} {total:x}");
    }
}
