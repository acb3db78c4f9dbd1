//! Whole-tree resolution against `depmod`, on the same trees, taking turns: `cargo bench --package stoop --bench modules`.
//! `STOOP_MODULES_TREES` names the trees, as for the tests: directories with a `lib/modules/VERSION`, separated by colons;
//! `cargo ci lab` leaves two in the cache as `lab/debian-*`.
//! depmod runs with `-n`, which prints its lists and writes nothing; stoop prints what depmod writes to `modules.dep`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

fn main() {
    let Ok(roots) = std::env::var("STOOP_MODULES_TREES") else {
        println!("skipped: STOOP_MODULES_TREES names no kernel's modules");
        return;
    };
    for root in roots.split(':') {
        let mut versions = std::fs::read_dir(Path::new(root).join("lib/modules")).expect("lib/modules");
        let directory = versions.next().expect("one kernel").expect("an entry").path();
        let version = directory.file_name().expect("a version").to_owned();
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let mut stoop = Command::new(env!("CARGO_BIN_EXE_stoop"));
            stoop.args(["modules", "resolve", "--scan", "--all", "--modules"]).arg(&directory);
            let mut depmod = Command::new("depmod");
            depmod.args(["-n", "-b"]).arg(root).arg(&version);
            times[0].push(time(&mut stoop));
            times[1].push(time(&mut depmod));
        }
        let [stoop, depmod] = times.map(median);
        let ratio = stoop.as_secs_f64() / depmod.as_secs_f64();
        println!(
            "{}: stoop {stoop:.0?}, depmod {depmod:.0?}, {ratio:.2} of depmod's time (median of {ROUNDS})",
            version.display()
        );
    }
}

fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("the command runs");
    assert!(status.success());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
