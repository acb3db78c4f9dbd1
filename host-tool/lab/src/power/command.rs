//! A power switch that is a command.

use std::process;

use super::word::word;
use super::{Error, Power};

pub struct Command {
    text: String,
}

impl Command {
    pub fn new(text: &str) -> Command {
        Command { text: text.to_owned() }
    }
}

impl Power for Command {
    fn set(&mut self, on: bool) -> Result<(), Error> {
        let command = spelled(&self.text, on);
        let failed = |status: String, output: &[u8]| Error::Command {
            command: command.clone(),
            status,
            output: String::from_utf8_lossy(output).into_owned(),
        };
        let run = process::Command::new("/bin/sh").args(["-c", &command]).stdin(process::Stdio::null()).output();
        match run {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) if output.stderr.is_empty() => Err(failed(output.status.to_string(), &output.stdout)),
            Ok(output) => Err(failed(output.status.to_string(), &output.stderr)),
            Err(error) => Err(failed(error.to_string(), &[])),
        }
    }

    /// A command that switches need not be able to tell.
    fn is_on(&mut self) -> Result<Option<bool>, Error> {
        Ok(None)
    }
}

/// The command with each `{off|on}` replaced by one of the two words in it; without any, `off` or `on` comes last.
fn spelled(text: &str, on: bool) -> String {
    let (mut out, mut rest, mut replaced) = (String::new(), text, false);
    while let Some((before, behind)) = rest.split_once('{') {
        out += before;
        // The shell's own braces are left alone when they hold blanks or no bar.
        match behind.split_once('}') {
            Some((words, behind)) if words.matches('|').count() == 1 && !words.contains(['{', '$', ' ']) => {
                out += words.split('|').nth(usize::from(on)).unwrap_or_default();
                (rest, replaced) = (behind, true);
            }
            _ => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out += rest;
    if !replaced {
        out = format!("{out} {}", word(on));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn the_word_for_what_is_wanted_goes_where_it_is_asked_for_or_last() {
        for (text, on, off) in [
            ("uhubctl -p 2 -a", "uhubctl -p 2 -a on", "uhubctl -p 2 -a off"),
            ("usbrelay X={0|1}", "usbrelay X=1", "usbrelay X=0"),
            ("a {off|on} b {down|up}", "a on b up", "a off b down"),
            ("f() { a | b; }; f", "f() { a | b; }; f on", "f() { a | b; }; f off"),
            ("x ${VAR} {|force}", "x ${VAR} force", "x ${VAR} "),
        ] {
            assert_eq!((spelled(text, true).as_str(), spelled(text, false).as_str()), (on, off));
        }
    }
}
