//! The machines that programs are made for.

/// A machine that `stoop` runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Target {
    /// PCs
    #[value(name = "x86_64")]
    X86,
    /// 64-bit ARM
    Aarch64,
}

impl Target {
    /// Both.
    pub const ALL: [Target; 2] = [Target::X86, Target::Aarch64];

    /// In file names, as `uname -m` has it.
    pub fn machine(self) -> &'static str {
        match self {
            Target::X86 => "x86_64",
            Target::Aarch64 => "aarch64",
        }
    }

    /// As the compiler calls it.
    pub(super) fn triple(self) -> String {
        format!("{}-unknown-linux-musl", self.machine())
    }

    /// As Debian calls it.
    pub(super) fn debian(self) -> &'static str {
        match self {
            Target::X86 => "amd64",
            Target::Aarch64 => "arm64",
        }
    }

    /// Debian's C compiler for it.
    pub(super) fn gcc(self) -> String {
        format!("{}-linux-gnu-gcc", self.machine())
    }

    /// What takes the symbols out of a program, from the same packages.
    pub(super) fn strip(self) -> String {
        format!("{}-linux-gnu-strip", self.machine())
    }
}
