# The caches, by index (MIPS32 PRA volume II, CACHE; volume III, Config to Config3). docs/caches.md has the rules and the reasons.

    .section .text.start, "ax"

# One pass over a cache: t4 first index address, t5 last one, t2 line size; at: 1 when its tags may be random.
    .macro every_line clean, initialise
1:  bnezl $at, 2f
    cache \initialise, 0($t4)
    cache \clean, 0($t4)
2:  bne   $t4, $t5, 1b
    addu  $t4, $t4, $t2
    .endm

# Caches as we found them are made such that nothing in them differs from memory, and KSEG0 cached. Out: t6 Config as it was.
# Uses at, t0..t5, v0 and v1, no memory.
    .globl take_caches
take_caches:
    mfc0  $t6, $16
    andi  $t0, $t6, 7
    # Config.K0 2: not cached. Then the caches may never have been initialised: a write-back by index would write their random
    # content to random places. And whoever ran so sees RAM in KSEG0, not them. 0 or 1: written through, which costs. More write
    # back, and stay.
    xori  $at, $t0, 2
    sltiu $at, $at, 1
    sltiu $t1, $t0, 3
    beqz  $t1, change_caches
    move  $v0, $t6
    # 3, or 5 beside a coherence manager (Config3.CMGCR).
    li    $t2, 3
    mfc0  $t1, $16, 1
    bgez  $t1, 3f
    nop
    mfc0  $t1, $16, 2
    bgez  $t1, 3f
    nop
    mfc0  $t1, $16, 3
    sll   $t1, $t1, 2
    bltzl $t1, 3f
    li    $t2, 5
3:  b     change_caches
    ins   $v0, $t2, 0, 3

# Writes everything back, and Config.K0 stays as it is. Uses at, t0..t5, v0 and v1, no memory.
    .globl sync_caches
sync_caches:
    mfc0  $v0, $16
    move  $at, $zero

# Writes back and invalidates data cache and L2, invalidates the instruction cache, and writes v0 to Config; with at = 1 all of
# their tags are set to nothing instead. Returns to KSEG0. Geometry as in arch/mips/mm/c-r4k.c: probe_pcache, and sc-mips.c.
change_caches:
    move  $v1, $ra
    ins   $v1, $zero, 29, 1       # return to KSEG0, so that what follows runs cached
    mtc0  $zero, $28              # TagLo and DTagLo: any core may be written both
    mtc0  $zero, $28, 2
    ehb
    mfc0  $t0, $16, 1
    bal   geometry
    srl   $t1, $t0, 7             # data cache: ways 2:0, line 5:3, sets 8:6
    beqz  $t2, 4f
    nop
    every_line 0x01, 0x09         # index write-back invalidate D, index store tag D
    sync                          # all of it in L2, before that is written back
4:  bgez  $t0, 5f                 # no Config2
    nop
    mfc0  $t1, $16, 2
    ext   $t2, $t1, 4, 4          # L2: ways 3:0, line 7:4, sets 11:8 counted from 64, bypassed when bit 12
    beqz  $t2, 5f
    ext   $t3, $t1, 12, 1
    bnez  $t3, 5f
    ext   $t3, $t1, 8, 4
    mtc0  $zero, $28, 4           # L2's TagLo
    ehb
    addiu $t3, $t3, 1
    bal   size
    andi  $t5, $t1, 15
    every_line 0x03, 0x0b         # index write-back invalidate S, index store tag S
    # The rest from KSEG1, where memory has all of our code now: the line that holds a `cache` may not be its target, and K0 may
    # change only where nobody depends on it.
5:  sync
    bal   6f
    lui   $t3, 0x2000
6:  or    $ra, $ra, $t3
    addiu $ra, $ra, 7f - 6b
    jr.hb $ra
    nop
7:  bal   geometry
    srl   $t1, $t0, 16            # instruction cache: the same fields
    beqz  $t2, 8f
    nop
    every_line 0x00, 0x08         # index invalidate I, index store tag I
    sync
8:  mtc0  $v0, $16
    ehb
    jr.hb $v1
    nop

# In: t1. Out: t2 line size (0: no such cache), t4 first index address, t5 last one. Uses t3.
geometry:
    ext   $t2, $t1, 3, 3
    beqz  $t2, 9f
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
9:  lui   $t4, 0x8000
    jr    $ra
    addu  $t5, $t5, $t4

# Until here nothing that the caches held is clean: linker/mips.ld keeps it short.
    .globl caches_end
caches_end:
