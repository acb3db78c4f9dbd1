//! 8 MiB by TFTP to the same U-Boot in QEMU from stoop's server and from dnsmasq, interleaved, with a window of 1, 4 and 8.
//!
//! `cargo bench -p stoop-lab --bench tftp [ROUNDS]`, as root or with `sysctl net.ipv4.ip_unprivileged_port_start=69`. It asks for nothing but
//! prints the medians and their ratio, since times on a shared machine differ by a factor of two.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stoop_lab::tftp::{File, PORT, Server};

#[path = "../tests/support/mod.rs"]
mod support;

use support::{UBoot, bytes};

const OURS: &str = "127.0.0.2";
const DNSMASQ: &str = "127.0.0.1";
const SIZE: usize = 8 << 20;

struct Dnsmasq(Child);

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the folder; `None` without the program.
fn dnsmasq(folder: &std::path::Path) -> Option<Dnsmasq> {
    let mut command = Command::new("dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--bind-interfaces"]);
    // By name, the loopback interface is its first address, and TFTP is served there. As nobody, which it would become, it
    // could not read a private folder.
    command.args(["--interface=lo", "--user=root"]);
    command.arg(format!("--tftp-root={}", folder.display()));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let server = Dnsmasq(child);
    for _ in 0..100 {
        // Its port is taken as soon as it listens.
        if UdpSocket::bind((DNSMASQ, PORT)).is_err() {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    let rounds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(7);
    let file = bytes(SIZE);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("image.bin"), &file).expect("a file");
    let served = File { name: "image.bin".into(), bytes: file.into() };
    let address = format!("{OURS}:{PORT}").parse().expect("an address");
    let _ours = Server::start(address, served, drop).unwrap_or_else(|error| panic!("{error}"));
    let Some(_theirs) = dnsmasq(folder.path()) else { return println!("SKIP: dnsmasq does not run here") };
    let Some(board) = UBoot::start() else { return };
    board.network(OURS);
    println!("8 MiB to U-Boot, {rounds} interleaved rounds, seconds (median)");
    println!("window   stoop dnsmasq   times faster");
    for window in [1, 4, 8] {
        board.typed(&format!("setenv tftpwindowsize {window}"));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, times) in [OURS, DNSMASQ].into_iter().zip(&mut times) {
                let began = Instant::now();
                let said = board.typed(&format!("tftpboot 0x40400000 {server}:image.bin"));
                times.push(began.elapsed());
                assert!(said.contains("Bytes transferred = 8388608"), "{said}");
            }
        }
        let [ours, theirs] = times.map(|mut times| median(&mut times));
        println!("{window:>6} {ours:>7.2} {theirs:>7.2}   {:>12.2}", theirs / ours);
    }
}
