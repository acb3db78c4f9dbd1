# Takes bytes into the remainder of a CRC-32, as stoop_core::crc32::portable does, 94 instructions for 16 bytes. In: a0 the table,
# a1 the remainder, a2 the first byte, a3 their number. Out: v0. What the compiler makes of four words in a loop takes 270 bytes
# more in an image: it orders and names each of them differently, and here they are squeezed away.

    .macro step
    andi  $t0, $v0, 0x3fc
    addu  $t0, $t0, $a0
    lw    $t0, 0($t0)
    rotr  $v0, $v0, {NEXT}
    xor   $v0, $v0, $t0
    .endm
    .macro word offset
    lw    $t0, \offset($a2)
    rotr  $t0, $t0, 32 - {ROTATION}
    xor   $v0, $v0, $t0
    step
    step
    step
    step
    .endm

    .section .text.run, "ax"
    .globl crc32_update
crc32_update:
    move  $v0, $a1
    addu  $a3, $a3, $a2           # the end
    addiu $t1, $a2, 3             # bytes up to the first word, or to the end
    ins   $t1, $zero, 0, 2
    sltu  $t0, $a3, $t1
    movn  $t1, $a3, $t0
1:  beq   $a2, $t1, 2f
    subu  $t2, $a3, $a2
    lbu   $t0, 0($a2)
    addiu $a2, $a2, 1
    sll   $t0, $t0, 2
    xor   $v0, $v0, $t0
    step
    b     1b
    nop
2:  ins   $t2, $zero, 0, 4        # blocks, as many as there are
    beqz  $t2, 4f
    addu  $t1, $a2, $t2
    addiu $t1, $t1, -16
3:  word  0
    word  4
    word  8
    word  12
    bne   $a2, $t1, 3b
    addiu $a2, $a2, 16
4:  bne   $a2, $a3, 1b            # and the rest by bytes
    move  $t1, $a3
    jr    $ra
    nop
