//! Device registers: the UART's, the LED's, the reset register. The only volatile accesses.

use stoop_core::params::{Led, Uart, UartKind};
use stoop_core::watchdog;

use crate::arch;

/// The register that transmits, of both kinds.
const DATA: usize = 0;
/// 16550: line status, in which this bit says "transmit holding register empty".
const NS16550_LSR: usize = 5;
/// PL011: flags (UARTFR, at 0x18), in which the same bit says "transmit FIFO full".
const PL011_FR: usize = 6;
const READY_OR_FULL: u32 = 0x20;

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

/// A PL011, where there are any.
pub fn is_pl011(uart: &Uart) -> bool {
    arch::PL011 && uart.kind == UartKind::Pl011
}

/// Sends one character by a 16550 or a PL011; gives up when the transmitter never gets ready.
pub fn transmit(uart: &Uart, byte: u8) -> Option<()> {
    let register = |number: usize| uart.address.wrapping_add(number << (uart.shift & 7));
    let (status, ready) = if is_pl011(uart) { (PL011_FR, 0) } else { (NS16550_LSR, READY_OR_FULL) };
    let mut patience = PATIENCE;
    while read(register(status), uart.width) & READY_OR_FULL != ready {
        patience = patience.checked_sub(1)?;
    }
    write(register(DATA), uart.width, u32::from(byte));
    Some(())
}

/// Lights or darkens the LED.
pub fn light(led: &Led, on: bool) {
    write(if on { led.set } else { led.clear }, 4, led.mask);
}

/// Writes to the watchdog. Read first only where bits are to stay: reading may have effects of its own.
#[inline(never)]
pub fn watchdog(to: &watchdog::Write) {
    let address = to.address as usize;
    let old = if to.keep == 0 { 0 } else { read(address, 4) };
    write(address, 4, old & to.keep ^ to.flip);
}

/// Writes the reset register.
pub fn reset(address: usize, value: u32) {
    write(address, 4, value);
}
