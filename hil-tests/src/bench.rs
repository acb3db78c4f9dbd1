//! One image, packed as `stoop pack` does, on one rig: each boot is compared with what `stoop simulate` says of the same bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop::image;
use stoop::plan::{Plan, Request};
use stoop::simulate::{self, Booted, Entry, Input};
use stoop::ui::Quiet;
use stoop::{Failure, Result};
use stoop_core::crc32::Crc32;

use crate::seen::Seen;
use crate::{Boot, Rig, Via, see};

/// Longer than any boot takes, on a machine that is busy with others.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A packed image in a file of its own.
pub struct Packed {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    rootfs: Option<PathBuf>,
    place: tempfile::TempDir,
}

impl Packed {
    /// Packs it.
    ///
    /// # Errors
    /// What `stoop pack` would report.
    pub fn new(request: &Request) -> Result<Packed> {
        let bytes = image::build(&Plan::resolve(request, &mut Quiet)?)?.file;
        let place = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let packed = Packed { bytes, rootfs: request.rootfs.clone(), place };
        std::fs::write(packed.path(), &packed.bytes).map_err(|error| Failure::io(&packed.path(), &error))?;
        Ok(packed)
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// What the shim will do, by core's own function.
    ///
    /// # Errors
    /// The shim would not boot it.
    pub fn simulate(&self, entry: Entry) -> Result<Booted> {
        let outcome = simulate::run(&self.bytes, &Input { entry, load: None })?;
        outcome.result.map_err(|error| Failure::new(format!("simulate: the shim gives up: {error}")))
    }

    /// Boots it behind U-Boot's bootm with these bootargs, and checks all that the kernel saw against the simulation: command
    /// line, report, and a root filesystem in phram, byte for byte.
    ///
    /// # Errors
    /// It does not boot. What it sees differently is a panic of the test.
    pub fn boots_as_simulated(&self, rig: &mut dyn Rig, bootargs: Option<&str>) -> Result<Seen> {
        let entry = Entry::Argv(bootargs.unwrap_or_default().into());
        let expected = self.simulate(entry)?;
        let seen = see(rig, &Boot { image: &self.path(), bootargs, files: &[], via: Via::Bootm }, PATIENCE)?;
        rig.power_off()?;
        self.compare(&seen, &expected, &format!("bootargs {bootargs:?}"))?;
        Ok(seen)
    }

    /// Panics where the kernel saw something else than expected.
    ///
    /// # Errors
    /// The root filesystem's file cannot be read.
    pub fn compare(&self, seen: &Seen, expected: &Booted, case: &str) -> Result<()> {
        let line = String::from_utf8_lossy(&expected.cmdline);
        assert_eq!(seen.cmdline(), line, "/proc/cmdline, {case}");
        assert_eq!(text(seen, "chosen/bootargs"), line, "/chosen/bootargs, {case}");
        assert_eq!(text(seen, "chosen/stoop/verdict"), expected.verdict, "verdict, {case}");
        assert_eq!(text(seen, "chosen/stoop/entry"), expected.entry, "entry, {case}");
        assert_eq!(text(seen, "chosen/stoop/slot"), expected.slot.to_string(), "slot, {case}");
        assert_eq!(text(seen, "chosen/stoop/version"), env!("CARGO_PKG_VERSION"), "version, {case}");
        if let Some(path) = &self.rootfs {
            let bytes = read(path)?;
            assert_eq!(seen.text("root/type"), "ram", "the root is on phram, {case}");
            let root = seen.sum("root/data").unwrap_or_else(|| panic!("no sum of the root, {case}"));
            assert_eq!(
                (root.size as usize, root.crc),
                (bytes.len(), Crc32::new().of(&bytes)),
                "the root's bytes, {case}"
            );
        }
        Ok(())
    }
}

/// A property's string, without its NUL.
fn text(seen: &Seen, key: &str) -> String {
    seen.text(key).trim_end_matches('\0').to_owned()
}

/// Reads a file.
///
/// # Errors
/// What the system says, with the path.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::io(path, &error))
}
