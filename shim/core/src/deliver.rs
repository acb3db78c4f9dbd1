//! Puts payloads where they belong: moved or decoded, the rest of their memory zeroed.

use crate::codec::Codec;
use crate::manifest::Payload;
use crate::memory::Memory;
use crate::{Code, Error, Region, Result, Subject};

/// Tables that decoders need.
pub struct Scratch {}

impl Scratch {
    /// Empty tables.
    pub const fn new() -> Self {
        Scratch {}
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
    }
}

/// Delivers one payload that has a place.
///
/// # Errors
/// The codec's, or [`Code::NotRam`] when the place is not RAM or the loader's own.
pub fn deliver<M: Memory>(subject: Subject, payload: &Payload, memory: &mut M, _scratch: &mut Scratch) -> Result<()> {
    let (from, to) = (payload.source, payload.destination);
    let not_ram = Error::new(Code::NotRam, subject, to.start());
    if payload.codec != Codec::Store as u8 {
        // LZ4 and LZMA decode here, from and to the slices that `memory.pair(from, to)` gives.
        return Err(Error::new(Code::Codec, subject, usize::from(payload.codec)));
    }
    if from.size() != to.size() {
        return Err(Error::new(Code::Length, subject, from.size()));
    }
    if from.start() != to.start() {
        memory.copy(from, to.start()).ok_or(not_ram)?;
    }
    let rest = Region::between(to.end(), payload.place.end()).ok_or(not_ram)?;
    memory.write(rest).ok_or(not_ram)?.fill(0);
    Ok(())
}
