//! TFTP's options: what a client asks for, and what it gets.

/// The largest window that is granted.
pub use stoop_image::board::MOST_TFTP_BLOCKS as MOST_BLOCKS;

/// Bytes in a block when the client does not ask for another size (RFC 1350).
pub const BLOCK: u16 = 512;

/// What a client asks for; values out of their range count as not asked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Asked {
    /// Bytes in a block, 8 to 65464 (`blksize`, RFC 2348).
    pub block_size: Option<u16>,
    /// Seconds before the client asks again, 1 to 255 (`timeout`, RFC 2349).
    pub timeout: Option<u8>,
    /// It wants to know the file's size (`tsize`, RFC 2349).
    pub size: bool,
    /// Blocks that may be on their way without an answer, 1 to 65535 (`windowsize`, RFC 7440).
    pub window: Option<u16>,
}

impl Asked {
    /// Takes one option of a request; unknown ones are left out, which refuses them (RFC 2347).
    pub fn take(&mut self, name: &str, value: &str) {
        let number = value.parse::<u16>().ok();
        match name.to_ascii_lowercase().as_str() {
            "blksize" => self.block_size = number.filter(|size| (8..=65464).contains(size)),
            "timeout" => self.timeout = number.and_then(|time| u8::try_from(time).ok()).filter(|time| *time != 0),
            "tsize" => self.size = true,
            "windowsize" => self.window = number.filter(|blocks| *blocks != 0),
            _ => {}
        }
    }

    /// What a client that asks for this gets for a file of `size` bytes.
    pub fn grant(&self, size: u64) -> Granted {
        Granted { asked: *self, window: self.window.map(|blocks| blocks.min(MOST_BLOCKS)), size }
    }
}

/// What a client gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    asked: Asked,
    window: Option<u16>,
    size: u64,
}

impl Granted {
    /// Bytes in a block.
    pub fn block_size(&self) -> u16 {
        self.asked.block_size.unwrap_or(BLOCK)
    }

    /// Blocks that may be on their way without an answer.
    pub fn window(&self) -> u16 {
        self.window.unwrap_or(1)
    }

    /// The granted options by name, as the answer lists them; empty when the client asked for none that is known.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("blksize", self.asked.block_size.map(u64::from)),
            ("timeout", self.asked.timeout.map(u64::from)),
            ("tsize", self.asked.size.then_some(self.size)),
            ("windowsize", self.window.map(u64::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    fn asked(options: &[(&str, &str)]) -> Asked {
        let mut asked = Asked::default();
        options.iter().for_each(|(name, value)| asked.take(name, value));
        asked
    }

    #[test]
    fn a_window_is_granted_up_to_the_most_that_u_boot_bears() {
        for (wanted, got) in
            [("1", Some(1)), ("8", Some(8)), ("9", Some(8)), ("65535", Some(8)), ("0", None), ("x", None)]
        {
            let granted = asked(&[("windowsize", wanted)]).grant(100);
            assert_eq!(granted.words().find(|word| word.0 == "windowsize").map(|word| word.1), got, "{wanted}");
            assert_eq!(u64::from(granted.window()), got.unwrap_or(1));
        }
    }

    #[test]
    fn values_out_of_range_are_not_granted() {
        for (name, value) in
            [("blksize", "7"), ("blksize", "65465"), ("timeout", "0"), ("timeout", "256"), ("utimeout", "9")]
        {
            assert_eq!(asked(&[(name, value)]).grant(1).words().count(), 0, "{name} {value}");
        }
    }

    #[test]
    fn the_size_of_a_large_file_is_told_whole() {
        let granted = asked(&[("tsize", "0"), ("blksize", "1468")]).grant(5_000_000_000);
        assert_eq!(granted.words().collect::<Vec<_>>(), [("blksize", 1468), ("tsize", 5_000_000_000)]);
    }
}
