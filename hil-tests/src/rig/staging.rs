//! Where a board's bootloader fetches files: the folder of a TFTP server, on this host or on another.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use stoop_ci::{Failure, Result};

/// A TFTP server's folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Staging {
    /// A path, or `HOST:PATH` on another host.
    folder: String,
    /// The server as the board reaches it.
    pub(super) server: String,
    /// In front of a file's name there.
    path: String,
}

impl Staging {
    /// `folder`, and the `tftp://SERVER/PATH` by which the board finds it.
    pub(super) fn new(folder: &str, url: &str) -> Result<Staging> {
        let rest = url.strip_prefix("tftp://");
        let (server, path) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).unwrap_or_default();
        if server.is_empty() {
            return Err(Failure::usage(format!("`{url}` is no tftp://SERVER/PATH")).next(
                "give the TFTP server's address as the board reaches it (labgrid: `external` of its TFTPProvider)",
            ));
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("{path}/") };
        Ok(Staging { folder: folder.trim_end_matches('/').to_owned(), server: server.to_owned(), path })
    }

    /// Puts a file there, whole or not at all, and returns the name to fetch it by.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<String> {
        match self.folder.split_once(':') {
            Some((host, folder)) => copy(bytes, &format!("{host}:{folder}/{name}"))?,
            None => write(Path::new(&self.folder), name, bytes)?,
        }
        Ok(format!("{}{name}", self.path))
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let io = |error| Failure::io(folder, &error);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    // The server may run as another user.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(io)?;
    file.persist(folder.join(name)).map_err(|error| Failure::io(&folder.join(name), &error.error))?;
    Ok(())
}

/// By scp, as labgrid does it.
fn copy(bytes: &[u8], to: &str) -> Result<()> {
    let file = crate::packed::file(bytes)?;
    let said = Command::new("scp").arg("-q").arg(file.path()).arg(to).output();
    let said = said.map_err(|error| Failure::new(format!("cannot start scp: {error}")))?;
    if said.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("scp to {to}: {}", String::from_utf8_lossy(&said.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_fetched_by_the_path_in_the_servers_url() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let staging = Staging::new(&format!("{path}/"), "tftp://10.0.2.2/rack/1/").unwrap();
        assert_eq!(
            (staging.server.as_str(), staging.put("image", b"bytes").unwrap().as_str()),
            ("10.0.2.2", "rack/1/image")
        );
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"bytes");
        assert_eq!(Staging::new(&path, "tftp://10.0.2.2").unwrap().put("image", b"").unwrap(), "image");
        assert!(Staging::new(&path, "10.0.2.2").is_err());
    }
}
