//! A first board file, from a device tree and, where there is one, the log of a boot.
//!
//! What neither of them says is taken from the most similar board that comes with stoop and listed as not verified, so that
//! the file is right in form and honest in what it knows. [`Draft::questions`] lists these figures for someone to answer.

mod facts;
mod log;
mod tree;
mod write;

pub use self::facts::Draft;
use self::facts::{By, Loader, Said};
use super::error::Error;
use super::types::{Board, FlashKind};
use crate::Result;
use crate::format::device_tree::tree::Tree;
use crate::machine::KSEG_SIZE;

/// The log of a boot: what messages call it, and its text.
pub type Log<'a> = (&'a str, &'a str);

/// Something that neither tree nor log says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The key of the board file that the answer is for.
    pub key: &'static str,
    /// What to ask.
    pub text: &'static str,
    /// What holds unless somebody knows better, as it would be typed.
    pub usual: String,
}

impl Draft {
    /// Reads a device tree, which messages call `file`, and a log. `soc` names the SoC's file when the tree's `compatible` does
    /// not tell it.
    ///
    /// # Errors
    /// The tree names no board, or a SoC that no board here has.
    pub fn new(file: &str, tree: &Tree, log: Option<Log<'_>>, soc: Option<&str>) -> Result<Draft> {
        let compatible: Vec<String> = super::maps::texts(&tree.root, "compatible").map(str::to_owned).collect();
        let Some(first) = compatible.first() else {
            return Err(Error::NoCompatible { file: file.to_owned() }.into());
        };
        let boards = super::all()?;
        let sister = sister(&boards, &compatible, soc, tree::flash_kind(tree))?;
        let said = log::read(log.map_or("", |(_, text)| text));
        let model = tree.root.get("model").and_then(crate::format::device_tree::text).unwrap_or(first);
        let chip = compatible.iter().find(|name| is_chip(name, &sister.chip));
        let own = compatible.iter().take_while(|name| !is_chip(name, &sister.chip)).take(4).cloned();
        let mut draft = Draft {
            name: plain(first.rsplit(',').next().unwrap_or(first)),
            title: model.to_owned(),
            soc: sister.soc.clone(),
            chip: chip.map_or_else(|| sister.chip.clone(), |name| chip_of(name).to_uppercase()),
            arch: sister.arch,
            arch_of: boards
                .iter()
                .any(|board| board.soc == sister.soc && board.arch != sister.arch)
                .then(|| sister.name.clone()),
            compatible: own.collect(),
            ram_start: sister.ram.start(),
            ram: Said::guess(sister.ram.size(), &sister.name),
            reach: reach(sister),
            led: tree::led(tree),
            cpu_clock: said.cpu_clock,
            loader: Loader::of(sister),
            flash: tree::chip(tree, &said),
            files: [file.to_owned(), log.map_or_else(String::new, |(file, _)| file.to_owned())],
        };
        if draft.compatible.is_empty() {
            draft.compatible.push(first.clone());
        }
        draft.remember(&tree::memory(tree));
        if let Some(size) = said.ram {
            draft.ram = Said { value: size, by: By::Log };
        }
        draft.loader.learn(&said);
        draft.fit(&said);
        Ok(draft)
    }

    /// RAM as the tree has it: the first piece. On MIPS what lies above 512 MiB is the kernel's alone.
    fn remember(&mut self, pieces: &[(usize, usize)]) {
        let Some(((start, size), more)) = pieces.split_first() else { return };
        let more = more.iter().filter(|(start, _)| !self.arch.is_mips() || *start < KSEG_SIZE);
        let more: Vec<String> = more.map(|(start, size)| format!("{start:#x}, {size:#x} bytes")).collect();
        let by = match more.is_empty() {
            true => By::Tree,
            false => By::Guess(format!(
                "only the first piece of RAM in the device tree, which also has {}; reserved-top counts from the end of the first",
                more.join(", and ")
            )),
        };
        (self.ram_start, self.ram) = (*start, Said { value: *size, by });
    }

    /// No more RAM than is reached; addresses inside of RAM; the top of RAM by where the log has the bootloader.
    fn fit(&mut self, said: &log::Said) {
        self.ram.value = self.ram.value.min(self.reach.saturating_sub(self.ram_start).max(0x10_0000));
        let end = self.ram_start + self.ram.value;
        let at = said.loader_at.map(|at| if self.arch.is_mips() { at & (KSEG_SIZE - 1) } else { at });
        if let Some(below) = at.and_then(|at| end.checked_sub(at)).filter(|below| *below < self.ram.value / 2) {
            let value = (below + 0x8_0000).next_multiple_of(0x10_0000);
            let why = format!("the log has its code {below:#x} bytes below the end of RAM; heap and stack are a guess");
            self.loader.reserved = Said { value, by: By::Guess(why) };
        }
        self.loader.reserved.value = self.loader.reserved.value.min(self.ram.value / 4);
        let typed = if self.arch.is_mips() { 0x8000_0000 } else { 0 };
        let free = self.ram_start + typed..end + typed - self.loader.reserved.value;
        if !free.contains(&self.loader.tftp.value) {
            let value = self.ram_start + typed + self.ram.value / 4;
            self.loader.tftp = Said { value, by: By::Guess("a quarter of RAM behind its start".into()) };
        }
    }

    /// What is not known, in the order of the file.
    pub fn questions(&self) -> Vec<Question> {
        let mut all = Vec::new();
        let mut ask = |key, text, usual: String, by: &By| {
            if matches!(by, By::Guess(_)) {
                all.push(Question { key, text, usual });
            }
        };
        let loader = &self.loader;
        ask("ram.size", "RAM, in MiB", (self.ram.value >> 20).to_string(), &self.ram.by);
        ask("bootloader.name", "the bootloader's name and version", loader.name.value.clone(), &loader.name.by);
        let words: Vec<String> = loader.containers.value.iter().map(write::word).collect();
        ask("bootloader.containers", "image formats that it starts", words.join(" "), &loader.containers.by);
        ask(
            "bootloader.tftp-address",
            "where tftpboot may put a file",
            format!("{:#x}", loader.tftp.value),
            &loader.tftp.by,
        );
        ask(
            "bootloader.reserved-top",
            "bytes at the top of RAM that it uses",
            format!("{:#x}", loader.reserved.value),
            &loader.reserved.by,
        );
        if let Some(chip) = &self.flash {
            ask("flash.size", "size of the flash chip, in MiB", (chip.size.value >> 20).to_string(), &chip.size.by);
        }
        all
    }

    /// Takes somebody's answer to the question of this key.
    ///
    /// # Errors
    /// It is no such figure.
    pub fn answer(&mut self, key: &str, answer: &str) -> Result<()> {
        let wrong = || Error::Answer { key: key.to_owned(), answer: answer.to_owned() };
        let number = || match answer.strip_prefix("0x") {
            Some(hex) => usize::from_str_radix(hex, 16).map_err(|_| wrong()),
            None => answer.parse::<usize>().map_err(|_| wrong()),
        };
        let mebibytes = || number()?.checked_mul(0x10_0000).ok_or_else(wrong);
        let loader = &mut self.loader;
        match key {
            "ram.size" => self.ram = Said::person(mebibytes()?),
            "bootloader.name" => loader.name = Said::person(answer.to_owned()),
            "bootloader.tftp-address" => loader.tftp = Said::person(number()?),
            "bootloader.reserved-top" => loader.reserved = Said::person(number()?),
            "bootloader.containers" => {
                let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
                let known = words.map(|word| serde_json::from_value(word.into()).map_err(|_| wrong()));
                loader.containers = Said::person(known.collect::<std::result::Result<_, Error>>()?);
            }
            "flash.size" => {
                let size = mebibytes()?;
                self.flash.iter_mut().for_each(|chip| chip.size = Said::person(size));
            }
            _ => return Err(wrong().into()),
        }
        Ok(())
    }

    /// The file's text.
    pub fn toml(&self) -> String {
        write::file(self)
    }
}

impl Loader {
    fn of(sister: &Board) -> Loader {
        let (it, name) = (&sister.bootloader, sister.name.as_str());
        Loader {
            name: Said { value: "U-Boot".into(), by: By::Guess("it is on most such boards".into()) },
            prompt: None,
            interrupt: None,
            containers: Said::guess(it.containers.clone(), name),
            tftp: Said::guess(it.tftp_address.unwrap_or(0), name),
            reserved: Said::guess(it.reserved_top, name),
            command: None,
        }
    }

    fn learn(&mut self, said: &log::Said) {
        if let Some(name) = &said.loader {
            self.name = Said { value: name.clone(), by: By::Log };
        }
        if let Some(container) = said.container {
            self.containers = Said { value: vec![container], by: By::Log };
        }
        if let Some(address) = said.loaded_to {
            self.tftp = Said { value: address, by: By::Log };
        }
        (self.prompt, self.interrupt) = (said.prompt.clone(), said.interrupt.clone());
        self.command.clone_from(&said.command);
    }
}

/// The board that comes with stoop and is most like this one: of the same SoC, with flash of the same kind if there is one.
fn sister<'a>(
    boards: &'a [Board],
    compatible: &[String],
    soc: Option<&str>,
    kind: Option<FlashKind>,
) -> Result<&'a Board> {
    let is_it = |board: &&Board| match soc {
        Some(soc) => board.soc == soc,
        None => compatible.iter().any(|name| is_chip(name, &board.chip)),
    };
    let same = |board: &&Board| board.flash.as_ref().map(|flash| flash.kind) == kind;
    let all: Vec<&Board> = boards.iter().filter(is_it).collect();
    // The least RAM is the safest guess.
    let least = |boards: Vec<&'a Board>| boards.into_iter().min_by_key(|board| board.ram.size());
    let sister = least(all.iter().copied().filter(|board| same(board)).collect()).or_else(|| least(all));
    sister.ok_or_else(|| Error::NoSuchSoc { named: soc.map_or_else(|| compatible.join(", "), str::to_owned) }.into())
}

/// Where RAM ends at the latest: on MIPS below the registers, which are below 512 MiB.
fn reach(sister: &Board) -> usize {
    let registers = [sister.uart.address, sister.reset.map_or(0, |reset| reset.address)];
    let registers = registers.into_iter().filter(|at| *at != 0).map(|at| at & !0xff_ffff).min();
    match (sister.arch.is_mips(), sister.soc.as_str()) {
        // Linux arch/mips/include/asm/mach-ralink/mt7621.h, MT7621_PALMBUS_BASE: registers begin at 448 MiB.
        (_, "mt7621") => 0x1c00_0000,
        (true, _) => registers.unwrap_or(KSEG_SIZE).min(KSEG_SIZE),
        (false, _) => usize::MAX,
    }
}

/// The chip of a root's `compatible`, such as `qca,qca9531` or `mediatek,mt7621-soc`.
fn chip_of(compatible: &str) -> &str {
    let name = compatible.rsplit(',').next().unwrap_or(compatible);
    name.strip_suffix("-soc").unwrap_or(name)
}

fn is_chip(compatible: &str, chip: &str) -> bool {
    let (name, chip) = (chip_of(compatible).to_lowercase(), chip.to_lowercase());
    name.len() >= 5
        && name.bytes().any(|byte| byte.is_ascii_digit())
        && (name.starts_with(&chip) || chip.starts_with(&name))
}

/// A board's name: lower case, digits and `-`.
fn plain(name: &str) -> String {
    let name: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
