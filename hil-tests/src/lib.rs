//! The lab suite.

pub mod seen;
