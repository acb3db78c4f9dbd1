// What is stored becomes the shim: the rest by ZX0, version 2 (host-tool/image/src/zx0.rs has the format), to where it was linked, and
// the params behind it as they are. A damaged stream neither writes outside the room for the rest nor reads outside of what is
// stored or unpacked already.

    .section .text.start, "ax"

// w12: the sum of the words from x10 up to x11, 0 for what is whole: its last word makes it so (host-tool/image/src/shim_image.rs:
// sum). Uses w13.
sum:
    mov   w12, wzr
1:  ldr   w13, [x10], #4
    ror   w12, w12, #13
    add   w12, w12, w12, lsl #2
    add   w12, w12, w13
    cmp   x10, x11
    b.lo  1b
    ret

// w12: 0 when the rest is whole. Uses x4 to x8 and x10 to x17.
unpack:
    mov   x8, x30
    adr   x10, stored
    ldrh  w6, [x10]
    adr   x10, _start
    add   x6, x6, x10             // x6: behind what is stored
    adr   x7, __params            // x7: behind the rest
    // x10 source, x11 destination, w12 the bits to come with a 1 behind the last one, x13 minus the distance, x14 a number.
    adr   x10, __stub_end
    adr   x11, __rest
    mov   x4, x11
    mov   w12, #1 << 31
    mov   x13, #-1
literals:
    bl    one_and_gamma
    bl    room
1:  ldrb  w15, [x10], #1
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  1b
    bl    bit
    b.cs  match
    bl    one_and_gamma
copy:
    bl    room
    add   x15, x11, x13           // from nowhere but what is there already
    sub   x15, x15, x4
    sub   x16, x11, x4
    cmp   x15, x16
    b.hs  overrun
2:  ldrb  w15, [x11, x13]
    strb  w15, [x11], #1
    subs  x14, x14, #1
    b.ne  2b
    bl    bit
    b.cc  literals
match:
    mov   x14, #-2                // stored inverted, so that this counts down
    bl    gamma
    cmn   x14, #257
    b.eq  params
    add   x14, x14, #1
    ldrb  w15, [x10], #1
    lsr   x16, x15, #1
    add   x13, x16, x14, lsl #7
    mov   x14, #1
    tbnz  w15, #0, 3f             // the length's first bit
    bl    digit
3:  add   x14, x14, #1
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
    cmp   x10, x6
    b.eq  overrun
    ldrb  w12, [x10], #1
    lsl   w12, w12, #24
    orr   w12, w12, #1 << 23
    adds  w12, w12, w12
1:  ret

// Whether there is room for x14 bytes.
room:
    sub   x15, x7, x11
    sub   x16, x14, #1
    cmp   x16, x15
    b.hs  overrun
    ret
overrun:
    mov   w12, #1
    ret   x8

params:
    add   x10, x10, #3
    and   x10, x10, #~3
    add   x11, x7, #{PARAMS}
1:  ldr   w12, [x10], #4
    str   w12, [x7], #4
    cmp   x7, x11
    b.ne  1b
    adr   x10, __rest
    adr   x11, __params
    mov   x30, x8
    b     sum
