//! What is looked at, in the order in which it is printed. What cannot be opened has no lines.

use core::ffi::CStr;

use crate::line::{CRC32, Lines};
use crate::path::{Decimal, Path};
use crate::sys::{End, File, device_of};

/// The major number of mtdblock (include/linux/major.h).
const MTD_BLOCK_MAJOR: u32 = 31;

/// Prints all of it.
pub fn everything<P: FnMut(&[u8])>(lines: &mut Lines<P>) {
    for (key, path) in [
        ("version", c"/proc/version"),
        ("cmdline", c"/proc/cmdline"),
        ("mtd", c"/proc/mtd"),
        ("mounts", c"/proc/mounts"),
        ("iomem", c"/proc/iomem"),
    ] {
        file(lines, key.as_bytes(), path);
    }
    system_type(lines);
    directory(lines, b"chosen/", b"/proc/device-tree/chosen/");
    directory(lines, b"chosen/stoop/", b"/proc/device-tree/chosen/stoop/");
    checksum(lines, &[b"fdt"], c"/sys/firmware/fdt");
    root(lines);
    checksum(lines, &[b"big"], c"/big");
}

/// Power-off when the command line has the word `lab.halt`, else restart.
pub fn wanted_end() -> End {
    let mut text = [0; 4096];
    let len = File::read_only(c"/proc/cmdline").and_then(|file| file.read(&mut text)).unwrap_or(0);
    let words = text.get(..len).unwrap_or(&[]);
    if words.split(u8::is_ascii_whitespace).any(|word| word == b"lab.halt") { End::PowerOff } else { End::Restart }
}

/// The bytes of a file, in the file's own order.
pub fn file<P: FnMut(&[u8])>(lines: &mut Lines<P>, key: &[u8], path: &CStr) {
    let Ok(file) = File::read_only(path) else { return };
    lines.begin(&[key]);
    each_block(file, |block| lines.add(block));
    lines.end();
}

/// The value of the line `system type` in /proc/cpuinfo.
fn system_type<P: FnMut(&[u8])>(lines: &mut Lines<P>) {
    let mut text = [0; 1024];
    let Ok(file) = File::read_only(c"/proc/cpuinfo") else { return };
    let len = file.read(&mut text).unwrap_or(0);
    file.close();
    let text = text.get(..len).unwrap_or(&[]);
    for line in text.split(|&byte| byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"system type") {
            lines.value(b"system", rest.trim_ascii_start().strip_prefix(b":").unwrap_or(rest).trim_ascii());
        }
    }
}

/// Every file of a directory, the key being `prefix` and the file's name.
fn directory<P: FnMut(&[u8])>(lines: &mut Lines<P>, prefix: &[u8], path: &[u8]) {
    /// DT_REG of linux_dirent64.
    const REGULAR: u8 = 8;
    let Ok(list) = File::directory(Path::of(&[path]).as_c()) else { return };
    let mut records = [0u8; 1024];
    while let Ok(len @ 1..) = list.entries(&mut records) {
        let mut rest = records.get(..len).unwrap_or(&[]);
        // d_ino and d_off, eight bytes each, then d_reclen, d_type, d_name.
        while let Some((&[high, low, kind], name)) = rest.get(16..).and_then(|tail| tail.split_first_chunk::<3>()) {
            let name = name.split(|&byte| byte == 0).next().unwrap_or(&[]);
            if kind == REGULAR {
                let path = Path::of(&[path, name]);
                if let Ok(file) = File::read_only(path.as_c()) {
                    lines.begin(&[prefix, name]);
                    each_block(file, |block| lines.add(block));
                    lines.end();
                }
            }
            let size = usize::from(u16::from_ne_bytes([high, low]));
            rest = rest.get(size.max(1)..).unwrap_or(&[]);
        }
    }
    list.close();
}

/// `SIZE CRC`, both in hex, of a file's bytes.
pub fn checksum<P: FnMut(&[u8])>(lines: &mut Lines<P>, key: &[&[u8]], path: &CStr) {
    let Ok(file) = File::read_only(path) else { return };
    let mut size = 0u32;
    let mut crc = CRC32.digest();
    each_block(file, |block| {
        size = size.wrapping_add(block.len() as u32);
        crc.update(block);
    });
    lines.begin(key);
    lines.add_hex(size);
    lines.add(b" ");
    lines.add_hex(crc.finalize());
    lines.end();
}

/// `root` is `MAJOR:MINOR`; for an MTD also its type and name, and for one in RAM `root/data` its checksum.
fn root<P: FnMut(&[u8])>(lines: &mut Lines<P>) {
    let Ok((major, minor)) = device_of(c"/") else { return };
    let (number, mut kind) = (Decimal::of(minor), [0; 16]);
    let number = number.as_bytes();
    lines.begin(&[b"root"]);
    lines.add(Decimal::of(major).as_bytes());
    lines.add(b":");
    lines.add(number);
    lines.end();
    if major != MTD_BLOCK_MAJOR {
        return;
    }
    for what in [b"type".as_slice(), b"name"] {
        let Ok(file) = File::read_only(Path::of(&[b"/sys/class/mtd/mtd", number, b"/", what]).as_c()) else { continue };
        let mut text = [0; 64];
        let len = file.read(&mut text).unwrap_or(0);
        file.close();
        let text = text.get(..len).unwrap_or(&[]).trim_ascii();
        lines.begin(&[b"root/", what]);
        lines.add(text);
        lines.end();
        if what == b"type" {
            kind = [0; 16];
            for (to, from) in kind.iter_mut().zip(text) {
                *to = *from;
            }
        }
    }
    if kind.starts_with(b"ram\0") {
        checksum(lines, &[b"root/data"], Path::of(&[b"/dev/mtdblock", number]).as_c());
    }
}

/// Reads to the end, or to the first failure, and closes.
fn each_block(file: File, mut use_it: impl FnMut(&[u8])) {
    let mut block = [0; 4096];
    while let Ok(len @ 1..) = file.read(&mut block) {
        use_it(block.get(..len).unwrap_or(&[]));
    }
    file.close();
}
