//! Why an ELF file is no kernel that can be started.

crate::explained! {
    /// What is wrong with an ELF file that should be a kernel. Addresses are as they are written there, offsets those of the file.
    pub enum Error {
        #[error("the ELF headers are broken: {reason}")]
        Headers { reason: object::Error } => KernelDamaged, "build or download the file again";
        #[error("the ELF file ends after 0x{size:x} bytes, inside its header")]
        HeaderCut { size: usize } => KernelDamaged, "build or download the file again";
        #[error("the ELF file's byte order is 0x{value:x}, neither 1 nor 2")]
        ByteOrder { value: u8 } => KernelDamaged, "build or download the file again";
        #[error("the kernel is 64-bit MIPS code in a 32-bit ELF file, such as vmlinux.32")]
        Mips64In32 => KernelMachine, "build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels";
        #[error("the kernel is 64-bit MIPS (ELF64)")]
        Mips64 => KernelMachine, "build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels";
        #[error("the kernel is an arm64 ELF: its physical address is not in it")]
        Arm64 => KernelMachine, "give arch/arm64/boot/Image instead";
        #[error("the ELF file is for {name} (e_machine 0x{number:x})")]
        Machine { name: &'static str, number: u16 } => KernelMachine, "give a kernel built for MIPS";
        #[error("the ELF file is relocatable: an object file or a kernel module")]
        Relocatable => KernelForm, "give the linked vmlinux or vmlinuz";
        #[error("the ELF file is of type 0x{kind:x}, not an executable")]
        Kind { kind: u16 } => KernelAddresses, "give the linked vmlinux or vmlinuz";
        #[error("the ELF file has no PT_LOAD segment: nothing in it would be in memory")]
        NoSegment => KernelForm, "give the linked vmlinux, not an object file or a debug symbol file";
        #[error("two PT_LOAD segments overlap: [0x{:x}, 0x{:x}) and [0x{:x}, \
            0x{:x})", first.start, first.end, second.start, second.end)]
        Overlap { first: std::ops::Range<u64>, second: std::ops::Range<u64> }
            => KernelDamaged, "link the kernel again; no loader can load this file";
        #[error("its PT_LOAD segments span 0x{filled:x} bytes, more than the 0x{most:x} of any kernel in 0x{size:x} bytes")]
        FarApart { filled: u64, most: u64, size: usize }
            => KernelDamaged, "link the kernel again: its segments lie far apart";
        #[error("the entry point 0x{entry:x} is in no loaded part of the file")]
        EntryOutside { entry: u64 } => KernelAddresses,
            "link the kernel again, or give the flat binary with --load-address and --entry-point";
        #[error("the entry point 0x{entry:x} is odd: MIPS16 or microMIPS code")]
        EntryOdd { entry: u64 } => KernelAddresses, "build the kernel without CONFIG_CPU_MICROMIPS";
        #[error("a PT_LOAD segment is at 0x{address:x} with 0x{memory:x} bytes, outside KSEG0 and KSEG1 (0x80000000..0xc0000000)")]
        NotInKseg { address: u32, memory: u64 } => KernelAddresses,
            "give a 32-bit kernel that is linked in KSEG0: a program of Linux is none; EVA and mapped kernels are not supported";
        #[error("a PT_LOAD segment has p_vaddr 0x{virt:x} but p_paddr 0x{phys:x}")]
        TwoAddresses { virt: u32, phys: u32 } => KernelAddresses, "link it so that both are the same, as Linux does";
        #[error("a PT_LOAD segment has 0x{file:x} bytes of file but 0x{memory:x} of memory")]
        SegmentSize { file: u64, memory: u64 } => KernelDamaged, "build or download the file again";
        #[error("the ELF file is truncated: a PT_LOAD segment ends at 0x{end:x}, the file at 0x{size:x}")]
        Cut { end: u64, size: u64 } => KernelDamaged, "build or download the file again";
    }
}
