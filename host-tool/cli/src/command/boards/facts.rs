//! What is known about a board, in words and values.

use stoop_core::params::UartKind;
use stoop_image::board::{self, Board, Bootloader};

use super::words::{kind, mebibytes, span};

/// What is known, but for the flash map and the origins: a word, and a value for people.
pub(super) fn facts(board: &Board) -> Vec<(&'static str, String)> {
    let mut rows = Rows::default();
    rows.add("board", &board.name);
    rows.add("title", &board.title);
    rows.add_all("alias", &board.aliases);
    let clock = board.cpu_clock.map_or(String::new(), |clock| format!(" at {} MHz", clock / 1_000_000));
    rows.add("SoC", format!("{}{clock}, {}, family {}", board.chip, board.arch, board.soc));
    rows.add("RAM", span(board.ram));
    for part in &board.firmware {
        rows.add("firmware's", format!("{}, never touched", span(*part)));
    }
    for (family, address) in &board.load_addresses {
        rows.add("kernel", format!("{family} linked at {address:#x}"));
    }
    rows.add(
        "UART",
        match board.uart.kind {
            UartKind::None => "none".into(),
            kind => {
                let uart = &board.uart;
                format!("{} at {:#x}, shift {}, width {}", board::uart_kind(kind), uart.address, uart.shift, uart.width)
            }
        },
    );
    if let Some(reset) = board.reset {
        rows.add("reset", format!("write {:#x} to {:#x}", reset.value, reset.address));
    }
    if let Some(led) = board.led {
        rows.add("LED", format!("mask {:#x}, on at {:#x}, off at {:#x}", led.mask, led.set, led.clear));
    }
    if let Some(dog) = &board.watchdog {
        let longest = dog.longest.map_or(String::new(), |longest| format!(", {longest} s at most"));
        rows.add("watchdog", format!("{}{longest}", dog.title));
        for (name, writes) in [("  fed by", &dog.feed), ("  stopped by", &dog.stop), ("  started by", &dog.start)] {
            rows.add_all(name, &writes.iter().map(register).collect::<Vec<_>>());
        }
    }
    rows.add("on failure", board::policy_name(board.defaults.policy));
    bootloader(board, &mut rows);
    if let Some(flash) = &board.flash {
        let window = match flash.window.is_empty() {
            true => "not readable as memory".into(),
            false => format!("readable at {}", span(flash.window)),
        };
        let erase = format!("{:#x}-byte erase blocks", flash.erase_size);
        let speed = flash.read_speed.map_or(String::new(), |speed| format!(", read at {:.1} MB/s", speed as f64 / 1e6));
        rows.add("flash", format!("{} {}, {erase}, {window}{speed}", mebibytes(flash.size), kind(flash)));
    }
    if !board.compatible.is_empty() {
        rows.add("compatible", board.compatible.join(", "));
    }
    if let Some(dtb) = &board.dtb {
        rows.add("device tree", format!("{}, {} bytes", dtb.name, dtb.bytes.len()));
    }
    if let Some(qemu) = &board.qemu {
        rows.add("QEMU", format!("{} -M {} -cpu {} -m {}", qemu.binary, qemu.machine, qemu.cpu, qemu.memory));
    }
    rows.0
}

fn bootloader(board: &Board, rows: &mut Rows) {
    let Bootloader { name, prompt, interrupt, containers, .. } = &board.bootloader;
    let it = &board.bootloader;
    rows.add("bootloader", name);
    if let Some(prompt) = prompt {
        rows.add("prompt", prompt);
    }
    if let Some(interrupt) = interrupt {
        let on = interrupt.on.as_ref().map(|on| format!(" at {on:?}")).unwrap_or_default();
        rows.add("interrupt", format!("send {:?}{on}", interrupt.send));
    }
    let words: Vec<String> = containers
        .iter()
        .filter_map(|container| Some(serde_json::to_value(container).ok()?.as_str()?.to_owned()))
        .collect();
    rows.add("starts", words.join(", "));
    rows.add_all("vendor format", &it.vendor_container);
    rows.add_all("from flash", &it.flash_command);
    rows.add("bootm IMAGE - DTB", if it.bootm_dtb { "yes" } else { "no" });
    if let Some(address) = it.tftp_address {
        rows.add("tftpboot", format!("{address:#x}"));
    }
    if let Some(blocks) = it.tftp_window {
        rows.add("TFTP window", format!("{blocks} blocks"));
    }
    if let Some(staging) = it.staging {
        rows.add("staging", span(staging));
    }
    rows.add("top of RAM", format!("{:#x} bytes are the bootloader's", it.reserved_top));
    match it.watchdog {
        Some(0) => rows.add("watchdog left", "none runs when the image starts"),
        Some(seconds) => {
            rows.add("watchdog left", format!("one runs when the image starts, and fires after {seconds} s"))
        }
        None => {}
    }
    for (name, limit) in [
        ("decoder's limit", it.decompression_limit),
        ("its dictionary", it.dictionary_limit),
        ("image limit", it.image_limit),
    ] {
        if let Some(limit) = limit {
            rows.add(name, format!("{limit:#x} ({limit} bytes)"));
        }
    }
}

/// A write, as `0x1e000120: 0x3e80000 + 1000 for each second`.
fn register(register: &board::Register) -> String {
    let mut text = format!("{:#010x}: {:#x}", register.address, register.value);
    match register.keep {
        0 => {}
        u32::MAX => text += " inverted",
        keep => text += &format!(" in the bits {:#x}", !keep),
    }
    if register.per_second != 0 {
        text += &format!(" + {} for each second", register.per_second);
    }
    text
}

/// Words and values below each other.
#[derive(Default)]
struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, word: &'static str, value: impl Into<String>) {
        self.0.push((word, value.into()));
    }

    fn add_all<'a>(&mut self, word: &'static str, values: impl IntoIterator<Item = &'a String>) {
        self.0.extend(values.into_iter().map(|value| (word, value.clone())));
    }
}
