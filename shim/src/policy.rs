//! After the last slot failed: the code on the LED, then reset, return or halt.

use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin};
use stoop_core::Error;
use stoop_core::params::{Led, Params, Policy};
use stoop_core::watchdog::Moment;

use crate::{mmio, watchdog};

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

/// Waits by instructions: near enough for eyes, and no counter that stands still (Cause.DC) can hang it.
struct Loop;

impl DelayNs for Loop {
    fn delay_ns(&mut self, ns: u32) {
        // Some eight instructions, on cores of 400 to 1300 MHz.
        for turn in 0..ns >> 4 {
            core::hint::black_box(turn);
        }
    }
}

/// Blinks the code where the board has a LED, then does what the params want. Returns only for [`Policy::Return`].
/// Nobody feeds a watchdog any more: one that runs resets the board, into the vendor's failsafe.
pub fn give_up(params: &Params, error: &Error) -> u8 {
    let (led, policy, (reset, value)) = (params.led(), params.policy(), params.reset());
    loop {
        if led.mask != 0 {
            blink(&mut LedPin(&led), &mut Loop, error.number());
        }
        if policy == Policy::Return {
            watchdog::at(params, Moment::Back);
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
