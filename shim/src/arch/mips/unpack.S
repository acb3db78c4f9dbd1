# What is stored becomes the shim at its run address: the stub as it is, the rest as host-tool/image/src/halves.rs has it, and
# the params as they are. A damaged stream writes nothing outside the room for the rest, and reads at most 128 KiB in front of what
# it has written.

    .section .text.start, "ax"

# The sign of t4 becomes the next bit; whoever branches by it shifts it out. Uses v0.
    .macro next_bit
    bgezal $t1, more
    addiu $t1, $t1, 1
    .endm

# t0: a number in Elias gamma code, behind a bit of its own; as many zeros as are in t4. Uses t2 and v0.
    .macro number
    clz   $t2, $t4                # zeros, and digits behind the leading 1
    sllv  $t4, $t4, $t2
    addu  $t1, $t1, $t2
    next_bit
    nor   $t0, $t2, $zero
    srlv  $t0, $t4, $t0
    sllv  $t4, $t4, $t2
    sll   $t4, $t4, 1
    addu  $t1, $t1, $t2
    .endm

# v0: the sum of the words from t0 up to t1, four at a time and at least four, 0 for what is whole: its last word makes it so
# (host-tool/image/src/shim_image.rs: sum). Uses t2 and t3.
sum:
    move  $v0, $zero
1:  addiu $t0, $t0, 16
    sltu  $t3, $t0, $t1
    .irp at, -16, -12, -8
    lw    $t2, \at($t0)
    rotr  $v0, $v0, 13
    addu  $t2, $t2, $v0
    sll   $v0, $v0, 2
    addu  $v0, $v0, $t2
    .endr
    lw    $t2, -4($t0)
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
    lhu   $a1, 22($t7)
    addu  $a1, $a1, $t7           # a1: the params, as they are stored
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

    # t7 the next byte, a2 behind the next 16 bits, a0 destination; t4 the bits to come from the highest on, zeros behind them, t1
    # 15 minus their number; t5 minus the distance.
    move  $a2, $a1
    move  $t4, $zero
    li    $t1, 15
    li    $t5, -4
literals:
    next_bit
    bltz  $t4, 1f                 # one literal, as most often
    sll   $t4, $t4, 1
    bal   run
    nop
    b     2f
    nop
1:  beq   $a0, $a3, damaged
    addiu $t3, $a0, 2
2:  next_bit
    lbu   $t2, 0($t7)
    addiu $t7, $t7, 1
    addiu $a0, $a0, 2
    bltz  $t4, 3f
    sll   $t4, $t4, 1
    bne   $a0, $t3, 2b            # its high byte is 0
    sh    $t2, -2($a0)
    b     4f
    nop
3:  lbu   $at, 0($t7)             # in memory's order
    addiu $t7, $t7, 1
    sb    $t2, -2($a0)
    bne   $a0, $t3, 2b
    sb    $at, -1($a0)
4:  next_bit
    bltz  $t4, match
    sll   $t4, $t4, 1
    next_bit
    bgez  $t4, many
    sll   $t4, $t4, 1
one:
    beq   $a0, $a3, damaged
    addu  $t2, $a0, $t5
    lhu   $at, 0($t2)
    addiu $a0, $a0, 2
    b     copied
    sh    $at, -2($a0)
many:
    bal   run
    nop
    addu  $t2, $a0, $t5
1:  lhu   $at, 0($t2)
    addiu $t2, $t2, 2
    addiu $a0, $a0, 2
    bne   $a0, $t3, 1b
    sh    $at, -2($a0)
copied:
    next_bit
    bgez  $t4, literals
    sll   $t4, $t4, 1
match:
    number
    sltiu $at, $t0, 255           # the end
    beqz  $at, params
    lb    $t2, 0($t7)
    addiu $t7, $t7, 1
    sll   $t5, $t0, 9
    sll   $t3, $t2, 2
    bgez  $t2, one                # whether it is more than one half
    subu  $t5, $t3, $t5
    b     many
    addiu $t5, $t5, 512           # its sign was that bit

# t3: where a run of halves from a0 on ends, if there is room for it; the number is how many there are besides one. Uses at, t0, t2.
run:
    move  $at, $ra
    number
    sll   $t0, $t0, 1
    subu  $t3, $a3, $a0
    addiu $t2, $t0, 1
    sltu  $t2, $t2, $t3
    beqz  $t2, damaged
    addu  $t3, $a0, $t0
    jr    $at
    addiu $t3, $t3, 2

# 16 bits more, where fewer are left. The delay slot has counted one that is read.
more:
    addiu $a2, $a2, -2
    sltu  $v0, $a2, $t7
    bnez  $v0, damaged
    lhu   $v0, 0($a2)
    sllv  $v0, $v0, $t1
    or    $t4, $t4, $v0
    jr    $ra
    addiu $t1, $t1, -16

damaged:
    jr    $v1
    li    $v0, 1

params:
    addiu $t1, $a3, {PARAMS}
1:  lw    $t2, 0($a1)
    addiu $a1, $a1, 4
    addiu $a3, $a3, 4
    bne   $a3, $t1, 1b
    sw    $t2, -4($a3)

    addiu $t1, $a3, -{PARAMS}
    ori   $t0, $zero, %lo(__rest)
    addu  $t0, $t0, $t6
    b     sum
    move  $ra, $v1
