//! What U-Boot makes of bootargs.

/// How many words of bootargs mainline U-Boot delivers on MIPS (`arch/mips/lib/bootm.c`, `LINUX_MAX_ARGS` less `argv[0]`);
/// it drops the others without a word.
pub const BOOTM_WORDS: usize = 255;

/// The words that mainline U-Boot's bootm makes of bootargs on MIPS, `argv[1]` and on: cut at each single blank outside of
/// double quotes, which stay; a blank at the very end is dropped, a quote that is not closed takes the rest.
pub fn argv(bootargs: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = bootargs;
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b' ' && !quoted
        });
        let (word, behind) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        words.push(word);
        rest = behind;
    }
    words
}
