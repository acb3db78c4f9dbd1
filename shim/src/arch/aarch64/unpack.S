// Start code falls into this; it goes on in what was unpacked.

    .section .text.start, "ax"
    // The rest is unpacked to where it was linked, by ZX0, version 2 (host-tool/src/zx0.rs has the format). x10 source, x11
    // destination, w12 the bits to come with a 1 behind the last one, x13 minus the distance, x14 a number; uses x15 to x17.
    adr   x10, __squeezed
    adr   x11, __rest
    mov   w12, #1 << 31
    mov   x13, #-1
literals:
    bl    one_and_gamma
1:  ldrb  w15, [x10], #1
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  1b
    bl    bit
    b.cs  match
    bl    one_and_gamma
copy:
    ldrb  w15, [x11, x13]
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  copy
    bl    bit
    b.cc  literals
match:
    mov   x14, #-2                // stored inverted, so that this counts down
    bl    gamma
    cmn   x14, #257
    b.eq  unpacked
    add   x14, x14, #1
    ldrb  w15, [x10], #1
    lsr   x16, x15, #1
    add   x13, x16, x14, lsl #7
    mov   x14, #1
    tbnz  w15, #0, 1f             // the length's first bit
    bl    digit
1:  add   x14, x14, #1
    b     copy

// x14: a number in interlaced Elias gamma code, from 1 on; from what is in it; and behind its first bit.
one_and_gamma:
    mov   x14, #1
gamma:
    mov   x17, x30
1:  bl    bit
    b.cs  2f
3:  bl    bit
    adc   x14, x14, x14
    b     1b
2:  ret   x17
digit:
    mov   x17, x30
    b     3b

// Carry: the next bit.
bit:
    adds  w12, w12, w12
    b.ne  1f
    ldrb  w12, [x10], #1
    lsl   w12, w12, #24
    orr   w12, w12, #1 << 23
    adds  w12, w12, w12
1:  ret

unpacked:
    adr   x30, at_rest
    b     code_written
