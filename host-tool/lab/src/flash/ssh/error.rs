//! Why flash is not written by a Linux that runs on the board.

use stoop_image::explained::{Explained, NO_ANSWER, NO_PLACE, USAGE};

use crate::text::shown;

/// Why a Linux that runs on the board does not, or must not, write its flash.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A command there failed.
    #[error("on {}: `{}`: {}", shown(host), shown(command), shown(said))]
    Command {
        /// As ssh takes it.
        host: String,
        /// What was run there.
        command: String,
        /// What it said.
        said: String,
    },
    /// There is no way to it, or it lets nobody in.
    #[error("ssh does not reach {}: {}", shown(host), shown(said))]
    Reach {
        /// As ssh takes it.
        host: String,
        /// What ssh said.
        said: String,
    },
    /// The way to it is gone.
    #[error("ssh lost {} in the middle of `{}`: {}", shown(host), shown(command), shown(said))]
    Lost {
        /// As ssh takes it.
        host: String,
        /// What was run there.
        command: String,
        /// What ssh said.
        said: String,
    },
    /// Nothing there writes that.
    #[error("{} has nothing that writes its flash partition {} from 0x{inside:x} on", shown(host), shown(partition))]
    NoTool {
        /// As ssh takes it.
        host: String,
        /// The partition.
        partition: String,
        /// Where in the partition it should be written.
        inside: usize,
    },
    /// The file does not fit the board's memory for files.
    #[error("{} has 0x{free:x} bytes of memory for a file of 0x{size:x} bytes in /tmp", shown(host))]
    NoSpace {
        /// As ssh takes it.
        host: String,
        /// Bytes of the file.
        size: usize,
        /// Bytes that there are.
        free: usize,
    },
    /// The kernel there does not let anybody write it.
    #[error("the kernel of {} lets nobody write the flash partition {}", shown(host), shown(partition))]
    ReadOnly {
        /// As ssh takes it.
        host: String,
        /// The partition.
        partition: String,
    },
    /// It is in use.
    #[error(
        "{} runs from its flash partition {}: what is mounted at {} lies there",
        shown(host),
        shown(partition),
        shown(at)
    )]
    InUse {
        /// As ssh takes it.
        host: String,
        /// The partition.
        partition: String,
        /// Where the file system is mounted.
        at: String,
    },
    /// The flash has bad blocks, or may have.
    #[error("the flash of {board} is NAND, whose bad blocks have to be known")]
    Nand {
        /// The board.
        board: String,
    },
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Command { .. } => "L091",
            Error::Reach { .. } => "L092",
            Error::Lost { .. } => "L093",
            Error::NoTool { .. } => "L094",
            Error::NoSpace { .. } => "L095",
            Error::ReadOnly { .. } => "L096",
            Error::InUse { .. } => "L097",
            Error::Nand { .. } => "L098",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(match self {
            Error::Command { host, .. } => format!("try it by hand: ssh {}", shown(host)),
            Error::Reach { host, said } => way(&shown(host), said),
            Error::Lost { .. } => "look at the board's power and cable, then flash it again; the slot is not marked good".into(),
            Error::NoTool { inside: 0, .. } => "install mtd-utils there, or BusyBox's flashcp".into(),
            Error::NoTool { .. } => "install mtd-utils there: flash_erase or mtd_debug writes inside a partition".into(),
            Error::NoSpace { .. } => "end what needs memory there, or write by the bootloader, without --ssh".into(),
            Error::ReadOnly { .. } => {
                "start a system there whose device tree or mtdparts= does not make it read-only, or write by the bootloader, without \
                 --ssh"
                    .into()
            }
            Error::InUse { .. } => {
                "start a system that runs from RAM, for example by `stoop netboot`, and write from that; or write by the bootloader, \
                 without --ssh"
                    .into()
            }
            Error::Nand { .. } => "write it by the updater of the system that runs there, for example `sysupgrade`".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Reach { .. } | Error::Lost { .. } => NO_PLACE,
            Error::Nand { .. } => USAGE,
            _ => NO_ANSWER,
        }
    }
}

/// What to look at, by the words of OpenSSH's client.
fn way(host: &str, said: &str) -> String {
    let says = |words: &str| said.contains(words);
    if says("IDENTIFICATION HAS CHANGED") {
        format!("see whether it is the right board; if it has a new system, forget the old key: ssh-keygen -R {host}")
    } else if says("Host key verification failed") {
        format!("log in once by hand, `ssh {host}`, and compare the key that it shows with the board's")
    } else if says("Permission denied") || says("Too many authentication failures") {
        "give the board your key, or name the right one in ssh's configuration; a password is asked for only in a terminal".into()
    } else if says("Could not resolve") {
        "see whether the name is right; an address does as well".into()
    } else if says("Connection refused") {
        "start the SSH server there, or name its port: ssh://root@HOST:PORT".into()
    } else if says("cannot start ssh") {
        "install OpenSSH's client".into()
    } else {
        format!("look at the board's power, cable and address, then try `ssh {host}`")
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use stoop_image::Explained;

    #[test]
    fn what_to_do_follows_from_the_words_of_ssh() {
        for (said, next) in [
            ("Host key verification failed.", "log in once by hand, `ssh root@board`"),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                "ssh-keygen -R root@board",
            ),
            ("root@board: Permission denied (publickey).", "give the board your key"),
            ("ssh: Could not resolve hostname board: Name or service not known", "see whether the name is right"),
            ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", "power, cable and address"),
        ] {
            let error = Error::Reach { host: "root@board".into(), said: said.into() };
            let found = error.next_step().unwrap_or_default();
            assert!(found.contains(next), "{said}: {found}");
            assert_eq!(error.exit_code(), 75, "another place may do");
        }
    }
}
