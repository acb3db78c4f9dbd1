//! Boards made from their data files, and a MIPS core with real caches, so that a shim can be run on every board of
//! `boards/` and everything that it does is seen.
//!
//! [`machine`] is the board without its CPU: RAM, flash, UART, LED, reset register, watchdog. A CPU reaches it by [`Bus`]
//! only, so that another emulator than ours can drive the same board.
//!
//! `docs/proof.md` says what this proves and what only a board can.
#![forbid(unsafe_code)]

pub mod aarch64;
pub mod boot;
pub mod bootloader;
pub mod bus;
pub mod cache;
pub mod check;
pub mod compare;
pub mod core;
pub mod cpu;
pub mod judge;
pub mod kernel;
pub mod machine;
pub mod patch;
mod random;
pub mod record;
pub mod suite;

pub use bus::{Bus, Stray};
pub use core::{Core, Stop};
pub use machine::Machine;

/// Bytes of the stack of a prebuilt shim, from the end of its .bss to its top.
///
/// # Errors
/// There is no such shim, or it has no symbols.
pub fn stack(
    variant: stoop_image::shim_image::Variant,
    arch: stoop_image::machine::Machine,
) -> stoop_samples::failure::Result<u32> {
    let symbols = symbols(variant, arch)?;
    let symbol = |name: &str| symbols.iter().find(|(known, _)| known == name).map_or(0, |(_, at)| *at);
    Ok(symbol("__stack_top").wrapping_sub(symbol("__bss_end")))
}

/// The symbols of a prebuilt shim.
///
/// # Errors
/// There is no such shim, or it is no ELF file.
pub fn symbols(
    variant: stoop_image::shim_image::Variant,
    arch: stoop_image::machine::Machine,
) -> stoop_samples::failure::Result<Vec<(String, u32)>> {
    use object::read::elf::ElfFile32;
    use object::{Endianness, Object, ObjectSymbol};

    let shim = stoop_image::shim_image::prebuilt(arch, variant)?;
    let elf = ElfFile32::<Endianness>::parse(shim)
        .map_err(|error| stoop_samples::failure::Failure::new(error.to_string()))?;
    Ok(elf.symbols().map(|it| (it.name().unwrap_or_default().to_owned(), it.address() as u32)).collect())
}
