//! The draft as the text of a board file, in the manner of those that come with stoop.

use std::fmt::Write;

use serde::Serialize;

use super::facts::{By, Chip, Draft};

/// The word in a board file for one of a few.
pub(super) fn word(of: &impl Serialize) -> String {
    let word = serde_json::to_value(of).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The whole file.
pub(super) fn file(draft: &Draft) -> String {
    let mut text = String::new();
    let put = &mut text;
    line(put, "title", &quoted(&draft.title));
    line(put, "soc", &quoted(&draft.soc));
    line(put, "chip", &quoted(&draft.chip));
    line(put, "compatible", &listed(&draft.compatible));
    if draft.arch_of.is_some() {
        line(put, "arch", &quoted(&draft.arch.to_string()));
    }
    if let Some(clock) = draft.cpu_clock {
        line(put, "cpu-clock", &grouped(&clock.to_string(), 3));
    }
    let (sources, unverified) = origins(draft);
    block(put, "sources", &sources);
    block(put, "unverified", &unverified);
    *put += "\n[ram]\n";
    if draft.ram_start != 0 {
        line(put, "start", &hex(draft.ram_start));
    }
    line(put, "size", &hex(draft.ram.value));
    if let Some((gpio, is_low)) = draft.led {
        *put += "\n[led]\n";
        line(put, "gpio", &gpio.to_string());
        if is_low {
            line(put, "active-low", "true");
        }
    }
    loader(put, draft);
    if let Some(chip) = &draft.flash {
        flash(put, chip);
    }
    text
}

fn loader(put: &mut String, draft: &Draft) {
    let it = &draft.loader;
    *put += "\n[bootloader]\n";
    line(put, "name", &quoted(&it.name.value));
    if let Some(prompt) = &it.prompt {
        line(put, "prompt", &quoted(prompt));
    }
    if let Some(interrupt) = &it.interrupt {
        let on = interrupt.on.as_ref().map(|on| format!("on = {}, ", quoted(on))).unwrap_or_default();
        line(put, "interrupt", &format!("{{ {on}send = {} }}", quoted(&interrupt.send)));
    }
    line(put, "containers", &listed(&it.containers.value.iter().map(word).collect::<Vec<_>>()));
    if let Some(command) = &it.command {
        line(put, "flash-command", &quoted(command));
    }
    line(put, "tftp-address", &hex(it.tftp.value));
    line(put, "reserved-top", &hex(it.reserved.value));
}

fn flash(put: &mut String, chip: &Chip) {
    *put += "\n[flash]\n";
    line(put, "kind", &quoted(&word(&chip.kind)));
    line(put, "size", &hex(chip.size.value));
    line(put, "erase-size", &hex(chip.erase.value));
    if let Some(clock) = chip.clock {
        line(put, "read-speed", &grouped(&(clock / 8).to_string(), 3));
    }
    *put += "partitions = [\n";
    for part in &chip.parts {
        let protected = if part.protected { ", protected = true" } else { "" };
        let (name, offset, size) = (quoted(&part.name), hex(part.offset), hex(part.size));
        let _ = writeln!(
            put,
            "  {{ name = {name}, offset = {offset}, size = {size}, role = \"{}\"{protected} }},",
            part.role
        );
    }
    *put += "]\n";
}

/// Who says what, and what nobody says.
fn origins(draft: &Draft) -> (Vec<String>, Vec<String>) {
    let mut unverified = Vec::new();
    let (mut logged, mut told) = (Vec::new(), Vec::new());
    let mut by = |key: &str, by: &By| match by {
        By::Tree => {}
        By::Log => logged.push(key.to_owned()),
        By::Person => told.push(key.to_owned()),
        By::Guess(why) => unverified.push(format!("{key}: {why}")),
    };
    let it = &draft.loader;
    if let Some(sister) = &draft.arch_of {
        by("arch", &By::Guess(format!("as on the board {sister}; its SoC comes with either byte order")));
    }
    by("ram.size", &draft.ram.by);
    by("bootloader.name", &it.name.by);
    by("bootloader.containers", &it.containers.by);
    by("bootloader.tftp-address", &it.tftp.by);
    by("bootloader.reserved-top", &it.reserved.by);
    let told_by_log = [
        ("cpu-clock", draft.cpu_clock.is_some()),
        ("bootloader.prompt", it.prompt.is_some()),
        ("bootloader.interrupt", it.interrupt.is_some()),
        ("bootloader.flash-command", it.command.is_some()),
    ];
    told_by_log.into_iter().filter(|(_, is_told)| *is_told).for_each(|(key, _)| by(key, &By::Log));
    if let Some(chip) = &draft.flash {
        by("flash.size", &chip.size.by);
        by("flash.erase-size", &chip.erase.by);
        let why =
            "roles by the names of the partitions; which of them are two slots of the same is not in a device tree";
        by("flash.partitions", &By::Guess(why.into()));
        chip.doubts.iter().for_each(|doubt| by("flash.partitions", &By::Guess(doubt.clone())));
        if let Some(clock) = chip.clock {
            let why = format!(
                "one bit for each clock of spi-max-frequency, {} MHz; the bootloader may use another",
                clock / 1_000_000
            );
            by("flash.read-speed", &By::Guess(why));
        }
    }
    if draft.led.is_some() {
        by("led.gpio", &By::Guess("the pin's number at its controller in the device tree".into()));
    }
    let tree = ["title", "compatible"].into_iter().chain((draft.ram.by == By::Tree).then_some("ram.size"));
    let tree = tree.chain(draft.flash.as_ref().map(|_| "flash map")).chain(draft.led.map(|_| "LED"));
    let mut sources = vec![format!("device tree {}: {}", draft.files[0], tree.collect::<Vec<_>>().join(", "))];
    if !logged.is_empty() {
        sources.push(format!("boot log {}: {}", draft.files[1], logged.join(", ")));
    }
    if !told.is_empty() {
        sources.push(format!("told when the file was made: {}", told.join(", ")));
    }
    (sources, unverified)
}

fn line(put: &mut String, key: &str, value: &str) {
    let _ = writeln!(put, "{key} = {value}");
}

fn block(put: &mut String, key: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let _ = writeln!(put, "{key} = [");
    for text in texts {
        let _ = writeln!(put, "  {},", quoted(text));
    }
    *put += "]\n";
}

fn listed(texts: &[String]) -> String {
    toml::Value::from(texts.to_vec()).to_string()
}

/// A string as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn hex(number: usize) -> String {
    format!("0x{}", grouped(&format!("{number:x}"), 4))
}

/// Digits in groups of that many, from the right.
fn grouped(digits: &str, of: usize) -> String {
    let first = digits.len() % of;
    let mut groups = vec![&digits[..first]];
    groups.extend((first..digits.len()).step_by(of).map(|at| &digits[at..at + of]));
    groups.retain(|group| !group.is_empty());
    groups.join("_")
}
