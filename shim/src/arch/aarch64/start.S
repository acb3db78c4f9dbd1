// The first instructions, behind the header of an arm64 Image (Documentation/arch/arm64/booting.rst), so that booti, kexec and
// QEMU place it. They run wherever a loader put them, at EL1 or EL2. Everything reaches code and data by adr: there is nothing
// to relocate (the host tool refuses a shim with an absolute address in it). No unaligned access anywhere: until the caches are
// on, all memory is device memory, which faults on one. The front (.text.start) is stored as it is, with the params behind it;
// everything else is squeezed behind those.

// Branches when this is EL2 with registers of its own; else the names _el1 are right: at EL1, and at EL2 with HCR_EL2.E2H,
// where they are redirected (Arm ARM, D1.3.3).
    .macro at_plain_el2 label, scratch
    mrs   \scratch, CurrentEL
    tbz   \scratch, #3, 9f
    mrs   \scratch, hcr_el2
    tbz   \scratch, #34, \label
9:
    .endm

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
    .word front_end - _start      // how tools find the params
1:
    msr   daifset, #15            // all of them: U-Boot leaves SError unmasked
    mrs   x9, cntvct_el0          // for the report
    // Whoever loaded us may have left parts in the data cache; and what is written from here on until the caches are on
    // goes past them.
    bl    clean_image
    bl    caches_off

    // The rest is unpacked to where it was linked, by ZX0, version 2 (host-tool/src/zx0.rs has the format). x10 source, x11
    // destination, w12 the bits to come with a 1 behind the last one, x13 minus the distance, x14 a number; uses x15 to x17.
    adr   x10, __squeezed
    adr   x11, __rest
    mov   w12, #1 << 31
    mov   x13, #-1
literals:
    bl    one_and_gamma
1:  ldrb  w15, [x10], #1
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  1b
    bl    bit
    b.cs  match
    bl    one_and_gamma
copy:
    ldrb  w15, [x11, x13]
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  copy
    bl    bit
    b.cc  literals
match:
    mov   x14, #-2                // stored inverted, so that this counts down
    bl    gamma
    cmn   x14, #257
    b.eq  unpacked
    add   x14, x14, #1
    ldrb  w15, [x10], #1
    lsr   x16, x15, #1
    add   x13, x16, x14, lsl #7
    mov   x14, #1
    tbnz  w15, #0, 1f             // the length's first bit
    bl    digit
1:  add   x14, x14, #1
    b     copy

// x14: a number in interlaced Elias gamma code, from 1 on; from what is in it; and behind its first bit.
one_and_gamma:
    mov   x14, #1
gamma:
    mov   x17, x30
1:  bl    bit
    b.cs  2f
3:  bl    bit
    adc   x14, x14, x14
    b     1b
2:  ret   x17
digit:
    mov   x17, x30
    b     3b

// Carry: the next bit.
bit:
    adds  w12, w12, w12
    b.ne  1f
    ldrb  w12, [x10], #1
    lsl   w12, w12, #24
    orr   w12, w12, #1 << 23
    adds  w12, w12, w12
1:  ret

unpacked:
    adr   x30, at_rest
    b     code_written

// Writes back and invalidates the data cache over image_size bytes from our first one, to the point of coherency; then
// invalidates the instruction cache. By address: by set and way is not enough with other cores or a system cache. Uses x10 to
// x14.
clean_image:
    adr   x10, _start
    ldr   x11, [x10, #16]
    add   x11, x11, x10
    mrs   x12, ctr_el0
    ubfx  x12, x12, #16, #4       // DminLine: log2 of the words in the smallest line
    mov   x13, #4
    lsl   x12, x13, x12
    sub   x13, x12, #1
    bic   x10, x10, x13
1:  dc    civac, x10
    add   x10, x10, x12
    cmp   x10, x11
    b.lo  1b
code_written:
    dsb   sy
    ic    iallu
    dsb   sy
    isb
    ret

// MMU, data and instruction cache off, as the kernel wants them. A loader that leaves them on (U-Boot's `go`) maps RAM at its
// own addresses. Uses x10 and x11.
caches_off:
    mov   x10, #0x1005            // SCTLR: I, C, M
    at_plain_el2 1f, x11
    mrs   x11, sctlr_el1
    bic   x11, x11, x10
    msr   sctlr_el1, x11
    isb
    tlbi  vmalle1
    b     2f
1:  mrs   x11, sctlr_el2
    bic   x11, x11, x10
    msr   sctlr_el2, x11
    isb
    tlbi  alle2
2:  dsb   sy
    isb
    ret

front_end:

// From here on where the rest was unpacked to.
    .section .text.run, "ax"
at_rest:
    adr   x10, __bss_start
    adr   x11, __bss_end
2:  str   xzr, [x10], #8
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
    // Nobody to return to: U-Boot takes itself apart before it starts a kernel.
3:  wfi
    b     3b

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

// MMU and caches on, with the first table at x0 (level 1, 16 entries). Out of the caches first: what was written past
// them is what counts. Uses x10 to x14.
    .globl caches_on
caches_on:
    mov   x9, x30
    bl    clean_image
    mov   x10, #0xff00            // MAIR: 0 device without any merging, 1 normal write-back
    mov   x12, #30 | 1 << 8 | 1 << 10 | 3 << 12   // TCR: 34 bits of address, 4 KiB granule; walks cached, inner shareable
    at_plain_el2 1f, x11
    orr   x12, x12, #1 << 23      // EPD1: nothing behind TTBR1
    mov   x13, #2
    orr   x12, x12, x13, lsl #32  // IPS: 40 bits
    msr   mair_el1, x10
    msr   tcr_el1, x12
    msr   ttbr0_el1, x0
    isb
    tlbi  vmalle1
    dsb   sy
    isb
    mrs   x11, sctlr_el1
    bl    on_bits
    msr   sctlr_el1, x11
    isb
    ret   x9
1:  movk  x12, #0x8082, lsl #16   // two bits that are always one; PS: 40 bits
    msr   mair_el2, x10
    msr   tcr_el2, x12
    msr   ttbr0_el2, x0
    isb
    tlbi  alle2
    dsb   sy
    isb
    mrs   x11, sctlr_el2
    bl    on_bits
    msr   sctlr_el2, x11
    isb
    ret   x9

on_bits:
    mov   x10, #0x1005            // I, C, M
    orr   x11, x11, x10
    bic   x11, x11, #1 << 19      // WXN: our code is in writable memory
    ret

// What the compiler calls. Words only where both sides are aligned.
    .text
    .globl memcpy
    .globl memmove
memcpy:
memmove:
    sub   x3, x0, x1
    cmp   x3, x2
    b.lo  3f                      // destination begins inside the source: from the end
    mov   x3, x0
    orr   x4, x0, x1
    orr   x4, x4, x2
    add   x2, x2, x1
    tst   x4, #3
    b.ne  2f
1:  cmp   x1, x2
    b.eq  5f
    ldr   w4, [x1], #4
    str   w4, [x3], #4
    b     1b
2:  cmp   x1, x2
    b.eq  5f
    ldrb  w4, [x1], #1
    strb  w4, [x3], #1
    b     2b
3:  cbz   x2, 5f
    sub   x2, x2, #1
    ldrb  w4, [x1, x2]
    strb  w4, [x0, x2]
    b     3b
5:  ret

    .globl memset
memset:
    mov   x3, x0
    add   x2, x2, x0
    orr   x4, x0, x2
    tst   x4, #7
    b.ne  2f
    cbnz  w1, 2f                  // words only for zeros
1:  cmp   x3, x2
    b.eq  5b
    str   xzr, [x3], #8
    b     1b
2:  cmp   x3, x2
    b.eq  5b
    strb  w1, [x3], #1
    b     2b

    .globl memcmp
    .globl bcmp
memcmp:
bcmp:
    add   x2, x2, x0
    mov   x3, x0
1:  mov   w0, wzr
    cmp   x3, x2
    b.eq  2f
    ldrb  w4, [x3], #1
    ldrb  w5, [x1], #1
    subs  w0, w4, w5
    b.eq  1b
2:  ret
