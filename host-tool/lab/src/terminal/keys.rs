//! What is typed: bytes for the board and, behind the escape key, commands for the tool.

/// The escape key: Ctrl-], as of telnet.
pub const ESCAPE: u8 = 0x1d;

/// What the user wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// Bytes for the board.
    Bytes(Vec<u8>),
    /// To leave.
    Quit,
    /// The board's power off and on.
    Reset,
    /// A break on the line.
    Break,
    /// To send a file.
    SendFile,
    /// To know the keys.
    Help,
    /// A key behind the escape key that means nothing.
    Unknown(u8),
}

/// The keys, for people.
pub const HELP: [&str; 6] = [
    "Ctrl-] q  quit",
    "Ctrl-] r  reset: power off and on",
    "Ctrl-] b  send a break (Linux's SysRq on a serial console)",
    "Ctrl-] s  send a file",
    "Ctrl-] ?  these keys",
    "Ctrl-] Ctrl-]  send Ctrl-]",
];

/// Tells commands from what is for the board.
#[derive(Default)]
pub struct Keys {
    escaped: bool,
}

impl Keys {
    /// Takes what was typed, in pieces of any size.
    pub fn feed(&mut self, typed: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for &byte in typed {
            let key = match (std::mem::take(&mut self.escaped), byte) {
                (false, ESCAPE) => {
                    self.escaped = true;
                    continue;
                }
                (false, _) | (true, ESCAPE) => Key::Bytes(vec![byte]),
                (true, b'q' | b'Q' | b'.') => Key::Quit,
                (true, b'r' | b'R') => Key::Reset,
                (true, b'b' | b'B') => Key::Break,
                (true, b's' | b'S') => Key::SendFile,
                (true, b'?' | b'h' | b'H') => Key::Help,
                (true, _) => Key::Unknown(byte),
            };
            match (keys.last_mut(), key) {
                (Some(Key::Bytes(before)), Key::Bytes(more)) => before.extend(more),
                (_, key) => keys.push(key),
            }
        }
        keys
    }
}

/// A line that the tool asks for while the board's console is open.
#[derive(Default)]
pub struct Asking {
    line: Vec<u8>,
}

/// What became of it.
#[derive(PartialEq, Eq, Debug)]
pub enum Answer {
    /// It goes on; this is to be shown.
    More(Vec<u8>),
    /// The line.
    Line(String),
    /// The user does not want to.
    None,
}

impl Asking {
    /// Takes a byte that was typed: Enter ends the line, Ctrl-C, Ctrl-D and Escape give it up, Backspace and Ctrl-U take back.
    pub fn feed(&mut self, byte: u8) -> Answer {
        match byte {
            b'\r' | b'\n' if self.line.is_empty() => Answer::None,
            b'\r' | b'\n' => Answer::Line(String::from_utf8_lossy(&self.line).into_owned()),
            0x03 | 0x04 | 0x1b | ESCAPE => Answer::None,
            0x08 | 0x7f => Answer::More(if self.take_back() { b"\x08 \x08".to_vec() } else { Vec::new() }),
            0x15 => {
                let mut out = Vec::new();
                while self.take_back() {
                    out.extend(b"\x08 \x08");
                }
                Answer::More(out)
            }
            0..0x20 => Answer::More(Vec::new()),
            _ => {
                self.line.push(byte);
                Answer::More(vec![byte])
            }
        }
    }

    /// Takes back a character, of however many bytes it is.
    fn take_back(&mut self) -> bool {
        let character = self.line.iter().rposition(|byte| byte & 0xc0 != 0x80);
        self.line.truncate(character.unwrap_or(0));
        character.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_goes_to_the_board_and_commands_do_not() {
        let typed = b"ls\r\x03\x1d\x1dx\x1dr\x1db\x1ds\x1d?\x1dzend\x1dq";
        let wanted = [
            Key::Bytes(b"ls\r\x03\x1dx".to_vec()),
            Key::Reset,
            Key::Break,
            Key::SendFile,
            Key::Help,
            Key::Unknown(b'z'),
            Key::Bytes(b"end".to_vec()),
            Key::Quit,
        ];
        assert_eq!(Keys::default().feed(typed), wanted);
        let mut keys = Keys::default();
        let one_by_one: Vec<Key> = typed.iter().flat_map(|&byte| keys.feed(&[byte])).collect();
        assert_eq!(one_by_one.iter().filter(|key| !matches!(key, Key::Bytes(_))).count(), 6);
    }

    fn answer(typed: &str) -> Answer {
        let mut asking = Asking::default();
        typed.bytes().map(|byte| asking.feed(byte)).find(|answer| !matches!(answer, Answer::More(_))).unwrap()
    }

    #[test]
    fn a_line_can_be_corrected_and_given_up() {
        assert_eq!(answer("imagä\x7fe.bin\r"), Answer::Line("image.bin".to_owned()));
        assert_eq!(answer("wrong\x15\x7fright\n"), Answer::Line("right".to_owned()));
        for typed in ["\r", "a\x03", "a\x1b", "a\x1d"] {
            assert_eq!(answer(typed), Answer::None, "{typed:?}");
        }
    }
}
