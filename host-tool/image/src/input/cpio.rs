//! Writes and reads the cpio format that the kernel unpacks as an initrd: newc (`Documentation/driver-api/early-userspace`,
//! `buffer-format.rst`). The same entries give the same bytes: no time, no owner, numbered inodes.

/// What an entry begins with: newc's magic, and that of newc with sums (init/initramfs.c: do_header).
pub(super) const MAGICS: [&[u8]; 2] = [b"070701", WITH_SUM];
/// Newc with sums: each file's entry has the sum of its bytes.
pub(super) const WITH_SUM: &[u8] = b"070702";
/// Bytes of an entry's header: a magic of six characters and thirteen numbers of eight hexadecimal digits.
pub(super) const HEADER: usize = 110;
/// The name of the entry that ends an archive.
pub(super) const TRAILER: &str = "TRAILER!!!";

/// Whether an entry begins here.
pub(super) fn is_newc(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// The number with this place among the thirteen of a header; 6 is the data's size, 11 the name's.
pub(super) fn field(header: &[u8], number: usize) -> Option<u32> {
    let digits = header.get(MAGICS[0].len() + 8 * number..)?.first_chunk::<8>()?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory, mode 0755.
    Directory,
    /// A file of these bytes, mode 0644.
    File(Vec<u8>),
    /// A file of these bytes, mode 0755.
    Script(Vec<u8>),
}

impl Kind {
    /// Its permission bits.
    pub fn permissions(&self) -> u32 {
        match self {
            Kind::File(_) => 0o644,
            Kind::Directory | Kind::Script(_) => 0o755,
        }
    }

    /// Its bytes; none for a directory.
    pub fn data(&self) -> &[u8] {
        match self {
            Kind::Directory => &[],
            Kind::File(data) | Kind::Script(data) => data,
        }
    }
}

/// An archive of the entries, each a path without a leading slash and what is there, in the order given. A directory
/// must come before what is in it. The length is a multiple of 512, so that it may be appended to another archive and
/// another to it.
pub fn archive<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Kind)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (inode, (path, kind)) in (1..).zip(entries) {
        let (file_type, links) = if *kind == Kind::Directory { (0o040_000, 2) } else { (0o100_000, 1) };
        record(&mut out, inode, file_type | kind.permissions(), links, path, kind.data());
    }
    record(&mut out, 0, 0, 1, TRAILER, &[]);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn record(out: &mut Vec<u8>, inode: u32, mode: u32, links: u32, name: &str, data: &[u8]) {
    // Inode, mode, uid, gid, links, mtime, size, device and rdevice (major, minor each), length of name with NUL, check.
    let size = data.len() as u32;
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    out.extend_from_slice(MAGICS[0]);
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// One entry of an archive that is read.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Without slashes or `./` in front.
    pub path: &'a str,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its bytes; of a link where it leads.
    pub data: &'a [u8],
}

/// The entries of plain archives, one behind the other with zeros between them. Ends at the first byte that belongs to
/// none: at a compressed archive, at damage, or at the end.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Archive<'a> {
    /// Of an initrd.
    pub fn new(bytes: &'a [u8]) -> Self {
        Archive { bytes, at: 0 }
    }

    /// What was not read.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// An entry and where the next record begins.
    fn record(&self) -> Option<(Entry<'a>, usize)> {
        let header = self.rest().get(..HEADER).filter(|header| is_newc(header))?;
        let field = |number| field(header, number).map(|value| value as usize);
        let (mode, size, name_size) = (field(1)?, field(6)?, field(11)?);
        let name_end = self.at.checked_add(HEADER)?.checked_add(name_size)?;
        let name = self.bytes.get(self.at + HEADER..name_end.checked_sub(1)?)?;
        let data_at = name_end.checked_next_multiple_of(4)?;
        let data_end = data_at.checked_add(size)?;
        let data = self.bytes.get(data_at..data_end)?;
        let path = std::str::from_utf8(name).ok()?.trim_start_matches("./").trim_start_matches('/');
        let is_directory = mode & 0o170_000 == 0o040_000;
        Some((Entry { path, is_directory, data }, data_end.checked_next_multiple_of(4)?.min(self.bytes.len())))
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            self.at += self.rest().iter().take_while(|byte| **byte == 0).count();
            let (entry, next) = self.record()?;
            self.at = next;
            if entry.path != TRAILER {
                return Some(entry);
            }
        }
    }
}
