//! The arm64 ABI (include/uapi/asm-generic/unistd.h).

use core::arch::{asm, global_asm};

// The kernel enters with the stack pointer, aligned, at argc; nothing above it is needed.
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl main");

pub const EXIT: u32 = 93;
pub const READ: u32 = 63;
pub const WRITE: u32 = 64;
pub const CLOSE: u32 = 57;
pub const MOUNT: u32 = 40;
pub const SYNC: u32 = 81;
pub const IOCTL: u32 = 29;
pub const REBOOT: u32 = 142;
pub const SYSLOG: u32 = 116;
pub const GETDENTS64: u32 = 61;
pub const STATX: u32 = 291;
pub const MKDIRAT: u32 = 34;
pub const UMOUNT2: u32 = 39;
pub const DELETE_MODULE: u32 = 106;
pub const FINIT_MODULE: u32 = 273;
pub const OPENAT: u32 = 56;
/// O_DIRECTORY.
pub const DIRECTORY: usize = 0x4000;

/// One call, and its negative errno. A failure is a result between -4095 and -1.
///
/// # Safety
/// What the call reads and writes through pointer arguments must be valid for it.
pub unsafe fn call(number: u32, a: [usize; 5]) -> Result<usize, i32> {
    let [a0, a1, a2, a3, a4] = a;
    let value: usize;
    // SAFETY: the kernel keeps every register but x0. The pointers are the caller's promise.
    unsafe {
        asm!("svc #0", in("x8") number as usize, inlateout("x0") a0 => value, in("x1") a1, in("x2") a2, in("x3") a3, in("x4") a4);
    }
    if value > usize::MAX - 4095 { Err(value as isize as i32) } else { Ok(value) }
}
