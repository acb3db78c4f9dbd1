//! The lock file of a serial port, as terminal programs have kept them since UUCP.
//!
//! serialport takes the port by `flock` and TIOCEXCL. The first binds only those who ask for it, the second does not bind root
//! (`drivers/tty/tty_io.c`, `tty_open`). minicom, picocom and ser2net look for `/var/lock/LCK..ttyUSB0`, which holds the number of the process
//! in ten columns and the end of a line (Filesystem Hierarchy Standard 3.0, 5.9), so stoop keeps one too.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::Error;

/// Where the lock files are.
const FOLDER: &str = "/var/lock";

/// A lock file of ours; it goes away with the value.
#[derive(Debug)]
pub struct Lock {
    file: PathBuf,
}

impl Lock {
    /// Takes the lock of a device; `None` where the folder is missing or this user may not write there, as on distributions
    /// that have given these files up.
    ///
    /// # Errors
    /// [`Error::Busy`]: a living process holds it.
    pub fn take(device: &Path) -> Result<Option<Lock>, Error> {
        Lock::take_in(Path::new(FOLDER), device)
    }

    /// As [`Lock::take`], with the files in `folder`.
    ///
    /// # Errors
    /// As for [`Lock::take`].
    pub fn take_in(folder: &Path, device: &Path) -> Result<Option<Lock>, Error> {
        let file = folder.join(name(device));
        // A file that appears under its name complete: nobody reads half a number.
        let Ok(mut new) = tempfile::NamedTempFile::new_in(folder) else { return Ok(None) };
        if writeln!(new, "{:>10}", process::id()).is_err() {
            return Ok(None);
        }
        let mut new = new.into_temp_path();
        // Others must be able to read who holds it.
        let _ = fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o644));
        for _ in 0..3 {
            match new.persist_noclobber(&file) {
                Ok(()) => return Ok(Some(Lock { file })),
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => new = error.path,
                Err(_) => return Ok(None),
            }
            match holder(&file) {
                Some(holder) => return Err(Error::Busy { path: device.to_owned(), holder }),
                // Left behind by a process that is gone.
                None => drop(fs::remove_file(&file)),
            }
        }
        Err(Error::Busy { path: device.to_owned(), holder: "another program".into() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// `LCK..ttyUSB0`, and `LCK..pts_3` as picocom has it.
fn name(device: &Path) -> String {
    let real = device.canonicalize().unwrap_or_else(|_| device.to_owned());
    let name = real.strip_prefix("/dev").unwrap_or(&real).to_string_lossy();
    format!("LCK..{}", name.trim_start_matches('/').replace('/', "_"))
}

/// The living process that a lock file names; a file without a number is nobody's.
fn holder(file: &Path) -> Option<String> {
    let process: u32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!("{} (process {process})", crate::text::shown(name.trim_end())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Error, Lock, name};

    #[test]
    fn a_second_program_is_told_who_has_the_port_until_the_first_lets_it_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let device = Path::new("/dev/ttyUSB0");
        let first = Lock::take_in(folder.path(), device).expect("free").expect("a lock");
        match Lock::take_in(folder.path(), device) {
            Err(Error::Busy { holder, .. }) => {
                assert!(holder.ends_with(&format!("(process {})", std::process::id())), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(Lock::take_in(folder.path(), device).expect("free again").is_some());
    }

    #[test]
    fn what_a_dead_process_left_behind_is_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let device = Path::new("/dev/ttyUSB0");
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        child.wait().expect("its end");
        let file = folder.path().join(name(device));
        std::fs::write(&file, format!("{:>10}\n", child.id())).expect("a file");
        let lock = Lock::take_in(folder.path(), device).expect("free").expect("a lock");
        let text = std::fs::read_to_string(&file).expect("the lock");
        assert_eq!(text, format!("{:>10}\n", std::process::id()));
        drop(lock);
        assert!(!file.exists());
    }

    #[test]
    fn no_lock_is_kept_where_no_file_can_be_made() {
        assert!(Lock::take_in(Path::new("/nonexistent"), Path::new("/dev/ttyS0")).expect("no other").is_none());
    }

    #[test]
    fn names_are_those_that_terminal_programs_look_for() {
        assert_eq!(name(Path::new("/dev/ttyNOWHERE7")), "LCK..ttyNOWHERE7");
        assert_eq!(name(Path::new("/dev/pts/99999")), "LCK..pts_99999");
    }
}
