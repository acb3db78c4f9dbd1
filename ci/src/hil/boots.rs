//! Console logs as the rigs write them (`[ssss.mmm] line`, `--` in front of what the rig did): the phases of each boot.

use std::path::Path;

use stoop_samples::failure::Result;

use crate::{apt, cache};

/// What happened until the mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The bootloader's own start, until it fetches the first file, or starts what is in flash.
    Bootloader,
    /// All files are being fetched.
    Transfer,
    /// The bootloader's checks and the shim, until the shim's line, which is its last act but the handoff.
    Shim,
    /// The kernel, until it starts init.
    Kernel,
    /// The lab's init, until its report ends.
    Init,
}

impl Phase {
    /// In the order in which they come.
    pub const ALL: [Phase; 5] = [Phase::Bootloader, Phase::Transfer, Phase::Shim, Phase::Kernel, Phase::Init];

    /// Its name in the picture.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Bootloader => "bootloader",
            Phase::Transfer => "transfer",
            Phase::Shim => "shim",
            Phase::Kernel => "kernel",
            Phase::Init => "init",
        }
    }

    /// Whether this line ends it.
    fn ends_at(self, line: &str) -> bool {
        match self {
            Phase::Bootloader => line.starts_with("TFTP from server"),
            Phase::Transfer => line.starts_with("Bytes transferred = "),
            Phase::Shim => line.starts_with("stoop ") && line.contains(": entry "),
            Phase::Kernel => line.contains("Run /") && line.contains(" as init process"),
            Phase::Init => line.contains("@stoop ") && line.contains(" end ="),
        }
    }
}

/// A boot that came as far as the shim's line.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Boot {
    /// The test and the board, and which boot of it, counted from 1.
    pub name: String,
    /// In seconds from power on: each phase's end, those that were seen.
    pub ends: Vec<(Phase, f64)>,
    /// What the shim counted from its entry to the handoff, in the CPU's ticks.
    pub ticks: Option<u32>,
    /// Ticks in a second, as the kernel says.
    pub frequency: Option<f64>,
    /// The kernel's own clock at the last message before init, in seconds.
    pub kernel_clock: Option<f64>,
}

impl Boot {
    /// Each phase with its start and its end.
    pub fn spans(&self) -> impl Iterator<Item = (Phase, f64, f64)> {
        let starts = std::iter::once(0.0).chain(self.ends.iter().map(|end| end.1));
        self.ends.iter().zip(starts).map(|(&(phase, end), start)| (phase, start, end))
    }

    /// From power on to the last mark.
    pub fn total(&self) -> f64 {
        self.ends.last().map_or(0.0, |end| end.1)
    }

    /// What the shim took, in seconds, by its own counts.
    pub fn shim(&self) -> Option<f64> {
        Some(f64::from(self.ticks?) / self.frequency?)
    }
}

/// The boots of every log in a folder, by the logs' names.
///
/// # Errors
/// A log cannot be read.
pub fn of_folder(folder: &Path) -> Result<Vec<Boot>> {
    let mut boots = Vec::new();
    for path in apt::files(folder, ".log")? {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        boots.extend(of_log(&name, &String::from_utf8_lossy(&cache::read(&path)?)));
    }
    Ok(boots)
}

/// The boots of one log.
pub fn of_log(name: &str, text: &str) -> Vec<Boot> {
    let mut boots = Vec::new();
    let mut reader: Option<Reader> = None;
    let timed = text.lines().filter_map(|line| {
        let (time, line) = line.strip_prefix('[')?.split_once("] ")?;
        Some((time.trim().parse::<f64>().ok()?, line))
    });
    for (time, line) in timed {
        if line.starts_with("-- power on") {
            boots.extend(reader.take().map(|reader| reader.boot));
            reader = Some(Reader { start: time, boot: Boot::default(), entry: None });
        } else if let Some(reader) = &mut reader {
            reader.line(time, line);
        }
    }
    boots.extend(reader.map(|reader| reader.boot));
    boots.retain(|boot| boot.ends.iter().any(|end| end.0 == Phase::Shim));
    for (number, boot) in boots.iter_mut().enumerate() {
        boot.name = format!("{name} #{}", number + 1);
    }
    boots
}

struct Reader {
    start: f64,
    boot: Boot,
    /// The shim's count when it was entered.
    entry: Option<u32>,
}

impl Reader {
    fn line(&mut self, time: f64, line: &str) {
        let boot = &mut self.boot;
        let last = boot.ends.last().map(|end| end.0);
        // Several files are fetched: the last one's end counts.
        if last == Some(Phase::Transfer) && Phase::Transfer.ends_at(line) {
            boot.ends.pop();
        }
        let next = Phase::ALL.into_iter().find(|phase| phase.ends_at(line));
        if let Some(phase) = next
            && boot.ends.last().is_none_or(|end| (end.0 as u8) < phase as u8)
        {
            boot.ends.push((phase, time - self.start));
        }
        if let Some(rate) = frequency(line) {
            boot.frequency = Some(rate);
        }
        if last == Some(Phase::Shim)
            && let Some(clock) = printk(line)
        {
            boot.kernel_clock = Some(clock);
        }
        self.entry = count(line, "chosen/stoop/count-entry").or(self.entry);
        if let (Some(entry), Some(handoff)) = (self.entry, count(line, "chosen/stoop/count-handoff")) {
            boot.ticks = Some(handoff.wrapping_sub(entry));
        }
    }
}

/// `[    1.234567] …`
fn printk(line: &str) -> Option<f64> {
    line.strip_prefix('[')?.split_once(']')?.0.trim().parse().ok()
}

/// `sched_clock: 32 bits at 100MHz, …` on MIPS, `arch_timer: cp15 timer(s) running at 62.50MHz (virt).` on arm64.
fn frequency(line: &str) -> Option<f64> {
    if !line.contains("sched_clock: 32 bits at ") && !line.contains("timer(s) running at ") {
        return None;
    }
    let (before, _) = line.split_once("MHz")?;
    before.rsplit(' ').next()?.parse::<f64>().ok().map(|mega| mega * 1e6)
}

/// A cell of the device tree as the lab's init prints it: text, but `\xNN` for what is none.
fn count(line: &str, key: &str) -> Option<u32> {
    let (_, value) = line.split_once(&format!(" {key} ="))?;
    let (mut bytes, mut rest) = (Vec::new(), value.trim_end());
    while let Some(first) = rest.chars().next() {
        if let Some(digits) = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2)) {
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[4..];
        } else {
            bytes.push(u8::try_from(first).ok()?);
            rest = &rest[first.len_utf8()..];
        }
    }
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[0001.000] -- power on: qemu
[0001.200] U-Boot 2023.01
[0001.500] TFTP from server 10.0.2.2; our IP address is 10.0.2.15
[0001.700] Bytes transferred = 24 (18 hex)
[0001.800] TFTP from server 10.0.2.2; our IP address is 10.0.2.15
[0002.000] Bytes transferred = 4096 (1000 hex)
[0002.750] stoop 0.1.0: entry argv, slot -, bootargs accepted
[0002.800] [    0.000000] Linux version 6.12
[0002.810] [    0.000000] sched_clock: 32 bits at 100MHz, resolution 10ns
[0003.000] [    0.250000] Run /sbin/init as init process
[0003.100] @stoop 0004 00000000 chosen/stoop/count-entry =\\x00\\x00\\x00A
[0003.100] @stoop 0005 00000000 chosen/stoop/count-handoff =\\x00\\x0fB\\x81
[0003.250] @stoop 0009 00000000 end =9
[0003.300] -- power off
[0004.000] -- power on: qemu
[0004.500] stoop: E12 kernel crc
";

    #[test]
    fn a_boot_is_its_phases_from_power_on() {
        let boots = of_log("test.board", LOG);
        assert_eq!(boots.len(), 1, "a boot that fails before the shim's line is no boot");
        let boot = &boots[0];
        assert_eq!(boot.name, "test.board #1");
        let ends: Vec<(Phase, u32)> =
            boot.ends.iter().map(|&(phase, at)| (phase, (at * 1000.0).round() as u32)).collect();
        let [bootloader, transfer, shim, kernel, init] = Phase::ALL;
        assert_eq!(ends, [(bootloader, 500), (transfer, 1000), (shim, 1750), (kernel, 2000), (init, 2250)]);
        assert_eq!(boot.kernel_clock, Some(0.25));
        assert_eq!(boot.ticks, Some(0xf_4240));
        assert_eq!(boot.shim(), Some(0.01));
    }
}
