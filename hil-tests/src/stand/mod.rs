//! Boards that need no hardware, on loopback: consoles, power relays and a labgrid around machines that QEMU plays.
//!
//! What speaks to a [`Board`] cannot tell it from one on a desk: its console stays open while power goes and comes, and nobody
//! but its relay switches it.

pub mod board;
pub mod console;
pub mod lab;

pub mod machine;
pub mod nor;
pub mod played;
pub mod prompt;
pub mod relay;

pub use board::{Board, Wiring};
pub use lab::{Lab, Offer, Place};

pub use machine::{Emulated, Machine, Streams};
