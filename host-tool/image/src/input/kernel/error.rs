//! Why a file is no kernel that can be started.

use crate::machine::{Machine, described};

crate::explained! {
    /// What is wrong with a kernel, with the container that it came in, or with what the user said about it. Addresses are as they
    /// are written there: virtual on MIPS.
    pub enum Error {
        #[error("this is a kernel for {machine}")]
        OtherMachine { machine: &'static str } => KernelMachine, "give a kernel built for MIPS or arm64";
        #[error("this is a device tree blob")]
        DeviceTree => KernelForm, "give it with --dtb, and a kernel with --kernel";
        #[error("this is a squashfs")]
        Squashfs => KernelForm, "give it with --rootfs, and a kernel with --kernel";
        #[error("this is a stoop image, not a kernel")]
        StoopImage => KernelForm, "give the kernel that it was packed from";
        #[error("not an ELF kernel, a uImage or a package, but {likeness}")]
        Unknown { likeness: &'static str } => KernelForm USAGE, (crate::input::container::way_into(likeness).unwrap_or(
            "if it is a flat binary such as vmlinux.bin, give --load-address, and --entry-point if it starts elsewhere"
        ));
        #[error("compressed twice, {outer} outside")]
        CompressedTwice { outer: &'static str } => KernelForm, "decompress it once";

        #[error("an arm64 Image runs at any multiple of 2 MiB, and says so itself")]
        ImageHasAddresses => KernelAddresses USAGE, "omit --load-address and --entry-point";
        #[error("an ELF kernel has its own load address and entry point")]
        ElfHasAddresses => KernelAddresses USAGE, "omit --load-address and --entry-point";
        #[error("the {container} says where it belongs: load address 0x{load:x}, entry point 0x{entry:x}")]
        ContainerHasAddresses { container: &'static str, load: u64, entry: u64 }
            => KernelAddresses USAGE, "omit --load-address and --entry-point";
        #[error("the {container} does not say where its kernel is linked: it runs where it is put")]
        NoAddresses { container: &'static str }
            => KernelAddresses USAGE, "give --load-address, and --entry-point if it starts elsewhere";
        /// `why` is what is wrong with them.
        #[error("{container}: {why}")]
        ContainerAddresses { container: &'static str, why: String }
            => KernelAddresses, "build the {container} again with the kernel's own addresses";
        #[error("the {container} is for arm64 and holds {likeness}")]
        NoImageInside { container: &'static str, likeness: &'static str }
            => KernelForm, "give arch/arm64/boot/Image of the kernel's build";

        #[error("the kernel is 64-bit (CONFIG_64BIT=y) in a 32-bit file")]
        Config64Bit => KernelMachine, "build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels";
        #[error("the kernel is for MIPS release 6, whose code no CPU before it runs")]
        Release6 => KernelMachine, "build it for the board's CPU: CONFIG_CPU_MIPS32_R2=y";
        #[error("the kernel is {} but its configuration ({source_name}) says otherwise", described(*machine))]
        Contradicts { machine: Machine, source_name: String }
            => KernelConfig, "give the configuration that this kernel was built with";
        #[error("{source_name}: it is for no machine that stoop knows")]
        ConfigMachine { source_name: String }
            => KernelMachine, "give the whole configuration of a 32-bit MIPS kernel, not a fragment of it";

        #[error("0x{size:x} bytes at the load address 0x{load:x} are not in KSEG0 (0x80000000..0xa0000000)")]
        NotInKseg0 { size: usize, load: u64 } => KernelAddresses USAGE, "give the address that the kernel is linked at";
        #[error("no MIPS code in it, neither big- nor little-endian: it is {likeness}")]
        NoCode { likeness: &'static str }
            => KernelForm, "give an uncompressed kernel; for other compressions decompress it first";
        /// `start` and `end` are physical.
        #[error("the entry point 0x{entry:x} is not an instruction of [0x{start:x}, 0x{end:x})")]
        EntryOutside { entry: u64, start: u64, end: u64 }
            => KernelAddresses USAGE, "give the address of kernel_entry, as `readelf -h vmlinux` shows it";
        #[error("the code at the load address 0x{load:x} is not where a kernel starts")]
        EntryUnknown { load: u64 }
            => KernelAddresses USAGE, "give --entry-point, the e_entry that `readelf -h vmlinux` shows";

        #[error("an arm64 Image of 0x{size:x} bytes, cut within its header")]
        ImageHeaderCut { size: usize } => KernelDamaged, "build or download it again";
        #[error("the arm64 Image is big-endian")]
        ImageBigEndian => KernelMachine, "build the kernel with CONFIG_CPU_LITTLE_ENDIAN=y";
        #[error("the arm64 Image must lie at the start of RAM, as before Linux 4.6")]
        ImageFixed => KernelMachine, "give a newer kernel";
        #[error("the arm64 Image's text_offset is 0x{offset:x}")]
        ImageOffset { offset: u64 } => KernelDamaged, "build or download it again";
        #[error("the arm64 Image needs 0x{needs:x} bytes by its header and has 0x{have:x}")]
        ImageSize { needs: u64, have: usize }
            => KernelDamaged, "give the Image alone, as the kernel's build made it";

        #[error("the EFI zboot image ends inside its header")]
        ZbootHeaderCut
            => KernelDamaged, "download or build the file again";
        #[error("the EFI zboot image is truncated: its kernel is at 0x{at:x}, 0x{size:x} bytes, the file has 0x{have:x}")]
        ZbootCut { at: u32, size: u32, have: usize }
            => KernelDamaged, "download or build the file again";
        #[error("the EFI zboot image is compressed with {compression:?}, not known here")]
        ZbootCompression { compression: String }
            => KernelForm, "give arch/arm64/boot/Image of the same build (CONFIG_EFI_ZBOOT=n installs it)";

        #[error("the uImage ends after 0x{size:x} bytes, inside its header")]
        UimageHeaderCut { size: usize } => KernelDamaged, "download or build the file again";
        #[error("the uImage's header CRC is 0x{computed:08x}, its header says 0x{stored:08x}")]
        UimageHeaderCrc { computed: u32, stored: u32 } => KernelDamaged, "download or build the file again";
        #[error("the uImage is truncated: its header says 0x{size:x} bytes of data, the file has 0x{have:x}")]
        UimageCut { size: usize, have: usize } => KernelDamaged, "download or build the file again";
        #[error("the uImage's data CRC is 0x{computed:08x}, its header says 0x{stored:08x}")]
        UimageDataCrc { computed: u32, stored: u32 } => KernelDamaged, "download or build the file again";
        #[error("the uImage holds a multi-file image (type {kind} of U-Boot's list)")]
        UimageMulti { kind: u8 }
            => KernelForm, "split it with dumpimage and give kernel, ramdisk and device tree one by one";
        #[error("the uImage is for 64-bit MIPS")]
        UimageMips64 => KernelMachine, "build the kernel with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels";
        #[error("the uImage is for another machine (architecture {number} of U-Boot's list)")]
        UimageMachine { number: u8 } => KernelMachine, "give a kernel built for MIPS (architecture 5)";
        #[error("the uImage's compression is number {number} of U-Boot's list, not known here")]
        UimageCompression { number: u8 } => KernelForm, "unpack it with dumpimage and give the kernel inside";

        /// `why` names the hash.
        #[error("the FIT's kernel is damaged: {why}")]
        FitHash { why: String } => KernelDamaged, "download or build the file again";
        #[error("the FIT's kernel is for 64-bit MIPS")]
        FitMips64 => KernelMachine, "build the kernel with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels";
        #[error("the FIT's kernel is for another machine, {name:?}")]
        FitMachine { name: String } => KernelMachine, "give a kernel built for MIPS";
        #[error("the FIT's kernel is compressed with {name:?}, not known here")]
        FitCompression { name: String } => KernelForm, "unpack it with dumpimage and give the kernel inside";

        /// `reason` is the reader's.
        #[error("the package is damaged or cut off: {reason}")]
        PackageDamaged { reason: String } => Package, "download it again";
        #[error("the package's {member} has a compression not known here")]
        PackageCompression { member: String } => Package, "unpack it with dpkg-deb -x and give the kernel in boot/";
        #[error("the package has kernels of several versions: {versions}")]
        PackageOfKernels { versions: String } => Package, "unpack it with dpkg-deb -x and give one of them";
        #[error("the package has no kernel: no file boot/vmlinux-*, boot/vmlinuz-* or lib/modules/*/vmlinuz")]
        PackageWithoutKernel => Package, "give the package that `apt-get download` fetches for the versioned name, such as linux-image-6.1.0-50-mips32r2el";
        #[error("the file is an ar archive without data.tar: no Debian package, or cut off")]
        NoPackage => Package, "download it again";
    }
}
