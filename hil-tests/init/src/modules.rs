//! The modules of a bundle in the initramfs (`stoop pack --require`): loaded in the order of its list `/order`, then what
//! they are for is used, then they are unloaded in reverse.

use core::ffi::CStr;

use crate::line::Lines;
use crate::path::{Decimal, Path};
use crate::see;
use crate::sys::{self, Errno, File};

/// Where the root filesystem in RAM is mounted, and what stoop calls its device.
const MOUNTED: &CStr = c"/mnt";
const DEVICE: &CStr = c"/dev/mtdblock99";

/// The bundle's list: paths of modules, one a line.
pub struct Bundle {
    order: [u8; 4096],
    len: usize,
}

impl Bundle {
    /// Nothing when the initramfs has none.
    pub fn find() -> Option<Bundle> {
        let mut order = [0; 4096];
        let file = File::read_only(c"/order").ok()?;
        let len = file.read(&mut order).unwrap_or(0);
        file.close();
        Some(Bundle { order, len })
    }

    fn paths(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let order = self.order.get(..self.len).unwrap_or(&[]);
        order.split(|&byte| byte == b'\n').filter(|path| !path.is_empty())
    }

    /// Loads everything and mounts the root filesystem in RAM. Prints `order`, `load/NAME` and `mount`; what went wrong is
    /// `error` with the errno.
    pub fn load<P: FnMut(&[u8])>(&self, lines: &mut Lines<P>) {
        lines.value(b"order", self.order.get(..self.len).unwrap_or(&[]));
        for path in self.paths() {
            let loaded = File::read_only(Path::of(&[b"/", path]).as_c()).and_then(|file| {
                let loaded = file.load_module();
                file.close();
                loaded
            });
            outcome(lines, &[b"load/", Name::of(path).as_bytes()], loaded);
        }
        let mounted = sys::make_directory(MOUNTED).and_then(|()| sys::mount_read_only(c"squashfs", DEVICE, MOUNTED));
        outcome(lines, &[b"mount"], mounted);
        see::file(lines, b"modules", c"/proc/modules");
        see::checksum(lines, &[b"mounted/big"], c"/mnt/big");
    }

    /// Unmounts, and unloads in reverse order. Prints `unmount`, `unload/NAME`, and what `/proc/modules` still has.
    pub fn unload<P: FnMut(&[u8])>(&self, lines: &mut Lines<P>) {
        outcome(lines, &[b"unmount"], sys::unmount(MOUNTED));
        for path in self.paths().rev() {
            let name = Name::of(path);
            outcome(lines, &[b"unload/", name.as_bytes()], sys::unload_module(name.as_c()));
        }
        see::file(lines, b"modules/left", c"/proc/modules");
    }
}

fn outcome<P: FnMut(&[u8])>(lines: &mut Lines<P>, key: &[&[u8]], result: Result<(), Errno>) {
    lines.begin(key);
    match result {
        Ok(()) => lines.add(b"ok"),
        Err(errno) => {
            lines.add(b"error ");
            lines.add(Decimal::of(errno.unsigned_abs()).as_bytes());
        }
    }
    lines.end();
}

/// A module's name as the kernel spells it.
struct Name(Path);

impl Name {
    /// `a/b-c.ko` is `b_c`.
    fn of(path: &[u8]) -> Name {
        let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or(&[]);
        let mut path = Path::of(&[file.strip_suffix(b".ko").unwrap_or(file)]);
        path.replace(b'-', b'_');
        Name(path)
    }

    fn as_c(&self) -> &CStr {
        self.0.as_c()
    }

    fn as_bytes(&self) -> &[u8] {
        self.as_c().to_bytes()
    }
}
