//! The stable codes of the host tool's failures. `stoop explain H061` says what one means.

/// Declares the codes and the list of them, so that none is missing in it.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of failure it is, by what the user has to look at. Numbers are never used again for something else.
        #[non_exhaustive]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// As it is printed: `H` and three digits.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// A file cannot be read or written.
    File = "H001",
    /// The output cannot be written.
    Output = "H002",
    /// The output would replace one of the inputs.
    OutputIsInput = "H003",
    /// Somebody ended the command.
    Interrupted = "H004",
    /// Options that contradict each other or lack a value that is needed.
    Options = "H005",
    /// A code that does not exist.
    NoSuchCode = "H006",
    /// The project file, `stoop.toml`.
    Project = "H007",
    /// Compressed data that are damaged or that Linux cannot decompress.
    Compressed = "H008",
    /// A mistake in stoop itself.
    Internal = "H009",
    /// No board has this name.
    NoSuchBoard = "H010",
    /// A board file breaks the schema's rules.
    BoardFile = "H011",
    /// It is not known which board the image is for.
    BoardUnnamed = "H012",
    /// The board's data lack what was asked for.
    BoardLacks = "H013",
    /// The board has no such slot.
    NoSuchSlot = "H014",
    /// The watchdog cannot be used as asked.
    Watchdog = "H015",
    /// The memory for the kernel's log over a reset cannot be had as asked.
    Ramoops = "H016",
    /// The file is no kernel that stoop reads.
    KernelForm = "H020",
    /// The kernel is for another machine.
    KernelMachine = "H021",
    /// The kernel is damaged.
    KernelDamaged = "H022",
    /// Load address or entry point are unknown or impossible.
    KernelAddresses = "H023",
    /// The kernel's configuration cannot be read or is not the kernel's.
    KernelConfig = "H024",
    /// The kernel lacks something that the image needs.
    KernelUnsuited = "H025",
    /// The Debian package holds no kernel that can be read.
    Package = "H026",
    /// There is no device tree, and the kernel needs one.
    TreeMissing = "H030",
    /// The file is no device tree blob.
    NotATree = "H031",
    /// The device tree is damaged.
    TreeDamaged = "H032",
    /// The device tree contradicts what has to be added to it.
    TreeUnsuited = "H033",
    /// An overlay that cannot be applied.
    Overlay = "H034",
    /// The root filesystem is of a kind that the kernel cannot mount.
    Rootfs = "H040",
    /// The initrd is of a kind that the kernel cannot unpack.
    Initrd = "H041",
    /// The command line is too long or no plain text.
    CommandLine = "H050",
    /// The cookie cannot be used.
    Cookie = "H051",
    /// The params have no room for cookie and kept keys.
    Params = "H052",
    /// There is too little memory for all parts.
    NoRoom = "H060",
    /// Two parts would lie on each other.
    Overlap = "H061",
    /// A part would lie outside of RAM.
    NotInRam = "H062",
    /// The image does not fit the flash partition.
    Partition = "H063",
    /// The container cannot hold the image.
    Container = "H064",
    /// The file is no image that stoop wrote.
    NotAnImage = "H070",
    /// The image is damaged.
    ImageDamaged = "H071",
    /// The image is for another machine.
    ImageMachine = "H072",
    /// The shim would not boot the image.
    GivesUp = "H073",
    /// The checked kernel or image would not boot.
    WouldNotBoot = "H074",
    /// kexec cannot start the image.
    Kexec = "H080",
    /// No module, alias or built-in has this name.
    NoSuchModule = "H100",
    /// The directory of modules is incomplete or inconsistent.
    ModuleTree = "H101",
    /// A module file cannot be read.
    ModuleDamaged = "H102",
    /// The kernel would refuse the modules.
    ModulesRefused = "H103",
    /// The kernel's exported symbols cannot be read.
    KernelSymbols = "H104",
    /// A requirement that does not exist or does not hold.
    Requirement = "H105",
    /// The bundle of modules cannot be written where it was asked for.
    Bundle = "H106",
    /// The kernel's source cannot be unpacked.
    KernelSource = "H120",
    /// A patch does not apply.
    Patch = "H121",
    /// `make` failed.
    Make = "H122",
    /// A program that the build needs is not installed.
    Toolchain = "H123",
    /// Requested settings did not hold.
    SymbolsLost = "H124",
    /// The tree of the build cannot be used.
    BuildTree = "H125",
    /// The console did not say what was waited for.
    Console = "H140",
    /// QEMU cannot be started, or ended by itself.
    Emulator = "H141",
    /// The bootloader did not do what it was told.
    Bootloader = "H142",
    /// A step of the repository's own checks failed.
    Repository = "H190",
}
