// Stands where the kernel is called: an arm64 Image that says on virt's UART what CNTVCT was at its first instruction (but
// for the branch that an Image begins with), then the device tree that it got (x0), word by word in hex as memory holds it,
// and stops.
//
// Behind it come SIZE bytes of the real kernel in the file PAYLOAD: they are what the shim checks and decodes.

        .text
        .globl  _start
_start:
        b       entered
        .word   0
        .quad   0                       // text_offset
        .quad   end - _start            // image_size
        .quad   0xa                     // flags: little-endian, 4 KiB pages, anywhere in RAM
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .word   0
entered:
        mrs     x20, cntvct_el0
        mov     x21, x0
        ldr     w22, [x21, #4]          // totalsize, big-endian
        rev     w22, w22
        add     x22, x22, x21
        mov     w0, #'['
        bl      put
        mov     w19, w20
        bl      word
tree:
        ldr     w19, [x21], #4
        rev     w19, w19
        bl      word
        cmp     x21, x22
        b.lo    tree
        mov     w0, #']'
        bl      put
stop:
        b       stop

#include "say.S"

        .ltorg
        .balign 4
        .incbin PAYLOAD, 0, SIZE
end:
