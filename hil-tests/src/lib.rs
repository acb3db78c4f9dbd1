//! The lab suite.
