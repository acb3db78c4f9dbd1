// From the image's first byte to Rust, behind the header of an arm64 Image (Documentation/arch/arm64/booting.rst), so that booti,
// kexec and QEMU place it. It runs wherever a loader put it, at EL1 or EL2. unpack.S makes the shim of what is stored behind it,
// cache.S has the caches and the MMU, mem.S what the compiler calls.
//
// Everything reaches code and data by adr: there is nothing to relocate (the host tool refuses a shim with an absolute address
// in it). No unaligned access anywhere: until the caches are on, all memory is device memory, which faults on one.

    .section .text.start, "ax"
    .globl _start
_start:
    b     1f
    .word 0x53545053              // "STPS": how tools know a shim
    .quad 0                       // text_offset, from pack: the kernel then lies at a multiple of 2 MiB
    .quad 0                       // image_size, from pack: everything that the boot needs
    .quad 0xa                     // flags: little-endian, 4 KiB pages, anywhere in RAM
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .word 0                       // no EFI
stored:
    .2byte 0, 0                   // from pack: bytes that are stored; where in them the params are
1:
    msr   daifset, #15            // all of them: U-Boot leaves SError unmasked
    mrs   x9, cntvct_el0          // for the report

    // Nothing is written before what is stored was found whole.
    adr   x10, stored
    ldrh  w11, [x10]
    adr   x10, _start
    add   x11, x11, x10
    bl    sum
    cbnz  w12, damaged

    // Whoever loaded us may have left parts in the data cache; and what is written from here on until the caches are on
    // goes past them.
    bl    clean_image
    bl    caches_off
    bl    unpack
    cbnz  w12, damaged
    adr   x30, unpacked
    b     code_written

// Nobody to return to: U-Boot takes itself apart before it starts a kernel. PSCI's SYSTEM_RESET (Arm DEN 0022, 5.11), of the
// firmware above us.
damaged:
    mov   w0, #0x84000000
    add   w0, w0, #9
    mrs   x1, CurrentEL
    tbz   x1, #3, 1f
    smc   #0
    b     halt
1:  hvc   #0
halt:
    wfi
    b     halt

// From here on where the rest was unpacked to.
    .section .text.run, "ax"
unpacked:
    adr   x10, __bss_start
    adr   x11, __bss_end
2:  stp   xzr, xzr, [x10], #16
    cmp   x10, x11
    b.ne  2b

    // The frame is what `main` sees as `Frame`.
    adr   x10, __stack_top
    sub   sp, x10, #48
    stp   x0, x1, [sp]
    stp   x2, x3, [sp, #16]
    adr   x10, _start
    stp   x9, x10, [sp, #32]
    mov   x29, xzr
    mov   x30, xzr
    mov   x0, sp
    bl    main
    b     halt

// The jump, with the kernel's four registers: x0 = their address, x1 = entry point. Never returns.
    .globl leave
leave:
    ldp   x4, x5, [x0]
    ldp   x6, x7, [x0, #16]
    bl    clean_image             // all that was written is in it
    bl    caches_off
    mov   x0, x4
    mov   x8, x1
    mov   x1, x5
    mov   x2, x6
    mov   x3, x7
    br    x8

// The decoders' memory: nobody clears it.
    .section .scratch, "aw", @nobits
    .balign 16
    .globl __tables
__tables:
    .space {TABLES}
