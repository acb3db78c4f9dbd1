//! The tree that pack makes of what is to be added.

use stoop_core::Region;
use stoop_core::fdt::Overlay;

fn region(start: usize, size: usize) -> Region {
    Region::new(start, size).expect("a region")
}

/// Everything that can be added, with that line.
fn everything(line: &[u8], relative: bool) -> Overlay<'_> {
    Overlay {
        cells: [2, 2],
        line: Some(line),
        initrd: Some(region(0x1_0000, 0x1234)),
        phram: Some((region(0x2_0000, 0x3000), 99)),
        memory: Some(region(0x10_0000, 0x40_0000)),
        ramoops: None,
        report: Some("9.8.7"),
        relative,
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("a word")) as usize
}

/// Offsets of the tags that begin nodes (Devicetree Specification 5.4).
fn nodes(tree: &[u8]) -> Vec<usize> {
    let (mut at, mut nodes) = (word(tree, 8), vec![]);
    loop {
        at += match word(tree, at) {
            1 => {
                nodes.push(at);
                let name = tree[at + 4..].iter().position(|byte| *byte == 0).expect("a name ends");
                (4 + name + 1).next_multiple_of(4)
            }
            3 => 12 + word(tree, at + 4).next_multiple_of(4),
            9 => return nodes,
            _ => 4,
        };
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn no_two_nodes_are_remembered_by_the_same_bit_whatever_the_lengths_in_front_of_them() {
    for length in 0..256 {
        let mut tree = vec![0; 0x1000];
        everything(&vec![b'a'; length], false).encode(&mut tree).expect("there is room");
        // The merge remembers a node by the number of its word modulo 32.
        let bits: Vec<usize> = nodes(&tree).iter().map(|at| at / 4 % 32).collect();
        let mut different = bits.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), bits.len(), "a line of {length} bytes: {bits:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn addresses_that_are_to_move_lie_where_their_16_bits_can_say() {
    let mut tree = vec![0; 0x8_0000];
    // The initrd's two addresses and the root filesystem's come behind the line.
    for (length, fits) in [(0x3_f000, true), (0x4_0000, false)] {
        let encoded = everything(&vec![b'a'; length], true).encode_relative(&mut tree);
        assert_eq!(encoded.is_some(), fits, "0x{length:x}");
    }
}
