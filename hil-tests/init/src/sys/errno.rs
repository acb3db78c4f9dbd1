//! How a call fails.

/// A negative errno, from a call that failed.
pub type Errno = i32;
