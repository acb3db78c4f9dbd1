//! Exceptions that a program takes by vectors of its own. With the bootloader's nobody knows what follows: they end a run.

use super::stop::{Rule, Stop, broken};
use super::system::{System, VECTORS};

impl System {
    /// Exceptions do not go to the bootloader's vectors, or will not from the next ISB on.
    pub(super) fn has_own_vectors(&self) -> bool {
        self.vbar != VECTORS || self.regime.vbar != VECTORS
    }

    /// A synchronous exception of this level at `at`: masks all interrupts, gives the address of its vector (Arm ARM, D1.3.1).
    pub(super) fn take_abort(&mut self, at: u64) -> Result<u64, Stop> {
        if self.vbar != self.regime.vbar {
            return broken(Rule::Unsynchronised, at);
        }
        // The lowest eleven bits are RES0.
        if !self.vbar.is_multiple_of(0x800) {
            return broken(Rule::Alignment, self.vbar);
        }
        (self.masked, self.sctlr) = (15, self.regime.sctlr);
        self.aborts += 1;
        Ok(self.vbar + if self.stack_of_el0 { 0 } else { 0x200 })
    }
}
