//! A bootloader of a few commands, played by a thread: for labs of dozens of boards, where each has only to answer.

use std::io::{BufReader, PipeReader, PipeWriter, Read, Write, pipe};

use stoop_ci::{Failure, Result};

use super::machine::{Machine, Streams};

/// A board that says who it is, shows a prompt and answers `version`, `printenv` and `echo`.
pub struct Prompt {
    prompt: String,
}

impl Prompt {
    /// With that prompt, without the blank at its end.
    pub fn new(prompt: &str) -> Prompt {
        Prompt { prompt: prompt.to_owned() }
    }
}

/// What it says when power comes on, and to `version`.
const BANNER: &str = "U-Boot 2023.01 (played)";

impl Machine for Prompt {
    fn start(&mut self) -> Result<Streams> {
        let pipes = || pipe().map_err(|error| Failure::new(format!("cannot make a pipe: {error}")));
        let ((hear, type_to), (from, mut say)) = (pipes()?, pipes()?);
        let prompt = self.prompt.clone();
        // It ends with the pipe that is typed to: who drops that pulls the plug.
        std::thread::spawn(move || {
            let _ = talk(hear, &mut say, &prompt);
        });
        Ok(Streams { from: Box::new(from), to: Box::new(type_to) })
    }

    fn stop(&mut self) {}
}

fn talk(hear: PipeReader, say: &mut PipeWriter, prompt: &str) -> std::io::Result<()> {
    write!(say, "\r\n\r\n{BANNER}\r\n\r\n{prompt} ")?;
    let mut line = Vec::new();
    for byte in BufReader::new(hear).bytes() {
        match byte? {
            b'\r' | b'\n' => {
                let typed = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                write!(say, "\r\n{}{prompt} ", answer(&typed))?;
            }
            byte => {
                line.push(byte);
                say.write_all(&[byte])?;
            }
        }
    }
    Ok(())
}

/// What it prints, whole lines.
fn answer(typed: &str) -> String {
    let (command, words) = typed.trim().split_once(' ').unwrap_or((typed.trim(), ""));
    match command {
        "" => String::new(),
        "version" => format!("{BANNER}\r\n"),
        "printenv" => "baudrate=115200\r\n\r\nEnvironment size: 15/4092 bytes\r\n".to_owned(),
        "echo" => format!("{words}\r\n"),
        other => format!("Unknown command '{other}' - try 'help'\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_it_is_and_answers_at_its_prompt() {
        let mut machine = Prompt::new("board #");
        let Streams { mut from, mut to } = machine.start().unwrap();
        to.write_all(b"echo still here\nnonsense\n").unwrap();
        drop(to);
        let mut said = String::new();
        machine.stop();
        from.read_to_string(&mut said).unwrap();
        assert!(said.contains("U-Boot 2023.01 (played)\r\n\r\nboard # "), "{said}");
        assert!(said.contains("echo still here\r\nstill here\r\nboard # "), "{said}");
        assert!(said.contains("Unknown command 'nonsense'"), "{said}");
    }
}
