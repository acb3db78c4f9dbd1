//! One function a parser: it takes any bytes and must neither panic nor differ from its peer.
//!
//! The same functions run under cargo-fuzz (`cargo ci fuzz`, the nightly) and over the committed seeds in `cargo test`.
#![forbid(unsafe_code)]

pub mod core;
#[cfg(feature = "host")]
pub mod host;

/// Takes the bytes that a fuzzer made up.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder of seeds: those over the shim's core first.
pub fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    let core = core::TARGETS.iter();
    #[cfg(feature = "host")]
    let all = core.chain(host::TARGETS);
    #[cfg(not(feature = "host"))]
    let all = core;
    all.copied()
}

/// The target called `name`.
pub fn target(name: &str) -> Option<Target> {
    targets().find(|(known, _)| *known == name).map(|(_, target)| target)
}
