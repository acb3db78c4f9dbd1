// How the programs here say something on virt's UART.

#define UART 0x09000000         // a PL011
#define FLAGS 0x18
#define FULL 5                  // bit of the flags: no room to send

// Prints w19 as eight hex digits.
word:
        mov     x26, x30
        mov     w25, #8
digit:
        ror     w19, w19, #28
        and     w0, w19, #15
        cmp     w0, #10
        add     w1, w0, #'0'
        add     w0, w0, #'a' - 10
        csel    w0, w1, w0, lo
        bl      put
        subs    w25, w25, #1
        b.ne    digit
        ret     x26

// Prints the byte in w0.
put:
        ldr     x2, =UART
busy:
        ldr     w1, [x2, #FLAGS]
        tbnz    w1, #FULL, busy
        str     w0, [x2]
        ret
