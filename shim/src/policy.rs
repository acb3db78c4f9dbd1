//! After the last slot failed: the code on the LED, then reset, return or halt.

use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin};
use stoop_core::Error;
use stoop_core::params::{Led, Params, Policy};
use stoop_core::watchdog::{Care, Moment};

use crate::{arch, mmio, watchdog};

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

/// Waits by the CPU's counter as if a tick took what the architecture says: near enough for eyes. A counter that stands
/// still (Cause.DC) ends the wait by the number of its looks, which is longer and not for ever.
struct Counter<'a>(&'a Params<'a>);

impl DelayNs for Counter<'_> {
    fn delay_ns(&mut self, ns: u32) {
        let (start, ticks) = (arch::count(), ns >> arch::TICK);
        let mut looks = ticks.wrapping_mul(arch::LOOKS);
        while looks != 0 && arch::count().wrapping_sub(start) < ticks {
            looks = looks.wrapping_sub(1);
            // One that was started for the kernel is to end a halt by a reset.
            if looks & 0xfff == 0 && self.0.care() == Care::Feed {
                watchdog(self.0, Moment::Feed);
            }
        }
    }
}

/// Blinks the code where the board has a LED, then does what the params want. Returns only for [`Policy::Return`].
/// A watchdog that is to be fed is fed for as long as this lasts: `halt` means what it says.
pub fn give_up(params: &Params, error: &Error) -> u8 {
    let (led, policy, (reset, value)) = (params.led(), params.policy(), params.reset());
    loop {
        if params.care() == Care::Feed {
            watchdog(params, Moment::Feed);
        }
        if led.mask != 0 {
            blink(&mut LedPin(&led), &mut Counter(params), error.number());
        }
        if policy == Policy::Return as u8 {
            watchdog(params, Moment::Back);
            return error.number();
        }
        if policy == Policy::Reset as u8 {
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
