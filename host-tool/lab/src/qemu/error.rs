//! Why a board in QEMU does not do what it should.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

stoop_image::explained! {
    /// Why a board in QEMU does not do what it should. `tail` are the console's last lines, in front of them an end of line.
    pub enum Error {
        #[error("cannot write to the console: {source}{tail}")]
        ConsoleWrite { source: io::Error, tail: String } => Console, "see why the machine stopped";
        #[error("the console says `{line}`{tail}")]
        Fatal { line: String, tail: String } => Console, "see the lines above it";
        #[error("the console ended before {wanted}{tail}")]
        ConsoleEnded { wanted: String, tail: String } => Console, "see why the machine stopped";
        #[error("{seconds} s passed without {wanted}{tail}")]
        TimedOut { seconds: f64, wanted: String, tail: String }
            => Console NO_ANSWER, "give it more time, or see where it stopped";
        #[error("still running after {seconds} s{tail}")]
        StillRunning { seconds: f64, tail: String } => Console NO_ANSWER, "give it more time, or see where it stopped";
        #[error("interrupted")]
        Interrupted => Interrupted INTERRUPTED;
        #[error("`{pattern}` is no regular expression: {reason}")]
        Pattern { pattern: String, reason: regex::Error } => Options USAGE,
            "put a backslash before characters that are meant as themselves: . * + ? ( ) [ ] {{ }} | ^ $";

        #[error("QEMU cuts arguments of {length} bytes to {limit}")]
        Arguments { length: usize, limit: usize }
            => Emulator USAGE, "shorten them, or start through U-Boot (`--via uboot`)";
        #[error("cannot start {program}: {source}")]
        NoEmulator { program: String, source: io::Error }
            => Emulator, "install it (Debian: apt-get install qemu-system-mips qemu-system-arm)";
        #[error("cannot wait for the emulator: {source}")]
        Wait { source: io::Error } => Emulator;
        #[error("the emulator gave up ({status}): {said}")]
        GaveUp { status: ExitStatus, said: String } => Emulator, "see what it says about its options";
        #[error("the board is off")]
        Off => Emulator, "switch it on first";
        #[error("the board is on")]
        On => Emulator, "switch it off first";
        #[error("{path}: {source}")]
        NoBootloader { path: PathBuf, source: io::Error } => File,
            "install the bootloader (Debian: apt-get install u-boot-qemu) or name another file";
        /// `at` and `flash` count from the flash's start, in bytes.
        #[error("{size:#x} bytes at {at:#x} pass the flash's end, {flash:#x}")]
        FlashEnd { size: usize, at: usize, flash: usize } => Emulator, "use a smaller image or a lower offset";
        #[error("the flash file has {size:#x} bytes, not {wanted:#x}")]
        FlashFile { size: usize, wanted: usize } => Emulator;

        #[error("QEMU does not play the board {board}")]
        NotPlayed { board: String, known: Vec<String> } => BoardLacks USAGE, (format!("use one of: {}", known.join(", ")));
        #[error("the board {board} has no prompt or no tftp-address")]
        NoPrompt { board: String } => BoardLacks USAGE, "add both to its bootloader table";
        #[error("{board}: {address:#x} does not fit 32 bits")]
        TftpAddress { board: String, address: usize } => BoardLacks USAGE;
        #[error("{board}: {memory:#x} does not fit 32 bits")]
        Memory { board: String, memory: usize } => Emulator USAGE;

        #[error("`dhcp` got no lease{tail}")]
        NoLease { tail: String } => Bootloader, "see what the bootloader says about the network";
        #[error("`{line}` did not fetch {size:#x} bytes{tail}")]
        NotFetched { line: String, size: usize, tail: String }
            => Bootloader, "see what the bootloader says about the transfer";
        #[error("U-Boot delivers {most} words of bootargs, these have {words}")]
        TooManyWords { words: usize, most: usize }
            => Bootloader USAGE, "join or drop some, or pass a device tree";
        #[error("bootargs hold a NUL")]
        Nul => Bootloader USAGE, "leave it out: it would end them";
        #[error("a command of {length} bytes is too long for the bootloader")]
        CommandTooLong { length: usize } => Bootloader, "put it into a variable first";
    }
}
