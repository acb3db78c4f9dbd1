//! Why an image cannot be made or read.

use std::ops::Range;

use stoop_core::Region;
use stoop_core::params::MAX_SIZE;

crate::explained! {
    /// Why an image cannot be made, opened or written to flash. Places in flash count from its start, in bytes; other addresses are
    /// physical.
    pub enum Error {
        #[error("the file is empty")]
        Empty => NotAnImage, "pack the image again";
        #[error("no stoop image but {likeness}")]
        Foreign { likeness: &'static str } => NotAnImage,
            (crate::input::container::way_into(likeness).unwrap_or("give a file that `stoop pack` wrote"));
        #[error("the {container} has no load address in KSEG0 or KSEG1")]
        NoLoadAddress { container: &'static str } => NotAnImage, "give a file that `stoop pack` wrote";
        #[error("the uImage promises 0x{size:x} bytes and has 0x{have:x}")]
        Cut { size: usize, have: usize } => ImageDamaged, "pack or download it again";
        #[error("the image is damaged: {what}")]
        Damaged { what: &'static str } => ImageDamaged, "pack or download it again";
        /// Each says what its checksum is over, and both sums.
        #[error("the image is damaged: {}", wrong.join("; "))]
        Checksums { wrong: Vec<String> } => ImageDamaged, "pack or download it again";
        #[error("its {payload} is damaged")]
        Payload { payload: &'static str } => ImageDamaged, "pack or download it again";

        #[error("{board}'s CPU does not read its flash as memory, the shim cannot")]
        FlashNotMemory { board: String } => BoardLacks USAGE,
            "pack with --format uimage or fit, and let the bootloader copy the whole image to RAM";
        #[error("{board} halts when nothing boots, which hides its failsafe")]
        Halts { board: String } => BoardLacks USAGE, "set `defaults.policy` to reset or return in the board file";
        #[error("{bootloader} starts neither a uImage that is not compressed nor a FIT")]
        NoContainer { bootloader: String }
            => BoardLacks USAGE, "if it does, add it to `containers` in the board file";
        #[error("{board}'s flash map has no slot beside the partition boot")]
        NoSlot { board: String } => BoardLacks USAGE, "add a partition with the role firmware and `slot = \"a\"`";
        /// Both as the bootloader's user types them.
        #[error("{bootloader} starts what is at 0x{started:08x}, the map's container is at 0x{container:08x}")]
        StartsElsewhere { bootloader: String, started: usize, container: usize }
            => BoardLacks USAGE, "correct `flash-command` or the flash map in the board file";
        #[error("the shim takes 0x{boot:x} of the 0x{size:x} bytes of the flash partition {partition}: no room for a slot behind it")]
        NoRoomForSlot { partition: String, size: usize, boot: usize } => BoardLacks USAGE,
            "pack with --format uimage or fit, or give the board file a partition with the role firmware and `slot = \"a\"`";
        #[error("the flash map has no partition for an image")]
        NoImagePartition => BoardLacks USAGE, "add one with the role firmware";
        #[error("the flash map has no partition for the root filesystem of slot {slot}")]
        NoRootfsPartition { slot: char } => BoardLacks USAGE,
            "add one with the role rootfs and the slot to the board file, or omit --rootfs-in";
        #[error("there is no slot {}", name.unwrap_or('-'))]
        NoSuchSlot { name: Option<char>, known: Vec<String> } => NoSuchSlot USAGE, (format!("name one of: {}", known.join(", ")));
        #[error("the flash partition {partition} is protected: nothing may write it")]
        Protected { partition: String } => BoardLacks, "correct the board's flash map: see boards/README.md";
        #[error("{} is in the protected flash partition {partition}", span(range))]
        InProtected { range: Region, partition: String }
            => BoardLacks, "correct the board's flash map: see boards/README.md";
        #[error("{} is not inside the flash partition {partition}, {}", span(range), span(whole))]
        Outside { range: Region, partition: String, whole: Region }
            => BoardLacks, "correct the board's flash map: see boards/README.md";
        #[error("{} cuts an erase block of 0x{erase:x} bytes", span(range))]
        CutsBlock { range: Region, erase: usize } => BoardLacks, "correct the board's flash map: see boards/README.md";
        /// `mapped` is how many bytes the CPU reads, from the start of the flash on.
        #[error("{} lies behind what the CPU reads of the flash, its first 0x{mapped:x} bytes", span(range))]
        NotMapped { range: Region, mapped: usize }
            => BoardLacks, "give the board file a partition within these bytes, or write it from the board's Linux by `stoop flash --ssh`";
        #[error("0x{size:x} bytes do not fit the flash partition {partition}, 0x{room:x} bytes at 0x{at:x} of the flash")]
        PartitionFull { size: usize, partition: String, room: usize, at: usize }
            => Partition, "pack it smaller: --codec lzma, less in it, or a flash map with larger slots";
        #[error("the image's {part} is laid out for another flash map than {board}'s")]
        OtherMap { part: &'static str, board: String } => Partition USAGE, "pack it again for this board";

        #[error("too little RAM for the shim")]
        NoRoomForShim => NoRoom, "correct `ram` in the board file";
        #[error("the shim takes 0x{size:x} bytes, there is room for 0x{room:x}")]
        ShimTooLarge { size: usize, room: usize } => Params, "give a shorter cookie or fewer kept keys";
        #[error("cookie and kept keys take {size} bytes, too many for the params' {MAX_SIZE}")]
        Params { size: usize } => Params USAGE, "give a shorter cookie or fewer --keep";
        #[error("the container cannot name the load address 0x{address:x}")]
        LoadAddress { address: usize } => Container, "pack with `--format image`";

        #[error("the command line has {size} bytes, the kernel takes {longest}")]
        CommandLine { size: usize, longest: usize }
            => CommandLine, "shorten --cmdline, --append or the device tree's bootargs";
        #[error("the kernel does not see the device tree: which number its flash partition has is not known")]
        TreeUnseen => TreeUnsuited USAGE, "name the root with `--append root=/dev/mtdblockN`";
        #[error("the device tree has no flash partition [0x{:x}, 0x{:x}) for the root filesystem", range.start, range.end)]
        NoPartitionInTree { range: Range<u64> } => TreeUnsuited,
            "add it to the fixed-partitions of the flash, or name the root with `--append root=/dev/mtdblockN`";
        #[error("the device tree has an alias {alias} of its own, for {path}")]
        Alias { alias: String, path: String } => TreeUnsuited, "take another number for it";
        #[error("the device tree is damaged")]
        Tree => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree has {address} cells for addresses and {size} for sizes, too few")]
        Cells { address: usize, size: usize } => TreeUnsuited,
            "give its root node #address-cells = <2> and #size-cells = <2>, and change every `reg`";
        #[error("0x{room:x} bytes are too few for the final device tree")]
        TreeRoom { room: usize } => NoRoom, "give a kernel with a larger slot for its device tree";
        #[error("the device tree needs 0x{size:x} bytes with what the shim adds, arm64 kernels take 0x{most:x}")]
        TreeTooLarge { size: usize, most: usize }
            => TreeUnsuited, "leave parts of it out, such as its __symbols__ (dtc without -@)";

        #[error("the {codec} encoder: {reason}")]
        Encoder { codec: &'static str, reason: String } => Internal;
        #[error("the environment does not fit 0x{room:x} bytes")]
        Environment { room: usize } => Internal, "report this";
        #[error("the layout has no room at 0x{at:x}")]
        NoPlace { at: usize } => Internal, "report this";
        #[error("the overlay for the device tree grew to 0x{size:x} bytes")]
        OverlayGrew { size: usize } => Internal, "report this";
    }
}

fn span(region: &Region) -> String {
    format!("[0x{:x}, 0x{:x})", region.start(), region.end())
}
