//! The conversation with a bootloader at its prompt, over any console: how to get its attention, how to type so that what was
//! typed is what it got, and how to make sure that it is the right board's.

mod attention;
mod conversation;
mod error;
mod facts;
pub mod identity;
mod typing;

pub use conversation::Bootloader;
pub use error::Error;
pub use facts::{Facts, Patience};
pub use identity::Identity;
