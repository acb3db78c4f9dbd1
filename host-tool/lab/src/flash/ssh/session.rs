//! One login, through which everything goes: OpenSSH's client with a control socket. So a password is asked for once, each command costs
//! a round trip instead of a key exchange (seconds on a small board), and a connection that is gone stays gone.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use stoop_image::unfinished::UnfinishedFolder;

use super::Error;
use crate::Result;

/// Said by the board when it has let us in.
const READY: &str = "stoop: ready";

/// Bytes of a greeting in front of that, at most: what greets without end is no shell that runs commands.
const LONGEST_GREETING: u64 = 0x1_0000;

/// Bytes that a command says, at most. The longest answer is a slot that is read back.
const LONGEST_OUTPUT: u64 = 0x1000_0000;

/// How long a login takes that asks nobody: a small board computes for seconds, and a shell that shows a menu waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the board is, and how ssh is to go there.
#[derive(Clone, Debug)]
pub struct Host {
    /// As ssh takes it: a name of its configuration, `root@192.168.1.1`, `ssh://root@192.168.1.1:2222`.
    pub name: String,
    /// ssh's configuration; the user's own without it.
    pub config: Option<PathBuf>,
    /// There is somebody whom ssh can ask for a password, or whether the board's key is right.
    pub asks: bool,
}

/// The login. Dropping it ends everything that still runs through it.
pub(super) struct Session<'a> {
    host: &'a Host,
    master: Child,
    /// Control socket, and what ssh says.
    folder: UnfinishedFolder,
}

impl Session<'_> {
    /// Logs in.
    ///
    /// # Errors
    /// [`Error::Reach`], with ssh's own words.
    pub(super) fn open(host: &Host) -> Result<Session<'_>> {
        let refused = |said: String| Error::Reach { host: host.name.clone(), said };
        let folder = std::env::temp_dir();
        let folder = UnfinishedFolder::new(&folder).map_err(|error| crate::Error::file(folder, error))?;
        let path = said(&folder);
        let words = File::create(&path).map_err(|error| crate::Error::file(&path, error))?;
        let mut ssh = ssh(host);
        if !host.asks {
            ssh.args(["-o", "BatchMode=yes"]);
        }
        // Without these a board whose power is gone would be waited for for hours.
        for option in ["ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=4", "ControlPersist=no"] {
            ssh.args(["-o", option]);
        }
        ssh.arg("-M").arg("-S").arg(socket(&folder));
        // It ends when its input does, so also when this process does.
        ssh.args(["--", &host.name, &format!("echo '{READY}'; exec cat > /dev/null")]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(words);
        let mut master = ssh.spawn().map_err(|error| refused(format!("cannot start ssh: {error}")))?;
        let (sender, answer) = mpsc::channel();
        if let Some(stdout) = master.stdout.take() {
            // It ends with ssh.
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout.take(LONGEST_GREETING)).lines();
                // A board may greet first.
                let is_ready = lines.map_while(std::io::Result::ok).any(|line| line.trim_end() == READY);
                let _ = sender.send(is_ready);
            });
        }
        // A person takes the time that it takes.
        let answer = if host.asks { answer.recv().ok() } else { answer.recv_timeout(PATIENCE).ok() };
        let mut session = Session { host, master, folder };
        match answer {
            Some(true) => Ok(session),
            _ => Err(refused(session.last_words("no shell there runs the command that it was given")).into()),
        }
    }

    /// As ssh takes it.
    pub(super) fn host(&self) -> &str {
        &self.host.name
    }

    /// Runs a command there with these bytes as its input; gives its output.
    ///
    /// # Errors
    /// [`Error::Command`]: it ended with another status than 0. [`Error::Lost`]: it never ended.
    pub(super) fn run(&mut self, command: &str, input: &[u8]) -> Result<Vec<u8>> {
        let (host, command) = (self.host.name.clone(), command.to_owned());
        let output = match self.start(&command, input) {
            Ok(output) => output,
            Err(error) => return Err(Error::Lost { host, command, said: error.to_string() }.into()),
        };
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(output.stdout),
            // ssh's own status (ssh(1), EXIT STATUS); it has no other way out than the login's connection.
            Some(255) | None => Err(Error::Lost { host, command, said: self.last_words(&said) }.into()),
            Some(code) if said.is_empty() => {
                Err(Error::Command { host, command, said: format!("it ended with status {code}") }.into())
            }
            Some(_) => Err(Error::Command { host, command, said }.into()),
        }
    }

    fn start(&self, command: &str, input: &[u8]) -> std::io::Result<Output> {
        let mut ssh = ssh(self.host);
        ssh.args(["-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]);
        ssh.arg("-S").arg(socket(&self.folder)).args(["--", &self.host.name, command]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = ssh.spawn().map_err(|error| std::io::Error::other(format!("cannot start ssh: {error}")))?;
        exchange(child, input, LONGEST_OUTPUT)
    }

    /// What ssh said when the login ended; `or` when that is nothing.
    fn last_words(&mut self, or: &str) -> String {
        // It may be on its way out; what it said stands before that.
        let _ = self.master.kill();
        let _ = self.master.wait();
        let said = std::fs::read(said(&self.folder)).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        // It puts what it is most worried about into a frame of `@`.
        let words = |line| str::trim_matches(line, ['@', ' ', '\r']);
        let lines: Vec<&str> = said.lines().map(words).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { or.to_owned() } else { lines.join("; ") }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // It is gone already, or goes now.
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

/// Writes the input and reads what is said, up to so many bytes, at the same time: much may be said before the input is read.
fn exchange(mut child: Child, input: &[u8], longest: u64) -> std::io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        // A command that does not read its input to the end says why by its status.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
        let stderr = scope.spawn(|| heard(stderr, longest));
        let stdout = heard(stdout, longest);
        if stdout.is_err() {
            // Nobody listens any more, which ends the other two.
            let _ = child.kill();
        }
        (stdout, stderr.join().unwrap_or_else(|_| Ok(Vec::new())))
    });
    let status = child.wait()?;
    Ok(Output { status, stdout: stdout?, stderr: stderr? })
}

/// All that a command says, if it is no more than so many bytes. What says more finds its pipe closed.
fn heard(from: Option<impl std::io::Read>, longest: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(longest + 1).read_to_end(&mut bytes)?;
    }
    match bytes.len() as u64 > longest {
        true => Err(std::io::Error::other(format!("it said more than {longest} bytes"))),
        false => Ok(bytes),
    }
}

/// `--` in front of the host keeps one from being taken for an option.
fn ssh(host: &Host) -> Command {
    let mut ssh = Command::new("ssh");
    if let Some(config) = &host.config {
        ssh.arg("-F").arg(config);
    }
    ssh.arg("-T");
    ssh
}

fn socket(folder: &UnfinishedFolder) -> PathBuf {
    folder.path().join("ssh")
}

fn said(folder: &UnfinishedFolder) -> PathBuf {
    folder.path().join("said")
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::exchange;

    fn shell(command: &str) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.spawn().expect("a shell")
    }

    #[test]
    fn what_says_much_before_it_reads_is_listened_to() {
        let child = shell("head -c 1000000 /dev/zero >&2; wc -c");
        // More than a pipe holds.
        let output = exchange(child, &[1; 1_000_000], 1_000_000).expect("an end");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1000000");
        assert_eq!(output.stderr.len(), 1_000_000);
    }

    #[test]
    fn what_says_things_without_end_is_not_listened_to_for_ever() {
        for endless in ["exec cat /dev/zero", "exec cat /dev/zero >&2"] {
            let error = exchange(shell(endless), &[], 1_000_000).expect_err("no end");
            assert_eq!(error.to_string(), "it said more than 1000000 bytes", "{endless}");
        }
    }
}
