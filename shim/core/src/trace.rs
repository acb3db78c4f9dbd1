//! What the trace build of the shim says, by defmt, about its decisions. Without the feature `trace` nothing of it is compiled.
//!
//! Numbers are sent as they are and put into words on the host: the words are symbols of the shim's ELF, which `stoop monitor` has.

/// One frame: a format string of defmt's and its values. Without the feature nothing, so a value may only be looked at here.
#[cfg(feature = "trace")]
macro_rules! trace {
    ($($words:tt)*) => { defmt::println!($($words)*) };
}
/// Nothing.
#[cfg(not(feature = "trace"))]
macro_rules! trace {
    ($($words:tt)*) => {};
}

#[cfg(feature = "trace")]
mod formats {
    use defmt::{Format, Formatter};

    use crate::boot::Handoff;
    use crate::{Error, Region};

    impl Format for Region {
        fn format(&self, f: Formatter<'_>) {
            match self.is_empty() {
                true => defmt::write!(f, "none"),
                false => defmt::write!(f, "{=u64:#010x}..{=u64:#010x}", self.start() as u64, self.end() as u64),
            }
        }
    }

    impl Format for Handoff {
        fn format(&self, f: Formatter<'_>) {
            let [a, b, c, d] = self.registers.map(|register| register as u64);
            defmt::write!(f, "entry point {=u64:#010x}, registers ", self.entry_point as u64);
            defmt::write!(f, "{=u64:#010x} {=u64:#010x} {=u64:#010x} {=u64:#010x}", a, b, c, d);
        }
    }

    /// As [`core::fmt::Display`] has it.
    impl Format for Error {
        fn format(&self, f: Formatter<'_>) {
            let (subject, name, value) = (self.subject(), self.code().name(), self.value as u64);
            match self.other() {
                None => defmt::write!(f, "E{=u8:02} {} {} {=u64:#010x}", self.number(), subject, name, value),
                Some(other) => {
                    defmt::write!(f, "E{=u8:02} {} {} {} {=u64:#010x}", self.number(), subject, name, other, value);
                }
            }
        }
    }
}
