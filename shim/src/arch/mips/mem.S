# What the compiler calls for moving, filling and comparing bytes: by blocks of 16 where both ends are aligned, by words where they
# are not, and from the end by bytes, which only bytes that move up over themselves need.

    .section .text.run, "ax"
    .globl memcpy
    .globl memmove
memcpy:
memmove:
    move  $v0, $a0
    subu  $t0, $a0, $a1
    sltu  $t0, $t0, $a2
    bnez  $t0, 4f                 # destination begins inside the source: from the end
    or    $t0, $a0, $a1
    andi  $t0, $t0, 3
    bnez  $t0, 2f
    srl   $t1, $a2, 4
    beqz  $t1, 2f
    nop
1:  lw    $t2, 0($a1)
    lw    $t3, 4($a1)
    lw    $t4, 8($a1)
    lw    $t5, 12($a1)
    addiu $a1, $a1, 16
    addiu $t1, $t1, -1
    sw    $t2, 0($a0)
    sw    $t3, 4($a0)
    sw    $t4, 8($a0)
    sw    $t5, 12($a0)
    bnez  $t1, 1b
    addiu $a0, $a0, 16
    andi  $a2, $a2, 15
2:  srl   $t1, $a2, 2
    beqz  $t1, 3f
    andi  $a2, $a2, 3
1:  ulw   $t2, 0($a1)
    addiu $a1, $a1, 4
    addiu $t1, $t1, -1
    usw   $t2, 0($a0)
    bnez  $t1, 1b
    addiu $a0, $a0, 4
3:  beqz  $a2, 7f
1:  addiu $a2, $a2, -1
    lbu   $t2, 0($a1)
    addiu $a1, $a1, 1
    sb    $t2, 0($a0)
    bnez  $a2, 1b
    addiu $a0, $a0, 1
    jr    $ra
    nop

4:  addu  $a0, $a0, $a2
    addu  $a1, $a1, $a2
6:  beqz  $a2, 7f
    addiu $a2, $a2, -1
    lbu   $t2, -1($a1)
    addiu $a1, $a1, -1
    sb    $t2, -1($a0)
    b     6b
    addiu $a0, $a0, -1
7:  jr    $ra
    nop

    .globl memset
memset:
    move  $v0, $a0
    ins   $a1, $a1, 8, 8          # the byte in all of a word's
    ins   $a1, $a1, 16, 16
1:  andi  $t0, $a0, 3             # bytes up to a word's start
    beqz  $t0, 2f
    srl   $t1, $a2, 4
    beqz  $a2, 7b
    addiu $a2, $a2, -1
    sb    $a1, 0($a0)
    b     1b
    addiu $a0, $a0, 1
2:  beqz  $t1, 4f
    andi  $a2, $a2, 15
3:  sw    $a1, 0($a0)
    sw    $a1, 4($a0)
    sw    $a1, 8($a0)
    sw    $a1, 12($a0)
    addiu $t1, $t1, -1
    bnez  $t1, 3b
    addiu $a0, $a0, 16
4:  beqz  $a2, 7b
    addiu $a2, $a2, -1
    sb    $a1, 0($a0)
    b     4b
    addiu $a0, $a0, 1

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
