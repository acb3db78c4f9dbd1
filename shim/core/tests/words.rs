//! The words of options, JSON and board files for what params and manifests say by numbers.

use stoop_core::manifest::Machine;

#[test]
fn each_machine_has_its_name_family_and_byte_order() {
    let facts = Machine::ALL.map(|machine| (machine.name(), machine.is_mips(), machine.is_big_endian()));
    assert_eq!(facts, [("mips-be", true, true), ("mips-le", true, false), ("arm64", false, false)]);
}

/// The host and the trace build have them: `cargo test -p stoop-core --features words`, and every test of the whole workspace.
#[cfg(feature = "words")]
#[test]
fn each_choice_has_its_own_word() {
    use stoop_core::codec::Codec;
    use stoop_core::manifest::HandoffKind;
    use stoop_core::params::{CookieRule, Policy};
    use stoop_core::watchdog::Care;

    assert_eq!([Codec::Store, Codec::Lz4, Codec::Lzma].map(Codec::name), ["store", "lz4", "lzma"]);
    let handoffs = [HandoffKind::Uhi, HandoffKind::Argv, HandoffKind::Appended, HandoffKind::Arm64];
    assert_eq!(handoffs.map(HandoffKind::name), ["uhi", "argv", "appended", "arm64"]);
    let rules = [CookieRule::Off, CookieRule::Contains, CookieRule::Word];
    assert_eq!(rules.map(CookieRule::name), ["off", "contains", "word"]);
    assert_eq!([Policy::Halt, Policy::Reset, Policy::Return].map(Policy::name), ["halt", "reset", "return"]);
    let cares = [Care::Leave, Care::Feed, Care::Stop, Care::Start];
    assert_eq!(cares.map(Care::name), ["leave", "feed", "stop", "start"]);
    assert_eq!(format!("{:>8}", Machine::MipsLe), " mips-le");
}
