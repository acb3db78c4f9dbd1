//! Whatever the registers hold at entry, and whatever lies behind them: the image boots, with its own line unless they really are
//! bootargs with the cookie.

use crate::common::{Machinery, image, params_block, region, settings};
use proptest::prelude::*;
use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot::{Board, Buffers, Handoff, Loader};
use stoop_core::codec::Tables;
use stoop_core::cookie::Verdict;
use stoop_core::crc32::Crc32;
use stoop_core::fdt::Tree;
use stoop_core::manifest::HandoffKind;
use stoop_core::memory::Memory;
use stoop_core::mips::Mips;
use stoop_core::params::{CookieRule, Params};

const IMAGE: usize = 0x10_0000;
const KSEG0: u32 = 0x8000_0000;
const UHI: u32 = 0xffff_fffe;
/// The first word of a device tree, as it is read here.
const MAGIC: u32 = 0xd00d_feed_u32.swap_bytes();

/// An empty tree with this line.
fn dtb(line: &[u8]) -> Vec<u8> {
    let mut nodes = Vec::new();
    let word = |word: u32, nodes: &mut Vec<u8>| nodes.extend_from_slice(&word.to_be_bytes());
    word(1, &mut nodes);
    word(0, &mut nodes);
    word(1, &mut nodes);
    nodes.extend_from_slice(b"chosen\0\0");
    for value in [3, line.len() as u32 + 1, 0] {
        word(value, &mut nodes);
    }
    nodes.extend_from_slice(line);
    nodes.resize((nodes.len() + 1).next_multiple_of(4), 0);
    for value in [2, 2, 9] {
        word(value, &mut nodes);
    }
    let (structure, strings) = (56, 56 + nodes.len() as u32);
    let header = [0xd00d_feed, strings + 9, structure, strings, 40, 17, 16, 0, 9, nodes.len() as u32, 0, 0, 0, 0];
    let mut blob: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    blob.extend_from_slice(&nodes);
    blob.extend_from_slice(b"bootargs\0");
    blob
}

/// Registers of MIPS as they come: anything, small numbers, pointers into RAM, the image, uncached or nowhere, UHI's mark.
fn mips() -> impl Strategy<Value = usize> {
    let any = prop_oneof![
        any::<u32>(),
        0u32..64,
        Just(UHI),
        Just(0x4346_4531),
        (0u32..0x40_0100).prop_map(|at| KSEG0 | at),
        (0x10_0000u32..0x10_2000).prop_map(|at| KSEG0 | at & !3),
        (0u32..0x40_0100).prop_map(|at| 0xa000_0000 | at & !3),
    ];
    any.prop_map(|register| register as usize)
}

/// The same for arm64, whose pointers are plain addresses of 64 bits.
fn arm64() -> impl Strategy<Value = usize> {
    prop_oneof![
        any::<usize>(),
        0usize..64,
        Just(usize::MAX - 7),
        0usize..0x40_0100,
        (0x10_0000usize..0x10_2000).prop_map(|at| at & !3),
        any::<u32>().prop_map(|at| at as usize),
    ]
}

/// What lies where many of the pointers go.
fn garbage(register: impl Strategy<Value = usize>) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![any::<usize>(), Just(0), Just(MAGIC as usize), register], 64)
}

/// Boots an image with a tree of its own; how the kernel is called when its line is its own.
fn boots<A: Abi>(handoff: HandoffKind, registers: [usize; 4], garbage: &[usize]) -> Result<Handoff, TestCaseError> {
    type Memory = Box<(Buffers, Tables)>;
    thread_local!(static BUFFERS: std::cell::RefCell<Memory> = Box::new((Buffers::new(), Tables::new())).into());
    let mut memory = Machinery::new();
    let ours = image(&dtb(b"own=1"), |listing| (listing.machine, listing.handoff) = (A::MACHINE, handoff));
    memory.put(IMAGE, &ours);
    for (index, word) in garbage.iter().enumerate() {
        memory.put(0x9_0000 + index * 4, &(*word as u32).to_le_bytes());
    }
    let crc = Crc32::new();
    let block = params_block(&settings(CookieRule::Contains, b"liminix", b""), false);
    let params = Params::check(&block, false, &crc).unwrap();
    let loader = Loader { image: IMAGE, run: memory.run };
    let (booted, memory) = BUFFERS.with_borrow_mut(|own| {
        let (buffers, tables) = &mut **own;
        buffers.crc.fill();
        buffers.line.clear();
        let mut failed = |slot, error: &_| panic!("slot {slot}: {error}");
        let mut board = Board { memory, loader, buffers, tables, feed: &|| () };
        (board.boot::<A>(&params, registers, &mut failed), board.memory)
    });
    let (handoff, report) = booted.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(matches!(report.bootargs.verdict, Verdict::None | Verdict::Ignored | Verdict::Refused));
    let mut tree = Tree::new(memory.read(handoff.tree).unwrap());
    prop_assert!(tree.read().is_ok());
    prop_assert_eq!(tree.bootargs(), b"own=1");
    prop_assert!(region(0, 0x40_0000).contains(&handoff.tree));
    Ok(handoff)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn any_registers_of_mips_end_in_a_boot_with_defaults(
        registers in prop::array::uniform4(mips()),
        garbage in garbage(mips()),
    ) {
        let handoff = boots::<Mips<false>>(HandoffKind::Uhi, registers, &garbage)?;
        prop_assert_eq!(handoff.registers[0] as u32, UHI);
    }

    #[test]
    fn any_registers_of_arm64_end_in_a_boot_with_defaults(
        registers in prop::array::uniform4(arm64()),
        garbage in garbage(arm64()),
    ) {
        let handoff = boots::<Arm64>(HandoffKind::Arm64, registers, &garbage)?;
        prop_assert_eq!(handoff.registers, [handoff.tree.start(), 0, 0, 0]);
    }
}
