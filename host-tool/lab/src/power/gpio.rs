//! A GPIO line that switches a relay, or presses a button.
//!
//! The line is held while the value lives. What it does after the process ends is up to the chip's driver: most keep the level,
//! none promises it (Linux `Documentation/userspace-api/gpio/chardev.rst`), so a relay that must stay needs a latch or `gpioset`
//! by `cmd:`.

use std::thread;
use std::time::Duration;

use embedded_hal::digital::{OutputPin, PinState};

use super::{Error, GpioLine, Mode, Power};

/// A line that switches; over any pin of embedded-hal.
pub struct Line<P> {
    pin: P,
    mode: Mode,
    name: (String, u32),
    /// What it was told last.
    is_on: Option<bool>,
}

impl<P: OutputPin> Line<P> {
    /// `chip` and `line` are its name in messages.
    pub fn new(pin: P, mode: Mode, chip: &str, line: u32) -> Line<P> {
        Line { pin, mode, name: (chip.to_owned(), line), is_on: None }
    }

    fn drive(&mut self, active: bool) -> Result<(), Error> {
        let state = PinState::from(active != self.mode.active_low);
        self.pin.set_state(state).map_err(|error| self.failed(format!("{error:?}")))
    }

    fn failed(&self, reason: String) -> Error {
        Error::Gpio { chip: self.name.0.clone(), line: self.name.1, reason }
    }

    fn press(&mut self, time: Duration) -> Result<(), Error> {
        self.drive(true)?;
        thread::sleep(time);
        self.drive(false)
    }
}

impl<P: OutputPin + Send> Power for Line<P> {
    fn set(&mut self, on: bool) -> Result<(), Error> {
        match self.mode.pulse {
            Some(time) => self.press(time)?,
            None => self.drive(on)?,
        }
        self.is_on = Some(on);
        Ok(())
    }

    /// What this process told it last: a line does not know what hangs on it.
    fn is_on(&mut self) -> Result<Option<bool>, Error> {
        Ok(self.is_on.filter(|_| self.mode.pulse.is_none()))
    }

    /// A button is pressed once: it is the reset.
    fn cycle(&mut self, off_time: Duration) -> Result<(), Error> {
        if let Some(time) = self.mode.pulse {
            return self.press(time);
        }
        self.set(false)?;
        thread::sleep(off_time);
        self.set(true)
    }
}

/// Takes the line from Linux. A button's line starts released; a relay's keeps the level that it has until it is told.
pub fn open(line: &GpioLine) -> Result<Box<dyn Power>, Error> {
    let failed = |reason: String| Error::Gpio { chip: line.chip.clone(), line: line.line, reason };
    let pin = match line.mode.pulse {
        Some(_) => {
            let released = PinState::from(line.mode.active_low);
            gpiocdev_embedded_hal::OutputPin::new(&line.chip, line.line, released)
        }
        None => {
            let mut input = gpiocdev_embedded_hal::InputPin::new(&line.chip, line.line)
                .map_err(|error| failed(error.to_string()))?;
            let level =
                embedded_hal::digital::InputPin::is_high(&mut input).map_err(|error| failed(error.to_string()))?;
            input.into_output_pin(PinState::from(level))
        }
    };
    let pin = pin.map_err(|error| failed(error.to_string()))?;
    Ok(Box::new(Line::new(pin, line.mode, &line.chip, line.line)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use embedded_hal::digital::{ErrorType, OutputPin};

    use super::Line;
    use crate::power::{Mode, Power};

    /// Writes down every level it is driven to.
    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<bool>>>);

    impl ErrorType for Recorded {
        type Error = Infallible;
    }

    impl OutputPin for Recorded {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.lock().expect("no panic").push(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.lock().expect("no panic").push(true);
            Ok(())
        }
    }

    fn levels(mode: Mode, act: impl FnOnce(&mut dyn Power)) -> Vec<bool> {
        let pin = Recorded::default();
        act(&mut Line::new(pin.clone(), mode, "gpiochip0", 17));
        pin.0.lock().expect("no panic").clone()
    }

    fn cycle(power: &mut dyn Power) {
        power.cycle(Duration::ZERO).expect("switched");
    }

    #[test]
    fn a_relay_follows_its_active_level() {
        assert_eq!(levels(Mode::default(), cycle), [false, true]);
        assert_eq!(levels(Mode { active_low: true, pulse: None }, cycle), [true, false]);
    }

    #[test]
    fn a_button_is_pressed_and_released_once_for_a_cycle() {
        let pulse = Some(Duration::from_millis(1));
        assert_eq!(levels(Mode { active_low: false, pulse }, cycle), [true, false]);
        assert_eq!(levels(Mode { active_low: true, pulse }, cycle), [false, true]);
        let both = |power: &mut dyn Power| {
            power.set(true).expect("switched");
            power.set(false).expect("switched");
            assert_eq!(power.is_on().expect("known"), None, "nobody knows a button's board");
        };
        assert_eq!(levels(Mode { active_low: false, pulse }, both), [true, false, true, false]);
    }

    #[test]
    fn a_relays_state_is_what_it_was_told() {
        levels(Mode::default(), |power| {
            assert_eq!(power.is_on().expect("known"), None);
            power.set(true).expect("switched");
            assert_eq!(power.is_on().expect("known"), Some(true));
        });
    }
}
