//! What holds of core with all its decoders, a module for each subject.

mod arm64;
mod blocks;
mod boot;
mod codec_lz4;
mod codec_lzma;
mod codec_samples;
mod common;
mod cookie;
mod crc32;
mod entry;
mod fdt_edits;
mod fdt_limits;
mod fdt_mutations;
mod fdt_names;
mod fdt_support;
mod overlay;
mod registers;
mod words;
