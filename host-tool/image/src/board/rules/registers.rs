//! The rules for what the shim reads and writes: registers behind physical addresses.

use stoop_core::Region;
use stoop_core::params::Led;

use super::super::raw;
use super::super::types::{Reset, Watchdog};
use super::{Rules, span, watchdog};
use crate::machine::{KSEG_SIZE, Machine};

impl Rules<'_> {
    pub(super) fn uart_is_possible(&mut self, uart: raw::Uart) {
        if uart.kind == raw::UartKind::None {
            return;
        }
        if uart.shift > 4 {
            self.problem("uart.shift", format!("{}", uart.shift), "registers are 1 << shift bytes apart, shift 0 to 4");
        }
        if !matches!(uart.width, 1 | 4) {
            self.problem("uart.width", format!("{} bytes", uart.width), "registers are 1 or 4 bytes wide");
        } else if uart.width == 4 && uart.shift < 2 {
            let fact = format!("registers of 4 bytes cannot be {} bytes apart", 1 << uart.shift);
            self.problem("uart.width", fact, "use width 1, or shift 2");
        } else if uart.width == 4 || uart.kind == raw::UartKind::Pl011 {
            self.register_is_aligned("uart", uart.address);
        }
    }

    /// A CPU's exception for an access of 32 bits beside their grid would end the boot without a word.
    fn register_is_aligned(&mut self, key: &str, address: usize) {
        if !address.is_multiple_of(4) {
            let fact = format!("{address:#x} is not a multiple of 4");
            self.problem(key, fact, "give the address of a 32-bit register");
        }
    }

    /// The register that restarts the SoC.
    pub(super) fn reset_is_possible(&mut self, reset: Option<Reset>) {
        if let Some(reset) = reset {
            self.register_is_aligned("reset", reset.address);
        }
    }

    /// The registers of every bank of pins, whether or not a LED of this board is on it.
    pub(super) fn pins_are_reachable(&mut self, arch: Machine, ram: Region) {
        for (index, bank) in self.soc.form.gpio.iter().enumerate() {
            for (name, address) in [("set", bank.set), ("clear", bank.clear)] {
                let key = format!("gpio[{index}].{name}");
                self.register_is_aligned(&key, address);
                self.registers_are_reachable(arch, ram, &[(&key, Some(address))]);
            }
        }
    }

    pub(super) fn registers_are_reachable(&mut self, arch: Machine, ram: Region, registers: &[(&str, Option<usize>)]) {
        for (key, address) in registers {
            let Some(address) = *address else { continue };
            let register = Region::new(address, 1).unwrap_or(Region::EMPTY);
            if arch.is_mips() && address >= KSEG_SIZE {
                let fact = format!("{address:#x} is not below {KSEG_SIZE:#x}, where KSEG1 reaches");
                self.problem(key, fact, "give the physical address, without KSEG1's 0xa0000000");
            } else if (ram.end() <= KSEG_SIZE || !arch.is_mips()) && ram.overlaps(&register) {
                self.problem(key, format!("{address:#x} lies in RAM {}", span(ram)), "give the register's address");
            }
        }
    }

    pub(super) fn watchdog_is_possible(&mut self, arch: Machine, ram: Region, watchdog: Option<&Watchdog>) {
        let Some(dog) = watchdog else { return };
        for (list, writes) in [("feed", &dog.feed), ("stop", &dog.stop), ("start", &dog.start)] {
            for (index, register) in writes.iter().enumerate() {
                let key = format!("watchdog.{list}[{index}]");
                self.register_is_aligned(&key, register.address as usize);
                if list == "stop" && register.per_second != 0 {
                    self.problem(&key, "per-second, but stopping takes no time", "give `value` alone");
                }
                self.registers_are_reachable(arch, ram, &[(&key, Some(register.address as usize))]);
            }
        }
        if dog.feed.is_empty() && dog.stop.is_empty() {
            self.problem("watchdog", "nothing feeds it and nothing stops it", "add `feed` or `stop`, or leave it out");
        }
        if !dog.start.is_empty() && (dog.longest.is_none() || dog.feed.is_empty()) {
            let next = "add `longest`, the most seconds that it counts, and `feed`";
            self.problem("watchdog.start", "it can be started, but not for a known time and fed", next);
        }
        if let Err(fact) = watchdog::fits(dog) {
            self.problem("watchdog", fact, "correct the registers, or `longest`");
        }
    }

    pub(super) fn led(&mut self) -> Option<Led> {
        let led = self.file.form.led?;
        let bank =
            self.soc.form.gpio.iter().find(|bank| led.gpio.checked_sub(bank.first).is_some_and(|n| n < bank.count));
        let Some(bank) = bank.copied() else {
            let fact = format!("GPIO {} is in no bank of SoC {}", led.gpio, self.file.form.soc);
            self.problem("led.gpio", fact, "correct the number, or add the bank to the SoC's `gpio`");
            return None;
        };
        let mask = 1u32.checked_shl(led.gpio - bank.first)?;
        Some(match led.active_low {
            true => Led { mask, set: bank.clear, clear: bank.set },
            false => Led { mask, set: bank.set, clear: bank.clear },
        })
    }
}
