# Stands where the kernel is called: says on Malta's UART what CP0 Count was at its first instruction, then the device tree
# that it got (a1, by UHI), word by word in hex as memory holds it, and stops.
#
# Behind it come SIZE bytes of the real kernel in the file PAYLOAD: they are what the shim checks and decodes.

        .text
        .globl  _start
_start:
        mfc0    $s0, $9
        move    $s1, $a1
        lw      $s2, 4($s1)             # totalsize, big-endian
#ifdef __MIPSEL__
        wsbh    $s2, $s2
        rotr    $s2, $s2, 16
#endif
        addu    $s2, $s2, $s1
        li      $a0, '['
        bal     put
        move    $s3, $s0
        bal     word
tree:
        lw      $s3, 0($s1)
#ifdef __MIPSEL__
        wsbh    $s3, $s3
        rotr    $s3, $s3, 16
#endif
        bal     word
        addiu   $s1, $s1, 4
        bltu    $s1, $s2, tree
        li      $a0, ']'
        bal     put
stop:
        b       stop

#include "say.S"

        .balign 4
        .incbin PAYLOAD, 0, SIZE
