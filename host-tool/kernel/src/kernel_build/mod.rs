//! A kernel and its modules from one tree: unpacked once, patched in place, built where it lies, results linked out of it.
//!
//! ```text
//! unpack -> patches -> fragment -> configure (reasons, if a symbol does not hold) -> make -> collect
//! ```

pub mod build;
pub mod collect;
mod error;
pub mod expression;
pub mod fragment;
pub mod make;
pub mod patches;
pub mod reasons;
pub mod running;
pub mod unpack;

pub use error::Error;
