# From the image's first byte to Rust, and back to the bootloader. It runs at whatever address the bootloader chose, in KSEG0 or
# KSEG1. unpack.S makes the shim of what is stored behind it, cache.S has the caches, mem.S what the compiler calls.
#
# a0..a3, s0..s7, gp, sp, fp and ra stay as they came until they are saved, k0 for good: U-Boot keeps the pointer to its
# global data there (arch/mips/include/asm/global_data.h).
#
# Linked at 0, and everything is within 64 KiB: a symbol's low half is its distance from the shim's first byte, and the only
# way to an address is to add where that is. Calls are `bal`, data is reached by gp (docs/decisions.md).

    .set noreorder
    .set noat
    .section .text.start, "ax"
    .globl _start
_start:
    b     1f
    mfc0  $t8, $9                 # CP0 Count, for the report
    .word 0x53545053              # "STPS": how tools know a shim
    .word 0                       # free
    .word 0                       # Malta puts its revision here when this is the reset vector
    .2byte 0, 0                   # from pack, and the first that is checked: bytes that are stored; where in them the params are
    .word 0                       # from pack: the run address, in KSEG0
1:
    mfc0  $t9, $12                # CP0 Status, for a return to the bootloader
    lui   $t0, 0xffff
    ori   $t0, 0x00e0             # clear IM, KSU, ERL, EXL, IE: kernel mode, interrupts off
    and   $t0, $t9, $t0
    lui   $t1, 0x40               # BEV: the bootloader's vectors in RAM may be overwritten by what is delivered, those in ROM not
    or    $t0, $t0, $t1
    mtc0  $t0, $12
    move  $k1, $ra                # survives: interrupts are off
    bal   1f
    ehb
1:  addiu $t7, $ra, -(1b - _start) # where the image is

    # Whoever copied us here may have left parts in the data cache and old code in the instruction cache.
    bal   take_caches
    nop
    move  $t4, $t8
    move  $t8, $t6                # Config as it was, for the way back

    # Nothing is written before what is stored was found whole.
    lhu   $t1, 20($t7)            # bytes that are stored
    addiu $t0, $t7, 20            # what is checked
    bal   sum
    addu  $t1, $t1, $t7
    bnez  $v0, back
    li    $v0, {DAMAGED}

    # The frame, at the run address: what `main` sees as `Frame`, and behind it what the bootloader wants back. s0..s7 and fp
    # are safe: nothing here uses them, and `main` gives them back.
    lw    $t6, 24($t7)            # run address
    ori   $t0, $zero, %lo(__stack_top)
    addu  $t0, $t0, $t6
    sw    $a0, -48($t0)
    sw    $a1, -44($t0)
    sw    $a2, -40($t0)
    sw    $a3, -36($t0)
    sw    $t4, -32($t0)
    sw    $t7, -28($t0)
    sw    $k1, -24($t0)
    sw    $t9, -20($t0)
    sw    $gp, -16($t0)
    sw    $t8, -12($t0)
    sw    $sp, -4($t0)

    bal   unpack
    nop
    bnez  $v0, back
    li    $v0, {DAMAGED}
    # Returns to what was unpacked.
    ori   $ra, $zero, %lo(unpacked)
    b     sync_caches
    addu  $ra, $ra, $t6

# To the bootloader's `go`, with the error's number in v0; k1 where, t9 its Status, t8 its Config, everything else as it was.
back:
    move  $a0, $v0
    move  $v0, $t8
    bal   change_caches
    move  $at, $zero
    move  $v0, $a0
    mtc0  $t9, $12
    jr.hb $k1
    nop

# From here on at the run address only, which is in t6.
    .section .text.run, "ax"
unpacked:
    ori   $sp, $zero, %lo(__stack_top - 64)
    addu  $sp, $sp, $t6
    addiu $gp, $t6, %lo(_gp)
    addiu $t0, $gp, %gp_rel(__bss_start)
    addiu $t1, $gp, %gp_rel(__bss_end)
1:  addiu $t0, $t0, 32
    .irp at, -32, -28, -24, -20, -16, -12, -8
    sw    $zero, \at($t0)
    .endr
    bne   $t0, $t1, 1b
    sw    $zero, -4($t0)

    bal   main
    addiu $a0, $sp, 16

    lw    $k1, 40($sp)
    lw    $t9, 44($sp)
    lw    $t8, 52($sp)
    lw    $gp, 48($sp)
    b     back
    lw    $sp, 60($sp)

# The jump, with the kernel's four registers: a0 = their address, a1 = entry point. Never returns.
    .globl leave
leave:
    move  $s0, $a0
    move  $s1, $a1
    bal   sync_caches
    addiu $s2, $gp, %gp_rel(__stack_top - 64)
    # Status.BEV as the bootloader had it.
    lw    $t0, 44($s2)
    lui   $t1, 0xffff
    ori   $t1, 0x00e0
    and   $t0, $t0, $t1
    mtc0  $t0, $12
    move  $t9, $s1
    lw    $a1, 4($s0)
    lw    $a2, 8($s0)
    lw    $a3, 12($s0)
    lw    $a0, 0($s0)
    jr.hb $t9
    nop

# The decoders' memory: nobody clears it.
    .section .scratch, "aw", @nobits
    .balign 16
    .globl __tables
__tables:
    .space {TABLES}
