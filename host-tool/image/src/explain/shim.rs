//! What the shim's codes mean: `E12` on the UART is all that a board can say.

use stoop_core::Code;

const AGAIN: &str = "Load the image again and compare: U-Boot's `crc32` over it, and `stoop inspect` on the file. \
If only the copy in flash is bad, write it again.";

pub(super) fn texts(code: Code) -> [&'static str; 4] {
    match code {
        Code::Params => [
            "the params are damaged",
            "The block after the shim's code that names RAM, UART and cookie has no right magic, version, length or CRC-32. \
             Nothing can be printed in this state: the number comes back to the bootloader's `go`.",
            "The image was not written by `stoop pack`: damage on its way would be E06.",
            "Pack the image again.",
        ],
        Code::NoManifest => [
            "no manifest where one should be",
            "At the place that the params name there is no manifest. The number is its physical address.",
            "The slot was never written or is erased; the image was cut off after the shim; or the flash is not readable \
             at the address that the board file says.",
            "Write the slot, or load the whole file. On a new board, compare the flash window of the board file with the \
             bootloader's address of the flash.",
        ],
        Code::ManifestShape => [
            "the manifest is of another version",
            "There is a manifest, but its version or length is not this shim's, or it names a handoff or codec that this shim \
             does not know. The number is its address.",
            "Shim and slot were packed by different versions of stoop.",
            "Pack the image again and write all of it, shim and slots.",
        ],
        Code::ManifestCrc => [
            "the manifest is damaged",
            "The manifest's own CRC-32 does not match. The number is the one computed.",
            "A write to flash was interrupted, or the transfer changed bytes.",
            AGAIN,
        ],
        Code::Foreign => [
            "the manifest is for another machine",
            "The manifest was made for another architecture or byte order. The number is its second word.",
            "The image of another board was written into this slot.",
            "Pack for this board: `stoop boards show NAME` says its byte order.",
        ],
        Code::Shim => [
            "the shim is damaged",
            "A sum over the shim and its params as they are stored, or over what was unpacked of them, is wrong. Nothing that \
             was unpacked has run, and nothing can be printed: MIPS gives the number to the bootloader's `go`, arm64 resets.",
            "The image was cut off or changed on its way; the RAM where the shim runs is not there, not as large as the board \
             file says, or broken; or the shim was started without its params, from its ELF file.",
            "Check the file with `stoop inspect`, and load it again. If it is whole, compare `ram` in the board file with the \
             bootloader's `bdinfo`.",
        ],
        Code::NoKernel => [
            "the slot has no kernel",
            "The manifest is good but lists no kernel.",
            "It was not written by `stoop pack`.",
            "Pack the image with `stoop pack`.",
        ],
        Code::Unreadable => [
            "stored bytes lie outside of memory",
            "A payload is said to lie where this board has neither RAM nor readable flash. The number is its start.",
            "The bootloader has put the image near the end of RAM; or `ram` or the flash window in the board file are wrong.",
            "Load the image where `stoop pack` said, and compare the board file with the bootloader's `bdinfo`.",
        ],
        Code::Crc => [
            "a payload is damaged",
            "The CRC-32 of a payload's stored bytes does not match. The number is the one computed on the board.",
            "The transfer was cut off; something wrote over the image after it was loaded (the bootloader's own memory, a \
             staging buffer); or a flash block has gone bad.",
            AGAIN,
        ],
        Code::Codec => [
            "this shim has no decoder for a payload",
            "The payload is compressed in a way that this shim was built without. The number is the codec.",
            "The shim in flash was packed for a kernel that is stored, the slot has one that is compressed.",
            "Pack again with `--codec store`, or write shim and slot from the same image.",
        ],
        Code::Decode => [
            "a compressed payload does not decode",
            "The stream ends or contradicts itself before it is complete, although its CRC-32 is right. The number counts \
             the bytes that came out.",
            "A mistake of the encoder.",
            "Pack with another `--codec`, and report the file.",
        ],
        Code::Length => [
            "a payload has another length than the manifest says",
            "Decoding ended well, but not with the size that the manifest names. The number counts the bytes that came out.",
            "The manifest was not written by `stoop pack`, or belongs to other payloads.",
            "Pack the image again.",
        ],
        Code::NotRam => [
            "a destination is not RAM",
            "Something belongs where the params say this board has no RAM, or where the shim itself runs. The number is its \
             start.",
            "The board has less RAM than its file says, or the image was packed for another board.",
            "Compare `ram` in the board file with the bootloader's `bdinfo`, and pack again.",
        ],
        Code::Overlap => [
            "two parts would lie on each other",
            "A part would be written over another one that is still needed: a payload, or the device tree that the bootloader \
             passed. The number is the start of the first one.",
            "The bootloader has put the image, or its own device tree, somewhere else than the image was packed for.",
            "Load it at the address that `stoop pack` printed; `stoop inspect` shows the memory map again. If it is the \
             bootloader's device tree, have that put higher (`fdt_high`), or pack one with `--dtb`.",
        ],
        Code::RamSize => [
            "the board has less RAM than its file says",
            "What is written beyond the end of RAM appears at its start: a word and the one that many bytes after it are the same. The \
             numbers are the size found and the one that the params state. Nothing was delivered.",
            "The board is sold with less RAM, or the board file is for another one.",
            "Correct `ram` in the board file: the bootloader's `bdinfo` or its first lines say how much there is. Pack again.",
        ],
        Code::NoTree => [
            "there is no device tree",
            "None is packed, and where the bootloader's registers point there is none that the shim can read: a right header, \
             whole, in RAM that the board file knows.",
            "The image was packed with `--bootloader-dtb`, but this bootloader starts kernels with argc and argv; or it has put \
             its tree outside of the RAM that the board file names.",
            "Pack the board's tree with `--dtb`, or name it to the bootloader: `bootm IMAGE - DTB`. If it passes one, compare \
             `ram` in the board file with the bootloader's `bdinfo`, or have the tree put lower (`fdt_high`).",
        ],
        Code::TreeHeader => [
            "the device tree has no right header",
            "Magic, version or the sizes in its header are wrong. The number is its first word; a tree begins with 0xd00dfeed.",
            "It was written over before the shim could read it, or it is a newer version than 17.",
            "Check it with `dtc -I dtb`. If the bootloader passes it, have it put somewhere else (`fdt_high`).",
        ],
        Code::TreeStructure => [
            "the device tree's structure is damaged",
            "Nodes or properties do not fit together. The number is the offset in the structure block.",
            "It was cut off or written over.",
            "Compile it again with `dtc -I dts -O dtb`, and pack again.",
        ],
        Code::TreeRoom => [
            "the final device tree does not fit",
            "With bootargs, root filesystem and report the tree is larger than its region. The number is the region's size.",
            "The bootloader passes a very large tree of its own.",
            "Pack the tree with `--dtb`: then its room is known.",
        ],
        Code::TreeCells => [
            "the device tree has other cells than the image was packed for",
            "The root or /reserved-memory has another #address-cells or #size-cells than what is added to the tree. \
             Linux ignores a /reserved-memory unlike the root. The number is the count found.",
            "A mistake in the packed device tree, or a bootloader that passes an unusual one of its own.",
            "Give /reserved-memory the cell counts of the root node. If the tree is the bootloader's, pack one with `--dtb`.",
        ],
        Code::ArgvRoom => [
            "there are no tables for argc and argv",
            "The kernel is to be called with argc and argv, and the image has no room for them. The number is their size.",
            "The image was not laid out by `stoop pack`.",
            "Pack the image again.",
        ],
    }
}
