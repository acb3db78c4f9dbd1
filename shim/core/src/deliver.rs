//! Puts payloads where they belong: moved or decoded, the rest of their memory zeroed.

use crate::codec::{Codec, Tables};
use crate::manifest::Payload;
use crate::memory::Memory;
use crate::watchdog::{EVERY, Feed};
use crate::{Code, Error, Region, Result, Subject};

/// Delivers one payload that has a place.
///
/// # Errors
/// [`Code::Codec`] when this build cannot decode it, [`Code::Decode`], [`Code::Length`], or [`Code::NotRam`] when the place is not RAM or the loader's own.
pub fn deliver<M: Memory>(
    subject: Subject,
    payload: &Payload,
    memory: &mut M,
    tables: &mut Tables,
    feed: Feed<'_>,
) -> Result<()> {
    let (from, to) = (payload.source, payload.destination);
    let not_ram = Error::new(Code::NotRam, subject, to.start());
    let mut length = from.size();
    if payload.codec != Codec::Store as u8 {
        let unknown = Error::new(Code::Codec, subject, usize::from(payload.codec));
        if !Tables::ANY {
            return Err(unknown);
        }
        let (stored, out) = memory.pair(from, to).ok_or(not_ram)?;
        let decoded = tables.decode(payload.codec, stored, out, feed).ok_or(unknown)?;
        length = decoded.map_err(|produced| Error::new(Code::Decode, subject, produced))?;
    } else if from.overlaps(&to) {
        // Both are RAM, which is fast, and the order of the bytes matters.
        if from.start() != to.start() {
            memory.copy(from, to.start()).ok_or(not_ram)?;
        }
    } else {
        let mut done = 0;
        while done < length {
            feed();
            let part = Region::stated(from.start().wrapping_add(done), EVERY.min(length.wrapping_sub(done)));
            memory.copy(part, to.start().wrapping_add(done)).ok_or(not_ram)?;
            done = done.wrapping_add(EVERY);
        }
    }
    if length != to.size() {
        return Err(Error::new(Code::Length, subject, length));
    }
    let rest = Region::between(to.end(), payload.place.end()).ok_or(not_ram)?;
    memory.write(rest).ok_or(not_ram)?.fill(0);
    trace!(
        "{} delivered: {=str}, {} to {}, zeros up to {=u64:#010x}",
        subject,
        crate::words::codec(payload.codec),
        from,
        to,
        payload.place.end() as u64
    );
    Ok(())
}
