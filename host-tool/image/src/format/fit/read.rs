//! Flattened image trees (U-Boot doc/usage/fit/source_file_format.rst): images with hashes, and configurations that name them.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::Result;
use crate::format::Error;
use crate::format::bytes::be32;
use crate::format::checksum::checksum;
use crate::format::codec::Codec;
use crate::format::device_tree::{number, text, walk};

/// One image of the tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image<'a> {
    /// Its node's name.
    pub name: &'a str,
    /// `kernel`, `kernel_noload`, `flat_dt`, `ramdisk`, …
    pub kind: &'a str,
    /// U-Boot's name of the machine.
    pub arch: &'a str,
    /// U-Boot's name of the operating system; empty when it names none.
    pub system: &'a str,
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

    fn cell(&self, name: &str) -> Option<u64> {
        self.value(name).filter(|value| matches!(value.len(), 4 | 8)).map(number)
    }
}

fn find<'a>(properties: &[(&str, &'a [u8])], name: &str) -> Option<&'a [u8]> {
    properties.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

/// Hashes of one image: each is computed over all of its data.
const MOST_HASHES: usize = 16;

/// Reads the tree at the front of `bytes`: the kernel of its default configuration, hashes computed. A hash that does not hold is
/// no error here: see [`Image::wrong`].
///
/// # Errors
/// A damaged tree, no configuration or several without a default, no kernel in it, or data outside of the file.
pub fn read(bytes: &[u8]) -> Result<Fit<'_>> {
    let header = |word: usize| be32(bytes, word * 4).map(|value| value as usize);
    let (Some(total), Some(structure), Some(strings)) = (header(1), header(2), header(3)) else {
        return Err(Error::FitBroken { what: "it ends inside its header" }.into());
    };
    let Some(tree) = bytes.get(..total) else {
        return Err(Error::FitCut { total, have: bytes.len() }.into());
    };
    let (images, configurations, default) = nodes(tree, structure, strings)?;

    let configuration = chosen(&configurations, default)?;
    let name =
        configuration.text("kernel").ok_or_else(|| Error::FitWithoutKernel { name: configuration.name.to_owned() })?;
    let node = images.iter().find(|node| node.name == name).ok_or_else(|| Error::FitImageMissing {
        configuration: configuration.name.to_owned(),
        image: name.to_owned(),
    })?;
    let others = ["fdt", "ramdisk"].into_iter().filter_map(|kind| configuration.text(kind)).collect();
    let kernel = image(bytes, total, node)?;
    let within = |data: &[u8]| data.as_ptr() as usize - bytes.as_ptr() as usize + data.len();
    let size = total.max(within(kernel.data));
    Ok(Fit { configuration: configuration.name, kernel, others, size })
}

/// Bytes of the tree at the front of `bytes` with what lies behind it, external data included, as far as they are there. Nothing is checked.
pub fn extent(bytes: &[u8]) -> usize {
    let header = |word: usize| be32(bytes, word * 4).map_or(0, |value| value as usize);
    let total = header(1).min(bytes.len());
    let images = nodes(&bytes[..total], header(2), header(3)).map(|(images, ..)| images).unwrap_or_default();
    let ends = images.iter().filter(|node| node.value("data").is_none()).filter_map(|node| {
        let data = external(bytes, total, &|name: &str| node.cell(name))?;
        Some(data.as_ptr() as usize - bytes.as_ptr() as usize + data.len())
    });
    ends.fold(total, usize::max)
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
        return Err(Error::FitBroken { what: "it ends inside its header" }.into());
    };
    let tree = bytes.get(..total).ok_or(Error::FitBroken { what: "it is cut off" })?;
    let (images, configurations, default) = nodes(tree, structure, strings)?;
    let (mut all, mut read) = (Vec::new(), 0);
    for node in &images {
        let image = image(bytes, total, node)?;
        read += image.data.len();
        if read > 2 * bytes.len() {
            return Err(Error::FitBroken { what: "its images share their data" }.into());
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
    read.ok_or(Error::FitBroken { what: "its structure makes no sense" })?;
    Ok((images, configurations, default))
}

/// The default configuration, or the only one.
fn chosen<'a, 'b>(configurations: &'b [Node<'a>], default: Option<&str>) -> Result<&'b Node<'a>> {
    let names: Vec<&str> = configurations.iter().map(|node| node.name).collect();
    match (default, configurations) {
        (Some(name), all) => all.iter().find(|node| node.name == name).ok_or_else(|| {
            Error::FitDefaultMissing {
                name: name.to_owned(),
                known: names.iter().map(|name| (*name).to_owned()).collect(),
            }
            .into()
        }),
        (None, [only]) => Ok(only),
        (None, []) => Err(Error::FitWithoutConfiguration.into()),
        (None, _) => {
            Err(Error::FitWithoutDefault { names: names.iter().map(|name| (*name).to_owned()).collect() }.into())
        }
    }
}

fn image<'a>(bytes: &'a [u8], total: usize, node: &Node<'a>) -> Result<Image<'a>> {
    let cell = |name: &str| node.cell(name);
    let data = match node.value("data") {
        Some(data) => data,
        None => external(bytes, total, &cell).ok_or_else(|| Error::FitDataOutside { image: node.name.to_owned() })?,
    };
    let mut image = Image {
        name: node.name,
        kind: node.text("type").unwrap_or_default(),
        arch: node.text("arch").unwrap_or_default(),
        system: node.text("os").unwrap_or_default(),
        compression: node.text("compression").filter(|name| *name != "none").unwrap_or_default(),
        load: cell("load"),
        entry: cell("entry"),
        data,
        ..Image::default()
    };
    let hashes: Vec<_> = node.below.iter().filter(|(name, _)| name.starts_with("hash")).collect();
    if hashes.len() > MOST_HASHES {
        return Err(Error::FitHashes { image: node.name.to_owned(), count: hashes.len() }.into());
    }
    for (name, properties) in hashes {
        let (algorithm, value) = (find(properties, "algo").and_then(text), find(properties, "value"));
        let (Some(algorithm), Some(value)) = (algorithm, value) else {
            return Err(Error::FitHash { image: node.name.to_owned(), hash: (*name).to_owned() }.into());
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
