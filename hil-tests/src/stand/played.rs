//! A bootloader whose every answer a test decides: for what no real one does on demand.

use std::io::{BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::Arc;

use stoop_ci::{Failure, Result};

use super::machine::{Machine, Streams};

/// What is said to a line that was typed; `None`: nothing.
pub type Answer = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a board says when power comes on, and to each line that is typed.
#[derive(Clone)]
pub struct Script {
    /// When power comes on.
    pub start: Vec<u8>,
    /// Its prompt without the blank; without one it never listens.
    pub prompt: Option<&'static str>,
    /// To a line; `None` means that it says nothing any more.
    pub answer: Answer,
    /// What becomes of a byte that is typed, before it is echoed and taken: its number and the byte.
    pub line: fn(usize, u8) -> Vec<u8>,
}

impl Script {
    /// A board of this prompt, RAM and flash that takes every command and says nothing to those that are not in `answer`.
    pub fn of(
        prompt: &'static str,
        ram: &str,
        flash: &str,
        answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Script {
        Script {
            start: format!("\r\n\r\nU-Boot 2023.01 (played)\r\n\r\nDRAM:  {ram}\r\nFlash: {flash}\r\n").into_bytes(),
            prompt: Some(prompt),
            answer: Arc::new(answer),
            line: |_, byte| vec![byte],
        }
    }

    /// The little-endian Malta with these answers, which gets an address by DHCP.
    pub fn malta(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Script {
        Script::of("maltael #", "256 MiB", "4 MiB", move |line| match line {
            "dhcp" => Some("DHCP client bound to address 127.0.0.9 (1 ms)\r\n".into()),
            line => answer(line),
        })
    }
}

/// A board that follows a script.
pub struct Played(pub Script);

impl Machine for Played {
    fn start(&mut self) -> Result<Streams> {
        let pipes = || pipe().map_err(|error| Failure::new(format!("cannot make a pipe: {error}")));
        let ((hear, to), (from, say)) = (pipes()?, pipes()?);
        let script = self.0.clone();
        // It ends with the pipe that is typed to: who drops that pulls the plug.
        std::thread::spawn(move || {
            let _ = talk(hear, say, &script);
        });
        Ok(Streams { from: Box::new(from), to: Box::new(to) })
    }

    fn stop(&mut self) {}
}

fn talk(hear: PipeReader, mut say: PipeWriter, script: &Script) -> std::io::Result<()> {
    say.write_all(&script.start)?;
    let Some(prompt) = script.prompt else {
        // On, and deaf.
        return BufReader::new(hear).bytes().try_for_each(|byte| byte.map(drop));
    };
    write!(say, "\r\n{prompt} ")?;
    let mut line = Vec::new();
    for (number, typed) in BufReader::new(hear).bytes().enumerate() {
        for byte in (script.line)(number, typed?) {
            match byte {
                3 => {
                    line.clear();
                    write!(say, "<INTERRUPT>\r\n{prompt} ")?;
                }
                b'\n' => {
                    let text = String::from_utf8_lossy(&std::mem::take(&mut line)).trim().to_owned();
                    match (script.answer)(&text) {
                        Some(answer) => write!(say, "\r\n{answer}{prompt} ")?,
                        None => say.write_all(b"\r\n")?,
                    }
                }
                byte => {
                    line.push(byte);
                    say.write_all(&[byte])?;
                }
            }
        }
    }
    Ok(())
}
