//! What tests and benchmarks share: a file, and U-Boot in QEMU.

use std::path::Path;
use std::time::{Duration, Instant};

use stoop_lab::connection::{Address, Connection, Event, Options};

/// Longer than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Bytes that differ from block to block.
pub fn bytes(count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes()).take(count).collect()
}

/// U-Boot for arm64 in QEMU, at its prompt.
pub struct UBoot(Connection);

impl UBoot {
    /// `None`, and a line that says so, without Debian's u-boot-qemu.
    pub fn start() -> Option<UBoot> {
        let rom = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
        if !Path::new(rom).exists() {
            stoop_samples::machine::skipped(&format!("{rom} is not installed"));
            return None;
        }
        let command = format!(
            "exec:qemu-system-aarch64 -M virt -cpu cortex-a57 -m 256 -display none -monitor none -serial stdio \
             -bios {rom} -netdev user,id=net -device virtio-net-pci,netdev=net,romfile="
        );
        let address: Address = command.parse().expect("an address");
        let board = UBoot(Connection::open(&address, Options::default()).expect("QEMU"));
        board.to_prompt();
        Some(board)
    }

    /// Gets an address from QEMU's user network. 10.0.2.2's TFTP port is always QEMU's own, but any 127.x.x.x is this machine.
    pub fn network(&self, server: &str) {
        self.typed("setenv autoload no");
        let lease = self.typed("dhcp");
        assert!(lease.contains("DHCP client bound"), "{lease}");
        self.typed(&format!("setenv serverip {server}"));
    }

    /// Types a line; gives what came up to the next prompt.
    pub fn typed(&self, line: &str) -> String {
        self.0.sender().send(format!("{line}\n").as_bytes()).expect("sent");
        self.to_prompt()
    }

    fn to_prompt(&self) -> String {
        let (mut all, mut is_stopped, began) = (String::new(), false, Instant::now());
        while !all.ends_with("\n=> ") {
            match self.0.next(LONG) {
                Some(Event::Bytes(bytes)) => all.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {all}"),
            }
            // Once: U-Boot echoes a second blank behind its prompt.
            if all.contains("Hit any key") && !is_stopped {
                self.0.sender().send(b" ").expect("sent");
                is_stopped = true;
            }
            assert!(began.elapsed() < 4 * LONG, "{all}");
        }
        all
    }
}
