//! Why Linux would not unpack an initial ramdisk.

crate::explained! {
    /// What is wrong with an initial ramdisk. `unpack` and `again` are commands for a shell; offsets are those in the file, in bytes.
    pub enum Error {
        #[error("it has more than {most} archives or compressed streams, one behind the other")]
        TooManyMembers { most: usize } => Initrd, "check that this is the file you meant";
        #[error("an archive in it begins at 0x{at:x}: Linux takes one that is not compressed at a multiple of 4 only")]
        Unaligned { at: usize, missing: usize } => Initrd,
            "put {missing} zero bytes in front of it: (cat FIRST; head -c {missing} /dev/zero; cat SECOND) > initrd";
        #[error("0x{size:x} bytes follow the LZ4 data, which Linux takes for more of them")]
        BehindLz4 { size: usize }
            => Initrd, "put the archive that is compressed by LZ4 last, or 4 zero bytes behind its data";
        #[error("the file at 0x{at:x} of the cpio archive does not match its checksum: Linux stops there")]
        Checksum { at: usize } => Initrd, "build or download it again";
        #[error("the cpio archive is cut off within a file")]
        ArchiveCut => Initrd, "build or download it again";
        #[error("the cpio archive in the {codec} data is cut off within a file")]
        ArchiveInsideCut { codec: &'static str } => Initrd, "build or download it again";
        #[error("it is compressed twice: {inner} data inside {outer}")]
        CompressedTwice { inner: &'static str, outer: &'static str, unpack: String }
            => Initrd, "take one of them off: {unpack} > initrd";
        #[error("a file of the cpio archive goes on in the next {codec} stream; Linux unpacks each by itself")]
        TwoStreams { codec: &'static str, unpack: String, again: String }
            => Initrd, "make one stream of them: {unpack} | {again}";
        #[error("the ramdisk is in LZ4's frame format, Linux unpacks the legacy one")]
        Lz4Frames { unpack: String, again: String } => Initrd, "pack it again: {unpack} | {again}";
        #[error("the ramdisk's LZMA data have other parameters than lc=3, lp=0, pb=2, by which Linux knows them")]
        LzmaParameters { unpack: String, again: String } => Initrd, "pack it again: {unpack} | {again}";
        #[error("the lzop file {why}")]
        Lzop { why: String, unpack: String, again: String } => Initrd, "pack it again: {unpack} | {again}";
        #[error("the zstd data need a window of more than 0x8000000 bytes, the kernel's limit")]
        ZstdWindow { unpack: String, again: String } => Initrd, "pack it again: {unpack} | {again}";
        #[error("the xz data are damaged or cut off")]
        XzHeaders => Initrd, "build or download it again";
        #[error("the xz data has the check {check}; Linux takes CRC32 or none")]
        XzCheck { check: String, again: String } => Compressed, "{again}";
        #[error("the xz data need a dictionary of 0x{dictionary:x} bytes of RAM while Linux unpacks them")]
        XzDictionary { dictionary: u64, again: String } => Compressed, "{again}";
        #[error("the xz data has the filters {}; Linux takes lzma2, behind at most one for code", filters.join(" "))]
        XzFilters { filters: Vec<String>, again: String } => Compressed, "{again}";
        /// `reason` is the decoder's.
        #[error("the {codec} data are damaged or cut off: {reason}")]
        Stream { codec: &'static str, reason: String } => Initrd, "build or download it again";
        #[error("the {codec} data decode to more than 0x{most:x} bytes")]
        StreamTooLong { codec: &'static str, most: u64 } => Initrd, "check that this is the file you meant";
        /// `again` says how to make an archive of it.
        #[error("inside is {likeness}; Linux unpacks cpio (newc)")]
        Foreign { likeness: &'static str, again: String } => Initrd, "{again}";
        #[error("a uImage header is in front of it, which Linux does not skip")]
        Uimage { name: String } => Initrd, "cut its 64 bytes off: tail -c +65 {name} > initrd";
    }
}
