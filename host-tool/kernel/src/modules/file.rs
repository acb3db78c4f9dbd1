//! The bytes of a module file, whatever it is compressed with.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Result;
use crate::modules::Error;
use stoop_image::format::codec::{LARGEST, most_decoded};

/// The longest name ending comes first, so that cutting one ending is enough.
const ENDINGS: [&str; 4] = [".ko.gz", ".ko.xz", ".ko.zst", ".ko"];

/// Whether a file of this name is a module.
pub fn is_module(file_name: &str) -> bool {
    ENDINGS.iter().any(|ending| file_name.len() > ending.len() && file_name.ends_with(ending))
}

/// The path of the module when it is not compressed: `a/b.ko.xz` becomes `a/b.ko`.
pub fn plain_path(path: &str) -> &str {
    for ending in [".gz", ".xz", ".zst"] {
        if let Some(plain) = path.strip_suffix(ending)
            && plain.ends_with(".ko")
        {
            return plain;
        }
    }
    path
}

/// Reads a module into `out` (which is emptied first) and decompresses it. What it is compressed with comes from its
/// first bytes, not from its name.
///
/// # Errors
/// The file cannot be read, or its compressed data is damaged or cut off.
pub fn read_into(path: &Path, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    let mut file = File::open(path).map_err(|e| crate::Error::file(path, e))?;
    file.by_ref().take(LARGEST + 1).read_to_end(out).map_err(|e| crate::Error::file(path, e))?;
    if out.len() as u64 > LARGEST {
        return Err(Error::ModuleTooLarge { path: path.into(), most: LARGEST }.into());
    }
    let decoded = match out.as_slice() {
        [0x1f, 0x8b, ..] => decode(flate2::read::MultiGzDecoder::new(out.as_slice()), out.len(), "gzip", path),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            decode(liblzma::read::XzDecoder::new_multi_decoder(out.as_slice()), out.len(), "xz", path)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => match zstd::stream::read::Decoder::new(out.as_slice()) {
            Ok(decoder) => decode(decoder, out.len(), "zstd", path),
            Err(error) => Err(Error::Stream { path: path.into(), format: "zstd", reason: error }.into()),
        },
        _ => return Ok(()),
    };
    *out = decoded?;
    Ok(())
}

/// As [`read_into`], into a buffer of its own.
///
/// # Errors
/// As [`read_into`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, &mut bytes)?;
    Ok(bytes)
}

/// A decoder that produces more than is believed of `size` bytes is fed by a bomb.
fn decode(decoder: impl Read, size: usize, format: &'static str, path: &Path) -> Result<Vec<u8>> {
    let (mut out, most) = (Vec::new(), most_decoded(size));
    let size = decoder.take(most + 1).read_to_end(&mut out).map_err(|e| Error::Stream {
        path: path.into(),
        format,
        reason: e,
    })?;
    if size as u64 > most {
        return Err(Error::StreamTooLong { path: path.into(), format, most }.into());
    }
    Ok(out)
}
