//! Payloads on their way into an image.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::manifest::Kind;

use super::codec::Stored;
use crate::Result;
use crate::input::Rootfs;
use crate::plan::Plan;

/// A payload as it is packed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// What it is.
    pub kind: Kind,
    /// How it is stored.
    pub codec: Codec,
    /// Why so.
    pub why: String,
    /// Bytes in the file.
    pub stored: usize,
    /// Bytes after decoding.
    pub decoded: usize,
    /// Of the stored bytes.
    pub crc: u32,
    /// Where it goes; empty when it is read where it is.
    pub place: Region,
}

/// What a payload's stored bytes are.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    /// In memory.
    Bytes(Cow<'a, [u8]>),
    /// Read from its file when the image is assembled.
    Rootfs(&'a Rootfs),
}

impl Content<'_> {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Content::Bytes(bytes) => bytes.len(),
            Content::Rootfs(rootfs) => rootfs.size,
        }
    }

    /// Puts the bytes into `place`, which has as many.
    ///
    /// # Errors
    /// The file cannot be read any more, or is another one now.
    pub(super) fn put(&self, place: &mut [u8]) -> Result<()> {
        match self {
            Content::Bytes(bytes) => place.copy_from_slice(bytes),
            Content::Rootfs(rootfs) => rootfs.read_into(place)?,
        }
        Ok(())
    }
}

/// One payload: its stored bytes, and where they lie and go. All addresses are physical.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    pub(super) content: Content<'a>,
    /// CRC-32 of the stored bytes.
    pub(super) crc: u32,
    /// Why this codec.
    pub(super) why: String,
    /// Where the stored bytes lie.
    pub(super) source: usize,
    /// Where the decoded bytes go; empty when they are used where they lie.
    pub(super) destination: Region,
    /// The memory that it owns when it is delivered.
    pub(super) place: Region,
    /// Where it lies does not depend on where the manifest does.
    pub(super) absolute: bool,
}

const IN_PLACE: &str = "used where it lies";

impl<'a> Part<'a> {
    /// A payload that is delivered to `destination` and owns `memory` bytes from there on.
    pub(super) fn new(kind: Kind, stored: Stored<'a>, source: usize, destination: Region, memory: usize) -> Self {
        let place = Region::new(destination.start(), memory).unwrap_or(destination);
        let Stored { codec, bytes, crc, why } = stored;
        Part { kind, codec, content: Content::Bytes(bytes), crc, why, source, destination, place, absolute: false }
    }

    /// The initial ramdisk and the root filesystem of a plan, which lie in whole pages at these places, where they are needed as
    /// soon as the image is where it belongs.
    pub(super) fn in_place(plan: &'a Plan, initrd: Region, rootfs: Region) -> impl Iterator<Item = Part<'a>> {
        let part = |kind, content: Content<'a>, crc, place: Region| {
            let destination = Region::new(place.start(), content.len()).unwrap_or(place);
            let (why, source) = (IN_PLACE.to_owned(), place.start());
            Part { kind, codec: Codec::Store, content, crc, why, source, destination, place, absolute: false }
        };
        let initrd = plan.initrd.as_deref().map(|bytes| {
            let stored = super::codec::stored(Cow::Borrowed(bytes));
            part(Kind::Initrd, Content::Bytes(stored.bytes), stored.crc, initrd)
        });
        let rootfs = plan.rootfs.as_ref().map(|it| part(Kind::Rootfs, Content::Rootfs(it), it.crc, rootfs));
        initrd.into_iter().chain(rootfs)
    }

    /// Bytes that it takes in the image: what stays in place ends with a whole page of its own.
    pub(super) fn room(&self) -> usize {
        match self.kind {
            Kind::Initrd | Kind::Rootfs => self.content.len().max(self.place.size()),
            _ => self.content.len(),
        }
    }

    /// For the report.
    pub(super) fn packed(&self) -> Packed {
        let stored = self.content.len();
        let decoded = if self.destination.is_empty() { stored } else { self.destination.size() };
        Packed {
            kind: self.kind,
            codec: self.codec,
            why: self.why.clone(),
            stored,
            decoded,
            crc: self.crc,
            place: self.place,
        }
    }
}
