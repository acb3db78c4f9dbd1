//! Why no image is planned from what was asked for.

use std::ops::Range;
use std::path::PathBuf;

use crate::machine::{Machine, described};

crate::explained! {
    /// Why options, board, kernel and device tree make no plan.
    pub enum Error {
        #[error("{option} holds control characters")]
        ControlCharacters { option: &'static str } => CommandLine USAGE, "give one line of plain text";
        #[error("--slot and --rootfs-in flash are for images in flash")]
        NotForFlash => Options USAGE, "pack with `--format nor`, or omit them";
        #[error("--ramoops is said in the device tree, and this kernel does not read it")]
        RamoopsUnread
            => Ramoops USAGE, "give a kernel that takes its device tree by UHI or in a slot of its own";
        #[error("--keep {key:?} is not the name of a key")]
        KeepKey { key: String }
            => Options USAGE, "give the part in front of the `=`, for example `--keep bootImage`";
        #[error("--cookie {text:?} is empty, longer than 255 bytes or not printable")]
        Cookie { text: String } => Cookie USAGE, "give a word, or `--no-cookie` to let all bootargs count";
        #[error("--cookie {text:?} holds {} and can never be one word",
            if text.contains(' ') { "a blank" } else { "a character outside ASCII" })]
        CookieWords { text: String }
            => Cookie USAGE, "give a cookie of ASCII letters, digits and signs, or omit `--cookie-match word`";
        #[error("what {board}'s bootloader starts is not known")]
        NoContainer { board: String } => BoardLacks USAGE,
            "name the format with --format, or add `containers` to the board file";
        #[error("{path}: the kernel is {}, the board {board} is {}", described(*kernel), described(*of_board))]
        OtherMachine { path: PathBuf, kernel: Machine, board: String, of_board: Machine }
            => KernelMachine, (match *kernel == Machine::Arm64 || *of_board == Machine::Arm64 {
                true => "give a kernel that was built for this board's architecture",
                false => "give a kernel that was built for this board's byte order",
            });
        #[error("an arm64 kernel is called one way only: with its device tree in x0")]
        Arm64Handoff => Options USAGE, "omit --handoff";
        #[error("the arm64 kernel has pages of {pages}: a root filesystem in RAM, which begins at a multiple of 4 \
            KiB, would begin within one")]
        ForeignPages { pages: &'static str } => KernelUnsuited,
            "build the kernel with CONFIG_ARM64_4K_PAGES=y, or give a ramdisk with --initrd instead";
        #[error("arm64 bootloaders copy what they start to RAM, whole")]
        Arm64Flash => Options USAGE,
            "pack with `--format image`, and write the file where the bootloader reads it from";
        #[error("ELF files name addresses, and an arm64 image has none")]
        Arm64Elf => Options USAGE, "pack with `--format image`: booti, kexec and QEMU take it";
        #[error("the format image is arm64's")]
        ImageOfMips => Options USAGE, "pack with `--format uimage`, elf or raw";
        #[error("on arm64 phram.phram= cannot map RAM: the kernel warns and has no root (ioremap refuses RAM)")]
        Arm64Phram => Options USAGE,
            "omit it: pack puts the root filesystem into the device tree, and the kernel maps it cached";
        #[error("no handoff was found for this kernel")]
        NoHandoff => KernelUnsuited, "name one with --handoff";
        #[error("the device tree has an alias {alias} of its own, for {path}")]
        Alias { alias: String, path: String }
            => TreeUnsuited, "take another number for it, or pack with `--phram cmdline`";
        #[error("--cmdline and --append change the packed device tree, and there is none")]
        NoTreeForLine => Options USAGE, "give one with --dtb, or set the bootloader's bootargs";
        #[error("the device tree reserves {count} pieces of memory, more than the {most} of any board")]
        Reservations { count: usize, most: usize }
            => TreeUnsuited, "check that this is the device tree you meant";
        /// Physical.
        #[error("[0x{:x}, 0x{:x}) is outside of RAM that MIPS reaches", range.start, range.end)]
        OutOfReach { range: Range<u64> } => NotInRam, "check that this is the kernel you meant";

        #[error("--overlay changes the packed device tree, and there is none")]
        NoTreeForOverlay
            => TreeMissing USAGE, "give the device tree with --dtb, or let the bootloader apply the overlay";
        #[error("--dtb and --bootloader-dtb contradict each other")]
        TwoTrees => Options USAGE, "omit one";
        #[error("the kernel needs a device tree, and there is none with the board {board}")]
        NoTree { board: String } => TreeMissing USAGE,
            "give the board's with --dtb FILE, or --bootloader-dtb if its bootloader passes one";
        #[error("the device tree has one cell for 0x{number:x}, a figure of the board's RAM")]
        OneCell { number: u64 } => TreeUnsuited,
            "give its root node #address-cells = <2> and #size-cells = <2>, and change every `reg`";
    }
}
