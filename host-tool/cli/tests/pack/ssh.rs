//! `stoop flash --ssh` with programs that only look like ssh: what is left, and a greeting without end.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use stoop_image::plan::{Format, Request};

use crate::bench::{Bench, packed, text};

/// `stoop flash` of an image, with this shell script as ssh and a folder of its own for temporary files.
fn flash(bench: &Bench, script: &str) -> Command {
    let request = bench.full();
    bench.put("image", &packed(&Request { format: Some(Format::Nor), ..request }).1.file);
    for folder in ["bin", "tmp"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
    }
    bench.put("bin/ssh", format!("#!/bin/sh\n{script}\n").as_bytes());
    assert!(bench.command("chmod").args(["755", "bin/ssh"]).status().unwrap().success());
    let path = format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap());
    // Whoever runs the tests may have them ignore signals.
    let mut command = bench.command("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_stoop"), "flash", "image", "--ssh", "board", "--yes"]);
    command.env("PATH", path).env("TMPDIR", bench.path("tmp")).stdin(Stdio::null());
    command
}

fn left(bench: &Bench) -> usize {
    std::fs::read_dir(bench.path("tmp")).unwrap().count()
}

#[test]
fn a_greeting_without_end_is_a_login_that_failed() {
    let bench = Bench::new();
    let output = flash(&bench, "exec yes hello").output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert!(text(&output).contains("no shell there runs the command"), "{output:?}");
    assert_eq!(left(&bench), 0);
}

#[test]
fn a_signal_leaves_no_temporary_folder() {
    let bench = Bench::new();
    let mut command = flash(&bench, "exec 3> fifo; exec cat");
    assert!(bench.command("mkfifo").arg("fifo").status().unwrap().success());
    let stoop = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ssh = File::open(bench.path("fifo")).unwrap();
    assert_eq!(left(&bench), 1, "what the login needs");
    assert!(Command::new("kill").args(["-TERM", &stoop.id().to_string()]).status().unwrap().success());
    let output = stoop.wait_with_output().unwrap();
    assert_eq!((output.status.code(), left(&bench)), (Some(130), 0), "{output:?}");
    assert_eq!(ssh.read(&mut [0]).unwrap(), 0, "its input ended, and so did ssh");
}

/// A board whose flash is files, all erased: its first block is the whole of the boot container, and is written at once.
#[test]
fn a_first_block_that_is_being_written_is_told_of_when_a_signal_comes() {
    let bench = Bench::new();
    let script = r#"for last; do :; done
case "$last" in
"echo 'stoop: ready'"*) echo 'stoop: ready'; exec cat > /dev/null;;
*"dd if=/tmp/stoop-flash"*) exec cat fifo;;
esac
exec sh -c "$(printf %s "$last" | sed "s#/dev/mtd#$PWD/mtd#g; s#/tmp/stoop-flash#$PWD/file#g; s#/proc/mtd#$PWD/table#g")""#;
    let mut command = flash(&bench, script);
    let mut table = String::from("dev:    size   erasesize  name\n");
    for (number, name, size) in [(1, "stoop", 0x1_0000), (2, "firmware-a", 0x18_0000), (3, "rootfs-a", 0x2_0000)] {
        table += &format!("mtd{number}: {size:08x} 00010000 \"{name}\"\n");
        bench.put(&format!("mtd{number}"), &vec![0xff; size]);
    }
    bench.put("table", table.as_bytes());
    std::fs::copy(bench.path("bin/ssh"), bench.path("bin/flashcp")).unwrap();
    assert!(bench.command("mkfifo").arg("fifo").status().unwrap().success());
    let stoop = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The board's dd runs when somebody reads.
    let dd = File::options().write(true).open(bench.path("fifo")).unwrap();
    assert!(Command::new("kill").args(["-TERM", &stoop.id().to_string()]).status().unwrap().success());
    let output = stoop.wait_with_output().unwrap();
    drop(dd);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(text(&output).contains("L099"), "{output:?}");
}
