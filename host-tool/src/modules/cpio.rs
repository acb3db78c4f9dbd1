//! Writes the cpio format that the kernel unpacks as an initrd: newc (`Documentation/driver-api/early-userspace`,
//! `buffer-format.rst`). The same entries give the same bytes: no time, no owner, numbered inodes.

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
    record(&mut out, 0, 0, 1, "TRAILER!!!", &[]);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn record(out: &mut Vec<u8>, inode: u32, mode: u32, links: u32, name: &str, data: &[u8]) {
    // Inode, mode, uid, gid, links, mtime, size, device and rdevice (major, minor each), length of name with NUL, check.
    let size = data.len() as u32;
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
}
