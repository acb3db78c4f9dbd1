//! Bytes to compress, the same in every run.

/// Noise: a xorshift sequence.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Words that look a little like machine code: repeated high halves, noisy low halves, near and far repeats.
pub fn code(len: usize) -> Vec<u8> {
    let noise = noise(len);
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        let at = bytes.len();
        let pick = usize::from(noise[at]);
        match pick % 4 {
            0 if at > 300 => {
                let back = 1 + (pick * 37 + at * 7) % at.min(70_000);
                for i in 0..2 + pick % 40 {
                    bytes.push(bytes[at + i - back]);
                }
            }
            1 => bytes.extend([0x24, 0x02, 0, noise[at / 2] & 3]),
            2 => bytes.extend([0x8f, 0xbf, 0, pick as u8 & 0x3c]),
            _ => bytes.extend([0xaf, noise[at / 3], noise[at / 5], pick as u8]),
        }
    }
    bytes.truncate(len);
    bytes
}

/// One of each kind that a decoder may find hard, with a name.
pub fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", vec![]),
        ("one byte", vec![0x5a]),
        ("two bytes", vec![0, 0xff]),
        ("zeros", vec![0; 100_000]),
        ("period 2", [1, 2].repeat(3_000)),
        ("period 3", [1, 2, 3].repeat(3_000)),
        ("period 7 after noise", [noise(50), b"abcdefg".repeat(900)].concat()),
        ("noise", noise(20_000)),
        ("noise twice", noise(5_000).repeat(2)),
        ("code", code(150_000)),
        ("text", include_bytes!("../../src/codec/lzma.rs").to_vec()),
    ]
}
