//! Words for what params and manifests say by numbers: the host's, and those of the shim's trace build. No other shim has them.

use crate::codec::Codec;
use crate::manifest::{HandoffKind, Machine};
use crate::params::{CookieRule, Policy};
use crate::watchdog::Care;

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

impl core::fmt::Display for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}
