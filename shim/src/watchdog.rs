//! The board's watchdog: the writes that the params name, at the moments that core names.

use stoop_core::params::Params;
use stoop_core::watchdog::Moment;

use crate::{arch, mmio};

/// Looks at the counter between two writes that start or stop a watchdog: some ten microseconds.
const SETTLE: u32 = 2000;

/// Does what is due at this moment about the board's watchdog.
#[inline(never)]
pub fn at(params: &Params, moment: Moment) {
    params.watchdog(moment, &mut |write| {
        mmio::watchdog(&write);
        // ath79 takes its timer over into the other clock before it may be enabled (Linux: two microseconds).
        let settle = if moment == Moment::Begin { SETTLE } else { 0 };
        (0..settle).for_each(|_| {
            arch::count();
        });
    });
}
