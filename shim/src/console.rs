//! Words on the UART: the report and the errors. Every line begins with `stoop`.

use stoop_core::boot::Report;
use stoop_core::bootargs::is_control;
use stoop_core::names::spelled;
use stoop_core::params::{Params, Uart, UartKind};
use stoop_core::{Code, Error};

use crate::mmio;

/// Characters of the bootloader's line that are shown.
const SHOWN: usize = 56;

/// No name has this number.
const NO_NAME: usize = 0xff;

/// A transmitter; silent once it has not answered.
pub struct Console {
    uart: Uart,
    /// Bytes of RAM, as the params say.
    ram: usize,
    silent: bool,
}

impl Console {
    /// On the UART that the params name.
    pub fn new(params: &Params) -> Self {
        let uart = params.uart();
        Console { silent: uart.kind != UartKind::Ns16550 && !mmio::is_pl011(&uart), uart, ram: params.ram().size() }
    }

    /// Sends one byte.
    #[inline(never)]
    pub fn put(&mut self, byte: u8) {
        if !self.silent {
            self.silent = mmio::transmit(&self.uart, byte).is_none();
        }
    }

    /// Text in which a control character stands for the next value: 1 a blank and the name of that number, nothing at all
    /// when no name has it, 2 a character, 3 eight
    /// hexadecimal digits, 4 two decimal ones.
    fn say(&mut self, text: &[u8], values: &[usize]) {
        let mut values = values.iter();
        for byte in text {
            if *byte > 4 {
                self.put(*byte);
                continue;
            }
            let value = values.next().copied().unwrap_or(0);
            match *byte {
                1 => {
                    let word = spelled(value as u8);
                    if !word.is_empty() {
                        self.put(b' ');
                        word.iter().for_each(|byte| self.put(*byte));
                    }
                }
                2 => self.put(value as u8),
                3 => self.digits(value, 28),
                _ => self.digits(((value / 10) << 4) | (value % 10), 4),
            }
        }
    }

    fn digits(&mut self, value: usize, mut shift: u32) {
        loop {
            let digit = (value >> shift) as u8 & 15;
            self.put(digit.wrapping_add(if digit < 10 { b'0' } else { b'a' - 10 }));
            if shift == 0 {
                return;
            }
            shift = shift.wrapping_sub(4);
        }
    }

    /// `stoop: E12 kernel crc 0x…, slot a`.
    pub fn error(&mut self, slot: u8, error: &Error) {
        let other = error.other().map_or(NO_NAME, |other| other as usize);
        let (subject, name) = (error.subject() as usize, error.code().name() as usize);
        self.say(b"stoop: E\x04\x01\x01\x01 0x\x03", &[usize::from(error.number()), subject, name, other, error.value]);
        if error.code() == Code::RamSize {
            self.say(b" of 0x\x03", &[self.ram]);
        }
        self.say(b", slot \x02\r\n", &[usize::from(slot)]);
    }

    /// What was decided, and the line it was decided about.
    pub fn report(&mut self, report: &Report, line: &[u8]) {
        let (entry, verdict) = (report.entry as usize, report.bootargs.verdict as usize);
        self.say(
            concat!("stoop ", env!("CARGO_PKG_VERSION"), ": entry\x01, slot \x02, bootargs\x01\r\n").as_bytes(),
            &[entry, usize::from(report.slot), verdict],
        );
        let refusal = report.bootargs.refusal.map_or(NO_NAME, |refusal| refusal as usize);
        if !line.is_empty() || refusal != NO_NAME {
            self.say(if refusal != NO_NAME { b"stoop:\x01,\x01: " } else { b"stoop:\x01: " }, &[verdict, refusal]);
            line.iter().take(SHOWN).for_each(|byte| self.put(if is_control(*byte) { b'.' } else { *byte }));
            self.say(if line.len() > SHOWN { b"...\r\n" } else { b"\r\n" }, &[]);
        }
    }
}
