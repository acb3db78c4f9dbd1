//! What an opened image holds, as the board gets it.

use std::borrow::Cow;

use stoop_core::codec::{Codec, Tables};
use stoop_core::manifest::{Kind, Manifest};

use super::Opened;
use super::error::Error;
use crate::Result;
use crate::format::codec::most_decoded;

impl Opened<'_> {
    /// The bytes of a payload as the board gets them; none for a payload that is not there.
    ///
    /// # Errors
    /// Its stored bytes are not in the file, or do not decode to the size that the manifest says.
    pub fn payload(&self, manifest: &Manifest, kind: Kind) -> Result<Cow<'_, [u8]>> {
        let payload = manifest.payload(kind);
        if payload.source.is_empty() {
            return Ok(Cow::Borrowed(&[]));
        }
        let damaged = || Error::Payload { payload: kind.subject().text() };
        let stored = self.bytes(payload.source).ok_or_else(damaged)?;
        if payload.codec == Codec::Store {
            return Ok(Cow::Borrowed(stored));
        }
        let size = payload.destination.size();
        if size as u64 > most_decoded(stored.len()) {
            return Err(damaged().into());
        }
        let (mut bytes, mut tables) = (vec![0; size], Box::new(Tables::new()));
        match tables.decode(payload.codec, stored, &mut bytes, &|| ()) {
            Some(Ok(made)) if made == size => Ok(Cow::Owned(bytes)),
            _ => Err(damaged().into()),
        }
    }
}
