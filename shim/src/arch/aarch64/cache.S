// The caches, by address, and the MMU.

// Branches when this is EL2 with registers of its own; else the names _el1 are right: at EL1, and at EL2 with HCR_EL2.E2H,
// where they are redirected and TCR has the layout of EL1 (Arm ARM, D1.3.3).
    .macro at_plain_el2 label, scratch
    mrs   \scratch, CurrentEL
    tbz   \scratch, #3, 9f
    mrs   \scratch, hcr_el2
    tbz   \scratch, #34, \label
9:
    .endm

// No translation of our regime stays in the TLB. ALLE2 is right with and without E2H; VMALLE1 at EL2 would, unless TGE is set as
// well, be about somebody else's EL1 (Arm ARM, TLBI VMALLE1). Of what was written in front of it, a `dsb` has made sure.
    .macro forget_translations scratch
    mrs   \scratch, CurrentEL
    tbz   \scratch, #3, 8f
    tlbi  alle2
    b     9f
8:  tlbi  vmalle1
9:  dsb   sy
    isb
    .endm

    .section .text.start, "ax"

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
    b     2f
1:  mrs   x11, sctlr_el2
    bic   x11, x11, x10
    msr   sctlr_el2, x11
2:  isb
    forget_translations x11
    ret


    .section .text.run, "ax"
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
    forget_translations x11
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
    forget_translations x11
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

// The eight bytes at x0, a multiple of 8, while the MMU is off; 0 where reading them is an error. For that the vectors lie at x1
// meanwhile, a free page, where only the two of a fault here have code. Uses x2 to x6.
    .globl peek
peek:
    adr   x2, 4f
    ldr   x2, [x2]
    str   x2, [x1]                // by the stack pointer of EL0
    str   x2, [x1, #0x200]        // by our own
    dsb   sy
    ic    iallu
    dsb   sy
    isb
    mov   x6, x0
    mov   x0, xzr
    at_plain_el2 2f, x3
    mrs   x5, vbar_el1
    adr   x4, 1f
    msr   vbar_el1, x1
    isb
    ldr   x0, [x6]
    dsb   sy
1:  msr   vbar_el1, x5
    isb
    ret
2:  mrs   x5, vbar_el2
    adr   x4, 3f
    msr   vbar_el2, x1
    isb
    ldr   x0, [x6]
    dsb   sy
3:  msr   vbar_el2, x5
    isb
    ret
    .balign 8
4:  mov   x0, xzr                 // what a fault runs
    br    x4
