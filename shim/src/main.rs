//! The boot path. Start code: `arch/*/start.S`; every decision: `stoop_core::boot`.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]

mod arch;
mod console;
mod linker;
mod memory;
mod mmio;
mod policy;
mod trace;
mod watchdog;

use stoop_core::abi::Abi;
use stoop_core::boot::Loader;
use stoop_core::params::Params;
use stoop_core::watchdog::Moment;

use console::Console;

/// Called by start.S. Returning gives the board back to the bootloader, with the error's number.
#[unsafe(no_mangle)]
extern "C" fn main(frame: &arch::Frame) -> u8 {
    // SAFETY: the only call, and `main` is called once.
    let (buffers, tables) = unsafe { linker::buffers() };
    buffers.crc.fill();
    let mut params = Params::new(linker::params());
    if let Err(error) = params.read(arch::Abi::BIG_ENDIAN, &buffers.crc) {
        return error.number();
    }
    watchdog::at(&params, Moment::Begin);
    let loader = Loader { image: frame.image(), run: linker::run_region() };
    let tree = arch::map(params.ram(), loader.run, &frame.registers);
    let mut console = Console::new(&params);
    trace::begin(frame, &params);
    let feed = || watchdog::at(&params, Moment::Feed);
    let mut board = memory::board(&params, loader, tree, (buffers, tables), &feed);
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

unsafe extern "C" {
    /// Defined nowhere: a shim in which anything can panic does not link.
    fn a_panicking_path_is_left() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { a_panicking_path_is_left() }
}
