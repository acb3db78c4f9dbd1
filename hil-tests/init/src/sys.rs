//! Linux system calls: the only unsafe code of this program. The architectures' own files have numbers and the call.

use core::ffi::CStr;

#[cfg_attr(target_arch = "mips", path = "sys/mips.rs")]
#[cfg_attr(target_arch = "aarch64", path = "sys/aarch64.rs")]
mod arch;

use arch::{
    CLOSE, DELETE_MODULE, DIRECTORY, EXIT, FINIT_MODULE, GETDENTS64, IOCTL, MKDIRAT, MOUNT, OPENAT, READ, REBOOT,
    STATX, SYNC, SYSLOG, UMOUNT2, WRITE, call,
};

/// A negative errno, from a call that failed.
pub type Errno = i32;

/// Paths count from the working directory.
const AT_FDCWD: usize = -100i32 as isize as usize;

/// An open file; closed by [`File::close`], or by the end of the program.
#[derive(Clone, Copy)]
pub struct File(usize);

impl File {
    /// What the kernel opened for PID 1.
    pub const STDOUT: File = File(1);

    /// Opens with the flags O_RDONLY, 0, or O_RDWR, 2, and O_DIRECTORY.
    fn open(path: &CStr, flags: usize) -> Result<File, Errno> {
        // SAFETY: the path is NUL-terminated and only read.
        unsafe { call(OPENAT, [AT_FDCWD, path.as_ptr() as usize, flags, 0, 0]) }.map(File)
    }

    /// For reading.
    pub fn read_only(path: &CStr) -> Result<File, Errno> {
        Self::open(path, 0)
    }

    /// For reading and writing.
    pub fn read_write(path: &CStr) -> Result<File, Errno> {
        Self::open(path, 2)
    }

    /// To list it.
    pub fn directory(path: &CStr) -> Result<File, Errno> {
        Self::open(path, DIRECTORY)
    }

    /// How many bytes were read; 0 at the end.
    pub fn read(self, to: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most the slice's length.
        unsafe { call(READ, [self.0, to.as_mut_ptr() as usize, to.len(), 0, 0]) }
    }

    /// Writes everything; gives up silently, since there is nobody to tell.
    pub fn write(self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // SAFETY: the kernel reads at most the slice's length.
            match unsafe { call(WRITE, [self.0, bytes.as_ptr() as usize, bytes.len(), 0, 0]) } {
                Ok(done) if done > 0 => bytes = bytes.get(done..).unwrap_or(&[]),
                _ => return,
            }
        }
    }

    /// Fills `to` with records of linux_dirent64; how many bytes, 0 at the end.
    pub fn entries(self, to: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most the slice's length.
        unsafe { call(GETDENTS64, [self.0, to.as_mut_ptr() as usize, to.len(), 0, 0]) }
    }

    /// tcdrain(3): TCSBRK, 0x5405, with a non-zero argument waits until the UART has sent everything.
    pub fn drain(self) {
        // SAFETY: this ioctl takes a number.
        let _ = unsafe { call(IOCTL, [self.0, 0x5405, 1, 0, 0]) };
    }

    /// Loads this file as a kernel module, without parameters.
    pub fn load_module(self) -> Result<(), Errno> {
        // SAFETY: the parameters are a NUL-terminated string, only read; no flags.
        unsafe { call(FINIT_MODULE, [self.0, c"".as_ptr() as usize, 0, 0, 0]) }.map(|_| ())
    }

    /// Gives the descriptor back.
    pub fn close(self) {
        // SAFETY: takes a number.
        let _ = unsafe { call(CLOSE, [self.0, 0, 0, 0, 0]) };
    }
}

/// Mounts the file system `kind` at `target`.
pub fn mount(kind: &CStr, target: &CStr) -> Result<(), Errno> {
    let kind = kind.as_ptr() as usize;
    // SAFETY: NUL-terminated strings, only read; no flags and no data.
    unsafe { call(MOUNT, [kind, target.as_ptr() as usize, kind, 0, 0]) }.map(|_| ())
}

/// Mounts the file system `kind` of a block device at `target`, with MS_RDONLY.
pub fn mount_read_only(kind: &CStr, device: &CStr, target: &CStr) -> Result<(), Errno> {
    let words = [device.as_ptr() as usize, target.as_ptr() as usize, kind.as_ptr() as usize, 1, 0];
    // SAFETY: NUL-terminated strings, only read; no data.
    unsafe { call(MOUNT, words) }.map(|_| ())
}

/// Unmounts what is mounted there.
pub fn unmount(target: &CStr) -> Result<(), Errno> {
    // SAFETY: a NUL-terminated string, only read; no flags.
    unsafe { call(UMOUNT2, [target.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Makes a directory, mode 0755.
pub fn make_directory(path: &CStr) -> Result<(), Errno> {
    // SAFETY: a NUL-terminated string, only read.
    unsafe { call(MKDIRAT, [AT_FDCWD, path.as_ptr() as usize, 0o755, 0, 0]) }.map(|_| ())
}

/// Unloads a module that nobody uses; with O_NONBLOCK, 0x80 here, it does not wait until that is so.
pub fn unload_module(name: &CStr) -> Result<(), Errno> {
    // SAFETY: a NUL-terminated string, only read.
    unsafe { call(DELETE_MODULE, [name.as_ptr() as usize, 0x80, 0, 0, 0]) }.map(|_| ())
}

/// Major and minor number of the device that holds `path`.
pub fn device_of(path: &CStr) -> Result<(u32, u32), Errno> {
    let mut stat = [0u32; 64];
    // SAFETY: struct statx has 256 bytes, as the array has.
    unsafe { call(STATX, [AT_FDCWD, path.as_ptr() as usize, 0, 0, stat.as_mut_ptr() as usize]) }?;
    // stx_dev_major and stx_dev_minor are at 0x88 and 0x8c.
    Ok((stat[0x88 / 4], stat[0x8c / 4]))
}

/// Lets only emergencies reach the console (SYSLOG_ACTION_CONSOLE_LEVEL).
pub fn silence_kernel() {
    // SAFETY: no pointer is used by this action.
    let _ = unsafe { call(SYSLOG, [8, 0, 1, 0, 0]) };
}

/// How the machine ends.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum End {
    /// LINUX_REBOOT_CMD_RESTART
    Restart = 0x0123_4567,
    /// LINUX_REBOOT_CMD_POWER_OFF; halts where nothing can cut the power.
    PowerOff = 0x4321_fedc,
}

/// Ends the machine; should the kernel refuse, the program, which panics the kernel audibly.
pub fn reboot(how: End) -> ! {
    // SAFETY: these calls take numbers, the two magic ones of reboot(2) among them.
    unsafe {
        let _ = call(SYNC, [0; 5]);
        let _ = call(REBOOT, [0xfee1_dead, 672_274_793, how as usize, 0, 0]);
        loop {
            let _ = call(EXIT, [1, 0, 0, 0, 0]);
        }
    }
}
