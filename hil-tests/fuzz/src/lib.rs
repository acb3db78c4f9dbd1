//! One function a parser: it takes any bytes and must neither panic nor differ from its peer.
//!
//! The same functions run under cargo-fuzz (`cargo ci fuzz`, the nightly) and over the committed seeds in `cargo test`.
#![forbid(unsafe_code)]

pub mod core;
pub mod host;

/// Takes the bytes that a fuzzer made up.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder of seeds: those over the shim's core first.
pub const TARGETS: &[(&str, Target)] = &[
    ("core-params", core::params),
    ("core-manifest", core::manifest),
    ("core-tree", core::tree),
    ("core-merge", core::merge),
    ("core-lzma", core::lzma),
    ("core-lz4", core::lz4),
    ("core-bootargs", core::bootargs),
    ("core-boot", core::boot),
    ("kernel", host::kernel),
    ("deb", host::deb),
    ("device-tree", host::device_tree),
    ("squashfs", host::squashfs),
    ("ramdisk", host::ramdisk),
    ("image", host::image),
    ("board-file", host::board_file),
    ("module", host::module),
    ("modules-dep", host::modules_dep),
    ("symvers", host::symvers),
    ("configuration", host::configuration),
    ("requirement", host::requirement),
    ("expression", host::expression),
    ("patch", host::patch),
    ("monitor", host::monitor),
];

/// The target called `name`.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
