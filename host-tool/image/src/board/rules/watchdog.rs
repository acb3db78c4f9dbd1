//! A watchdog whose writes the shim can keep.

use super::super::types::{Register, Watchdog};

/// Whether one set of params holds all writes of any plan for this watchdog, and their values.
pub(super) fn fits(dog: &Watchdog) -> std::result::Result<(), String> {
    let longest = dog.longest.unwrap_or(0);
    let most = stoop_core::watchdog::MAX_WRITES;
    let needed = dog.start.len() + dog.feed.len() + dog.stop.len();
    if needed > most {
        return Err(format!("{needed} writes, and the shim keeps {most}"));
    }
    let too_large = |register: &&Register| {
        u64::from(register.per_second) * u64::from(longest) + u64::from(register.value) > u64::from(u32::MAX)
    };
    match dog.start.iter().chain(&dog.feed).chain(&dog.stop).find(too_large) {
        Some(register) => Err(format!("{longest} s at {:#x} exceed 32 bits", register.address)),
        None => Ok(()),
    }
}
