//! Debian kernel packages: the kernel and its configuration out of `linux-image-*.deb`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Component, Path};
use std::rc::Rc;

use object::read::archive::ArchiveFile;

use super::kernel::Error;
use crate::Result;
use crate::format::codec::Codec;
use crate::format::codec::most_decoded;
use crate::progress::Progress;

/// What was taken out of it.
pub(super) struct Contents {
    /// Path such as `boot/vmlinuz-6.1.0-50-mips32r2el`.
    pub(super) name: String,
    pub(super) kernel: Vec<u8>,
    /// Path and text of the configuration of the same version.
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
        return chosen(found);
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

/// What a file of a package is, by its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// `vmlinux`, which tells more than the `vmlinuz` of the same build.
    Plain,
    /// `vmlinuz`.
    Packed,
    Config,
}

/// A part and the version it is of: `boot/vmlinuz-VERSION`, or `lib/modules/VERSION/vmlinuz` with or without `usr/` in front.
fn part(path: &Path) -> Option<(Part, String)> {
    let names: Vec<&str> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_str()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let (stem, version) = match names[..] {
        ["boot", name] => name.split_once('-').unwrap_or((name, "")),
        ["usr", "lib", "modules", version, name] | ["lib", "modules", version, name] => (name, version),
        _ => return None,
    };
    let part = match stem {
        "vmlinux" => Part::Plain,
        "vmlinuz" => Part::Packed,
        "config" => Part::Config,
        _ => return None,
    };
    // Symbols alone, beside the kernel that they are of; and no version has control characters.
    let is_version = !version.ends_with(".debug") && !version.contains(char::is_control);
    is_version.then(|| (part, version.to_owned()))
}

struct Found {
    part: Part,
    version: String,
    path: String,
    bytes: Vec<u8>,
}

/// Everything that may be wanted.
fn from_tar(data: impl Read, mut tick: impl FnMut()) -> std::io::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    // Raw: long names are entries of their own, which nothing here has to hold in memory. Kernels have short ones.
    for entry in tar::Archive::new(data).entries()?.raw(true) {
        let mut entry = entry?;
        tick();
        let path = entry.path()?.into_owned();
        let Some((part, version)) = part(&path).filter(|_| entry.header().entry_type().is_file()) else {
            // Archives are sorted by directory: behind /boot there is nothing more to find.
            let has = |wanted: fn(Part) -> bool| found.iter().any(|file| wanted(file.part));
            let is_behind = !path.strip_prefix(".").unwrap_or(&path).starts_with("boot");
            if is_behind && has(|part| part == Part::Config) && has(|part| part != Part::Config) {
                break;
            }
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        found.push(Found { part, version, path: path.to_string_lossy().trim_start_matches("./").to_owned(), bytes });
    }
    Ok(found)
}

/// The kernel, and the configuration of the same version.
fn chosen(mut found: Vec<Found>) -> Result<Contents> {
    let mut configs: Vec<Found> = found.extract_if(.., |file| file.part == Part::Config).collect();
    // An uncompressed kernel is an ELF file; what only has its name is of use where there is nothing else.
    found.sort_by_key(|file| match file.part {
        Part::Plain if file.bytes.starts_with(b"\x7fELF") => 0,
        Part::Packed => 1,
        _ => 2,
    });
    let versions: BTreeSet<&str> = found.iter().map(|file| file.version.as_str()).collect();
    if versions.len() > 1 {
        let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Error::PackageOfKernels { versions }.into());
    }
    let kernel = found.into_iter().next().ok_or(Error::PackageWithoutKernel)?;
    let of_it = configs.iter().position(|config| config.version == kernel.version);
    let config = of_it.map(|at| configs.swap_remove(at));
    let config = config.map(|config| (config.path, String::from_utf8_lossy(&config.bytes).into_owned()));
    Ok(Contents { name: kernel.path, kernel: kernel.bytes, config })
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
            assert_eq!((contents.name.as_str(), &contents.kernel[..]), ("boot/vmlinuz-6.1", &b"the kernel"[..]));
            assert_eq!(contents.config, Some(("boot/config-6.1".into(), "CONFIG_MTD=y\n".into())), "{suffix}");
        }
    }

    fn chosen_of(files: &[(&str, &[u8])]) -> (String, Option<String>) {
        let contents = read_bytes(&package(files, "")).unwrap();
        (contents.name, contents.config.map(|(name, _)| name))
    }

    #[test]
    fn an_uncompressed_kernel_is_preferred_wherever_it_stands() {
        let (plain, packed) = (("./boot/vmlinux-6.1", &b"\x7fELF"[..]), ("./boot/vmlinuz-6.1", &b"z"[..]));
        for files in [[plain, packed], [packed, plain]] {
            assert_eq!(chosen_of(&files).0, "boot/vmlinux-6.1");
        }
    }

    #[test]
    fn what_only_has_a_kernels_name_gives_way_to_a_kernel() {
        let packed = ("./boot/vmlinuz-6.1", &b"z"[..]);
        for other in
            ["./boot/vmlinux-6.1", "./boot/vmlinux-6.1.debug", "./boot/dtbs/6.1/vmlinux-6.1", "./boot/vmlinuz-6\n1"]
        {
            assert_eq!(chosen_of(&[(other, b"no ELF"), packed]).0, "boot/vmlinuz-6.1", "{other:?}");
        }
    }

    #[test]
    fn a_kernel_among_its_modules_is_found() {
        for place in ["./usr/lib/modules/6.1", "./lib/modules/6.1"] {
            let [kernel, config] = ["vmlinuz", "config"].map(|name| format!("{place}/{name}"));
            let (name, of_it) = chosen_of(&[(&config, b"CONFIG_MTD=y\n"), (&kernel, b"z")]);
            assert!(kernel.ends_with(&name) && config.ends_with(&of_it.unwrap()), "{name}");
        }
    }

    #[test]
    fn a_configuration_is_only_taken_for_its_own_kernel() {
        let kernel = ("./boot/vmlinuz-6.1", &b"z"[..]);
        assert_eq!(chosen_of(&[("./boot/config-6.12", b""), kernel]).1, None);
        let both: [(&str, &[u8]); 3] = [("./boot/config-6.1", b""), ("./boot/config-6.12", b""), kernel];
        assert_eq!(chosen_of(&both).1.unwrap(), "boot/config-6.1");
    }

    #[test]
    fn kernels_of_two_versions_are_named_and_none_is_taken() {
        let files: [(&str, &[u8]); 2] = [("./boot/vmlinuz-6.1", b"z"), ("./boot/vmlinux-6.12", b"\x7fELF")];
        let failure = read_bytes(&package(&files, "")).err().unwrap();
        assert!(failure.to_string().contains("several versions: 6.1, 6.12"), "{failure}");
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
