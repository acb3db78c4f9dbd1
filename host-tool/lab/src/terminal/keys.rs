//! What is typed: bytes for the board and, behind the escape key, commands for the tool.

/// The escape key: Ctrl-], as of telnet.
pub const ESCAPE: u8 = 0x1d;

/// What the user wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A byte for the board.
    Byte(u8),
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
    /// Takes a byte that was typed; nothing comes of the escape key alone.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        if !std::mem::take(&mut self.escaped) {
            self.escaped = byte == ESCAPE;
            return (!self.escaped).then_some(Key::Byte(byte));
        }
        Some(match byte {
            ESCAPE => Key::Byte(ESCAPE),
            b'q' | b'Q' | b'.' => Key::Quit,
            b'r' | b'R' => Key::Reset,
            b'b' | b'B' => Key::Break,
            b's' | b'S' => Key::SendFile,
            b'?' | b'h' | b'H' => Key::Help,
            _ => Key::Unknown(byte),
        })
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
        let mut keys = Keys::default();
        let all: Vec<Key> =
            b"l\r\x03\x1d\x1dx\x1dr\x1db\x1ds\x1d?\x1dze\x1dq".iter().filter_map(|&byte| keys.feed(byte)).collect();
        let bytes = b"l\r\x03\x1dx".map(Key::Byte);
        let commands =
            [Key::Reset, Key::Break, Key::SendFile, Key::Help, Key::Unknown(b'z'), Key::Byte(b'e'), Key::Quit];
        assert_eq!(all, [&bytes[..], &commands].concat());
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
