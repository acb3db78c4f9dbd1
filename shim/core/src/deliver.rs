//! Puts payloads where they belong: moved or decoded, the rest of their memory zeroed.

use crate::codec::{Codec, Tables};
use crate::manifest::Payload;
use crate::memory::Memory;
use crate::{Code, Error, Region, Result, Subject};

/// Delivers one payload that has a place, from where it is read. `feed` is called at the beginning, and by the decoder.
///
/// # Errors
/// [`Code::Codec`] when this build cannot decode it, [`Code::Decode`], [`Code::Length`], or [`Code::NotRam`] when the place is not RAM or the loader's own.
pub fn deliver<M: Memory>(
    subject: Subject,
    payload: &Payload,
    from: Region,
    memory: &mut M,
    tables: &mut Tables,
    feed: &impl Fn(),
) -> Result<()> {
    feed();
    let to = payload.destination;
    let not_ram = Error::new(Code::NotRam, subject, to.start());
    let mut length = from.size();
    if payload.codec != Codec::Store {
        let unknown = Error::new(Code::Codec, subject, payload.codec as usize);
        if !Tables::ANY {
            return Err(unknown);
        }
        let (stored, out) = memory.pair(from, to).ok_or(not_ram)?;
        let decoded = tables.decode(payload.codec, stored, out, feed).ok_or(unknown)?;
        length = decoded.map_err(|produced| Error::new(Code::Decode, subject, produced))?;
    } else if from.start() != to.start() {
        memory.copy(from, to.start()).ok_or(not_ram)?;
    }
    if length != to.size() {
        return Err(Error::new(Code::Length, subject, length));
    }
    let rest = Region::between(to.end(), payload.place.end()).ok_or(not_ram)?;
    memory.write(rest).ok_or(not_ram)?.fill(0);
    trace!(
        "{} delivered: {=str}, {} to {}, zeros up to {=u64:#010x}",
        subject,
        payload.codec.name(),
        from,
        to,
        payload.place.end() as u64
    );
    Ok(())
}
