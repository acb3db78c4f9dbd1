// What is stored becomes the shim: the rest, as host-tool/image/src/halves.rs has it, to where it was linked, and the params behind
// it as they are. A damaged stream neither writes outside the room for the rest nor copies from outside of it.

    .section .text.start, "ax"

// Carry: the next bit. Where it is wanted for nothing but a branch, that follows.
    .macro next_bit
    adds  x12, x12, x12
    b.ne  9f
    bl    more
9:
    .endm

// w12: the sum of the words from x10 up to x11, four at a time and at least four, 0 for what is whole: its last word makes it so
// (host-tool/image/src/shim_image.rs: sum). Uses w13 and w14.
sum:
    mov   w12, wzr
1:  .rept 2
    ldp   w13, w14, [x10], #8
    ror   w12, w12, #13
    add   w12, w12, w12, lsl #2
    add   w12, w12, w13
    ror   w12, w12, #13
    add   w12, w12, w12, lsl #2
    add   w12, w12, w14
    .endr
    cmp   x10, x11
    b.lo  1b
    ret

// w12: 0 when the rest is whole. Uses x4 to x8 and x10 to x17.
unpack:
    mov   x8, x30
    adr   x10, stored
    ldrh  w5, [x10, #2]
    adr   x10, _start
    add   x5, x5, x10             // x5: the params, as they are stored
    adr   x7, __params            // x7: behind the rest
    // x10 the next byte, x6 behind the next word of bits, x11 destination, x12 the bits to come with a 1 behind the last one, x13
    // minus the distance, x14 a number.
    mov   x6, x5
    adr   x10, __stub_end
    adr   x11, __rest
    mov   x4, x11
    mov   x12, #1 << 63
    mov   x13, #-4
literals:
    bl    count
    bl    room
1:  next_bit
    ldrb  w15, [x10], #1
    b.cc  2f                      // its high byte is 0
    ldrb  w16, [x10], #1
    orr   w15, w15, w16, lsl #8
2:  strh  w15, [x11], #2
    subs  x14, x14, #1
    b.ne  1b
    next_bit
    b.cs  match
    bl    count
copy:
    bl    room
    add   x15, x11, x13           // from nowhere but what is there already
    sub   x15, x15, x4
    sub   x16, x11, x4
    cmp   x15, x16
    b.hs  overrun
3:  ldrh  w15, [x11, x13]
    strh  w15, [x11], #2
    subs  x14, x14, #1
    b.ne  3b
    next_bit
    b.cc  literals
match:
    bl    number
    cmp   x14, #255               // the end
    b.hs  params
    ldrb  w15, [x10], #1
    and   x13, x15, #0x7f
    sub   x13, x13, x14, lsl #7   // in words
    lsl   x13, x13, #2
    mov   x14, #1
    tbz   w15, #7, copy           // whether it is more than one half
    bl    many
    b     copy

// x14: how many halves, from 1 on. The commonest, 1, is one bit. Uses w15 to x17.
count:
    mov   x16, x30
    mov   x14, #1
    next_bit
    b.cc  1f
    ret   x16
// The same behind that bit: one more than the number.
many:
    mov   x16, x30
1:  bl    number
    add   x14, x14, #1
    ret   x16

// x14: a number in Elias gamma code. Uses w15 and x17.
number:
    mov   x17, x30
    mov   x14, #1
    mov   w15, #-1
1:  add   w15, w15, #1            // zeros, and digits behind the leading 1
    next_bit
    b.cc  1b
    cbz   w15, 3f
2:  next_bit
    adc   x14, x14, x14
    sub   w15, w15, #1
    cbnz  w15, 2b
3:  ret   x17

// 32 bits, one of them for who wants it now.
more:
    sub   x6, x6, #4
    cmp   x6, x10
    b.lo  overrun
    ldr   w12, [x6]
    lsl   x12, x12, #32
    orr   x12, x12, #1 << 31
    adds  x12, x12, x12
    ret

// Whether there is room for x14 halves.
room:
    sub   x15, x7, x11
    sub   x16, x14, #1
    cmp   x16, x15, lsr #1
    b.hs  overrun
    ret
overrun:
    mov   w12, #1
    ret   x8

params:
    add   x11, x7, #{PARAMS}
1:  ldr   w12, [x5], #4
    str   w12, [x7], #4
    cmp   x7, x11
    b.ne  1b
    adr   x10, __rest
    adr   x11, __params
    mov   x30, x8
    b     sum
