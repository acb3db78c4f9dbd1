# The caches, by index.

    .section .text.start, "ax"

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
