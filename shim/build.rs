//! Picks the linker script of the target's architecture, and gives it core's numbers. Knows no boards.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../linker");
    println!("cargo::rerun-if-changed={root}/{arch}.ld");
    println!("cargo::rustc-link-arg-bins=-T{root}/{arch}.ld");
    println!("cargo::rustc-link-arg-bins=--defsym=PARAMS_SIZE={}", stoop_core::params::MAX_SIZE);
    // In these relocations the host tool sees that the shim holds no address.
    println!("cargo::rustc-link-arg-bins=--emit-relocs");
    if std::env::var_os("CARGO_FEATURE_TRACE").is_some() {
        // defmt's own: its strings are symbols of a section that is not loaded.
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    if arch == "aarch64" {
        // lld's own page size of 64 KiB would only make the file longer.
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    }
}
