//! A signal in the middle of work that makes a result.

use std::fs;
use std::process::{Command, Stdio};

/// The archive is a FIFO, whose opening waits for the reader: stoop has begun to unpack then, and waits for bytes.
#[test]
fn a_signal_removes_what_is_half_made_and_is_told_as_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("linux.tar")).status().unwrap().success());
    fs::write(at("fragment"), "CONFIG_BASE=y\n").unwrap();
    for signal in ["-INT", "-TERM", "-HUP"] {
        // Whoever runs the tests may have them ignore signals (`nohup`, a script's `&`), which stoop heeds.
        let mut command = Command::new("env");
        command.args([
            "--default-signal",
            env!("CARGO_BIN_EXE_stoop"),
            "kernel",
            "build",
            "--arch",
            "mips",
            "--endian",
            "big",
            "--json",
            "--source",
        ]);
        command.arg(at("linux.tar")).arg("--config").arg(at("fragment")).arg("--out").arg(at("out"));
        let stoop = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let writer = fs::File::options().write(true).open(at("linux.tar")).unwrap();
        assert_eq!(fs::read_dir(at("out")).unwrap().count(), 1, "what is half made");
        assert!(Command::new("kill").args([signal, &stoop.id().to_string()]).status().unwrap().success());
        let output = stoop.wait_with_output().unwrap();
        drop(writer);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert_eq!(fs::read_dir(at("out")).unwrap().count(), 0, "{signal}");
        let last = String::from_utf8(output.stdout).unwrap();
        assert!(last.lines().last().unwrap().contains(r#""code":"H004""#), "{last}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("stoop: H004: interrupted"));
    }
}
