//! The boot path. Start code: `arch/*/start.S`; every decision: `stoop_core::prepare`.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]

mod arch;
mod console;
mod memory;
mod mmio;
mod policy;
#[cfg(feature = "trace")]
mod trace;

use stoop_core::abi::Abi;
use stoop_core::params::Params;
use stoop_core::prepare::{Loader, prepare, stamp};
use stoop_core::watchdog::Moment;

use console::Console;
use memory::{BoardMemory, Buffers};

/// Looks at the counter between two writes that start or stop a watchdog: some ten microseconds.
const SETTLE: u32 = 2000;

/// Called by start.S. Returning gives the board back to the bootloader, with the error's number.
#[unsafe(no_mangle)]
extern "C" fn main(frame: &arch::Frame) -> u8 {
    // SAFETY: the only call, and `main` is called once.
    let Buffers { crc, scratch } = unsafe { memory::buffers() };
    crc.fill();
    let mut params = Params::new(memory::params());
    if let Err(error) = params.read(arch::Abi::BIG_ENDIAN, crc) {
        return error.number();
    }
    watchdog(&params, Moment::Begin);
    arch::cache(params.ram(), memory::run_region());
    #[cfg(feature = "trace")]
    trace::begin(frame, &params);
    let mut console = Console::new(&params);
    let loader = Loader { image: frame.image(), run: memory::run_region() };
    let mut memory = BoardMemory::new(&params, loader.run);
    let prepared = prepare::<arch::Abi, _>(
        &mut memory,
        &params,
        &loader,
        frame.registers,
        crc,
        scratch,
        &mut |slot, error| console.error(slot, error),
        &|| watchdog(&params, Moment::Feed),
    );
    match prepared {
        Ok((handoff, report)) => {
            console.report(&report, &scratch.line);
            watchdog(&params, Moment::Feed);
            stamp(&mut memory, &handoff, [frame.count, arch::count()]);
            arch::hand_off(handoff.entry_point, &handoff.registers)
        }
        Err(error) => {
            #[cfg(feature = "trace")]
            trace::end(&params);
            policy::give_up(&params, &error)
        }
    }
}

/// Does what is due at this moment about the board's watchdog.
#[inline(never)]
fn watchdog(params: &Params, moment: Moment) {
    for write in params.watchdog(moment) {
        mmio::watchdog(&write);
        if moment == Moment::Begin {
            // ath79 takes its timer over into the other clock before it may be enabled (Linux: two microseconds).
            (0..SETTLE).for_each(|_| {
                arch::count();
            });
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
