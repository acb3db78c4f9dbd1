//! Why a file is no root filesystem that the kernel can mount.

use std::path::PathBuf;

crate::explained! {
    /// What is wrong with a root filesystem. Places and sizes are those of the squashfs, in bytes.
    pub enum Error {
        /// `next` depends on what it is instead.
        #[error("not a squashfs but {likeness}")]
        NotSquashfs { likeness: &'static str, next: &'static str } => Rootfs, "{next}";
        #[error("the squashfs ends after 0x{size:x} bytes, inside its superblock")]
        SuperblockCut { size: usize } => Rootfs, "build or download it again";
        #[error("the squashfs is of version {major}.{minor}, Linux reads 4.0")]
        Version { major: u16, minor: u16 } => Rootfs, "make it with mksquashfs DIR FILE -comp xz";
        #[error("the squashfs has compressor {number}, not known")]
        Compressor { number: u16 } => Rootfs, "make it with mksquashfs DIR FILE -comp xz";
        #[error("the squashfs superblock is damaged: block size 0x{size:x}, its logarithm {log}")]
        BlockSize { size: u32, log: u16 } => Rootfs, "build or download it again";
        #[error("the squashfs is truncated: its superblock says 0x{used:x} bytes, the file has 0x{have:x}")]
        Cut { used: u64, have: usize } => Rootfs, "build or download it again";
        #[error("the squashfs is damaged: its {table} is at 0x{at:x}, it has 0x{used:x} bytes")]
        TableOutside { table: &'static str, at: u64, used: u64 } => Rootfs, "build or download it again";
        #[error("the squashfs is damaged: its inode table is at 0x{inodes:x}, its directory table at \
            0x{directories:x}, its table of owners at 0x{owners:x}")]
        TableOrder { inodes: u64, directories: u64, owners: u64 } => Rootfs, "build or download it again";
        #[error("the squashfs is damaged: its root directory, 0x{inode:x}, is not in its inode table")]
        RootDirectory { inode: u64 } => Rootfs, "build or download it again";
        #[error("the squashfs is damaged: it has no owners")]
        NoOwners => Rootfs, "build or download it again";
        #[error("the squashfs is damaged: its xz options are cut off")]
        XzOptions => Rootfs, "make it again with mksquashfs DIR FILE -comp xz";
        #[error("the squashfs has an xz dictionary of 0x{size:x} bytes, which Linux refuses")]
        XzDictionary { size: u32 } => Rootfs, "make it again with mksquashfs DIR FILE -comp xz";
        #[error("the squashfs has LZ4 of version {version}, Linux reads 1")]
        Lz4Version { version: u32 } => Rootfs, "make it again with mksquashfs DIR FILE -comp xz";
        #[error("{path}: it was changed while it was packed")]
        Changed { path: PathBuf } => Rootfs, "pack again when nothing writes it";
    }
}
