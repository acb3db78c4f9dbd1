// Stands where a bootloader is, at EL2: calls a shim whose params are blank, at EL1, and says on virt's UART how many ticks of
// CNTVCT passed until it gave up. The shim then waits for ever, and HCR_EL2 brings every WFI of EL1 here.
//
// IMAGE is where the shim's bytes lie.

        .text
        .globl  _start
_start:
        adr     x0, vectors
        msr     vbar_el2, x0
        mov     x0, #1 << 31            // HCR_EL2.RW: EL1 is AArch64
        orr     x0, x0, #1 << 13        // TWI
        msr     hcr_el2, x0
        mov     x0, #0x3c5              // EL1 with its own stack pointer, all masked
        msr     spsr_el2, x0
        ldr     x0, =IMAGE
        msr     elr_el2, x0
        isb
        mov     x0, xzr
        mov     x1, xzr
        mov     x2, xzr
        mov     x3, xzr
        mrs     x9, cntvct_el0
        msr     tpidr_el2, x9           // no register of EL1's
        eret

back:
        mrs     x19, cntvct_el0
        mrs     x9, tpidr_el2
        sub     x19, x19, x9
        mov     w0, #'['
        bl      put
        mrs     x9, esr_el2
        lsr     x9, x9, #26
        cmp     x9, #1                  // class of the exception: WFI or WFE
        b.ne    close                   // an empty answer is none
        bl      word
close:  mov     w0, #']'
        bl      put
stop:
        b       stop

#include "say.S"

        .ltorg
        .balign 2048
vectors:
        .space  0x400                   // those of EL2 itself
        b       back                    // from a lower one, synchronous
