# What is stored becomes the shim at its run address: the stub as it is, the rest by ZX0, version 2 (host-tool/image/src/zx0.rs has the
# format), and the params as they are. A damaged stream writes nothing outside the room for the rest, and reads at most 32 KiB
# in front of what it has written.

    .section .text.start, "ax"

# The sign of t4 becomes the next bit; whoever branches by it shifts it out.
    .macro next_bit
    bgezal $t1, more
    addiu $t1, $t1, 1
    .endm

# t3: where t0 bytes from a0 on end, if there is room for them.
    .macro room_for_t0
    subu  $t3, $a3, $a0
    addiu $at, $t0, -1
    sltu  $at, $at, $t3
    beqz  $at, damaged
    addu  $t3, $a0, $t0
    .endm

# v0: the sum of the words from t0 up to t1, at least one, 0 for what is whole: its last word makes it so
# (host-tool/image/src/shim_image.rs: sum). Uses t2 and t3.
sum:
    move  $v0, $zero
1:  lw    $t2, 0($t0)
    addiu $t0, $t0, 4
    sltu  $t3, $t0, $t1
    rotr  $v0, $v0, 13
    addu  $t2, $t2, $v0
    sll   $v0, $v0, 2
    bnez  $t3, 1b
    addu  $v0, $v0, $t2
    jr    $ra
    nop

# In: t6 run address, t7 image. Out: v0 is 0 when the rest is whole. Uses at, v1, a0..a3, t0..t5 and t7.
unpack:
    move  $v1, $ra
    lhu   $a2, 12($t7)            # bytes that are stored
    addu  $a2, $a2, $t7           # a2: behind what is stored
    ori   $a3, $zero, %lo(__params)
    addu  $a3, $a3, $t6           # a3: behind the rest
    ori   $t1, $zero, %lo(__rest)
    addu  $t1, $t1, $t6
    move  $a0, $t6
1:  lw    $t2, 0($t7)
    addiu $t7, $t7, 4
    addiu $a0, $a0, 4
    bne   $a0, $t1, 1b
    sw    $t2, -4($a0)

    # t7 source, a0 destination; t4 the bits to come from the highest on, t1 minus their number; t5 minus the distance. Counts of
    # one are the commonest and have ways of their own.
    move  $t1, $zero
    li    $t5, -1
literals:
    next_bit
    bltz  $t4, 2f
    sll   $t4, $t4, 1
    bal   digits
    li    $t0, 1
    room_for_t0
1:  lbu   $t2, 0($t7)
    addiu $t7, $t7, 1
    addiu $a0, $a0, 1
    bne   $a0, $t3, 1b
    sb    $t2, -1($a0)
    b     3f
    nop
2:  beq   $a0, $a3, damaged
    lbu   $t2, 0($t7)
    addiu $t7, $t7, 1
    sb    $t2, 0($a0)
    addiu $a0, $a0, 1
3:  next_bit
    bltz  $t4, match
    sll   $t4, $t4, 1
    li    $t0, 1
    next_bit
    bltz  $t4, copy
    sll   $t4, $t4, 1
    bal   digits
    nop
copy:
    room_for_t0
    addu  $t2, $a0, $t5
1:  lbu   $at, 0($t2)
    addiu $t2, $t2, 1
    addiu $a0, $a0, 1
    bne   $a0, $t3, 1b
    sb    $at, -1($a0)
    next_bit
    bgez  $t4, literals
    sll   $t4, $t4, 1
match:
    li    $t0, -2                 # stored inverted, so that this counts down
    next_bit
    bltz  $t4, 1f
    sll   $t4, $t4, 1
    bal   digits
    nop
1:  sltiu $at, $t0, -257          # so the distance is at most 32 KiB
    bnez  $at, damaged
    addiu $t2, $t0, 257
    beqz  $t2, params
    addiu $t0, $t0, 1
    lbu   $t2, 0($t7)
    addiu $t7, $t7, 1
    sll   $t5, $t0, 7
    srl   $t3, $t2, 1
    addu  $t5, $t5, $t3
    andi  $t2, $t2, 1             # the length's first bit
    bnez  $t2, copy
    li    $t0, 2
    bal   digits
    li    $t0, 1
    b     copy
    addiu $t0, $t0, 1

# t0: a number in interlaced Elias gamma code, from what is in it, behind its first bit, which was a 0. Uses at and t2.
digits:
    move  $at, $ra
1:  next_bit
    srl   $t2, $t4, 31
    sll   $t4, $t4, 1
    addu  $t0, $t0, $t0
    addu  $t0, $t0, $t2
    next_bit
    bgez  $t4, 1b
    sll   $t4, $t4, 1
    jr    $at
    nop

# Eight bits, one of them for who wants it now.
more:
    beq   $t7, $a2, damaged
    li    $t1, -7
    lbu   $t4, 0($t7)
    addiu $t7, $t7, 1
    jr    $ra
    sll   $t4, $t4, 24

damaged:
    jr    $v1
    li    $v0, 1

params:
    addiu $t7, $t7, 3
    ins   $t7, $zero, 0, 2
    addiu $t1, $a3, {PARAMS}
1:  lw    $t2, 0($t7)
    addiu $t7, $t7, 4
    addiu $a3, $a3, 4
    bne   $a3, $t1, 1b
    sw    $t2, -4($a3)

    addiu $t1, $a3, -{PARAMS}
    ori   $t0, $zero, %lo(__rest)
    addu  $t0, $t0, $t6
    b     sum
    move  $ra, $v1
