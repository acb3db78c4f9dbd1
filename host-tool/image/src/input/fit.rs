//! Flattened image trees (U-Boot doc/usage/fit/source_file_format.rst): images with hashes, and configurations that name them.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::codec::Codec;
use super::{Arch, be32};
use crate::device_tree::{number, text, walk};
use crate::image::checksum;
use crate::{ErrorCode, Failure, Result};

/// One image of the tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image<'a> {
    /// Its node's name.
    pub name: &'a str,
    /// `kernel`, `kernel_noload`, `flat_dt`, `ramdisk`, …
    pub kind: &'a str,
    /// U-Boot's name of the machine.
    pub arch: &'a str,
    /// U-Boot's name of the codec; empty for none.
    pub compression: &'a str,
    /// Where it goes, as written.
    pub load: Option<u64>,
    /// Where it is entered, as written.
    pub entry: Option<u64>,
    /// The bytes as stored.
    pub data: &'a [u8],
    /// Hashes that were computed and hold, by their names.
    pub hashes: Vec<&'a str>,
    /// Hashes of kinds that are not known here.
    pub unchecked: Vec<&'a str>,
    /// Hashes that do not hold, each in a few words.
    pub wrong: Vec<String>,
}

/// A tree, read as far as starting a kernel needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fit<'a> {
    /// The default configuration's name.
    pub configuration: &'a str,
    /// Its kernel.
    pub kernel: Image<'a>,
    /// Names of its device tree and ramdisk, where it has any.
    pub others: Vec<&'a str>,
    /// Bytes of the tree with what lies behind it, external data included.
    pub size: usize,
}

/// Names and values of a node.
type Properties<'a> = Vec<(&'a str, &'a [u8])>;

/// A node below /images or /configurations, with its properties.
#[derive(Default)]
struct Node<'a> {
    name: &'a str,
    properties: Properties<'a>,
    /// Nodes in it: hashes and signatures.
    below: Vec<(&'a str, Properties<'a>)>,
}

impl<'a> Node<'a> {
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        find(&self.properties, name)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        text(self.value(name)?)
    }
}

fn find<'a>(properties: &[(&str, &'a [u8])], name: &str) -> Option<&'a [u8]> {
    properties.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

/// Hashes of one image: each is computed over all of its data.
const MOST_HASHES: usize = 16;
const AGAIN: &str = "download or build the file again";

fn damaged(what: &str) -> Failure {
    Failure::new(ErrorCode::KernelForm, format!("the FIT is damaged: {what}")).next(AGAIN)
}

/// Reads the tree at the front of `bytes`: the kernel of its default configuration, hashes computed. A hash that does not hold is
/// no error here: see [`Image::wrong`].
///
/// # Errors
/// A damaged tree, no configuration or several without a default, no kernel in it, or data outside of the file.
pub fn read(bytes: &[u8]) -> Result<Fit<'_>> {
    let header = |word: usize| be32(bytes, word * 4).map(|value| value as usize);
    let (Some(total), Some(structure), Some(strings)) = (header(1), header(2), header(3)) else {
        return Err(damaged("it ends inside its header"));
    };
    let Some(tree) = bytes.get(..total) else {
        let fact = format!("the FIT is truncated: its header says 0x{total:x} bytes, the file has 0x{:x}", bytes.len());
        return Err(Failure::new(ErrorCode::KernelDamaged, fact).next(AGAIN));
    };
    let (images, configurations, default) = nodes(tree, structure, strings)?;

    let configuration = chosen(&configurations, default)?;
    let name = configuration.text("kernel").ok_or_else(|| {
        let fact = format!("the FIT's configuration {} names no kernel", configuration.name);
        Failure::new(ErrorCode::KernelForm, fact).next("give a FIT whose default configuration starts a kernel")
    })?;
    let node = images.iter().find(|node| node.name == name).ok_or_else(|| {
        damaged(&format!("its configuration {} names the image {name}, which is not there", configuration.name))
    })?;
    let others = ["fdt", "ramdisk"].into_iter().filter_map(|kind| configuration.text(kind)).collect();
    let kernel = image(bytes, total, node)?;
    let within = |data: &[u8]| data.as_ptr() as usize - bytes.as_ptr() as usize + data.len();
    let size = total.max(within(kernel.data));
    Ok(Fit { configuration: configuration.name, kernel, others, size })
}

/// Everything in a tree.
pub struct List<'a> {
    /// All images, hashes computed.
    pub images: Vec<Image<'a>>,
    /// All configurations: name, and what each names of the images.
    pub configurations: Vec<(&'a str, Vec<(&'a str, &'a str)>)>,
    /// The default one.
    pub default: Option<&'a str>,
}

/// Reads all of a tree, whether it can be started or not.
///
/// # Errors
/// A damaged tree, or data outside of the file.
pub fn list(bytes: &[u8]) -> Result<List<'_>> {
    let header = |word: usize| be32(bytes, word * 4).map(|value| value as usize);
    let (Some(total), Some(structure), Some(strings)) = (header(1), header(2), header(3)) else {
        return Err(damaged("it ends inside its header"));
    };
    let tree = bytes.get(..total).ok_or_else(|| damaged("it is cut off"))?;
    let (images, configurations, default) = nodes(tree, structure, strings)?;
    let (mut all, mut read) = (Vec::new(), 0);
    for node in &images {
        let image = image(bytes, total, node)?;
        read += image.data.len();
        if read > 2 * bytes.len() {
            return Err(damaged("its images share their data"));
        }
        all.push(image);
    }
    let images = all;
    fn named<'a>(node: &Node<'a>) -> (&'a str, Vec<(&'a str, &'a str)>) {
        let parts = node.properties.iter().filter(|(name, _)| *name != "description");
        (node.name, parts.filter_map(|(name, value)| Some((*name, text(value)?))).collect())
    }
    Ok(List { images, configurations: configurations.iter().map(named).collect(), default })
}

/// The nodes below /images and /configurations, and the default configuration's name.
type Nodes<'a> = (Vec<Node<'a>>, Vec<Node<'a>>, Option<&'a str>);

fn nodes(tree: &[u8], structure: usize, strings: usize) -> Result<Nodes<'_>> {
    let (mut images, mut configurations): (Vec<Node>, Vec<Node>) = Default::default();
    let mut default = None;
    let read = walk(tree, structure, strings, &mut |property| {
        let entry = (property.name, property.value);
        let list = match property.path.first() {
            Some(&"images") => &mut images,
            Some(&"configurations") => &mut configurations,
            _ => return Some(()),
        };
        let [_, name, below @ ..] = property.path else {
            if property.path == ["configurations"] && property.name == "default" {
                default = text(property.value);
            }
            return Some(());
        };
        if list.last().is_none_or(|node| node.name != *name) {
            list.push(Node { name, ..Node::default() });
        }
        let node = list.last_mut()?;
        match below {
            [] => node.properties.push(entry),
            [child, ..] => match node.below.last_mut().filter(|(name, _)| name == child) {
                Some((_, properties)) => properties.push(entry),
                None => node.below.push((child, vec![entry])),
            },
        }
        Some(())
    });
    read.ok_or_else(|| damaged("its structure makes no sense"))?;
    Ok((images, configurations, default))
}

/// The default configuration, or the only one.
fn chosen<'a, 'b>(configurations: &'b [Node<'a>], default: Option<&str>) -> Result<&'b Node<'a>> {
    let names: Vec<&str> = configurations.iter().map(|node| node.name).collect();
    match (default, configurations) {
        (Some(name), all) => all.iter().find(|node| node.name == name).ok_or_else(|| {
            damaged(&format!("its default configuration {name} is not there, only: {}", names.join(", ")))
        }),
        (None, [only]) => Ok(only),
        (None, []) => Err(Failure::new(ErrorCode::KernelForm, "the FIT has no configuration")
            .next("take the kernel out of it with dumpimage")),
        (None, _) => Err(Failure::new(
            ErrorCode::KernelForm,
            format!("the FIT has no default among its configurations {}", names.join(", ")),
        )
        .next("take the kernel out of it with dumpimage, or build it with a default")),
    }
}

fn image<'a>(bytes: &'a [u8], total: usize, node: &Node<'a>) -> Result<Image<'a>> {
    let cell = |name: &str| node.value(name).filter(|value| matches!(value.len(), 4 | 8)).map(number);
    let data = match node.value("data") {
        Some(data) => data,
        None => external(bytes, total, &cell)
            .ok_or_else(|| damaged(&format!("the data of its image {} are not in the file", node.name)))?,
    };
    let mut image = Image {
        name: node.name,
        kind: node.text("type").unwrap_or_default(),
        arch: node.text("arch").unwrap_or_default(),
        compression: node.text("compression").filter(|name| *name != "none").unwrap_or_default(),
        load: cell("load"),
        entry: cell("entry"),
        data,
        ..Image::default()
    };
    let hashes: Vec<_> = node.below.iter().filter(|(name, _)| name.starts_with("hash")).collect();
    if hashes.len() > MOST_HASHES {
        return Err(damaged(&format!("its image {} has {} hashes", node.name, hashes.len())));
    }
    for (name, properties) in hashes {
        let (algorithm, value) = (find(properties, "algo").and_then(text), find(properties, "value"));
        let (Some(algorithm), Some(value)) = (algorithm, value) else {
            return Err(damaged(&format!("{name} of its image {} has no algo or value", node.name)));
        };
        let computed = match algorithm {
            "crc32" => checksum(data).to_be_bytes().to_vec(),
            "sha1" => Sha1::digest(data).to_vec(),
            "sha256" => Sha256::digest(data).to_vec(),
            "sha384" => Sha384::digest(data).to_vec(),
            "sha512" => Sha512::digest(data).to_vec(),
            // Another hash of the same bytes may be known; none at all is for the caller to judge.
            _ => {
                image.unchecked.push(algorithm);
                continue;
            }
        };
        match computed == value {
            true => image.hashes.push(algorithm),
            false => image.wrong.push(format!(
                "{algorithm} of {} is {}, the FIT says {}",
                node.name,
                hex(&computed),
                hex(value)
            )),
        }
    }
    Ok(image)
}

/// Data behind the tree: at `data-offset` from its end, aligned to 4, or at `data-position` in the file.
fn external<'a>(bytes: &'a [u8], total: usize, cell: &dyn Fn(&str) -> Option<u64>) -> Option<&'a [u8]> {
    let size = usize::try_from(cell("data-size")?).ok()?;
    let start = match cell("data-position") {
        Some(position) => usize::try_from(position).ok()?,
        None => total.next_multiple_of(4).checked_add(usize::try_from(cell("data-offset")?).ok()?)?,
    };
    bytes.get(start..start.checked_add(size)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A codec by U-Boot's name, `Some(None)` for the empty one; `None` when it is not known here.
pub fn codec(name: &str) -> Option<Option<Codec>> {
    Some(Some(match name {
        "" => return Some(None),
        "gzip" => Codec::Gzip,
        "bzip2" => Codec::Bzip2,
        "lzma" => Codec::Lzma,
        "lzo" => Codec::Lzo,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        _ => return None,
    }))
}

/// A kernel in a FIT, its hashes checked.
pub(super) struct Kernel<'a> {
    /// Load address and entry point; `None` when it runs wherever it is put.
    pub(super) addresses: Option<(u64, u64)>,
    pub(super) codec: Option<Codec>,
    pub(super) data: &'a [u8],
    /// `None` for MIPS: the name does not tell the byte order.
    pub(super) arch: Option<Arch>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// The kernel of the default configuration.
///
/// # Errors
/// As for [`read`], and a hash that does not hold, a machine or codec that is not known, or a kernel without addresses.
pub(super) fn kernel(bytes: &[u8]) -> Result<Kernel<'_>> {
    let fit = read(bytes)?;
    let kernel = &fit.kernel;
    if let Some(wrong) = kernel.wrong.first() {
        return Err(Failure::new(ErrorCode::KernelDamaged, format!("the FIT's kernel is damaged: {wrong}")).next(AGAIN));
    }
    if !matches!(kernel.kind, "kernel" | "kernel_noload" | "standalone") {
        return Err(Failure::new(
            ErrorCode::KernelForm,
            format!("the FIT's image {} is of type {:?}, no kernel", kernel.name, kernel.kind),
        )
        .next("give a FIT whose default configuration starts a kernel"));
    }
    let arch = match kernel.arch {
        "mips" => None,
        "arm64" => Some(Arch::Arm64),
        "mips64" => {
            return Err(Failure::new(ErrorCode::KernelMachine, "the FIT's kernel is for 64-bit MIPS")
                .next("build the kernel with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels"));
        }
        other => {
            return Err(Failure::new(
                ErrorCode::KernelMachine,
                format!("the FIT's kernel is for another machine, {other:?}"),
            )
            .next("give a kernel built for MIPS"));
        }
    };
    let codec = codec(kernel.compression).ok_or_else(|| {
        Failure::new(
            ErrorCode::KernelForm,
            format!("the FIT's kernel is compressed with {:?}, not known here", kernel.compression),
        )
        .next("unpack it with dumpimage and give the kernel inside")
    })?;
    let addresses = kernel.load.zip(kernel.entry.or(kernel.load));
    let mut notes = Vec::new();
    if kernel.hashes.is_empty() {
        let others = if kernel.unchecked.is_empty() {
            String::new()
        } else {
            format!(", only {}", kernel.unchecked.join(" and "))
        };
        notes.push(format!("the FIT has no hash of its kernel that is known here{others}: damage goes unnoticed"));
    }
    if !fit.others.is_empty() {
        let others = fit.others.join(" and ");
        notes.push(format!("{others} of the FIT's configuration {} left out: see --dtb, --initrd", fit.configuration));
    }
    Ok(Kernel { addresses, codec, data: kernel.data, arch, notes })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fit;
    use super::*;

    const DATA: &[u8] = b"kernel bytes";

    fn refusal(bytes: &[u8]) -> Failure {
        let failure = kernel(bytes).err().expect("refused");
        assert!(failure.next_step().is_some(), "{failure}");
        failure
    }

    #[test]
    fn the_kernel_of_the_default_configuration_is_taken() {
        let bytes = Fit { entry: 0x8010_0400, ..Fit::default() }.write(DATA);
        let kernel = kernel(&bytes).unwrap();
        assert_eq!((kernel.addresses, kernel.data), (Some((0x8010_0000, 0x8010_0400)), DATA));
        assert!(kernel.codec.is_none() && kernel.arch.is_none() && kernel.notes.is_empty());
        let fit = read(&bytes).unwrap();
        assert_eq!((fit.configuration, fit.kernel.name), ("second", "kernel"));
        assert_eq!((fit.kernel.hashes, fit.size), (vec!["crc32", "sha1", "sha256"], bytes.len()));
    }

    #[test]
    fn every_flipped_bit_of_the_data_and_of_each_hash_is_noticed() {
        let good = Fit::default().write(DATA);
        let at = super::super::find(&good, DATA).unwrap();
        for bit in 0..8 * DATA.len() {
            let mut bad = good.clone();
            bad[at + bit / 8] ^= 1 << (bit % 8);
            assert!(refusal(&bad).fact().contains("is damaged: crc32"), "bit {bit}");
        }
        for hash in [&checksum(DATA).to_be_bytes()[..], &Sha1::digest(DATA), &Sha256::digest(DATA)] {
            let at = super::super::find(&good, hash).unwrap();
            for bit in 0..8 * hash.len() {
                let mut bad = good.clone();
                bad[at + bit / 8] ^= 1 << (bit % 8);
                assert!(refusal(&bad).fact().contains("the FIT says"), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_tree_cut_or_flipped_anywhere_is_refused_or_reads_without_panic() {
        let good = Fit::default().write(DATA);
        for length in 0..good.len() {
            assert!(kernel(&good[..length]).is_err(), "{length}");
        }
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // What boots at all boots the kernel's own bytes.
            if let Ok(kernel) = kernel(&bad) {
                assert_eq!(kernel.data, DATA, "bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_no_mips_kernel_is_refused_by_what_it_is() {
        let with = |change: fn(&mut Fit)| {
            let mut fit = Fit::default();
            change(&mut fit);
            refusal(&fit.write(DATA))
        };
        assert!(with(|fit| fit.arch = "mips64").fact().contains("64-bit MIPS"));
        assert!(with(|fit| fit.arch = "arm").fact().contains("\"arm\""));
        assert!(with(|fit| fit.kind = "ramdisk").fact().contains("ramdisk"));
        assert!(with(|fit| fit.compression = "brotli").fact().contains("brotli"));
        assert!(with(|fit| fit.default = None).fact().contains("no default among its configurations first, second"));
        assert!(with(|fit| fit.default = Some("third")).fact().contains("third is not there, only: first, second"));
        assert!(with(|fit| fit.kernel = "other").fact().contains("names the image other"));
    }
}
