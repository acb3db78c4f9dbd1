//! The o32 ABI (arch/mips/kernel/syscalls/syscall_o32.tbl).

use core::arch::{asm, global_asm};

// The kernel enters with the stack pointer at argc; nothing above it is needed, so the frame only keeps the ABI's
// 16 bytes of argument space. `noreorder` because the delay slot is ours.
global_asm!(
    ".globl __start",
    ".set push",
    ".set noreorder",
    "__start:",
    "addiu $sp, $sp, -32",
    "jal main",
    "move $ra, $zero",
    ".set pop",
);

pub const EXIT: u32 = 4001;
pub const READ: u32 = 4003;
pub const WRITE: u32 = 4004;
pub const CLOSE: u32 = 4006;
pub const MOUNT: u32 = 4021;
pub const SYNC: u32 = 4036;
pub const IOCTL: u32 = 4054;
pub const REBOOT: u32 = 4088;
pub const SYSLOG: u32 = 4103;
pub const GETDENTS64: u32 = 4219;
pub const STATX: u32 = 4366;
pub const MKDIRAT: u32 = 4289;
pub const UMOUNT2: u32 = 4052;
pub const DELETE_MODULE: u32 = 4129;
pub const FINIT_MODULE: u32 = 4348;
pub const OPENAT: u32 = 4288;
/// O_DIRECTORY.
pub const DIRECTORY: usize = 0x1_0000;

/// One call, and its negative errno. A failure is told by a3, its errno is in v0.
///
/// # Safety
/// What the call reads and writes through pointer arguments must be valid for it.
pub unsafe fn call(number: u32, a: [usize; 5]) -> Result<usize, i32> {
    let [a0, a1, a2, a3, a4] = a;
    let value: usize;
    let failed: usize;
    // SAFETY: the fifth argument goes to 16($sp) of a frame made here; clobbers are those of the o32 system call
    // convention. The pointers are the caller's promise.
    unsafe {
        asm!(
            "addiu $sp, $sp, -32",
            "sw $8, 16($sp)",
            "syscall",
            "addiu $sp, $sp, 32",
            inlateout("$2") number as usize => value,
            in("$4") a0,
            in("$5") a1,
            in("$6") a2,
            inlateout("$7") a3 => failed,
            inlateout("$8") a4 => _,
            lateout("$3") _,
            lateout("$9") _,
            lateout("$10") _,
            lateout("$11") _,
            lateout("$12") _,
            lateout("$13") _,
            lateout("$14") _,
            lateout("$15") _,
            lateout("$24") _,
            lateout("$25") _,
        );
    }
    if failed == 0 { Ok(value) } else { Err(-(value as i32)) }
}
