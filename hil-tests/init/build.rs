//! Link arguments of a static Linux program; the host build (editors, clippy) needs none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "none" {
        // Where Linux programs usually live, in 4 KiB pages, and without what only a dynamic loader reads.
        for argument in ["--image-base=0x400000", "-zmax-page-size=4096", "--build-id=none", "--strip-all"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
