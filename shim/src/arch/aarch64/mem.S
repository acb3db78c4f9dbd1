// What the compiler calls. Words only where both sides are aligned.
    .text
    .globl memcpy
    .globl memmove
memcpy:
memmove:
    sub   x3, x0, x1
    cmp   x3, x2
    b.lo  3f                      // destination begins inside the source: from the end
    mov   x3, x0
    orr   x4, x0, x1
    orr   x4, x4, x2
    add   x2, x2, x1
    tst   x4, #3
    b.ne  2f
1:  cmp   x1, x2
    b.eq  5f
    ldr   w4, [x1], #4
    str   w4, [x3], #4
    b     1b
2:  cmp   x1, x2
    b.eq  5f
    ldrb  w4, [x1], #1
    strb  w4, [x3], #1
    b     2b
3:  cbz   x2, 5f
    sub   x2, x2, #1
    ldrb  w4, [x1, x2]
    strb  w4, [x0, x2]
    b     3b
5:  ret

    .globl memset
memset:
    mov   x3, x0
    add   x2, x2, x0
    orr   x4, x0, x2
    tst   x4, #7
    b.ne  2f
    cbnz  w1, 2f                  // words only for zeros
1:  cmp   x3, x2
    b.eq  5b
    str   xzr, [x3], #8
    b     1b
2:  cmp   x3, x2
    b.eq  5b
    strb  w1, [x3], #1
    b     2b

    .globl memcmp
    .globl bcmp
memcmp:
bcmp:
    add   x2, x2, x0
    mov   x3, x0
1:  mov   w0, wzr
    cmp   x3, x2
    b.eq  2f
    ldrb  w4, [x3], #1
    ldrb  w5, [x1], #1
    subs  w0, w4, w5
    b.eq  1b
2:  ret
