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

    # KSEG0 write-back, where a bootloader left it write-through (Config.K0 = 0 or 1). Uncached stays: its caches may
    # never have been initialised.
    mfc0  $t0, $16
    andi  $t1, $t0, 7
    sltiu $t1, $t1, 2
    beqz  $t1, 2f
    li    $t2, 3
    ins   $t0, $t2, 0, 3
    mtc0  $t0, $16
2:
    # Whoever copied us here may have left parts in the data cache and old code in the instruction cache.
    bal   sync_caches
    ehb

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

    # The front goes to the run address as it is, the rest unpacked behind it: stoop_core::squeeze has the model, squeeze.rs
    # of the host tool the stream. t7 source; t1 destination and one word more, since the stream's first word is copied
    # along; t2 the end of that and the first weight. The run address is a multiple of 64 KiB.
    lui   $t1, %hi(front_end)     # the same as of _start
    addiu $t2, $t1, %lo(front_end)
3:  lw    $t4, 0($t7)
    addiu $t7, $t7, 4
    sw    $t4, 0($t1)
    bne   $t1, $t2, 3b
    addiu $t1, $t1, 4
    lui   $t2, %hi(__move_end + 4)
    addiu $t2, $t2, %lo(__move_end + 4)
    ori   $a0, $zero, {WEIGHTS}
    addu  $at, $t2, $a0
4:  addiu $at, $at, -1
    bne   $at, $t2, 4b
    sb    $zero, 0($at)
    # t3 range, t4 code, t5 ring, t6 its next bit, t0 the field's bits so far, a1 spread, ra masks.
    li    $t3, -1
    lui   $a1, {SPREAD} >> 16
    ori   $a1, $a1, {SPREAD} & 0xffff
    move  $t5, $zero
    lui   $t6, 0x8000
    bal   bit
    move  $t0, $zero
    .word {MASK0}, {MASK1}, {MASK2}, {MASK3}, {MASK4}, {MASK5}
more:
    lbu   $at, 0($t7)
    addiu $t7, $t7, 1
    sll   $t3, $t3, 8
    sll   $t4, $t4, 8
    or    $t4, $t4, $at
bit:
    srl   $at, $t3, 24
    beqz  $at, more
    mul   $t8, $t6, $a1
    addu  $t8, $t8, $t0
    move  $v1, $zero
    # Once to sum the weights, once more if they are to move by v1.
pass:
    move  $t9, $ra
    move  $v0, $zero
5:  lw    $k1, 0($t9)
    and   $at, $t5, $k1
    addu  $at, $at, $k1
    xor   $at, $at, $t8
    mul   $at, $at, $a1
    multu $at, $a0
    mfhi  $at
    addu  $at, $at, $t2
    lb    $a3, 0($at)
    addu  $v0, $v0, $a3
    addu  $a3, $a3, $v1
    seb   $gp, $a3
    beql  $gp, $a3, 6f
    sb    $a3, 0($at)
6:  bnez  $k1, 5b
    addiu $t9, $t9, 4
    bnez  $v1, moved
    sra   $gp, $v0, 31            # gp: all ones when a 0 is likely
    xor   $v0, $v0, $gp
    addiu $v0, $v0, {NEAR}
    mul   $v0, $v0, $v0
    srl   $v0, $v0, 6
    mul   $v0, $v0, $v0
    srl   $v0, $v0, 15
    mul   $v0, $v0, $v0
    lui   $at, {HALF}
    addu  $v0, $v0, $at
    lui   $at, {SCALE}
    divu  $zero, $at, $v0
    mflo  $v0                     # how likely the unlikely bit is
    srl   $at, $t3, 12
    mul   $at, $at, $v0
    sltu  $k1, $t4, $at           # k1: the unlikely bit
    subu  $t3, $t3, $at
    movn  $t3, $at, $k1
    movn  $at, $zero, $k1
    subu  $t4, $t4, $at
    addiu $a2, $gp, 1
    xor   $a2, $a2, $k1           # a2: the bit
    sll   $k1, $k1, 12
    subu  $v0, $v0, $k1
    addiu $v0, $v0, 128
    sra   $v0, $v0, 8
    xor   $v1, $v0, $gp
    bnez  $v0, pass
    subu  $v1, $v1, $gp
moved:
    or    $t5, $t5, $t6
    xor   $at, $t5, $t6
    movz  $t5, $at, $a2
    sll   $t0, $t0, 1
    or    $t0, $t0, $a2
    lui   $at, {FIELDS} >> 16
    ori   $at, $at, {FIELDS} & 0xffff
    and   $at, $at, $t6
    srl   $t6, $t6, 1
    bnez  $t6, bit
    movn  $t0, $zero, $at
    sw    $t5, -4($t1)
    addiu $t1, $t1, 4
    bne   $t1, $t2, bit
    lui   $t6, 0x8000

    # Returns to the rest.
    lui   $ra, %hi(at_run_address)
    b     sync_caches
    addiu $ra, $ra, %lo(at_run_address)

# Writes back and invalidates the whole data cache and L2, then invalidates the instruction cache, by index; geometry
# from Config1 and Config2 (MIPS32 PRA volume III; arch/mips/mm/c-r4k.c: probe_pcache, sc-mips.c). Uses t0..t5 and v1, no
# memory.
    .globl sync_caches
sync_caches:
    move  $v1, $ra
    ins   $v1, $zero, 29, 1       # return to KSEG0, so that what follows runs cached
    mfc0  $t0, $16, 1
    bal   geometry
    srl   $t1, $t0, 7             # data cache: ways 2:0, line 5:3, sets 8:6
    beqz  $t2, 2f
    nop
1:  cache 0x01, 0($t4)            # index write-back invalidate D
    bne   $t4, $t5, 1b
    addu  $t4, $t4, $t2
2:  bgez  $t0, 4f                 # no Config2
    nop
    mfc0  $t1, $16, 2
    ext   $t2, $t1, 4, 4          # L2: ways 3:0, line 7:4, sets 11:8 counted from 64, bypassed when bit 12
    beqz  $t2, 4f
    ext   $t3, $t1, 12, 1
    bnez  $t3, 4f
    ext   $t3, $t1, 8, 4
    addiu $t3, $t3, 1
    bal   size
    andi  $t5, $t1, 15
3:  cache 0x03, 0($t4)            # index write-back invalidate S
    bne   $t4, $t5, 3b
    addu  $t4, $t4, $t2
4:  sync
    bal   geometry
    srl   $t1, $t0, 16            # instruction cache: the same fields
    beqz  $t2, 6f
    nop
5:  cache 0x00, 0($t4)            # index invalidate I
    bne   $t4, $t5, 5b
    addu  $t4, $t4, $t2
6:  jr.hb $v1
    nop

# In: t1. Out: t2 line size (0: no such cache), t4 first index address, t5 last one. Uses t3.
geometry:
    ext   $t2, $t1, 3, 3
    beqz  $t2, 7f
    ext   $t3, $t1, 6, 3
    addiu $t3, $t3, 1
    andi  $t3, $t3, 7
    andi  $t5, $t1, 7
# In: t2 line's code, t3 code of the sets counted from 32, t5 ways - 1. Out: as above.
size:
    addiu $t5, $t5, 1
    sll   $t5, $t5, 6             # ways * 32 sets * 2 bytes
    sllv  $t5, $t5, $t2
    sllv  $t5, $t5, $t3
    li    $t4, 2
    sllv  $t2, $t4, $t2
    subu  $t5, $t5, $t2
7:  lui   $t4, 0x8000
    jr    $ra
    addu  $t5, $t5, $t4

front_end:

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

    # Back to the bootloader's `go`, with the error's number in v0.
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

# What the compiler calls for moving, filling and comparing bytes: small, by words where both ends allow it.
    .globl memcpy
    .globl memmove
memcpy:
memmove:
    move  $v0, $a0
    subu  $t0, $a0, $a1
    sltu  $t0, $t0, $a2
    bnez  $t0, 3f                 # destination begins inside the source: from the end
    or    $t0, $a0, $a1
    or    $t0, $t0, $a2
    andi  $t0, $t0, 3
    addu  $a2, $a2, $a1
    bnez  $t0, 2f
    nop
1:  beq   $a1, $a2, 5f
    addiu $a1, $a1, 4
    lw    $t0, -4($a1)
    sw    $t0, 0($a0)
    b     1b
    addiu $a0, $a0, 4
2:  beq   $a1, $a2, 5f
    addiu $a1, $a1, 1
    lbu   $t0, -1($a1)
    sb    $t0, 0($a0)
    b     2b
    addiu $a0, $a0, 1
3:  addu  $t1, $a0, $a2
    addu  $a2, $a2, $a1
4:  beq   $a2, $a1, 5f
    addiu $a2, $a2, -1
    lbu   $t0, 0($a2)
    addiu $t1, $t1, -1
    b     4b
    sb    $t0, 0($t1)
5:  jr    $ra
    nop

    .globl memset
memset:
    move  $v0, $a0
    addu  $a2, $a2, $a0
    or    $t0, $a0, $a2
    andi  $t0, $t0, 3
    or    $t0, $t0, $a1
    bnez  $t0, 2f                 # words only for zeros
    nop
1:  beq   $a0, $a2, 5b
    addiu $a0, $a0, 4
    b     1b
    sw    $zero, -4($a0)
2:  beq   $a0, $a2, 5b
    addiu $a0, $a0, 1
    b     2b
    sb    $a1, -1($a0)

    .globl memcmp
    .globl bcmp
memcmp:
bcmp:
    addu  $a2, $a2, $a0
1:  beq   $a0, $a2, 2f
    move  $v0, $zero
    lbu   $t0, 0($a0)
    lbu   $t1, 0($a1)
    addiu $a0, $a0, 1
    subu  $v0, $t0, $t1
    beqz  $v0, 1b
    addiu $a1, $a1, 1
2:  jr    $ra
    nop
