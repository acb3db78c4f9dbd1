//! A serial port or pseudo-terminal of this machine.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

use super::port::{BREAK, PATIENCE};
use super::{Address, Error, Lock, Port};

/// Where udev keeps stable names: by the USB socket first, since adapters without a serial number share their `by-id`.
const STABLE: [&str; 2] = ["/dev/serial/by-path", "/dev/serial/by-id"];

/// How long a line that takes nothing (flow control, a full pseudo-terminal) is put up with.
const SEND: Duration = Duration::from_secs(10);

pub struct Serial {
    reader: Mutex<TTYPort>,
    writer: Mutex<TTYPort>,
    /// Held until the port is closed.
    _lock: Option<Lock>,
}

impl Serial {
    pub fn open(path: &Path, speed: u32) -> Result<Serial, Error> {
        let lock = Lock::take(path)?;
        let builder = serialport::new(path.to_string_lossy(), speed).timeout(PATIENCE);
        let reader = TTYPort::open(&builder).map_err(|error| refused(path, &error))?;
        let writer = reader.try_clone_native().map_err(|error| refused(path, &error))?;
        Ok(Serial { reader: Mutex::new(reader), writer: Mutex::new(writer), _lock: lock })
    }
}

/// serialport has one kind of error for a device that is missing, forbidden or taken, so the device is asked.
fn refused(path: &Path, error: &serialport::Error) -> Error {
    let path = path.to_owned();
    match fs::OpenOptions::new().read(true).write(true).open(&path).map_err(|error| error.kind()) {
        _ if error.description.contains("exclusive lock") => Error::Busy { path, holder: "another program".into() },
        Err(ErrorKind::ResourceBusy) => Error::Busy { path, holder: "another program".into() },
        Err(ErrorKind::NotFound) => Error::Missing { path, others: ports() },
        Err(ErrorKind::PermissionDenied) => Error::Forbidden { path },
        _ => Error::Open { address: Address::Device(path), source: io::Error::other(error.description.clone()) },
    }
}

/// The serial ports that are plugged in, by their stable names, sorted.
fn ports() -> Vec<PathBuf> {
    let mut ports: Vec<_> = entries(Path::new("/dev/serial/by-id")).collect();
    ports.sort();
    ports
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The name under which the same socket's port comes back when it was unplugged; `path` itself when it is such a name already
/// or has none, as ports on the board and pseudo-terminals.
pub fn stable(path: &Path) -> PathBuf {
    stable_in(&STABLE.map(Path::new), path)
}

fn stable_in(folders: &[&Path], path: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let Ok(device) = path.canonicalize() else { return path.to_owned() };
    if is_link {
        return path.to_owned();
    }
    let mut names = folders.iter().flat_map(|folder| entries(folder));
    names.find(|name| name.canonicalize().is_ok_and(|other| other == device)).unwrap_or_else(|| path.to_owned())
}

fn held(port: &Mutex<TTYPort>) -> MutexGuard<'_, TTYPort> {
    port.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port for Serial {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match held(&self.reader).read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => Ok(0),
            other => other,
        }
    }

    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + SEND;
        let mut writer = held(&self.writer);
        while !bytes.is_empty() {
            match writer.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send_break(&self) -> io::Result<()> {
        let writer = held(&self.writer);
        writer.set_break()?;
        thread::sleep(BREAK);
        Ok(writer.clear_break()?)
    }

    fn set_speed(&self, speed: u32) -> io::Result<()> {
        Ok(held(&self.writer).set_baud_rate(speed)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::stable_in;

    #[test]
    fn a_port_that_may_be_renumbered_is_remembered_by_its_stable_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (by_path, device) = (folder.path().join("by-path"), folder.path().join("ttyUSB0"));
        std::fs::create_dir(&by_path).expect("a folder");
        std::fs::write(&device, "").expect("a file");
        std::fs::write(folder.path().join("ttyUSB1"), "").expect("a file");
        symlink("../ttyUSB1", by_path.join("pci-usb-1")).expect("a link");
        assert_eq!(stable_in(&[&by_path], &device), device, "it has no stable name");
        symlink("../ttyUSB0", by_path.join("pci-usb-0")).expect("a link");
        assert_eq!(stable_in(&[&by_path], &device), by_path.join("pci-usb-0"));
        let typed = by_path.join("pci-usb-1");
        assert_eq!(stable_in(&[&by_path], &typed), typed, "what was typed is stable already");
    }
}
