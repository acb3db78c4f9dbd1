//! The boot path. Start code: `arch/*/start.S`; every decision: `stoop_core::boot`.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]

mod arch;
mod console;
mod memory;
mod mmio;
mod policy;
mod trace;

use stoop_core::abi::Abi;
use stoop_core::params::Params;
use stoop_core::watchdog::Moment;

use console::Console;

/// Looks at the counter between two writes that start or stop a watchdog: some ten microseconds.
const SETTLE: u32 = 2000;

/// Called by start.S. Returning gives the board back to the bootloader, with the error's number.
#[unsafe(no_mangle)]
extern "C" fn main(frame: &arch::Frame) -> u8 {
    // SAFETY: the only call, and `main` is called once.
    let buffers = unsafe { memory::buffers() };
    buffers.crc.fill();
    let mut params = Params::new(memory::params());
    if let Err(error) = params.read(arch::Abi::BIG_ENDIAN, &buffers.crc) {
        return error.number();
    }
    watchdog(&params, Moment::Begin);
    let tree = arch::map(params.ram(), memory::run_region(), &frame.registers);
    let mut console = Console::new(&params);
    trace::begin(frame, &params);
    let feed = || watchdog(&params, Moment::Feed);
    let mut board = memory::board(&params, frame.image(), tree, buffers, &feed);
    match board.boot::<arch::Abi>(&params, frame.registers, &mut |slot, error| console.error(slot, error)) {
        Ok((handoff, report)) => {
            console.report(&report, &board.buffers.line);
            feed();
            board.stamp(&handoff, [frame.count, arch::count()]);
            arch::hand_off(handoff.entry_point, &handoff.registers)
        }
        Err(error) => {
            trace::end(&params);
            policy::give_up(&params, &error)
        }
    }
}

/// Does what is due at this moment about the board's watchdog.
#[inline(never)]
fn watchdog(params: &Params, moment: Moment) {
    params.watchdog(moment, &mut |write| {
        mmio::watchdog(&write);
        // ath79 takes its timer over into the other clock before it may be enabled (Linux: two microseconds).
        let settle = if moment == Moment::Begin { SETTLE } else { 0 };
        (0..settle).for_each(|_| {
            arch::count();
        });
    });
}

unsafe extern "C" {
    /// Defined nowhere: a shim in which anything can panic does not link.
    fn a_panicking_path_is_left() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { a_panicking_path_is_left() }
}
