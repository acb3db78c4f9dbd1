//! Device registers: the UART's, the LED's, the reset register. The only volatile accesses.

use stoop_core::params::{Led, Uart};

use crate::arch;

/// 16550 registers: transmit holding, line status and its bit "transmit holding register empty".
const NS16550_THR: usize = 0;
const NS16550_LSR: usize = 5;
const NS16550_THRE: u32 = 0x20;

/// A transmitter that stays busy this long is not there; the bootloader's speed sends a character in far less.
const PATIENCE: u32 = 200_000;

fn read(address: usize, width: u8) -> u32 {
    // SAFETY: the address is a register of this board from its data file, mapped uncached; `width` is the access that
    // the register wants.
    unsafe {
        match width {
            4 => arch::mmio(address).cast::<u32>().read_volatile(),
            _ => u32::from(arch::mmio(address).read_volatile()),
        }
    }
}

fn write(address: usize, width: u8, value: u32) {
    // SAFETY: as `read`; the registers named in the params may be written at any time.
    unsafe {
        match width {
            4 => arch::mmio(address).cast::<u32>().write_volatile(value),
            _ => arch::mmio(address).write_volatile(value as u8),
        }
    }
}

/// Sends one character by a 16550; gives up when the transmitter never gets ready.
pub fn transmit(uart: &Uart, byte: u8) -> Option<()> {
    let register = |number: usize| uart.address.wrapping_add(number << (uart.shift & 7));
    let mut patience = PATIENCE;
    while read(register(NS16550_LSR), uart.width) & NS16550_THRE == 0 {
        patience = patience.checked_sub(1)?;
    }
    write(register(NS16550_THR), uart.width, u32::from(byte));
    Some(())
}

/// Lights or darkens the LED.
pub fn light(led: &Led, on: bool) {
    write(if on { led.set } else { led.clear }, 4, led.mask);
}

/// Writes the reset register.
pub fn reset(address: usize, value: u32) {
    write(address, 4, value);
}
