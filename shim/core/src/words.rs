//! Words for the numbers in params and manifests: the host's, and those of the shim's trace build. No other shim has them.

use crate::codec::Codec;
use crate::manifest::HandoffKind;
use crate::params::{CookieRule, Policy};
use crate::watchdog::Care;

/// What is said of a number that no version defines.
pub const UNKNOWN: &str = "unknown";

impl Codec {
    /// As in messages, JSON and options.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Store => "store",
            Codec::Lz4 => "lz4",
            Codec::Lzma => "lzma",
        }
    }
}

impl HandoffKind {
    /// As in messages, JSON and options.
    pub fn name(self) -> &'static str {
        match self {
            HandoffKind::Uhi => "uhi",
            HandoffKind::Argv => "argv",
            HandoffKind::Appended => "appended",
            HandoffKind::Arm64 => "arm64",
        }
    }
}

impl CookieRule {
    /// As in messages, JSON and options.
    pub fn name(self) -> &'static str {
        match self {
            CookieRule::Off => "off",
            CookieRule::Contains => "contains",
            CookieRule::Word => "word",
        }
    }
}

impl Policy {
    /// As in messages, JSON and board files.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Halt => "halt",
            Policy::Reset => "reset",
            Policy::Return => "return",
        }
    }
}

impl Care {
    /// As in messages, JSON and options.
    pub fn name(self) -> &'static str {
        match self {
            Care::Leave => "leave",
            Care::Feed => "feed",
            Care::Stop => "stop",
            Care::Start => "start",
        }
    }
}

/// Of a payload's codec.
pub fn codec(byte: u8) -> &'static str {
    Codec::from_byte(byte).map_or(UNKNOWN, Codec::name)
}

/// Of a manifest's handoff.
pub fn handoff(byte: u8) -> &'static str {
    let all = [HandoffKind::Uhi, HandoffKind::Argv, HandoffKind::Appended, HandoffKind::Arm64];
    all.into_iter().find(|kind| *kind as u8 == byte).map_or(UNKNOWN, HandoffKind::name)
}

/// Of the params' cookie rule.
pub fn rule(byte: u8) -> &'static str {
    let all = [CookieRule::Off, CookieRule::Contains, CookieRule::Word];
    all.into_iter().find(|rule| *rule as u8 == byte).map_or(UNKNOWN, CookieRule::name)
}

/// Of the params' policy.
pub fn policy(byte: u8) -> &'static str {
    let all = [Policy::Halt, Policy::Reset, Policy::Return];
    all.into_iter().find(|policy| *policy as u8 == byte).map_or(UNKNOWN, Policy::name)
}
