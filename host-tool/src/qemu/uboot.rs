//! A conversation with U-Boot: wait for its prompt, fetch files over TFTP, set bootargs byte for byte, start an image.
//!
//! It never types before the prompt (U-Boot would take it for the key that stops it) and never sleeps. Bootargs travel in a
//! file that `env import` reads: the console's line buffer has 256 bytes, and its shell would expand `$`, `;` and quotes.

use std::time::Duration;

use super::Console;
use super::console::Seen;
use crate::{Failure, Result};

/// What the conversation needs to know of the board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The prompt without the blank at its end; literal text.
    pub prompt: String,
    /// The TFTP server's address, as U-Boot reaches it.
    pub server: String,
    /// How long one command, or the way from power on to the prompt, may take.
    pub patience: Duration,
}

/// Puts a file where the TFTP server finds it and returns the name to fetch it by.
pub type Stage<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<String>;

/// How the image is entered. Addresses are virtual, as typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How<'a> {
    /// `bootm`, the image fetched to `at`: entered with argc, argv, env; or with a device tree (UHI: -2, tree).
    Bootm {
        /// Where the uImage is fetched to.
        at: u32,
        /// A device tree and where it is fetched to. U-Boot puts its bootargs and memory into it.
        tree: Option<(u32, &'a [u8])>,
    },
    /// `go` to the first byte: entered with argc, argv, argv[0] being the address. U-Boot's own limit of 16 words holds.
    Go {
        /// Where the bytes are fetched to and run.
        at: u32,
    },
    /// `bootelf`: entered with argc, argv of the typed words.
    Bootelf {
        /// Where the ELF file is fetched to.
        at: u32,
    },
}

/// How many words of bootargs mainline U-Boot delivers on MIPS (`arch/mips/lib/bootm.c`, `LINUX_MAX_ARGS` less argv[0]);
/// it drops the others without a word.
pub const BOOTM_WORDS: usize = 255;

/// The longest command that may be typed (`CONFIG_SYS_CBSIZE` less the NUL).
const COMMAND_LIMIT: usize = 255;

/// Waits for the prompt of a board that was just switched on.
///
/// # Errors
/// As for [`Console::expect`].
pub fn attach(console: &mut Console, facts: &Facts) -> Result<Seen> {
    console.expect(&prompt(facts), facts.patience).map_err(|failure| failure.within("waiting for the bootloader"))
}

/// Types one command at the prompt and returns what it printed, when the prompt is back.
///
/// After an error the prompt is still to come: [`attach`] again before the next command.
///
/// # Errors
/// The command is too long to be typed, the prompt does not return in time, or a fatal line comes.
pub fn command(console: &mut Console, facts: &Facts, line: &str) -> Result<String> {
    type_line(console, line)?;
    let seen = console.expect(&prompt(facts), facts.patience).map_err(|failure| failure.within(format!("`{line}`")))?;
    // The echo of what was typed ends with the first line.
    let printed = seen.before.split_once('\n').map_or("", |(_, printed)| printed);
    Ok(printed.replace('\r', ""))
}

/// Gets an address by DHCP, fetching nothing.
///
/// # Errors
/// As for [`command`], and when no lease came.
pub fn network(console: &mut Console, facts: &Facts) -> Result<()> {
    command(console, facts, "setenv autoload no")?;
    let printed = command(console, facts, "dhcp")?;
    if printed.contains("DHCP client bound to address") {
        return Ok(());
    }
    Err(Failure::new(format!("`dhcp` got no lease{}", console.tail()))
        .next("see what the bootloader says about the network"))
}

/// Fetches a staged file of `size` bytes to `at`.
///
/// # Errors
/// As for [`command`], and when another number of bytes arrived.
pub fn fetch(console: &mut Console, facts: &Facts, at: u32, name: &str, size: usize) -> Result<()> {
    let line = format!("tftpboot {at:#x} {}:{name}", facts.server);
    let printed = command(console, facts, &line)?;
    let wanted = format!("Bytes transferred = {size} ({size:x} hex)");
    if printed.contains(&wanted) {
        return Ok(());
    }
    Err(Failure::new(format!("`{line}` did not fetch {size:#x} bytes{}", console.tail()))
        .next("see what the bootloader says about the transfer"))
}

/// Sets bootargs to exactly these bytes, through a file fetched to `at`; `None` deletes them.
///
/// # Errors
/// As for [`fetch`]; usage when they hold a NUL, which no variable can.
pub fn set_bootargs(
    console: &mut Console,
    facts: &Facts,
    stage: Stage<'_>,
    at: u32,
    bootargs: Option<&[u8]>,
) -> Result<()> {
    let Some(bootargs) = bootargs else {
        return command(console, facts, "setenv bootargs").map(drop);
    };
    if bootargs.contains(&0) {
        return Err(Failure::usage("bootargs hold a NUL").next("leave it out: it would end them"));
    }
    let text = env_text("bootargs", bootargs);
    let name = stage("bootargs.txt", &text)?;
    fetch(console, facts, at, &name, text.len())?;
    command(console, facts, &format!("env import -t {at:#x} {:#x}", text.len())).map(drop)
}

/// A line of U-Boot's text environment (`lib/hashtable.c`, `himport_r`: a backslash takes the next byte as it is).
fn env_text(name: &str, value: &[u8]) -> Vec<u8> {
    let mut line = format!("{name}=").into_bytes();
    for &byte in value {
        if byte == b'\\' || byte == b'\n' {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.push(b'\n');
    line
}

/// Starts an image from the prompt: network, bootargs, image, and the command that enters it. Returns once that is typed;
/// what comes next on the console is the image's.
///
/// # Errors
/// As for [`fetch`] and [`set_bootargs`]; usage when U-Boot would drop words of the bootargs.
pub fn boot(
    console: &mut Console,
    facts: &Facts,
    stage: Stage<'_>,
    image: &[u8],
    bootargs: Option<&[u8]>,
    how: How<'_>,
) -> Result<()> {
    let words = bootargs.map_or(0, |bootargs| argv(bootargs).len());
    if matches!(how, How::Bootm { tree: None, .. }) && words > BOOTM_WORDS {
        return Err(Failure::usage(format!(
            "U-Boot delivers {BOOTM_WORDS:#x} words of bootargs, these have {words:#x}"
        ))
        .next("join or drop some, or pass a device tree"));
    }
    network(console, facts)?;
    let (How::Bootm { at, .. } | How::Go { at } | How::Bootelf { at }) = how;
    set_bootargs(console, facts, stage, at, bootargs)?;
    let name = stage("image", image)?;
    fetch(console, facts, at, &name, image.len())?;
    // Expanded by U-Boot's shell into its words, so the typed line stays short.
    let typed = if words == 0 { "" } else { " ${bootargs}" };
    match how {
        How::Bootm { tree: None, .. } => type_line(console, &format!("bootm {at:#x}")),
        How::Bootm { tree: Some((tree_at, tree)), .. } => {
            let name = stage("tree.dtb", tree)?;
            fetch(console, facts, tree_at, &name, tree.len())?;
            type_line(console, &format!("bootm {at:#x} - {tree_at:#x}"))
        }
        How::Go { .. } => type_line(console, &format!("go {at:#x}{typed}")),
        How::Bootelf { .. } => {
            // Only now: with it tftpboot would start what it fetched, and without it bootelf does nothing, silently.
            command(console, facts, "setenv autostart yes")?;
            type_line(console, &format!("bootelf {at:#x}{typed}"))
        }
    }
}

/// The words that mainline U-Boot's bootm makes of bootargs on MIPS, argv[1] and on: cut at each single blank outside of
/// double quotes, which stay; a blank at the very end is dropped, a quote that is not closed takes the rest.
pub fn argv(bootargs: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = bootargs;
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b' ' && !quoted
        });
        let (word, behind) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        words.push(word);
        rest = behind;
    }
    words
}

/// The prompt as a pattern: only at the start of a line, where a file name or an echo cannot be mistaken for it.
fn prompt(facts: &Facts) -> String {
    format!("^{}", regex::escape(&facts.prompt))
}

fn type_line(console: &mut Console, line: &str) -> Result<()> {
    if line.len() > COMMAND_LIMIT {
        return Err(Failure::new(format!("a command of {:#x} bytes is too long for the bootloader", line.len()))
            .next("put it into a variable first"));
    }
    console.send(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootargs_become_one_line_of_environment_text() {
        assert_eq!(env_text("bootargs", b" a=$b; \"c d\" #'e' "), b"bootargs= a=$b; \"c d\" #'e' \n");
        assert_eq!(env_text("bootargs", b"a\\b\nc"), b"bootargs=a\\\\b\\\nc\n");
        assert_eq!(env_text("bootargs", b""), b"bootargs=\n");
    }

    #[test]
    fn words_are_cut_as_bootm_cuts_them() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("a", &["a"]),
            ("a b=c", &["a", "b=c"]),
            ("a ", &["a"]),
            ("a  b", &["a", "", "b"]),
            (" a  ", &["", "a", ""]),
            ("x=\"a b\" \"c\"d e", &["x=\"a b\"", "\"c\"d", "e"]),
            ("a \"b c", &["a", "\"b c"]),
        ];
        for (bootargs, wanted) in cases {
            let words: Vec<_> =
                argv(bootargs.as_bytes()).into_iter().map(|word| std::str::from_utf8(word).unwrap()).collect();
            assert_eq!(words, wanted, "{bootargs:?}");
        }
    }
}
