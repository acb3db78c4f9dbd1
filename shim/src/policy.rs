//! After the last slot failed: the code on the LED, then reset, return or halt.

use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin};
use stoop_core::Error;
use stoop_core::params::{Led, Params, Policy};

use crate::{arch, mmio};

struct LedPin<'a>(&'a Led);

impl ErrorType for LedPin<'_> {
    type Error = Infallible;
}

impl OutputPin for LedPin<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        mmio::light(self.0, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        mmio::light(self.0, true);
        Ok(())
    }
}

/// Waits by the CPU's counter as if a tick took what the architecture says: near enough for eyes.
struct Counter;

impl DelayNs for Counter {
    fn delay_ns(&mut self, ns: u32) {
        let (start, ticks) = (arch::count(), ns >> arch::TICK);
        while arch::count().wrapping_sub(start) < ticks {}
    }
}

/// Blinks the code where the board has a LED, then does what the params want. Returns only for [`Policy::Return`].
pub fn give_up(params: &Params, error: &Error) -> u8 {
    let (led, policy, (reset, value)) = (params.led(), params.policy(), params.reset());
    loop {
        if led.mask != 0 {
            blink(&mut LedPin(&led), &mut Counter, error.number());
        }
        if policy == Policy::Return {
            return error.number();
        }
        if policy == Policy::Reset {
            mmio::reset(reset, value);
        }
    }
}

/// Tens as long flashes, ones as short ones, then a pause.
fn blink(led: &mut impl OutputPin, delay: &mut impl DelayNs, number: u8) {
    let mut left = number;
    while left != 0 {
        let _ = led.set_high();
        let (part, length) = if left >= 10 { (10, 1_500_000_000) } else { (1, 250_000_000) };
        delay.delay_ns(length);
        let _ = led.set_low();
        delay.delay_ns(500_000_000);
        left = left.wrapping_sub(part);
    }
    delay.delay_ns(1_500_000_000);
}
