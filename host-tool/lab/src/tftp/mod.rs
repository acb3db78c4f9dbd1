//! A TFTP server for one file, which lives as long as a board needs it.
//!
//! Read-only, bound to one address and answering from it: RFC 1350 with options (2347), block size (2348), timeout and size
//! (2349) and window (7440, at most [`MOST_BLOCKS`]). No crate has all of this with the acknowledged bytes and the client's
//! own words for the caller; the server is small without its protocol's parts, which are pure: [`packet`], [`options`],
//! [`transfer`], [`pace`].

mod client;
mod error;
mod event;
pub mod options;
pub mod pace;
pub mod packet;
mod server;
pub mod transfer;

pub use error::Error;
pub use event::{Break, Event, Refusal};
pub use options::{Granted, MOST_BLOCKS};
pub use server::{File, PORT, Server};
