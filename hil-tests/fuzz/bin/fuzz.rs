//! The one program of all targets: `STOOP_FUZZ` names the one to run. Linking them one by one takes minutes.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<stoop_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("STOOP_FUZZ").unwrap_or_default();
    stoop_fuzz::target(&name).unwrap_or_else(|| {
        let known: Vec<&str> = stoop_fuzz::targets().map(|(name, _)| name).collect();
        eprintln!("STOOP_FUZZ names no target: {name:?}; give one of {}", known.join(", "));
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
