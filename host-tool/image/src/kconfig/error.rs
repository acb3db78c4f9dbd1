//! Why a kernel's configuration cannot be read.

crate::explained! {
    /// Why a kernel's configuration cannot be read. `name` is the file, or what the kernel is called.
    pub enum Error {
        #[error("{name}: line {line} is no kernel setting: {text:?}")]
        NotASetting { name: String, line: usize, text: String }
            => KernelConfig, "give a kernel's .config, a /boot/config-* or a /proc/config.gz";
        #[error("{name}: no CONFIG_ setting in it")]
        NoSetting { name: String } => KernelConfig, "give a kernel's .config, a /boot/config-* or a /proc/config.gz";
        #[error("{name}: a kernel without IKCONFIG")]
        NoIkconfig { name: String }
            => KernelConfig, "give the .config that it was built with, or build it with CONFIG_IKCONFIG=y";
        #[error("{name}: not a kernel configuration but {likeness}")]
        NotText { name: String, likeness: &'static str }
            => KernelConfig, "give a kernel's .config, a /boot/config-* or a /proc/config.gz";
        /// `at` counts from the kernel's first byte.
        #[error("{name}: IKCONFIG at offset 0x{at:x} is damaged: {reason}")]
        Ikconfig { name: String, at: usize, reason: String }
            => KernelConfig, "give the configuration as a file with --config";
    }
}
