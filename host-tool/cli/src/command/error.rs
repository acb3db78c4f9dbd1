//! What is wrong with what was typed, or with what came of it.

use std::io;
use std::path::PathBuf;

stoop_image::explained! {
    /// Why a verb does not do what was typed, or did it and the answer is no.
    pub enum Error {
        #[error("interrupted")]
        Interrupted => Interrupted INTERRUPTED;
        /// `fact` is the first line of clap's.
        #[error("{fact}")]
        CommandLine { fact: String } => Options USAGE, "see the verb's --help";
        #[error("cannot listen for Ctrl-C: {source}")]
        Signals { source: io::Error } => Options;
        #[error("stdin: {source}")]
        Stdin { source: io::Error } => File;
        #[error("stdin can be only one of its inputs")]
        StdinTwice => Options USAGE, "give the others as files";
        #[error("{path} would be the log and the recording")]
        OneFile { path: PathBuf } => OutputIsInput USAGE, "name another file for one of them";
        #[error("{path} is there already, and may be the only copy of what was in flash")]
        BackupExists { path: PathBuf } => Output USAGE, "name another file";
        #[error("the vendor's own images in {board}'s flash are {vendor}; whether its bootloader starts another from there is not known")]
        VendorContainer { board: String, vendor: String }
            => WouldNotBoot, "try it over the network first, and have a way back; or write it all the same with --unchecked";
        #[error("JSON: {reason}")]
        Json { reason: serde_json::Error } => Internal, "report this";
        #[error("{path}: {source}")]
        NoFolder { path: PathBuf, source: io::Error } => File, "name a directory in one that exists";
        #[error("{path}: {source}")]
        FolderExists { path: PathBuf, source: io::Error }
            => File, "name a directory that is not there yet, in one that exists";

        /// `what` is wrong with it; pack has proven that it is right.
        #[error("the finished image would not boot: {what}")]
        FinishedImage { what: String } => Options, "report this";
        #[error("{board} would choke on the image: {what}: {says}")]
        Chokes { board: String, what: &'static str, says: String, fix: Option<String> } => WouldNotBoot, (fix.clone().unwrap_or_default());
        #[error("--modules is given, and nothing says which modules are needed")]
        NoRequirement => Options USAGE, "name requirements or modules, for example `--require phram-root squashfs-root`";

        #[error("{image}: not made by stoop, so nobody knows where it would lie")]
        NoPicture { image: PathBuf } => Options USAGE, "leave out --svg";
        #[error("it looks like {likeness}, with nothing in it that is known here")]
        NothingKnown { likeness: &'static str }
            => NotAnImage, "look for more in it with binwalk, or give the kernel and the root filesystem alone";
        #[error("{image}: damaged: {}", wrong.join("; "), image = image.display())]
        Damaged { image: PathBuf, wrong: Vec<String>, next: &'static str } => ImageDamaged, "{next}";
        #[error("its manifest is damaged")]
        Manifest => ImageDamaged, "pack or download it again";
        #[error("the uImage is truncated: it ends after 0x{size:x} bytes, inside its header")]
        UimageCut { size: usize } => ImageDamaged, "build or download it again";
        #[error("the shim gives up: {reason}")]
        GivesUp { reason: stoop_core::Error } => Options, (format!("see `stoop explain E{:02}`", reason.number()));
        #[error("0x{address:x} is neither in KSEG0 nor in KSEG1")]
        Address { address: u64 } => Options USAGE, "give it as 0x80a00000";

        #[error("neither an image nor a kernel is given")]
        NothingToCheck => Options USAGE, "name one; see --help";
        #[error("{failed} of {needed} requirements not met: {}", names.join(", "))]
        NotMet { failed: usize, needed: usize, names: Vec<&'static str> }
            => WouldNotBoot, "see what to do behind each \"no\" above";
        #[error("it is {what}, no image")]
        NotAnImage { what: &'static str } => BoardUnnamed USAGE, "give an image; for what it would do on a board, \
            name one with --board; a kernel is checked by `stoop check --kernel FILE`";
        #[error("it would not boot on {board}: {}", findings.join(", "))]
        WouldNotBoot { board: String, findings: Vec<String> }
            => WouldNotBoot, "see what to do behind each \"no\" above";
        /// `fix` is that of the first finding.
        #[error("it would not boot on {board}: {findings}")]
        WouldNotStart { board: String, findings: String, fix: Option<String>, otherwise: String }
            => WouldNotBoot, (format!("{}; {otherwise}", fix.as_deref().unwrap_or("see `stoop check`")));

        #[error("{board} has no flash map")]
        NoFlashMap { board: String } => BoardLacks, "`stoop boards show` says in `quirks` what it starts from";
        #[error("{file}: is not UTF-8")]
        FileName { file: PathBuf } => Options USAGE;
        #[error("{file}: {}", match count {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }, file = file.display())]
        Problems { file: PathBuf, count: usize, next: Option<&'static str> } => BoardFile, [next.map(str::to_owned)];
        #[error("no tree of that folder is for one of these boards")]
        NoTreeOfThem => NotATree,
            "see whether the root's compatible in the tree is one of the board's; `stoop boards show` has them";
        #[error("{different} of {of} flash maps differ from their device trees")]
        MapsDiffer { different: usize, of: usize } => BoardFile,
            "the tree may be newer, or of another layout; correct the board file, or name the reason in `quirks`";
        #[error("{path} is there already")]
        Exists { path: PathBuf } => Output USAGE, "name another file with --output";
        #[error("{path}: 0x{size:x} bytes, more than 0x{most:x}")]
        TooLong { path: PathBuf, size: usize, most: usize }
            => File USAGE, "give a device tree, and a log from one boot";

        #[error("--base {base} is no configuration to begin with")]
        Base { base: String } => KernelConfig USAGE,
            "give defaults, allnoconfig, or the name of a defconfig such as malta_defconfig";
        #[error("no module is named")]
        NoModule => Options USAGE, "name modules or requirements such as @firewall";
        #[error("it is not known what the kernel exports")]
        NoSymbols => KernelSymbols USAGE,
            "give the kernel with --kernel VMLINUX or its Module.symvers with --symvers FILE";

        #[error("--until {pattern:?} is no regular expression: {reason}")]
        Pattern { pattern: String, reason: regex::Error }
            => Options USAGE, "put \\ in front of characters that mean themselves";
        #[error("how {board} starts from flash is not known")]
        FlashCommand { board: String } => BoardLacks USAGE, "add `flash-command` to the board file";
        #[error("QEMU itself starts ELF files and arm64 Images only")]
        NotDirect => Options USAGE, "pack with `--format elf`, or start it with `--via uboot`";
        #[error("QEMU itself reads the image from a file, not from stdin")]
        DirectStdin => Options USAGE, "give the file's name, or start it with `--via uboot`";
        #[error("no U-Boot is known for this board in QEMU")]
        NoUboot => Emulator USAGE, "name one with `--uboot FILE`, or start an ELF image with `--via direct`";
        #[error("the image does not say for which of the boards that QEMU plays it is")]
        NoQemuBoard => BoardUnnamed USAGE, "name one with `--board`: see `stoop boards list`";
        #[error("{image} does not run on the board {board}")]
        OtherMachine { image: &'static str, board: String } => BoardUnnamed USAGE, "name the board it was packed for";
        #[error("the ELF file is {file} endian, the board {board}")]
        ByteOrder { file: &'static str, board: &'static str }
            => BoardUnnamed USAGE, "name the board it was packed for";
        #[error("the image was packed for {packed_for}, not for {board}")]
        OtherBoard { packed_for: String, board: String }
            => BoardUnnamed USAGE, "pack it for this board, or name the other one";
        /// `missed` is what did not come, with a blank in front, or nothing.
        #[error("{seconds} s passed{missed}")]
        TimedOut { seconds: u64, missed: String } => Console NO_ANSWER, "give it more --timeout, or see where it stopped";

        #[error("no console is named")]
        NoConsole => Options USAGE, "name it with --serial, or in [place] of stoop.toml";
        #[error("no power switch is named")]
        NoPowerSwitch => Options USAGE, "name it with --power, or in [place] of stoop.toml";
        #[error("the console says `{line}`")]
        ConsoleSays { line: String } => Console, "see the lines above it";
        #[error("the console ended before {wanted}")]
        ConsoleEnded { wanted: String } => Console NO_ANSWER, "see why it stopped";
        #[error("cannot listen for Ctrl-C: {source}")]
        NoSignals { source: io::Error } => Internal;
        #[error("the terminal cannot be set up: {source}")]
        RawTerminal { source: io::Error } => Console;
        #[error("nobody can be asked whether to write flash")]
        NobodyToAsk => Options USAGE, "give --yes";
        #[error("nothing was written: the answer was not yes")]
        Declined => Options USAGE;
    }
}
