# What the compiler calls for moving, filling and comparing bytes: small, by words where both ends allow it.

    .section .text.run, "ax"
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
