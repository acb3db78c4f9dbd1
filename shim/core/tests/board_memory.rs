//! The shim's memory module (`shim/src/memory.rs`), the only place that makes references out of addresses, compiled for this machine over
//! pieces of memory that know their ends: what it gives is what a byte-by-byte description says, and under AddressSanitizer
//! (`cargo ci sanitizer`) and Miri (`cargo ci miri`) one byte too many ends the test.

mod common;

#[path = "../../src/memory.rs"]
mod memory;

use std::alloc::Layout;

use common::{params_block, region, settings};
use proptest::prelude::*;
use stoop_core::Region;
use stoop_core::boot::{Buffers, Loader};
use stoop_core::codec::Tables;
use stoop_core::crc32::Crc32;
use stoop_core::memory::Memory;
use stoop_core::params::{CookieRule, Params};

const RAM: usize = 0x8000_0000;
const RAM_SIZE: usize = 0x1000;
/// Where the loader is.
const RUN: usize = RAM + 0x480;
const RUN_SIZE: usize = 0x200;
const FLASH: usize = 0x1f00_0000;
const FLASH_SIZE: usize = 0x300;
const TREE: usize = RAM + RAM_SIZE + 0x88;
const TREE_SIZE: usize = 0x123;

/// The addresses of this board, where they are on this machine.
mod arch {
    use std::cell::RefCell;

    thread_local!(pub static PIECES: RefCell<Vec<(usize, usize, *mut u8)>> = const { RefCell::new(Vec::new()) });

    /// No pointer to anything where there is no memory: a slice of no bytes may be anywhere.
    pub fn pointer(physical: usize) -> *mut u8 {
        let inside = |(at, size, start): &(usize, usize, *mut u8)| {
            let offset = physical.checked_sub(*at).filter(|offset| offset < size)?;
            Some(start.wrapping_add(offset))
        };
        PIECES.with_borrow(|pieces| pieces.iter().find_map(inside)).unwrap_or(std::ptr::without_provenance_mut(8))
    }

    pub fn uncached(physical: usize) -> *mut u32 {
        pointer(physical).cast()
    }

    pub fn settle(_: *mut u32) {}
}

/// A part of the board's memory, in an allocation of its own. RAM is two of them, in front of the loader and behind it.
struct Piece {
    at: usize,
    bytes: Vec<u8>,
    is_ram: bool,
}

fn pieces() -> Vec<Piece> {
    let behind = RUN + RUN_SIZE;
    [
        (RAM, RUN - RAM, true),
        (behind, RAM + RAM_SIZE - behind, true),
        (FLASH, FLASH_SIZE, false),
        (TREE, TREE_SIZE, false),
    ]
    .map(|(at, size, is_ram)| Piece { at, bytes: (0..size).map(|byte| (byte * 7 + at / 8) as u8).collect(), is_ram })
    .into()
}

/// Calls `test` with the shim's memory over `pieces`, and gives what they hold afterwards.
fn with_memory<T>(pieces: &[Piece], test: impl FnOnce(&mut memory::BoardMemory) -> T) -> (T, Vec<Vec<u8>>) {
    let held: Vec<Held> = pieces.iter().map(|piece| Held::new(&piece.bytes)).collect();
    let known = pieces.iter().zip(&held).map(|(piece, held)| (piece.at, held.layout.size(), held.start));
    arch::PIECES.set(known.collect());
    let mut settings = settings(CookieRule::Off, b"", b"");
    (settings.ram, settings.flash) = (region(RAM, RAM_SIZE), region(FLASH, FLASH_SIZE));
    let block = params_block(&settings, false);
    let params = Params::check(&block, false, &Crc32::new()).expect("params that were just written");
    let mut room = (Box::new(Buffers::new()), Box::new(Tables::new()));
    let loader = Loader { image: RUN, run: region(RUN, RUN_SIZE) };
    let tree = region(TREE, TREE_SIZE);
    let mut board = memory::board(&params, loader, tree, (&mut room.0, &mut room.1), || ());
    let result = test(&mut board.memory);
    (result, held.iter().map(Held::bytes).collect())
}

/// Memory that ends where its bytes end and starts where a word may, as the board's does.
struct Held {
    start: *mut u8,
    layout: Layout,
}

impl Held {
    fn new(bytes: &[u8]) -> Self {
        let layout = Layout::from_size_align(bytes.len(), 4).expect("a layout");
        // SAFETY: there are bytes, and they are copied into memory of their size.
        let start = unsafe {
            let start = std::alloc::alloc(layout);
            assert!(!start.is_null());
            start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            start
        };
        Held { start, layout }
    }

    fn bytes(&self) -> Vec<u8> {
        // SAFETY: `new` filled it, and the board that wrote to it is gone.
        unsafe { std::slice::from_raw_parts(self.start, self.layout.size()) }.to_vec()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: from `alloc` with this layout.
        unsafe { std::alloc::dealloc(self.start, self.layout) }
    }
}

/// The bytes from `at` on to the end of what holds it.
fn readable(pieces: &[Piece], at: usize) -> Option<&[u8]> {
    pieces.iter().find_map(|piece| piece.bytes.get(at.checked_sub(piece.at)?..).filter(|bytes| !bytes.is_empty()))
}

fn read(pieces: &[Piece], at: Region) -> Option<Vec<u8>> {
    Some(readable(pieces, at.start())?.get(..at.size())?.to_vec())
}

/// Puts bytes into RAM if they fit there.
fn write(pieces: &mut [Piece], at: usize, bytes: &[u8]) -> Option<()> {
    let room = pieces.iter_mut().filter(|piece| piece.is_ram).find_map(|piece| {
        let offset = at.checked_sub(piece.at)?;
        piece.bytes.get_mut(offset..offset.checked_add(bytes.len())?)
    });
    room.map(|room| room.copy_from_slice(bytes))
}

/// Addresses at the ends of everything, and those between.
fn address() -> impl Strategy<Value = usize> {
    const ENDS: [usize; 8] =
        [RAM, RUN, RUN + RUN_SIZE, RAM + RAM_SIZE, FLASH, FLASH + FLASH_SIZE, TREE, TREE + TREE_SIZE];
    let near = (prop::sample::select(&ENDS[..]), -9isize..9).prop_map(|(end, by)| end.wrapping_add_signed(by));
    let far = (prop::sample::select(&ENDS[..]), 0usize..RAM_SIZE).prop_map(|(end, by)| end + by);
    prop_oneof![3 => near, 2 => far, 1 => any::<usize>()]
}

fn some_region() -> impl Strategy<Value = Region> {
    let size = prop_oneof![4 => 1usize..32, 3 => 1usize..RAM_SIZE, 1 => any::<usize>().prop_map(|size| size.max(1))];
    (address(), size).prop_filter_map("it wraps", |(start, size)| Region::new(start, size))
}

/// Two of them, often close to each other.
fn two_regions() -> impl Strategy<Value = (Region, Region)> {
    let near = |from: Region| {
        let size = 1usize..2 * from.size().min(RAM_SIZE);
        (Just(from), -40isize..40, size).prop_filter_map("it wraps", |(from, by, size)| {
            Some((from, Region::new(from.start().checked_add_signed(by)?, size)?))
        })
    };
    prop_oneof![3 => some_region().prop_flat_map(near), 1 => (some_region(), some_region())]
}

proptest! {
    #[test]
    fn what_is_readable_is_all_there_up_to_the_end_of_what_holds_it(at in address(), size in 1usize..RAM_SIZE) {
        let pieces = pieces();
        let (given, _) = with_memory(&pieces, |memory| {
            let exact = Region::new(at, size).and_then(|at| memory.read(at).map(<[u8]>::to_vec));
            (memory.from(at).map(<[u8]>::to_vec), exact)
        });
        prop_assert_eq!(given.0.as_deref(), readable(&pieces, at));
        prop_assert_eq!(given.1, Region::new(at, size).and_then(|at| read(&pieces, at)));
    }

    #[test]
    fn only_ram_that_is_not_the_loaders_is_written_and_every_byte_of_it(at in some_region()) {
        let mut pieces = pieces();
        let (given, after) = with_memory(&pieces, |memory| memory.write(at).map(|room| { room.fill(0x5a); room.len() }));
        // No more is filled than the board has.
        let filled = (at.size() <= RAM_SIZE).then(|| vec![0x5a; at.size()]);
        let wanted = filled.and_then(|bytes| write(&mut pieces, at.start(), &bytes)).map(|()| at.size());
        prop_assert_eq!(given, wanted);
        prop_assert!(pieces.iter().map(|piece| &piece.bytes).eq(&after));
    }

    #[test]
    fn a_pair_is_given_where_both_are_there_and_do_not_overlap((from, to) in two_regions()) {
        let mut pieces = pieces();
        let (given, after) = with_memory(&pieces, |memory| {
            memory.pair(from, to).map(|(source, out)| out.iter_mut().zip(source).for_each(|(out, byte)| *out = !byte))
        });
        let source = read(&pieces, from).filter(|_| !from.overlaps(&to) && to.size() <= RAM_SIZE);
        let wanted = source.and_then(|source| {
            let mut out = read(&pieces, to)?;
            out.iter_mut().zip(&source).for_each(|(out, byte)| *out = !byte);
            write(&mut pieces, to.start(), &out)
        });
        prop_assert_eq!(given, wanted);
        prop_assert!(pieces.iter().map(|piece| &piece.bytes).eq(&after));
    }

    #[test]
    fn a_copy_is_right_where_it_overlaps_itself((from, to) in two_regions()) {
        let mut pieces = pieces();
        let (given, after) = with_memory(&pieces, |memory| memory.copy(from, to.start()));
        let wanted = read(&pieces, from).and_then(|bytes| write(&mut pieces, to.start(), &bytes));
        prop_assert_eq!(given, wanted);
        prop_assert!(pieces.iter().map(|piece| &piece.bytes).eq(&after));
    }
}

#[test]
fn words_are_one_where_ram_wraps_and_all_bytes_come_back() {
    let pieces = pieces();
    let (_, after) = with_memory(&pieces, |memory| {
        let end = RAM + RAM_SIZE;
        assert!(!memory.is_one_word(RAM + 4, RAM + 0x804), "RAM that is as large as the params say");
        // From here on the words of the second half are those of the first.
        let low = arch::pointer(RAM);
        arch::PIECES.with_borrow_mut(|pieces| pieces.insert(0, (RAM + 0x800, 0x400, low)));
        assert!(memory.is_one_word(RAM + 4, RAM + 0x804));
        assert!(!memory.is_one_word(RAM + 4, RAM + 0x808));
        assert!(!memory.is_one_word(RAM + 5, RAM + 0x805), "no words");
        for outside in [RAM - 4, RUN, RUN + RUN_SIZE - 4, end, FLASH, TREE & !3] {
            assert!(!memory.is_one_word(RAM + 4, outside) && !memory.is_one_word(outside, RAM + 4), "0x{outside:x}");
        }
    });
    assert!(pieces.iter().map(|piece| &piece.bytes).eq(&after));
}
