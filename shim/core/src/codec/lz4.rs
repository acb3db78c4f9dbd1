//! One raw LZ4 block: no frame, no sizes, no checksum.
//!
//! Format: "LZ4 Block Format Description", `doc/lz4_Block_format.md` of the LZ4 project.

use core::slice::Iter;

use super::copy;

/// The shortest match.
const MIN_MATCH: usize = 4;
/// A length in the token that says: more length bytes follow.
const MORE: usize = 15;

/// Decodes `stored`, all of it, to the front of `out` and returns how many bytes that made.
///
/// A block ends with literals, where its bytes end: one cut just there cannot be told from a whole one, so the caller compares the
/// number of bytes. That the last five bytes are literals is a rule for encoders and not checked.
///
/// # Errors
/// How many bytes had been produced when the damage was noticed: no bytes at all, a sequence that is cut, a distance of 0 or before
/// the first byte, more bytes than `out` has. Every input ends in time linear to `stored` and `out`.
#[inline(never)]
pub fn decode(stored: &[u8], out: &mut [u8]) -> Result<usize, usize> {
    let mut produced = 0;
    match run(stored, out, &mut produced) {
        Some(()) => Ok(produced),
        None => Err(produced),
    }
}

#[inline(always)]
fn run(stored: &[u8], out: &mut [u8], produced: &mut usize) -> Option<()> {
    let mut input = stored.iter();
    loop {
        let token = usize::from(*input.next()?);
        let len = length(&mut input, token >> 4, out.len())?;
        let (literals, rest) = input.as_slice().split_at_checked(len)?;
        let to = out.get_mut(*produced..)?;
        if !copy::words(input.as_slice(), to, len) {
            for (to, from) in to.get_mut(..len)?.iter_mut().zip(literals) {
                *to = *from;
            }
        }
        *produced = produced.wrapping_add(len);
        let Some((distance, rest)) = rest.split_first_chunk() else { return rest.is_empty().then_some(()) };
        input = rest.iter();
        let distance = usize::from(u16::from_le_bytes(*distance));
        let len = length(&mut input, token & 15, out.len())?.wrapping_add(MIN_MATCH);
        copy::back(out, *produced, distance.checked_sub(1)?, len, true)?;
        *produced = produced.wrapping_add(len);
    }
}

/// The length that `nibble` begins. `None` when its bytes are cut or it exceeds `limit`, which keeps the sum from wrapping.
#[inline(always)]
fn length(input: &mut Iter<'_, u8>, nibble: usize, limit: usize) -> Option<usize> {
    let mut len = nibble;
    if nibble == MORE {
        loop {
            let more = *input.next()?;
            len = len.wrapping_add(usize::from(more));
            if len > limit {
                return None;
            }
            if more != u8::MAX {
                break;
            }
        }
    }
    Some(len)
}
