//! Copies of a few bytes, by words where both ends have room for the last one.

use core::cell::Cell;

/// Bytes copied at once.
const WORD: usize = 4;

/// Copies `len` bytes from the front of `from` to the front of `to`, and up to three bytes more: what `to` has there will be
/// written later. Copies nothing and gives `false` when one of the two has no room for that.
#[inline(always)]
pub(super) fn words(from: &[u8], to: &mut [u8], len: usize) -> bool {
    let count = len.wrapping_add(WORD - 1) / WORD;
    let from = from.as_chunks::<WORD>().0.get(..count);
    let to = to.as_chunks_mut::<WORD>().0.get_mut(..count);
    let (Some(from), Some(to)) = (from, to) else { return false };
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    true
}

/// Copies `len` bytes, the first of which is `distance` and one bytes in front of `at`, to `at`, and up to three more if `more` lets
/// it. They may overlap: then what was copied is copied again. `None` when there are not so many bytes.
#[inline(always)]
pub(super) fn back(out: &mut [u8], at: usize, distance: usize, len: usize, more: bool) -> Option<()> {
    let start = at.wrapping_sub(distance).wrapping_sub(1);
    if more
        && let Some((done, rest)) = out.split_at_mut_checked(at)
        && words(done.get(start..)?, rest, len)
    {
        return Some(());
    }
    // Source and destination are views of the same cells.
    let out = Cell::from_mut(out).as_slice_of_cells();
    let to = out.get(at..)?.get(..len)?;
    for (to, from) in to.iter().zip(out.get(start..)?) {
        to.set(from.get());
    }
    Some(())
}
