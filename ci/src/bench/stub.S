# Stands where the kernel is called: says on Malta's UART what CP0 Count was at its first instruction, then the device tree
# that it got (a1, by UHI), word by word in hex as memory holds it, and stops.
#
# Behind it come SIZE bytes of the real kernel in the file PAYLOAD: they are what the shim checks and decodes.

#define UART 0xb80003f8         /* Malta's first ns16550, uncached: PCI I/O at 0x18000000 + 0x3f8 */
#define THR_EMPTY 0x20          /* LSR bit 5 */

        .text
        .globl  _start
_start:
        mfc0    $s0, $9
        li      $s4, UART
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

# Prints s3 as eight hex digits.
word:
        move    $s6, $ra
        li      $s5, 8
digit:
        rotr    $s3, $s3, 28
        andi    $a0, $s3, 15
        sltiu   $t0, $a0, 10
        bnez    $t0, decimal
        addiu   $a0, $a0, 'a' - '0' - 10
decimal:
        addiu   $a0, $a0, '0'
        bal     put
        addiu   $s5, $s5, -1
        bnez    $s5, digit
        jr      $s6

# Prints the byte in a0.
put:
        lbu     $t1, 5($s4)
        andi    $t1, $t1, THR_EMPTY
        beqz    $t1, put
        sb      $a0, 0($s4)
        jr      $ra

        .balign 4
        .incbin PAYLOAD, 0, SIZE
