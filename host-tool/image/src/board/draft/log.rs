//! What a bootloader prints, from its first line to the kernel's.

use super::super::printed;
use super::super::types::{Container, Interrupt};

/// Words that people type at U-Boot, to tell its prompt from other lines that begin alike.
const COMMANDS: [&str; 18] = [
    "help", "printenv", "setenv", "saveenv", "tftpboot", "tftp", "bootm", "booti", "go", "run", "version", "bdinfo",
    "md", "reset", "ping", "dhcp", "boot", "mtdparts",
];
/// What is printed while the bootloader waits, and what stops it.
const INTERRUPTS: [(&str, &str); 6] = [
    ("Hit any key to stop autoboot", " "),
    ("Hit 'gl' to stop autoboot", "gl"),
    ("Autobooting in 1 seconds", "tpl"),
    ("Please choose the operation", "4"),
    ("Press any key to stop autoboot", " "),
    ("( ( ( OpenWrt ) ) )", "\u{3}"),
];

/// What a log says. Sizes are bytes, addresses as printed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Said {
    pub(super) loader: Option<String>,
    pub(super) ram: Option<usize>,
    pub(super) flash: Option<usize>,
    pub(super) erase: Option<usize>,
    pub(super) cpu_clock: Option<usize>,
    pub(super) prompt: Option<String>,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) container: Option<Container>,
    /// Where it put a file that it fetched; `Load Address:` with a capital is the kernel's.
    pub(super) loaded_to: Option<usize>,
    /// Where its code runs.
    pub(super) loader_at: Option<usize>,
    /// What starts the image in flash.
    pub(super) command: Option<String>,
}

/// Reads a log up to where the kernel speaks.
pub(super) fn read(log: &str) -> Said {
    let mut said = Said::default();
    let lines = log.lines().map(clean);
    for line in lines.take_while(|line| !line.contains("Linux version ")) {
        said.take(line.trim_end());
    }
    said
}

/// Without escape sequences and other controls, and without a time in brackets in front.
fn clean(line: &str) -> String {
    let mut clean = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI sequences end with a letter.
            let _ = chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else if !c.is_control() {
            clean.push(c);
        }
    }
    let timed = clean.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match timed {
        Some((time, rest)) if time.bytes().all(|byte| b"0123456789.: -".contains(&byte)) => rest.to_owned(),
        _ => clean,
    }
}

impl Said {
    fn take(&mut self, line: &str) {
        if self.loader.is_none() && line.trim_start().starts_with("U-Boot ") {
            let end = line.find(" (").unwrap_or(line.len());
            self.loader = Some(line[..end].trim().to_owned());
        }
        set(&mut self.ram, || ["DRAM:", "Total memory:"].iter().find_map(|word| size(after(line, word)?)));
        set(&mut self.flash, || size(after(line, "Flash:")?));
        if let Some(at) = line.find("block size:") {
            // MTD's line of a NAND chip: `128 MiB, block size: 128 KiB, page size: …`.
            set(&mut self.erase, || size(&line[at + 11..]));
            set(&mut self.flash, || size(line[..at].rsplit_once(": ").map_or(&line[..at], |(_, size)| size)));
        }
        set(&mut self.cpu_clock, || megahertz(line));
        set(&mut self.loader_at, || {
            let words = ["relocate_code Pointer at:", "Now running in RAM - U-Boot at:", "U-Boot relocated to"];
            words.iter().find_map(|word| hex(after(line, word)?))
        });
        set(&mut self.loaded_to, || hex(after(line, "Load address:")?));
        self.image(line);
        if self.interrupt.is_none() {
            let found = INTERRUPTS.iter().find(|(on, _)| line.contains(on));
            self.interrupt = found.map(|(on, send)| Interrupt { on: Some((*on).into()), send: (*send).into() });
        }
        set(&mut self.prompt, || prompt(line));
    }

    fn image(&mut self, line: &str) {
        if let Some(at) =
            ["## Booting image at", "## Booting kernel from Legacy Image at"].iter().find_map(|it| after(line, it))
        {
            set(&mut self.command, || Some(format!("bootm 0x{:08x}", hex(at)?)));
        }
        if line.contains("from FIT Image at") || line.contains("FIT/FDT format image found") {
            self.container.get_or_insert(Container::Fit);
        }
        if line.contains("Image Type:") {
            let container = match line {
                _ if line.contains("lzma compressed") => Container::UimageLzma,
                _ if line.contains("gzip compressed") => Container::UimageGzip,
                _ => Container::UimageNone,
            };
            self.container.get_or_insert(container);
        }
    }
}

/// The first who says something is right.
fn set<T>(known: &mut Option<T>, find: impl FnOnce() -> Option<T>) {
    if known.is_none() {
        *known = find();
    }
}

fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.split_once(word).map(|(_, rest)| rest)
}

fn size(text: &str) -> Option<usize> {
    usize::try_from(printed::size(text)?).ok()
}

fn hex(text: &str) -> Option<usize> {
    let text = text.trim_start().trim_start_matches("0x");
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    usize::from_str_radix(&text[..end], 16).ok()
}

/// `##### The CPU freq = 580 MHZ ####`, `CPU Clock: 880MHz`, `CPU:750.000MHz`.
fn megahertz(line: &str) -> Option<usize> {
    let line = line.to_ascii_lowercase();
    let before = line[line.find("cpu")?..].split_once("mhz")?.0.to_owned();
    let number = before.rsplit(|c: char| !c.is_ascii_digit() && c != '.' && c != ' ').next()?.trim().to_owned();
    let whole: usize = number.split('.').next()?.parse().ok()?;
    (50..5000).contains(&whole).then_some(whole * 1_000_000)
}

/// What stands in front of a command.
fn prompt(line: &str) -> Option<String> {
    let (at, _) = line.char_indices().find(|(at, c)| matches!(c, '>' | '#') && line[at + 1..].starts_with(' '))?;
    let typed = line[at + 1..].split_whitespace().next()?;
    let is_prompt = at > 0 && at < 24 && COMMANDS.contains(&typed);
    is_prompt.then(|| line[..=at].trim().to_owned())
}
