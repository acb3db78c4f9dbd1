# Start code falls into this; it goes on at the run address.

    .section .text.start, "ax"
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
