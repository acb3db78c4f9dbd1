# The first instructions, at the first byte of the image. They run at whatever address the bootloader chose, in KSEG0
# or KSEG1, and use no memory before the caches are clean. The front (.text.start) is stored as it is, everything else
# squeezed behind it. a0..a3, s0..s7, gp, sp, fp and ra stay as they came until they are saved, k0 for good: U-Boot keeps
# the pointer to its global data there (arch/mips/include/asm/global_data.h). Position-independent: branches and `bal`
# only, until the jump to the run address.

    .set noreorder
    .set noat
    .section .text.start, "ax"
    .globl _start
_start:
    b     1f
    mfc0  $t8, $9                 # CP0 Count, for the report
    .word 0x53545053              # "STPS", and the front's size: how tools know a shim
    .word front_end - _start
    .word 0                       # Malta puts its revision here when this is the reset vector
1:
    mfc0  $t9, $12                # CP0 Status, for a return to the bootloader
    lui   $t0, 0xffff
    ori   $t0, 0x00e0             # clear IM, KSU, ERL, EXL, IE: kernel mode, interrupts off
    and   $t0, $t9, $t0
    mtc0  $t0, $12
    move  $k1, $ra                # survives: interrupts are off
    bal   1f
    ehb
1:  addiu $t7, $ra, -(1b - _start) # where the image is

    # Whoever copied us here may have left parts in the data cache and old code in the instruction cache.
    bal   take_caches
    nop

    # The frame: what `main` sees as `Frame`, and behind it what the bootloader wants back. s0..s7 and fp are safe: nothing
    # here uses them, and `main` gives them back.
    lui   $t0, %hi(__stack_top)
    addiu $t0, $t0, %lo(__stack_top)
    sw    $sp, -4($t0)
    addiu $sp, $t0, -64
    sw    $a0, 16($sp)
    sw    $a1, 20($sp)
    sw    $a2, 24($sp)
    sw    $a3, 28($sp)
    sw    $t8, 32($sp)
    sw    $t7, 36($sp)
    sw    $k1, 40($sp)
    sw    $t9, 44($sp)
    sw    $gp, 48($sp)
    sw    $t6, 52($sp)            # Config

# From here on at the run address only.
    .section .text.run, "ax"
at_run_address:
    lui   $t0, %hi(__bss_start)
    addiu $t0, $t0, %lo(__bss_start)
    lui   $t1, %hi(__bss_end)
    addiu $t1, $t1, %lo(__bss_end)
5:  addiu $t0, $t0, 4
    bne   $t0, $t1, 5b
    sw    $zero, -4($t0)

    jal   main
    addiu $a0, $sp, 16

    # Back to the bootloader's `go`, with the error's number in v0; KSEG0 as it was.
    move  $t8, $v0
    lw    $v0, 52($sp)
    bal   change_caches
    move  $at, $zero
    move  $v0, $t8
    lw    $ra, 40($sp)
    lw    $t9, 44($sp)
    lw    $gp, 48($sp)
    lw    $sp, 60($sp)
    mtc0  $t9, $12
    jr.hb $ra
    nop

# The jump, with the kernel's four registers: a0 = their address, a1 = entry point. Never returns.
    .globl leave
leave:
    move  $s0, $a0
    bal   sync_caches
    move  $t9, $a1
    lw    $a1, 4($s0)
    lw    $a2, 8($s0)
    lw    $a3, 12($s0)
    lw    $a0, 0($s0)
    jr.hb $t9
    nop
