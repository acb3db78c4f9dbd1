//! A power switch that is a command.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{self, Stdio};
use std::time::Duration;

use super::word::word;
use super::{Error, Power};
use crate::child;

/// How long a command may take: far more than a hub or a strip behind a slow network needs, and no job is stuck for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of what it printed that are kept.
const LONGEST: u64 = 4096;

pub struct Command {
    text: String,
    patience: Duration,
}

impl Command {
    pub fn new(text: &str) -> Command {
        Command { text: text.to_owned(), patience: PATIENCE }
    }
}

impl Power for Command {
    fn set(&mut self, on: bool) -> Result<(), Error> {
        let command = spelled(&self.text, on);
        let failed = |status: String, output: String| Error::Command { command: command.clone(), status, output };
        match run(&command, self.patience) {
            Ok((Some(status), _)) if status.success() => Ok(()),
            Ok((Some(status), output)) => Err(failed(status.to_string(), output)),
            Ok((None, output)) => Err(Error::Hangs { command, seconds: self.patience.as_secs(), output }),
            Err(error) => Err(failed(error.to_string(), String::new())),
        }
    }

    /// A command that switches need not be able to tell.
    fn is_on(&mut self) -> Result<Option<bool>, Error> {
        Ok(None)
    }
}

/// Its status, `None` when it took longer, and what it printed on stderr or else on stdout.
fn run(command: &str, patience: Duration) -> io::Result<(Option<process::ExitStatus>, String)> {
    // Files, not pipes: what the command leaves running in the background may hold a pipe open for ever.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut shell = process::Command::new("/bin/sh");
    // In our own process group, so that Ctrl-C reaches it too.
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = shell.spawn()?;
    let status = match child::ends_within(&child, patience)? {
        true => Some(child.wait()?),
        false => {
            child.kill()?;
            child.wait()?;
            None
        }
    };
    let said = text(&mut err)?;
    Ok((status, if said.is_empty() { text(&mut out)? } else { said }))
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
    use std::process;
    use std::sync::mpsc;
    use std::time::Duration;

    use stoop_image::explained::Explained;

    use super::super::{Error, Power};
    use super::{Command, PATIENCE, spelled};

    #[test]
    fn a_command_that_hangs_is_given_up_with_what_it_said() {
        let mut hub =
            Command { text: "echo no hub >&2; exec sleep 1000 #".into(), patience: Duration::from_millis(100) };
        loop {
            match hub.set(true) {
                Err(error @ Error::Hangs { .. }) if error.to_string().ends_with(": no hub") => {
                    return assert_eq!((error.code(), error.exit_code()), ("L036", 75));
                }
                // Given up before it could say anything, on a machine with other things to do.
                Err(Error::Hangs { output, .. }) if output.is_empty() && hub.patience < PATIENCE => hub.patience *= 2,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_a_command_leaves_running_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        assert!(process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        // It runs until somebody opens the pipe to write.
        let mut daemon = Command::new(&format!("read line < {} & echo $! #", pipe.display()));
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(daemon.set(true)));
        end.recv_timeout(2 * PATIENCE).expect("not waited for").expect("switched");
        drop(std::fs::OpenOptions::new().write(true).open(&pipe).expect("it still runs"));
    }

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
