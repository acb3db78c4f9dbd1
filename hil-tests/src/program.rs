//! A program of 36 instructions that stands for a kernel where only its arguments matter: it prints them and resets.

use stoop_core::crc32::Crc32;

/// Prints `[` and `]` around each of argc words at argv, nothing between them for NULL, and resets the board. MIPS32, runs
/// anywhere.
const PRINT_ARGV: [u32; 36] = [
    0x0080_8025, // move  s0, a0
    0x00a0_8825, // move  s1, a1
    0x3c12_b800, // lui   s2, 0xb800           the UART behind PCI I/O, set up by the bootloader
    0x3652_03f8, // ori   s2, s2, 0x3f8
    0x1a00_0012, // word: blez s0, done
    0x2404_005b, // li    a0, '['
    0x8e33_0000, // lw    s3, 0(s1)
    0x2631_0004, // addiu s1, s1, 4
    0x0411_0015, // bal   putc
    0x2610_ffff, // addiu s0, s0, -1
    0x1260_0008, // beqz  s3, end
    0x0000_0000, // nop
    0x9264_0000, // byte: lbu a0, 0(s3)
    0x1080_0005, // beqz  a0, end
    0x2673_0001, // addiu s3, s3, 1
    0x0411_000e, // bal   putc
    0x0000_0000, // nop
    0x1000_fffa, // b     byte
    0x0000_0000, // nop
    0x0411_000a, // end:  bal putc
    0x2404_005d, // li    a0, ']'
    0x1000_ffee, // b     word
    0x0000_0000, // nop
    0x0411_0006, // done: bal putc
    0x2404_000a, // li    a0, '\n'
    0x3c08_bf00, // lui   t0, 0xbf00           Malta's FPGA: SOFTRES at 0x500
    0x2409_0042, // li    t1, 0x42
    0xad09_0500, // sw    t1, 0x500(t0)
    0x1000_ffff, // stop: b stop
    0x0000_0000, // nop
    0x9248_0005, // putc: lbu t0, 5(s2)        line status: transmitter empty
    0x3108_0020, // andi  t0, t0, 0x20
    0x1100_fffd, // beqz  t0, putc
    0x0000_0000, // nop
    0x03e0_0008, // jr    ra
    0xa244_0000, // sb    a0, 0(s2)
];

/// Where the uImage and the ELF file put it, and enter it.
pub const LOAD: u32 = 0x8010_0000;

/// The program's bytes, to be entered at the first.
pub fn raw(big: bool) -> Vec<u8> {
    PRINT_ARGV.iter().flat_map(|word| if big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

/// As a legacy uImage for MIPS Linux, not compressed.
pub fn uimage(big: bool) -> Vec<u8> {
    let payload = raw(big);
    let mut header = [0; 64];
    let crc = Crc32::new();
    let words = [0x2705_1956, 0, 0, payload.len() as u32, LOAD, LOAD, crc.of(&payload)];
    for (field, word) in header.chunks_mut(4).zip(words) {
        field.copy_from_slice(&word.to_be_bytes());
    }
    header[28..32].copy_from_slice(&[5, 5, 2, 0]);
    let own = crc.of(&header);
    header[4..8].copy_from_slice(&own.to_be_bytes());
    [&header[..], &payload].concat()
}

/// As a minimal ELF file: its header, one segment, no sections.
pub fn elf(big: bool) -> Vec<u8> {
    let payload = raw(big);
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 1, if big { 2 } else { 1 }, 1];
    bytes.resize(16, 0);
    bytes.extend([half(2), half(8)].concat());
    bytes.extend([word(1), word(LOAD), word(52), word(0), word(0x7000_1000)].concat());
    bytes.extend([half(52), half(32), half(1), half(40), half(0), half(0)].concat());
    let size = payload.len() as u32;
    bytes.extend([word(1), word(84), word(LOAD), word(LOAD), word(size), word(size), word(7), word(4)].concat());
    bytes.extend(payload);
    bytes
}
