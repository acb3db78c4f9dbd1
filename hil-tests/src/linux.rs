//! A board whose own Linux runs: with a network, Debian's SSH server and mtd-utils, its flash divided as the board file says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use stoop_ci::lab::{Endian, Flavour, Lab};
use stoop_ci::{Failure, Result};
use stoop_image::board::Board;
use stoop_image::plan::Request;
use stoop_samples::machine::Port;
use tempfile::TempDir;

use crate::packed::{self, lab};
use crate::rig::{self, BootRequest};
use crate::{Boot, Cap, Packed, Rig, Via, boot, skip};

/// The board. Debian has no kernel for a big-endian one.
pub const BOARD: &str = "qemu-malta-le";

/// What the board is called in ssh's configuration ([`Linux::config`]).
pub const HOST: &str = "board";

/// The keys of boards that ssh met, beside its configuration.
const HOSTS: &str = "known_hosts";

/// For a boot, and for a word on the console.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Printed when the server listens.
const READY: &str = "ssh: ready";

/// A board that runs.
pub struct Linux {
    rig: Box<dyn Rig>,
    system: Packed,
    folder: TempDir,
    port: Port,
}

impl Linux {
    /// Starts it; `parts` gives a partition another place for Linux than the board file does, in the words of `mtdparts=`.
    ///
    /// `None`, after a line `HIL-SKIP: reason`, where it cannot be.
    ///
    /// # Errors
    /// It does not start, or a part of the lab is damaged.
    pub fn start(change: impl Fn(String) -> String) -> Result<Option<Linux>> {
        if Command::new("ssh").arg("-V").output().is_err() {
            return skip("ssh is not installed").map(|()| None);
        }
        let port = Port::new().map_err(|error| Failure::new(format!("no free port: {error}")))?;
        let network = format!("user,id=ssh,restrict=on,hostfwd=tcp:{}-:22", port.address());
        let card = ["-netdev", &network, "-device", "pcnet,netdev=ssh"];
        let asked = BootRequest { caps: &[Cap::Uboot, Cap::NorWrite], emulator: &card };
        let Some(rig) = rig::open(BOARD, &asked)? else { return Ok(None) };
        let Some(lab) = lab()? else { return Ok(None) };
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        write_config(folder.path(), port.address().port())?;
        let system = system(&lab, folder.path(), &change(partitions(rig.board())))?;
        let mut linux = Linux { rig, system, folder, port };
        linux.start_again()?;
        Ok(Some(linux))
    }

    /// Starts the same system again, if need be after switching it off.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        // The board makes itself a new key at each start. There is no file yet at the first.
        let _ = std::fs::remove_file(self.folder.path().join(HOSTS));
        let what = Boot { image: self.system.path(), bootargs: None, files: &[], via: Via::Bootm };
        boot(self.rig.as_mut(), &what, &format!("^{READY}\r?\n"), PATIENCE).map(|_| ())
    }

    /// Of this machine, where the board's SSH server answers.
    pub fn port(&self) -> u16 {
        self.port.address().port()
    }

    /// The file of ssh's configuration that knows [`HOST`].
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// The same with these lines before all others, under another name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn config_with(&self, lines: &str) -> Result<PathBuf> {
        let (path, other) = (self.config(), self.folder.path().join("other-config"));
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::io(&path, &error))?;
        std::fs::write(&other, format!("{lines}\n{text}")).map_err(|error| Failure::io(&other, &error))?;
        Ok(other)
    }

    /// Types a line at its console, and waits until that is done.
    ///
    /// # Errors
    /// It does not answer.
    pub fn type_line(&mut self, line: &str) -> Result<String> {
        let console = self.rig.console()?;
        // The echo of the line has quotes where the answer has none.
        console.send(format!("{line}; echo 'do''ne'\n").as_bytes())?;
        Ok(console.expect("^done\r?\n", PATIENCE)?.before)
    }

    /// Switches it off, and gives the rig that it ran on.
    ///
    /// # Errors
    /// As for [`Rig::power_off`].
    pub fn off(&mut self) -> Result<&mut dyn Rig> {
        self.rig.power_off()?;
        Ok(self.rig.as_mut())
    }
}

/// A key that the board will know, and a configuration without anything of the user's own.
fn write_config(folder: &Path, port: u16) -> Result<()> {
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    if !made.is_ok_and(|status| status.success()) {
        return Err(Failure::new("ssh-keygen makes no key"));
    }
    let (path, hosts) = (folder.join("config"), folder.join(HOSTS));
    let text = format!(
        "Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n",
        key.display(),
        hosts.display(),
    );
    std::fs::write(&path, text).map_err(|error| Failure::io(&path, &error))
}

/// What the board runs from RAM.
fn system(lab: &Lab, folder: &Path, parts: &str) -> Result<Packed> {
    let key = folder.join("key.pub");
    let key = std::fs::read(&key).map_err(|error| Failure::io(&key, &error))?;
    let files: [(&str, &[u8]); 2] = [("router.sh", COMMANDS.as_bytes()), ("authorized_keys", &key)];
    let initramfs = packed::file(&lab.ssh_router(&files)?)?;
    Packed::of(&Request {
        board: BOARD.into(),
        kernel: lab.vmlinux(Endian::Little, Flavour::Malta),
        initrd: Some(initramfs.path().into()),
        append: Some(format!("mtdparts={FLASH}:{parts}")),
        ..Request::default()
    })
}

/// The flash map in the words of `mtdparts=` (Linux, drivers/mtd/parsers/cmdlinepart.c).
fn partitions(board: &Board) -> String {
    let partitions = board.flash.iter().flat_map(|flash| &flash.partitions);
    let words = partitions.map(|it| format!("0x{:x}@0x{:x}({})", it.size, it.offset, it.name));
    words.collect::<Vec<_>>().join(",")
}

/// The flash's name in Linux: its node in the kernel's own tree (arch/mips/boot/dts/mti/malta.dts).
const FLASH: &str = "1e000000.flash";

/// What the system does when it has started; then it does what is typed at its console. The last card is the one with the way in, and QEMU's
/// user network gives it that address by default.
const COMMANDS: &str = "\
export PATH=$PATH:/usr/bin:/usr/sbin
mount -t devtmpfs dev /dev
for card in /sys/class/net/eth*; do card=${card##*/}; done
ip link set lo up; ip link set $card up; ip addr add 10.0.2.15/24 dev $card
mkdir -p /root/.ssh /etc/dropbear /mnt; mount -t tmpfs tmp /tmp
chmod 700 /root /root/.ssh; cp /authorized_keys /root/.ssh/; chmod 600 /root/.ssh/authorized_keys
echo 'root:x:0:0::/root:/bin/sh' > /etc/passwd
dropbearkey -t ed25519 -f /etc/dropbear/key > /dev/null
dropbear -E -r /etc/dropbear/key && echo 'ssh: ready'
while read -r line; do eval \"$line\"; done
";
