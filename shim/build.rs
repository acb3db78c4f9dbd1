//! Picks the linker script of the target's architecture. Knows no boards.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../linker");
    println!("cargo::rerun-if-changed={root}/{arch}.ld");
    println!("cargo::rustc-link-arg-bins=-T{root}/{arch}.ld");
    // The host tool moves the shim to its run address by these relocations.
    println!("cargo::rustc-link-arg-bins=--emit-relocs");
}
