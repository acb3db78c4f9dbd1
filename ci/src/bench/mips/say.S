# How the programs here say something on Malta's UART.

#define UART 0xb80003f8         /* the first ns16550, uncached: PCI I/O at 0x18000000 + 0x3f8 */
#define THR_EMPTY 0x20          /* LSR bit 5 */

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
        li      $t2, UART
busy:
        lbu     $t1, 5($t2)
        andi    $t1, $t1, THR_EMPTY
        beqz    $t1, busy
        sb      $a0, 0($t2)
        jr      $ra
