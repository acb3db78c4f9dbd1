//! A file by TFTP to the same U-Boot in QEMU from stoop's server and from dnsmasq, interleaved: 8 MiB with a window of 8, which dnsmasq
//! does not grant, and 2 MiB without one, where each block waits for the one before and takes as long as this machine needs to wake both
//! programs.
//!
//! `cargo bench -p stoop-lab --bench tftp [ROUNDS]`, as root or with `sysctl net.ipv4.ip_unprivileged_port_start=69`. It asks for nothing but
//! prints the medians and their ratio, since times on a shared machine differ by a factor of two.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stoop_lab::tftp::{File, PORT, Server};

#[path = "../tests/support/mod.rs"]
mod support;

use support::{UBoot, bytes};

const OURS: &str = "127.0.0.2";
const DNSMASQ: &str = "127.0.0.1";

/// Windows, and the bytes that are fetched with them.
const RUNS: [(u16, usize); 2] = [(8, 8 << 20), (1, 2 << 20)];

struct Dnsmasq(Child);

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the folder, and listens already; `None` without the program.
fn dnsmasq(folder: &std::path::Path) -> Option<Dnsmasq> {
    let mut command = Command::new("dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--bind-interfaces"]);
    // By name, the loopback interface is its first address, and TFTP is served there. As nobody, which it would become, it
    // could not read a private folder.
    command.args(["--interface=lo", "--user=root"]);
    command.arg(format!("--tftp-root={}", folder.display()));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
    let mut log = BufReader::new(child.stderr.take()?).lines().map_while(Result::ok);
    let server = Dnsmasq(child);
    // It says so behind the last thing that it sets up.
    log.find(|line| line.contains("TFTP root is"))?;
    std::thread::spawn(move || log.for_each(drop));
    Some(server)
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// One transfer, by U-Boot's own words complete.
fn fetch(board: &UBoot, server: &str, file: &str, size: usize) -> Duration {
    let began = Instant::now();
    let said = board.typed(&format!("tftpboot 0x40400000 {server}:{file}"));
    let took = began.elapsed();
    assert!(said.contains(&format!("Bytes transferred = {size} ")), "{said}");
    took
}

fn main() {
    let rounds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(5);
    let folder = tempfile::tempdir().expect("a folder");
    let Some(board) = UBoot::start() else { return };
    board.network(OURS);
    let file = "image.bin";
    std::fs::write(folder.path().join(file), bytes(1)).expect("a file");
    let Some(_theirs) = dnsmasq(folder.path()) else { return println!("SKIP: dnsmasq does not run here") };
    println!("to U-Boot, {rounds} interleaved rounds, seconds (median)\n");
    println!("| window | bytes | stoop | dnsmasq | times faster |\n|---|---|---|---|---|");
    for (window, size) in RUNS {
        let contents = bytes(size);
        std::fs::write(folder.path().join(file), &contents).expect("a file");
        let served = File { name: file.into(), bytes: contents.into() };
        let address = format!("{OURS}:{PORT}").parse().expect("an address");
        let _ours = Server::start(address, served, drop).unwrap_or_else(|error| panic!("{error}"));
        board.typed(&format!("setenv tftpwindowsize {window}"));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, times) in [OURS, DNSMASQ].into_iter().zip(&mut times) {
                times.push(fetch(&board, server, file, size));
            }
        }
        let [ours, theirs] = times.map(|mut times| median(&mut times));
        println!("| {window} | {size} | {ours:.2} | {theirs:.2} | {:.2} |", theirs / ours);
    }
}
