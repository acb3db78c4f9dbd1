//! Debian kernel packages: the kernel and its configuration out of `linux-image-*.deb`.

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;

use object::read::archive::ArchiveFile;

use super::kernel::Error;
use crate::Result;
use crate::format::codec::Codec;
use crate::format::codec::most_decoded;
use crate::progress::Progress;

/// What lies under /boot.
pub(super) struct Contents {
    /// File name such as `vmlinuz-6.1.0-50-mips32r2el`.
    pub(super) name: String,
    pub(super) kernel: Vec<u8>,
    /// Name and text of `config-*`.
    pub(super) config: Option<(String, String)>,
}

/// Reads until kernel and configuration are found; the modules behind them are not unpacked.
pub(super) fn read(bytes: &[u8], progress: &mut dyn Progress) -> Result<Contents> {
    let broken = |error: &dyn std::fmt::Display| Error::PackageDamaged { reason: error.to_string() };
    let archive = ArchiveFile::parse(bytes).map_err(|error| broken(&error))?;
    for member in archive.members() {
        let member = member.map_err(|error| broken(&error))?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let Some(suffix) = name.strip_prefix("data.tar") else { continue };
        let codec = match suffix.trim_end_matches('/') {
            "" => None,
            ".xz" => Some(Codec::Xz),
            ".zst" => Some(Codec::Zstd),
            ".gz" => Some(Codec::Gzip),
            ".bz2" => Some(Codec::Bzip2),
            ".lzma" => Some(Codec::Lzma),
            _ => {
                return Err(Error::PackageCompression { member: name }.into());
            }
        };
        let data = member.data(bytes).map_err(|error| broken(&error))?;
        progress.step("reading the package", Some(data.len() as u64));
        let done = Rc::new(Cell::new(0));
        let counted = Counted { inner: data, done: done.clone() };
        let data: Box<dyn Read + '_> = match codec {
            Some(codec) => codec.reader(counted)?,
            None => Box::new(counted),
        };
        let most = most_decoded(bytes.len());
        let data = Bounded { inner: data, left: most, most };
        let found = from_tar(data, || progress.at(done.get())).map_err(|error| broken(&error))?;
        return Ok(found.ok_or(Error::PackageWithoutKernel)?);
    }
    Err(Error::NoPackage.into())
}

/// Ends in an error behind so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            std::io::Error::other(format!(
                "it unpacks to more than 0x{:x} bytes, and no kernel was among them",
                self.most
            ))
        })?;
        Ok(read)
    }
}

/// `None` when there is no kernel in it.
fn from_tar(data: impl Read, mut tick: impl FnMut()) -> std::io::Result<Option<Contents>> {
    let mut kernel: Option<(String, Vec<u8>)> = None;
    let mut config = None;
    // Raw: long names are entries of their own, which nothing here has to hold in memory. Kernels have short ones.
    for entry in tar::Archive::new(data).entries()?.raw(true) {
        let mut entry = entry?;
        tick();
        let path = entry.path()?.into_owned();
        let mut parts = path.components().filter(|part| matches!(part, std::path::Component::Normal(_)));
        let in_boot = parts.next().is_some_and(|part| part.as_os_str() == "boot");
        // Archives are sorted by directory: behind /boot there is nothing more to find.
        if !in_boot && kernel.is_some() && config.is_some() {
            break;
        }
        if !in_boot || !entry.header().entry_type().is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.starts_with("vmlinux");
        // An uncompressed kernel tells more than a vmlinuz of the same build.
        if plain || (name.starts_with("vmlinuz") && kernel.is_none()) {
            kernel = Some((name, contents(&mut entry)?));
        } else if name.starts_with("config-") {
            config = Some((name, String::from_utf8_lossy(&contents(&mut entry)?).into_owned()));
        }
    }
    Ok(kernel.map(|(name, kernel)| Contents { name, kernel, config }))
}

fn contents(entry: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Counted<R> {
    inner: R,
    done: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done.set(self.done.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Explained as _;
    use crate::format::codec::tests::encode;
    use crate::progress::Quiet;

    /// A package with these files; `suffix` names the compression of its data.
    pub(in super::super) fn package(files: &[(&str, &[u8])], suffix: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        let data = builder.into_inner().unwrap();
        let data = match suffix {
            ".xz" => encode(Codec::Xz, &data),
            ".zst" => encode(Codec::Zstd, &data),
            ".gz" => encode(Codec::Gzip, &data),
            _ => data,
        };
        let mut archive = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary".to_owned(), b"2.0\n".to_vec()), (format!("data.tar{suffix}"), data)] {
            archive.append(&ar::Header::new(name.into_bytes(), bytes.len() as u64), &bytes[..]).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Contents> {
        read(bytes, &mut Quiet)
    }

    const FILES: &[(&str, &[u8])] = &[
        ("./boot/System.map-6.1", b"map"),
        ("./boot/config-6.1", b"CONFIG_MTD=y\n"),
        ("./boot/vmlinuz-6.1", b"the kernel"),
        ("./lib/modules/6.1/a.ko", b"module"),
    ];

    #[test]
    fn kernel_and_configuration_come_out_of_every_compression() {
        for suffix in ["", ".xz", ".zst", ".gz"] {
            let contents = read_bytes(&package(FILES, suffix)).unwrap();
            assert_eq!((contents.name.as_str(), &contents.kernel[..]), ("vmlinuz-6.1", &b"the kernel"[..]));
            assert_eq!(contents.config, Some(("config-6.1".into(), "CONFIG_MTD=y\n".into())), "{suffix}");
        }
    }

    #[test]
    fn an_uncompressed_kernel_is_preferred_wherever_it_stands() {
        for names in [["./boot/vmlinux-6.1", "./boot/vmlinuz-6.1"], ["./boot/vmlinuz-6.1", "./boot/vmlinux-6.1"]] {
            let contents = read_bytes(&package(&names.map(|name| (name, name.as_bytes())), "")).unwrap();
            assert_eq!(contents.name, "vmlinux-6.1");
        }
    }

    #[test]
    fn a_package_without_a_kernel_says_which_package_has_one() {
        let failure = read_bytes(&package(&[("./usr/share/doc/x", b"")], ".xz")).err().unwrap();
        assert!(matches!(failure, crate::Error::Kernel(Error::PackageWithoutKernel)), "{failure}");
        assert!(failure.next_step().unwrap().contains("versioned name"));
    }

    #[test]
    fn neither_a_long_name_nor_a_kernel_of_zeros_is_held_in_memory() {
        let zeros = vec![0; most_decoded(0) as usize + 1];
        let mut name = tar::Header::new_gnu();
        name.set_entry_type(tar::EntryType::GNULongName);
        name.set_path("././@LongLink").unwrap();
        name.set_size(zeros.len() as u64);
        name.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&name, &zeros[..]).unwrap();
        let package = |tar: Vec<u8>| {
            let mut archive = ar::Builder::new(Vec::new());
            let tar = zstd::encode_all(&tar[..], 1).unwrap();
            archive.append(&ar::Header::new(b"data.tar.zst".to_vec(), tar.len() as u64), &tar[..]).unwrap();
            archive.into_inner().unwrap()
        };
        let kernel = super::tests::package(&[("./boot/vmlinuz-6", &zeros)], ".zst");
        for package in [package(builder.into_inner().unwrap()), kernel] {
            let failure = read_bytes(&package).err().unwrap();
            assert!(failure.to_string().contains("unpacks to more than 0x6000000 bytes"), "{failure}");
        }
    }

    #[test]
    fn a_package_cut_anywhere_is_an_error() {
        let good = package(FILES, ".xz");
        for length in (8..good.len() - 1).step_by(7) {
            // Kernel and configuration may already be out when the end of the modules is missing.
            if let Err(failure) = read_bytes(&good[..length]) {
                assert!(failure.next_step().is_some(), "{failure}");
            } else {
                assert!(length > good.len() / 2, "cut at {length}");
            }
        }
        assert!(read_bytes(&good[..100]).is_err());
    }
}
