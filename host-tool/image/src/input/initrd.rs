//! Initial ramdisks, read as Linux reads them (init/initramfs.c: unpack_to_rootfs, do_header; lib/decompress.c): plain cpio
//! archives, then a compressed one, or a file system's image. What no kernel unpacks is refused with the command that makes a
//! right one; what depends on the configuration is left to preflight.

mod error;

use std::cell::Cell;
use std::io::Write;
use std::path::Path;

use super::archive::{End, Entries};
use super::cpio::is_newc;
use super::{looks_like, read_file, xz};
use crate::format::codec::{Codec, MOST_MEMBERS, most_decoded};
use crate::format::lzop;
pub use error::Error;

use crate::{Result, shell};

/// An initial ramdisk.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// The file, as it was.
    pub bytes: Vec<u8>,
    /// What it asks of the kernel.
    pub needs: Needs,
    /// Why Linux may not take it.
    pub warning: Option<String>,
}

/// What an initial ramdisk asks of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Needs {
    /// Its compression, if any; the kernel needs the matching CONFIG_RD_*.
    pub codec: Option<Codec>,
    /// What its compression needs beyond that: a symbol without `CONFIG_`.
    pub filter: Option<&'static str>,
    /// It is no cpio archive but a file system: the kernel needs a RAM disk for it.
    pub image: Option<&'static str>,
}

/// As many decoded bytes tell what is inside: the magic of Btrfs is the farthest.
const HEAD: usize = 0x1_1000;

/// Reads an initial ramdisk.
///
/// # Errors
/// The file cannot be read, is empty, or is one that no kernel can unpack.
pub fn read(path: &Path) -> Result<Initrd> {
    let bytes = read_file(path)?;
    let name = shell::file_argument(path);
    let Examined { needs, warning, .. } = examine(&bytes, &name).map_err(|failure| failure.within(path.display()))?;
    Ok(Initrd { bytes, needs, warning: warning.map(|warning| format!("{}: {warning}", path.display())) })
}

/// Linux knows LZMA by two bytes (lib/decompress.c), whatever its dictionary.
fn detect(bytes: &[u8]) -> Option<Codec> {
    Codec::detect(bytes).or_else(|| bytes.starts_with(&[0x5d, 0]).then_some(Codec::Lzma))
}

/// How many bytes Linux makes of an initial ramdisk: plain archives, and what compressed ones decode to.
///
/// # Errors
/// No kernel can unpack it.
pub fn unpacked(bytes: &[u8]) -> Result<u64> {
    examine(bytes, "initrd").map(|examined| examined.unpacked)
}

/// What was seen of an initial ramdisk.
#[derive(Debug)]
struct Examined {
    needs: Needs,
    warning: Option<String>,
    unpacked: u64,
}

fn examine(bytes: &[u8], name: &str) -> Result<Examined> {
    let (mut needs, mut warnings, mut rest) = (Needs::default(), Vec::new(), bytes);
    let mut plain_bytes = 0;
    let budget = Cell::new(most_decoded(bytes.len()));
    for pieces in 0.. {
        if pieces == MOST_MEMBERS {
            return Err(Error::TooManyMembers { most: MOST_MEMBERS }.into());
        }
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let front = &rest[zeros..];
        if is_newc(front) {
            aligned(bytes.len() - front.len())?;
            // Archives for early use, such as pack's modules, come first and plain.
            let behind = plain(front, &mut warnings)?;
            plain_bytes += behind.unwrap_or(front.len());
            match behind {
                Some(behind) => rest = &front[behind..],
                None => break,
            }
        } else if let Some(codec) = detect(front) {
            let (found, warning, behind) = compressed(codec, front, name, &budget)?;
            warnings.extend(warning.map(|warning| format!("{} data, and inside it {warning}", codec.name())));
            let codec = needs.codec.or(found.codec);
            needs = Needs { codec, filter: needs.filter.or(found.filter), image: needs.image.or(found.image) };
            if codec == Some(Codec::Lz4) {
                warnings.extend(behind_lz4(behind)?);
            }
            rest = behind;
        } else if front.is_empty() && !std::ptr::eq(rest, bytes) {
            break;
        } else if std::ptr::eq(rest, bytes) {
            let what = inside(rest, name, "cat")?;
            let needs = Needs { image: what.image, ..needs };
            return Ok(Examined { needs, warning: what.warning, unpacked: bytes.len() as u64 });
        } else {
            let what = looks_like(front);
            warnings.push(format!("0x{:x} bytes at its end are no archive but {what}: Linux stops there", front.len()));
            break;
        }
    }
    let decoded = most_decoded(bytes.len()).saturating_sub(budget.get());
    Ok(Examined { needs, warning: warnings.into_iter().next(), unpacked: decoded + plain_bytes as u64 })
}

/// Linux takes a plain archive only at a multiple of four (init/initramfs.c: unpack_to_rootfs); elsewhere it looks for a compression.
fn aligned(at: usize) -> Result<()> {
    let missing = at.next_multiple_of(4) - at;
    if missing == 0 {
        return Ok(());
    }
    Err(Error::Unaligned { at, missing }.into())
}

/// Linux' decoder of LZ4 takes all that follows its data for more of them, zeros excepted (lib/decompress_unlz4.c).
///
/// # Errors
/// It is an archive, of which nothing would be seen.
fn behind_lz4(behind: &[u8]) -> Result<Option<String>> {
    let zeros = behind.iter().take_while(|byte| **byte == 0).count();
    let front = &behind[zeros..];
    if front.is_empty() || zeros >= 4 || detect(front) == Some(Codec::Lz4) {
        return Ok(None);
    }
    if is_newc(front) || detect(front).is_some() {
        return Err(Error::BehindLz4 { size: behind.len() }.into());
    }
    Ok(Some(format!("0x{:x} bytes follow the LZ4 data: Linux says that decoding failed", behind.len())))
}

/// Looks at plain entries; gives where what is none of them begins.
///
/// # Errors
/// The last one is cut off.
fn plain(bytes: &[u8], warnings: &mut Vec<String>) -> Result<Option<usize>> {
    match Entries::of(bytes) {
        End::Marked => Ok(None),
        End::Unmarked => {
            warnings.push(NO_MARK.into());
            Ok(None)
        }
        End::Foreign(at) if is_newc(&bytes[at..]) => {
            warnings.push(format!("the header of its cpio entry at 0x{at:x} is damaged: Linux stops there"));
            Ok(None)
        }
        End::Foreign(at) => Ok(Some(at)),
        End::Cut => Err(Error::ArchiveCut.into()),
        End::Checksum(at) => Err(Error::Checksum { at }.into()),
    }
}

const NO_MARK: &str = "the cpio archive ends without its mark (TRAILER!!!): it may be cut off between two files";

/// Looks at one compressed member; gives what is behind it too.
///
/// # Errors
/// No kernel unpacks it.
fn compressed<'a>(
    codec: Codec,
    bytes: &'a [u8],
    name: &str,
    budget: &Cell<u64>,
) -> Result<(Needs, Option<String>, &'a [u8])> {
    let unpack = unpack(codec, name);
    let filter = known_to_linux(codec, bytes, &unpack)?;
    let needs = Needs { codec: Some(codec), filter, image: None };
    let (look, behind) = look(codec, bytes, budget)?;
    if let Some(inner) = detect(&look.head) {
        return Err(Error::CompressedTwice { inner: inner.name(), outer: codec.name(), unpack }.into());
    }
    let what = inside(&look.head, name, &unpack)?;
    let zeros = behind.iter().take_while(|byte| **byte == 0).count();
    let warning = match look.entries.end() {
        _ if what.image.is_some() || what.warning.is_some() => what.warning,
        // init/initramfs.c: unpack_to_rootfs wants to be between two entries when a member ends.
        End::Cut if detect(&behind[zeros..]) == Some(codec) => {
            return Err(Error::TwoStreams { codec: codec.name(), unpack, again: pack(codec) }.into());
        }
        End::Cut => return Err(Error::ArchiveInsideCut { codec: codec.name() }.into()),
        End::Marked => None,
        End::Unmarked => (behind.len() == zeros).then(|| NO_MARK.to_owned()),
        End::Checksum(at) => return Err(Error::Checksum { at }.into()),
        End::Foreign(at) => Some(format!("the cpio archive is damaged at 0x{at:x}: Linux stops there")),
    };
    Ok((Needs { image: what.image, ..needs }, warning, behind))
}

/// The command that compresses in the form that Linux takes.
pub(crate) fn compressor(codec: Codec) -> &'static str {
    match codec {
        Codec::Gzip => "gzip -9",
        Codec::Xz => "xz --check=crc32 --lzma2=dict=1MiB",
        Codec::Lzma => "xz --format=lzma -9",
        Codec::Lz4 => "lz4 -l -9",
        Codec::Zstd => "zstd -19",
        Codec::Bzip2 => "bzip2 -9",
        Codec::Lzo => "lzop -9",
    }
}

/// The command that compresses its input to a file of its own.
fn pack(codec: Codec) -> String {
    let suffix = match codec {
        Codec::Gzip => "gz",
        Codec::Xz => "xz",
        Codec::Lzma => "lzma",
        Codec::Lz4 => "lz4",
        Codec::Zstd => "zst",
        Codec::Bzip2 => "bz2",
        Codec::Lzo => "lzo",
    };
    format!("{} > initrd.{suffix}", compressor(codec))
}

/// The command that writes what is inside to its output.
fn unpack(codec: Codec, name: &str) -> String {
    let tool = match codec {
        Codec::Gzip => "gzip -dc",
        Codec::Xz => "xz -dc",
        Codec::Lzma => "xz --format=lzma -dc",
        Codec::Lz4 => "lz4 -dc",
        Codec::Zstd => "zstd -dc --long=31",
        Codec::Bzip2 => "bzip2 -dc",
        Codec::Lzo => "lzop -dc",
    };
    format!("{tool} {name}")
}

/// The symbol that the stream needs beyond its codec's.
///
/// # Errors
/// The tool that made it can do more than the kernel.
fn known_to_linux(codec: Codec, bytes: &[u8], unpack: &str) -> Result<Option<&'static str>> {
    let (unpack, again) = (unpack.to_owned(), pack(codec));
    match codec {
        // lib/decompress.c knows the legacy format's magic only.
        Codec::Lz4 if bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18]) => Err(Error::Lz4Frames { unpack, again }.into()),
        // lib/decompress.c: 5d 00, which are lc=3, lp=0, pb=2 and a dictionary of whole 256 bytes.
        Codec::Lzma if !bytes.starts_with(&[0x5d, 0x00]) => Err(Error::LzmaParameters { unpack, again }.into()),
        Codec::Xz => {
            let again = format!("pack it again: {unpack} | {again}");
            xz::Demands::of(bytes).ok_or(Error::XzHeaders)?.symbol(&again)
        }
        Codec::Lzo => match lzop::foreign_to_linux(bytes) {
            Some(fact) => Err(Error::Lzop { why: fact.to_string(), unpack, again }.into()),
            None => Ok(None),
        },
        Codec::Zstd if zstd_window(bytes).is_some_and(|window| window > 1 << 27) => {
            Err(Error::ZstdWindow { unpack, again }.into())
        }
        _ => Ok(None),
    }
}

/// RFC 8878, section 3.1.1.1: bytes of the window of the first frame.
fn zstd_window(bytes: &[u8]) -> Option<u64> {
    let descriptor = *bytes.get(4)?;
    if descriptor & 0x20 == 0 {
        let window = *bytes.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the window is the content.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = match descriptor >> 6 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let field = bytes.get(5 + dictionary..5 + dictionary + size)?;
    let value = field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(if size == 2 { value + 256 } else { value })
}

/// What was seen of a stream that was decoded to its end: its front, and whether entries in it are whole.
#[derive(Default)]
struct Look {
    head: Vec<u8>,
    entries: Entries,
}

impl Write for Look {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let wanted = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..wanted.min(bytes.len())]);
        self.entries.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decodes the first stream, and takes what comes out from `budget`; gives what is behind it too.
fn look<'a>(codec: Codec, bytes: &'a [u8], budget: &Cell<u64>) -> Result<(Look, &'a [u8])> {
    let mut look = Look::default();
    let most = budget.get();
    let (made, behind) = codec
        .member(bytes, most + 1, &mut look)
        .map_err(|error| Error::Stream { codec: codec.name(), reason: error.to_string() })?;
    budget.set(most.saturating_sub(made));
    if made > most {
        return Err(Error::StreamTooLong { codec: codec.name(), most }.into());
    }
    Ok((look, behind))
}

/// Bytes that are not compressed.
#[derive(Default)]
struct Inside {
    image: Option<&'static str>,
    warning: Option<String>,
}

/// `unpack` writes them to its output.
fn inside(bytes: &[u8], name: &str, unpack: &str) -> Result<Inside> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    if is_newc(&bytes[zeros..]) {
        return Ok(Inside::default());
    }
    let unpack = if unpack == "cat" { format!("cat {name}") } else { unpack.to_owned() };
    let pack = "(cd r && find . | cpio -o -H newc) | gzip -9 > initrd.cpio.gz";
    let again = |extract: &str| format!("pack what is in it again: mkdir r && {unpack} | {extract} && {pack}");
    let what = looks_like(bytes);
    let refuse = |again: String| Err(Error::Foreign { likeness: what, again }.into());
    match what {
        what if what.starts_with("a cpio archive of") => refuse(again("(cd r && cpio -id)")),
        "a tar archive" => refuse(again("tar -x -C r")),
        "a zip archive" | "a 7-Zip archive" => refuse(format!("unpack it into a folder r, then: {pack}")),
        "a uImage" => Err(Error::Uimage { name: name.to_owned() }.into()),
        // init/do_mounts_rd.c: identify_ramdisk_image.
        "an ext2, ext3 or ext4 image" | "a squashfs" | "a romfs" | "a cramfs" | "a Minix image" => {
            Ok(Inside { image: Some(what), warning: None })
        }
        "unknown data" | "text" | "nothing" | "all zeros" => {
            let warning = format!("looks like {what}, not like a cpio archive (newc), plain or compressed");
            Ok(Inside { image: None, warning: Some(warning) })
        }
        _ => refuse(format!("make a ramdisk of a folder r: {pack}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;
    use crate::format::codec::tests::encode;
    use crate::input::cpio;

    fn newc() -> Vec<u8> {
        cpio::archive([("init", &cpio::Kind::Script(vec![1; 100]))])
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        encode(Codec::Gzip, bytes)
    }

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, "init", &b"abc"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn needs(bytes: &[u8]) -> Needs {
        let Examined { needs, warning, .. } = examine(bytes, "i").unwrap();
        assert_eq!(warning, None);
        needs
    }

    #[test]
    fn what_it_unpacks_to_is_the_sum_of_plain_and_decoded_bytes() {
        let one = newc();
        let size = one.len() as u64;
        assert_eq!(unpacked(&one).unwrap(), size);
        assert_eq!(unpacked(&gzip(&one)).unwrap(), size);
        assert_eq!(unpacked(&[one.clone(), gzip(&one), gzip(&one)].concat()).unwrap(), 3 * size);
        assert!(unpacked(&gzip(&one)[..20]).is_err(), "cut off");
    }

    /// The fact and the command.
    fn refusal(bytes: &[u8]) -> String {
        let failure = examine(bytes, "i").unwrap_err();
        format!("{failure} | {}", failure.next_step().unwrap())
    }

    #[test]
    fn cpio_plain_compressed_and_behind_another_is_taken() {
        assert_eq!(needs(&newc()), Needs::default());
        assert_eq!(needs(&gzip(&newc())).codec, Some(Codec::Gzip));
        assert_eq!(needs(&[newc(), gzip(&newc())].concat()).codec, Some(Codec::Gzip));
        assert_eq!(needs(&encode(Codec::Zstd, &newc())).codec, Some(Codec::Zstd));
    }

    #[test]
    fn cpio_of_another_form_and_tar_are_refused_inside_any_compression() {
        for (bytes, word, command) in [
            (b"0707070000010000".to_vec(), "odc", "cpio -id"),
            (b"\xc7\x71\0\0".to_vec(), "old binary form", "cpio -id"),
            (b"\x71\xc7\0\0".to_vec(), "old binary form", "cpio -id"),
            (tar(), "a tar archive", "tar -x"),
        ] {
            let packed = [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Lzo].map(|codec| encode(codec, &bytes));
            for packed in packed.into_iter().chain([bytes.clone()]) {
                let text = refusal(&packed);
                assert!(text.contains(word) && text.contains(command) && text.contains("-H newc"), "{text}");
            }
            assert!(refusal(&[newc(), gzip(&bytes)].concat()).contains(word));
        }
    }

    #[test]
    fn what_the_kernels_decoders_do_not_know_is_refused_with_the_command() {
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        frame.write_all(&newc()).unwrap();
        assert!(refusal(&frame.finish().unwrap()).contains("lz4 -dc i | lz4 -l"));
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&newc()).unwrap();
        assert!(refusal(&xz.finish().unwrap()).contains("xz -dc i | xz --check=crc32"));
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zstd.long_distance_matching(true).unwrap();
        zstd.window_log(28).unwrap();
        zstd.write_all(&newc()).unwrap();
        assert!(refusal(&zstd.finish().unwrap()).contains("| zstd -19"));
        let mut lzop = encode(Codec::Lzo, &newc());
        assert_eq!(needs(&lzop).codec, Some(Codec::Lzo));
        // Without the flag of a checksum for every block.
        lzop[0x14] = 0;
        assert!(refusal(&lzop).contains("lzop -dc i | lzop -9"));
        assert!(refusal(&gzip(&gzip(&newc()))).contains("compressed twice"));
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        encode(Codec::Lz4, bytes)
    }

    #[test]
    fn a_plain_archive_begins_at_a_multiple_of_four() {
        for missing in 0..4 {
            let mut front = gzip(&newc());
            while front.len() % 4 != (4 - missing) % 4 {
                front.push(0);
            }
            let whole = [front, newc()].concat();
            match missing {
                0 => assert_eq!(needs(&whole).codec, Some(Codec::Gzip)),
                _ => assert!(refusal(&whole).contains(&format!("head -c {missing} /dev/zero")), "{missing}"),
            }
        }
    }

    #[test]
    fn behind_lz4_data_linux_sees_only_more_of_them() {
        assert_eq!(needs(&[lz4(&newc()), lz4(&newc())].concat()).codec, Some(Codec::Lz4));
        assert_eq!(needs(&[gzip(&newc()), lz4(&newc()), vec![0; 8]].concat()).codec, Some(Codec::Gzip));
        let mut padded = lz4(&newc());
        padded.resize(padded.len().next_multiple_of(4) + 4, 0);
        for next in [gzip(&newc()), newc(), encode(Codec::Zstd, &newc())] {
            let text = refusal(&[lz4(&newc()), next.clone()].concat());
            assert!(text.contains("follow the LZ4 data") || text.contains("multiple of 4"), "{text}");
            needs(&[padded.clone(), next].concat());
        }
        let bytes = [lz4(&newc()), b"some text at its end".to_vec()].concat();
        let warning = examine(&bytes, "i").unwrap().warning;
        assert!(warning.unwrap().contains("decoding failed"));
    }

    #[test]
    fn damage_behind_the_front_is_noticed() {
        let noise: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let whole = gzip(&cpio::archive([("big", &cpio::Kind::File(noise))]));
        assert!(refusal(&whole[..whole.len() - 9]).contains("cut off"));
    }

    #[test]
    fn a_file_system_is_an_image_for_a_ram_disk() {
        let mut ext2 = vec![0; 0x1000];
        ext2[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(needs(&gzip(&ext2)).image, Some("an ext2, ext3 or ext4 image"));
        assert!(refusal(b"UBI#").contains("a UBI image"));
    }

    #[test]
    fn unknown_bytes_are_taken_with_a_warning() {
        assert!(examine(b"hello", "i").unwrap().warning.unwrap().contains("text"));
        assert!(refusal(b"\x27\x05\x19\x56").contains("tail -c +65 i"));
    }

    #[test]
    fn an_archive_split_over_streams_is_taken_between_its_files_only() {
        let whole = newc();
        let (front, back) = whole.split_at(150);
        let text = refusal(&[gzip(front), gzip(back)].concat());
        assert!(text.contains("goes on in the next gzip stream") && text.contains("gzip -dc i | gzip -9"), "{text}");
        assert_eq!(needs(&[gzip(&whole), gzip(&whole)].concat()).codec, Some(Codec::Gzip));
        assert_eq!(needs(&[gzip(&whole), vec![0; 5], encode(Codec::Zstd, &whole)].concat()).codec, Some(Codec::Gzip));
        let text = refusal(&[gzip(&whole), gzip(&tar())].concat());
        assert!(text.contains("a tar archive"), "the second stream is looked at too: {text}");
    }

    #[test]
    fn streams_without_end_are_given_up() {
        let whole = gzip(&[0; 4]);
        assert!(refusal(&[gzip(&newc()), whole.repeat(MOST_MEMBERS)].concat()).contains("more than 16384 archives"));
    }

    #[test]
    fn an_archive_that_is_cut_off_is_refused_and_one_without_its_mark_warned_of() {
        let whole = newc();
        let trailer = whole.windows(10).position(|bytes| bytes == b"TRAILER!!!").unwrap() - 110;
        for cut in [112, 200] {
            assert!(refusal(&whole[..cut]).contains("the cpio archive is cut off"), "{cut}");
            assert!(refusal(&gzip(&whole[..cut])).contains("in the gzip data is cut off"), "{cut}");
        }
        for bytes in [whole[..trailer].to_vec(), gzip(&whole[..trailer])] {
            assert!(examine(&bytes, "i").unwrap().warning.unwrap().contains("TRAILER!!!"));
        }
        assert!(examine(&whole[..60], "i").unwrap().warning.unwrap().contains("entry at 0x0 is damaged"));
        let mut damaged = whole.clone();
        damaged[20] = b'x';
        assert!(examine(&damaged, "i").unwrap().warning.unwrap().contains("entry at 0x0 is damaged"));
        let behind = examine(&[gzip(&whole), b"tail".to_vec()].concat(), "i").unwrap().warning.unwrap();
        assert!(behind.contains("0x4 bytes at its end"));
    }
}
