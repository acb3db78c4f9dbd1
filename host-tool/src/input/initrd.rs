//! Initial ramdisks: any bytes are taken, but what Linux could not unpack gets a warning.

use std::path::Path;

use super::codec::Codec;
use super::{looks_like, read_file};
use crate::Result;

/// An initial ramdisk.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// The file, as it was.
    pub bytes: Vec<u8>,
    /// Its compression, if any; the kernel needs the matching CONFIG_RD_*.
    pub codec: Option<Codec>,
    /// Why Linux may not take it.
    pub warning: Option<String>,
}

/// Reads an initial ramdisk.
///
/// # Errors
/// The file cannot be read or is empty.
pub fn read(path: &Path) -> Result<Initrd> {
    let bytes = read_file(path)?;
    let (codec, warning) = kind(&bytes);
    Ok(Initrd { bytes, codec, warning: warning.map(|warning| format!("{}: {warning}", path.display())) })
}

fn kind(bytes: &[u8]) -> (Option<Codec>, Option<String>) {
    if bytes.starts_with(b"070701") || bytes.starts_with(b"070702") {
        return (None, None);
    }
    match (Codec::detect(bytes), looks_like(bytes)) {
        (Some(codec), _) => (Some(codec), None),
        (None, "a uImage") => {
            (None, Some("a uImage header is in front of it: remove its 64 bytes, Linux cannot".into()))
        }
        (None, what) => (None, Some(format!("looks like {what}, not like a cpio archive (newc), plain or compressed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpio_and_compressed_data_give_no_warning() {
        assert_eq!(kind(b"070701000"), (None, None));
        assert_eq!(kind(&[0x1f, 0x8b, 8, 0]), (Some(Codec::Gzip), None));
    }

    #[test]
    fn anything_else_is_taken_with_a_warning() {
        assert!(kind(b"hello").1.unwrap().contains("text"));
        assert!(kind(b"\x27\x05\x19\x56").1.unwrap().contains("64 bytes"));
    }
}
