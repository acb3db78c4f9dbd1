//! Why a container or compressed data cannot be read or written.

use object::Architecture;

crate::explained! {
    /// What is wrong with a container, with what it holds, or with compressed data. `container` is its name with its article.
    pub enum Error {
        /// bootm starts kernels only.
        #[error("the uImage holds {held} (type {kind} of U-Boot's list)")]
        UimageKind { held: &'static str, kind: u8, next: &'static str } => KernelForm, "{next}";
        #[error("the uImage is for operating system {system} of U-Boot's list, not for Linux (5)")]
        UimageSystem { system: u8 }
            => KernelForm, "give a Linux kernel; if it is one, make the uImage again with `mkimage -O linux`";
        #[error("the uImage holds nothing: its header says 0x0 bytes of data")]
        UimageEmpty => KernelForm, "build the file again";
        #[error("the multi-file uImage is broken: it lists no file")]
        MultiEmpty => KernelDamaged, "build or download the file again";
        #[error("the multi-file uImage is broken: its list of sizes has no end")]
        MultiEndless => KernelDamaged, "build or download the file again";
        #[error("the multi-file uImage is broken: it promises 0x{promised:x} bytes of files and has 0x{have:x}")]
        MultiCut { promised: u64, have: usize } => KernelDamaged, "build or download the file again";
        #[error("0x{size:x} bytes are too many for a uImage")]
        UimageTooLarge { size: usize } => Container, "give a smaller root filesystem";

        #[error("the FIT's image {name} is of type {kind:?}, no kernel")]
        FitKind { name: String, kind: String } => KernelForm, "give a FIT whose default configuration starts a kernel";
        #[error("the FIT's image {name} is for the operating system {system:?}, not for Linux")]
        FitSystem { name: String, system: String }
            => KernelForm, "give a FIT whose default configuration starts Linux";
        #[error("the FIT is truncated: its header says 0x{total:x} bytes, the file has 0x{have:x}")]
        FitCut { total: usize, have: usize } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: {what}")]
        FitBroken { what: &'static str } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: its configuration {configuration} names the image {}, which is not there", image.escape_debug())]
        FitImageMissing { configuration: String, image: String } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: its default configuration {} is not there, only: {}", name.escape_debug(), known.join(", "))]
        FitDefaultMissing { name: String, known: Vec<String> } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: the data of its image {image} are not in the file")]
        FitDataOutside { image: String } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: its image {image} has {count} hashes")]
        FitHashes { image: String, count: usize } => KernelForm, "download or build the file again";
        #[error("the FIT is damaged: {hash} of its image {image} has no algo or value")]
        FitHash { image: String, hash: String } => KernelForm, "download or build the file again";
        #[error("the FIT's configuration {name} names no kernel")]
        FitWithoutKernel { name: String } => KernelForm, "give a FIT whose default configuration starts a kernel";
        #[error("the FIT has no configuration")]
        FitWithoutConfiguration => KernelForm, "take the kernel out of it with dumpimage";
        #[error("the FIT has no default among its configurations {}", names.join(", "))]
        FitWithoutDefault { names: Vec<String> }
            => KernelForm, "take the kernel out of it with dumpimage, or build it with a default";
        #[error("the FIT cannot be written with 0x{size:x} bytes in it: {why}")]
        FitUnwritable { size: usize, why: String } => Container, "give a smaller root filesystem";

        #[error("an ELF file inside {container}: bootm would not take it apart, but jump into it")]
        ElfInside { container: String }
            => KernelForm, "let stoop pack the kernel inside: `stoop pack --kernel` takes this file";
        #[error("a uImage inside {container}")]
        UimageInside { container: String } => KernelForm, (match container == "a uImage" {
            true => "cut the outer header off, 64 bytes: `tail -c +65 FILE`",
            false => "give the uImage inside",
        });
        #[error("a FIT inside {container}")]
        FitInside { container: String } => KernelForm, "give the FIT inside";
        #[error("{codec} data where {container} should hold a kernel: its header names another compression")]
        OtherCompression { container: String, codec: &'static str }
            => KernelForm, "make it again with the compression in its header (`mkimage -C`)";

        /// `reason` is the decoder's.
        #[error("the {codec} stream is damaged or cut off: {reason}")]
        Stream { codec: &'static str, reason: String } => Compressed, "build or download the file again";
        #[error("the {codec} stream decodes to more than 0x{limit:x} bytes")]
        StreamTooLong { codec: &'static str, limit: u64 } => Compressed, "check that this is the file you meant";
        /// `reason` is the library's.
        #[error("no {codec} decoder: {reason}")]
        NoDecoder { codec: &'static str, reason: String } => Compressed;

        /// `reason` is the reader's.
        #[error("the ELF file is broken: {reason}")]
        Elf { reason: String } => ImageDamaged, "pack or download it again";
        #[error("the ELF file is broken: 0x{address:x} is not in KSEG0 or KSEG1")]
        ElfAddress { address: u64 } => ImageDamaged, "pack or download it again";
        #[error("the ELF file is broken: a segment ends behind the file")]
        ElfCut => ImageDamaged, "pack or download it again";
        #[error("the ELF file is for {machine:?}, not for 32-bit MIPS")]
        ElfMachine { machine: Architecture } => ImageMachine, "give a file that `stoop pack` wrote";
        #[error("0x{size:x} bytes are too many for an ELF file")]
        ElfTooLarge { size: usize } => Container;
    }
}
