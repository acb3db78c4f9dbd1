//! From what the files say to a [`Board`]: one level of inheritance, then small rules that each find one kind of mistake.

mod flash;
mod watchdog;

use std::collections::BTreeMap;

use stoop_core::Region;
use stoop_core::params::{Led, Policy, Uart, UartKind};

use super::raw::{self, Document};
use super::source::{self, Origin, Problem};
use super::types::{Board, Bootloader, Defaults, Dtb, MOST_TFTP_BLOCKS, Watchdog};
use crate::machine::{KSEG_SIZE, Machine};

/// RAM starts and sizes are multiples of this.
const RAM_STEP: usize = 0x10_0000;

/// Resolves the files into a board, or into everything that is wrong with them.
pub(super) fn resolve(
    origin: &Origin,
    file: &Document<raw::Board>,
    soc: &Document<raw::Soc>,
) -> Result<Board, Vec<Problem>> {
    let mut rules = Rules { file, soc, problems: Vec::new() };
    let board = rules.board(origin);
    match (board, rules.problems.is_empty()) {
        (Some(board), true) => Ok(board),
        _ => Err(rules.problems),
    }
}

struct Rules<'a> {
    file: &'a Document<'a, raw::Board>,
    soc: &'a Document<'a, raw::Soc>,
    problems: Vec<Problem>,
}

impl Rules<'_> {
    fn board(&mut self, origin: &Origin) -> Option<Board> {
        let (form, family) = (&self.file.form, &self.soc.form);
        let arch = self.required("arch", form.arch.or(family.arch));
        let uart = self.required("uart", form.uart.or(family.uart));
        let reset = form.reset.or(family.reset);
        let cpu_clock = form.cpu_clock.or(family.cpu_clock);
        let policy = form.defaults.policy.or(family.defaults.policy);
        let load_addresses: BTreeMap<_, _> =
            family.load_addresses.iter().chain(&form.load_addresses).map(|(k, v)| (k.clone(), *v)).collect();
        let ram = self.region("ram", form.ram);
        let staging = form.bootloader.staging.map(|range| self.region("bootloader.staging", range));
        let parts: Vec<_> = family.firmware.iter().chain(&form.firmware).copied().collect();
        let firmware = parts.into_iter().map(|range| self.region("firmware", range)).collect();
        let flash = self.flash();
        let led = self.led();
        let watchdog = form.watchdog.clone().or_else(|| family.watchdog.clone());
        let dtb = self.dtb(origin);
        let (arch, uart) = (arch?, uart?);

        self.name_is_plain(&origin.name);
        self.sources_are_named();
        self.ram_is_usable(arch, ram);
        self.bootloader_leaves_ram(ram);
        self.kernels_fit(arch, ram, &load_addresses);
        self.uart_is_possible(uart);
        self.policy_is_possible(arch, policy, reset.is_some(), flash.is_some());
        self.tftp_address_is_free(arch, ram);
        self.tftp_window_is_granted();
        self.staging_is_ram(ram, staging);
        self.limits_are_not_zero();
        self.speeds_are_possible(cpu_clock);
        self.qemu_has_the_ram(ram);
        let registers = [
            ("uart", (uart.kind != raw::UartKind::None).then_some(uart.address)),
            ("reset", reset.map(|reset| reset.address)),
            ("led", led.map(|led| led.set)),
        ];
        self.registers_are_reachable(arch, ram, &registers);
        self.watchdog_is_possible(arch, ram, watchdog.as_ref());

        let bootloader = &form.bootloader;
        Some(Board {
            name: origin.name.clone(),
            title: form.title.clone(),
            aliases: form.aliases.clone(),
            soc: form.soc.clone(),
            soc_title: family.title.clone(),
            chip: form.chip.clone(),
            arch,
            cpu_clock,
            ram,
            firmware,
            load_addresses,
            uart: Uart {
                kind: match uart.kind {
                    raw::UartKind::None => UartKind::None,
                    raw::UartKind::Ns16550 => UartKind::Ns16550,
                    raw::UartKind::Pl011 => UartKind::Pl011,
                },
                address: uart.address,
                shift: uart.shift,
                width: uart.width,
            },
            reset,
            led,
            watchdog,
            defaults: Defaults {
                policy: policy.map_or_else(|| default_policy(arch, reset.is_some(), flash.is_some()), core_policy),
                handoff: form.defaults.handoff.or(family.defaults.handoff).unwrap_or_default(),
                phram: form.defaults.phram.or(family.defaults.phram).unwrap_or_default(),
            },
            bootloader: Bootloader {
                name: bootloader.name.clone(),
                prompt: bootloader.prompt.clone(),
                interrupt: bootloader.interrupt.clone(),
                containers: bootloader.containers.clone(),
                vendor_container: bootloader.vendor_container.clone(),
                flash_command: bootloader.flash_command.clone(),
                bootm_dtb: bootloader.bootm_dtb,
                own_dtb: bootloader.own_dtb.clone(),
                tftp_address: bootloader.tftp_address,
                tftp_window: bootloader.tftp_window,
                staging,
                reserved_top: bootloader.reserved_top,
                decompression_limit: bootloader.decompression_limit,
                dictionary_limit: bootloader.dictionary_limit,
                image_limit: bootloader.image_limit,
                watchdog: bootloader.watchdog,
            },
            flash,
            compatible: self.compatible(),
            dtb,
            qemu: form.qemu.clone(),
            quirks: family.quirks.iter().chain(&form.quirks).cloned().collect(),
            sources: family.sources.iter().chain(&form.sources).cloned().collect(),
            unverified: family.unverified.iter().chain(&form.unverified).cloned().collect(),
        })
    }

    /// A problem at `key`: in the board's file if the key is there, else in the SoC's if it is there.
    fn problem(&mut self, key: &str, fact: impl Into<String>, next: impl Into<String>) {
        let top = key.split(['.', '[']).next().unwrap_or(key);
        let in_soc = self.file.line(top).is_none() && self.soc.line(top).is_some();
        let (file, line) = match in_soc {
            true => (self.soc.file(), self.soc.line(key)),
            false => (self.file.file(), self.file.line(key)),
        };
        self.problems.push(Problem {
            file: file.to_owned(),
            line,
            key: key.to_owned(),
            fact: fact.into(),
            next: next.into(),
        });
    }

    fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let fact = format!("neither the board nor its SoC {} says it", self.file.form.soc);
            self.problem(key, fact, format!("add `{key}` to one of them"));
        }
        value
    }

    fn region(&mut self, key: &str, range: raw::Range) -> Region {
        Region::new(range.start, range.size).unwrap_or_else(|| {
            self.problem(key, "start + size exceeds 64 bits", "correct start or size");
            Region::EMPTY
        })
    }

    fn name_is_plain(&mut self, name: &str) {
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            let fact = format!("the file's name gives the board the name {name:?}");
            self.problem("", fact, "name the file with lower-case letters, digits and `-`, ending in .toml");
        }
    }

    fn sources_are_named(&mut self) {
        if self.file.form.sources.is_empty() {
            self.problem("sources", "no source is named", "say where the figures come from: a file, a page, a capture");
        }
    }

    fn ram_is_usable(&mut self, arch: Machine, ram: Region) {
        if ram.is_empty() || !ram.start().is_multiple_of(RAM_STEP) || !ram.size().is_multiple_of(RAM_STEP) {
            let fact = format!("start {:#x}, size {:#x}", ram.start(), ram.size());
            self.problem("ram", fact, format!("both are multiples of {RAM_STEP:#x}, and the size is not 0"));
        }
        if arch.is_mips() && ram.end() > KSEG_SIZE {
            let fact = format!("it ends at {:#x}, but MIPS reaches only {KSEG_SIZE:#x} through KSEG0", ram.end());
            self.problem(
                "ram",
                fact,
                "give only the part below 512 MiB; the kernel learns the rest from its device tree",
            );
        }
    }

    fn bootloader_leaves_ram(&mut self, ram: Region) {
        let reserved = self.file.form.bootloader.reserved_top;
        if reserved >= ram.size() {
            let fact = format!("{reserved:#x} bytes leave nothing of {:#x} bytes of RAM", ram.size());
            self.problem(
                "bootloader.reserved-top",
                fact,
                "give the bytes that the bootloader occupies at the top of RAM",
            );
        }
    }

    fn kernels_fit(&mut self, arch: Machine, ram: Region, addresses: &BTreeMap<String, usize>) {
        if arch.is_mips() && addresses.is_empty() {
            self.problem(
                "load-addresses",
                "there is none",
                "give the link address of each kernel family, as `ath79 = 0x80060000`",
            );
        }
        for (family, address) in addresses {
            self.typed_is_ram(&format!("load-addresses.{family}"), arch, ram, *address);
        }
    }

    fn uart_is_possible(&mut self, uart: raw::Uart) {
        if uart.kind == raw::UartKind::None {
            return;
        }
        if uart.shift > 4 {
            self.problem("uart.shift", format!("{}", uart.shift), "registers are 1 << shift bytes apart, shift 0 to 4");
        }
        if !matches!(uart.width, 1 | 4) {
            self.problem("uart.width", format!("{} bytes", uart.width), "registers are 1 or 4 bytes wide");
        } else if uart.width == 4 && uart.shift < 2 {
            let fact = format!("registers of 4 bytes cannot be {} bytes apart", 1 << uart.shift);
            self.problem("uart.width", fact, "use width 1, or shift 2");
        }
    }

    fn policy_is_possible(&mut self, arch: Machine, policy: Option<raw::Policy>, has_reset: bool, has_flash: bool) {
        match policy {
            Some(raw::Policy::Reset) if !has_reset => {
                self.problem(
                    "defaults.policy",
                    "reset, but no reset register is known",
                    "add `reset`, or use `return`",
                );
            }
            Some(raw::Policy::Return) if !arch.is_mips() => {
                self.problem(
                    "defaults.policy",
                    "return, but on arm64 U-Boot takes itself apart before it starts a kernel",
                    "use `reset`, or `halt` when no reset register is known",
                );
            }
            Some(raw::Policy::Halt) if has_flash && arch.is_mips() => {
                self.problem(
                    "defaults.policy",
                    "halt on a board that boots from flash hides the vendor's failsafe",
                    "use `reset` or `return`",
                );
            }
            _ => {}
        }
    }

    fn tftp_address_is_free(&mut self, arch: Machine, ram: Region) {
        let bootloader = &self.file.form.bootloader;
        let Some(address) = bootloader.tftp_address else { return };
        let taken = ram.end().saturating_sub(bootloader.reserved_top);
        let key = "bootloader.tftp-address";
        if self.typed_is_ram(key, arch, ram, address) && physical(arch, address) >= taken {
            let fact = format!("{address:#x} lies in the top of RAM from {taken:#x}, which is the bootloader's own");
            self.problem(key, fact, "give an address below it, or correct reserved-top");
        }
    }

    fn tftp_window_is_granted(&mut self) {
        let window = self.file.form.bootloader.tftp_window;
        if let Some(window) = window.filter(|window| !(1..=MOST_TFTP_BLOCKS).contains(window)) {
            let next = format!("give 1 to {MOST_TFTP_BLOCKS}, or leave the key out when nobody measured it");
            self.problem("bootloader.tftp-window", format!("a window of {window} blocks"), next);
        }
    }

    fn staging_is_ram(&mut self, ram: Region, staging: Option<Region>) {
        let Some(staging) = staging else { return };
        if staging.is_empty() || !ram.contains(&staging) {
            let fact = format!("{} is not inside RAM {}", span(staging), span(ram));
            self.problem("bootloader.staging", fact, "give the physical address, without KSEG0's 0x80000000");
        }
    }

    fn limits_are_not_zero(&mut self) {
        let bootloader = &self.file.form.bootloader;
        for (key, limit) in [
            ("bootloader.decompression-limit", bootloader.decompression_limit),
            ("bootloader.dictionary-limit", bootloader.dictionary_limit),
            ("bootloader.image-limit", bootloader.image_limit),
        ] {
            if limit == Some(0) {
                self.problem(key, "0 bytes", "leave the key out when there is no known limit");
            }
        }
    }

    /// The least that is taken for hertz and for bytes in a second, not for MHz and MB/s.
    fn speeds_are_possible(&mut self, cpu_clock: Option<usize>) {
        if let Some(clock) = cpu_clock.filter(|clock| *clock < 1_000_000) {
            let next = "give it in hertz, as 650_000_000; leave the key out when nobody knows";
            self.problem("cpu-clock", format!("{clock} Hz"), next);
        }
        let speed = self.file.form.flash.as_ref().and_then(|flash| flash.read_speed);
        if let Some(speed) = speed.filter(|speed| *speed < 10_000) {
            let next = "give bytes in a second, as 3_125_000; leave the key out when nobody knows";
            self.problem("flash.read-speed", format!("{speed} bytes in a second"), next);
        }
    }

    fn qemu_has_the_ram(&mut self, ram: Region) {
        let Some(qemu) = &self.file.form.qemu else { return };
        if qemu.memory.checked_mul(0x10_0000).is_none_or(|bytes| bytes < ram.size()) {
            let fact = format!("{} MiB, but the board has {:#x} bytes of RAM", qemu.memory, ram.size());
            self.problem("qemu.memory", fact, "give QEMU at least the board's RAM");
        }
    }

    fn registers_are_reachable(&mut self, arch: Machine, ram: Region, registers: &[(&str, Option<usize>)]) {
        for (key, address) in registers {
            let Some(address) = *address else { continue };
            let register = Region::new(address, 1).unwrap_or(Region::EMPTY);
            if arch.is_mips() && address >= KSEG_SIZE {
                let fact = format!("{address:#x} is not below {KSEG_SIZE:#x}, where KSEG1 reaches");
                self.problem(key, fact, "give the physical address, without KSEG1's 0xa0000000");
            } else if (ram.end() <= KSEG_SIZE || !arch.is_mips()) && ram.overlaps(&register) {
                self.problem(key, format!("{address:#x} lies in RAM {}", span(ram)), "give the register's address");
            }
        }
    }

    fn watchdog_is_possible(&mut self, arch: Machine, ram: Region, watchdog: Option<&Watchdog>) {
        let Some(dog) = watchdog else { return };
        for (list, writes) in [("feed", &dog.feed), ("stop", &dog.stop), ("start", &dog.start)] {
            for (index, register) in writes.iter().enumerate() {
                let key = format!("watchdog.{list}[{index}]");
                if register.address % 4 != 0 {
                    let fact = format!("{:#x} is not a multiple of 4", register.address);
                    self.problem(&key, fact, "give the address of a 32-bit register");
                }
                if list == "stop" && register.per_second != 0 {
                    self.problem(&key, "per-second, but stopping takes no time", "give `value` alone");
                }
                self.registers_are_reachable(arch, ram, &[(&key, Some(register.address as usize))]);
            }
        }
        if dog.feed.is_empty() && dog.stop.is_empty() {
            self.problem("watchdog", "nothing feeds it and nothing stops it", "add `feed` or `stop`, or leave it out");
        }
        if !dog.start.is_empty() && (dog.longest.is_none() || dog.feed.is_empty()) {
            let next = "add `longest`, the most seconds that it counts, and `feed`";
            self.problem("watchdog.start", "it can be started, but not for a known time and fed", next);
        }
        if let Err(fact) = watchdog::fits(dog) {
            self.problem("watchdog", fact, "correct the registers, or `longest`");
        }
    }

    /// Whether an address as typed at the prompt lies in RAM.
    fn typed_is_ram(&mut self, key: &str, arch: Machine, ram: Region, address: usize) -> bool {
        if arch.is_mips() && !(0x8000_0000..0xc000_0000).contains(&address) {
            let fact = format!("{address:#x} is in neither KSEG0 nor KSEG1");
            self.problem(key, fact, "write it as it is typed at the prompt, from 0x80000000 up");
            return false;
        }
        let inside = ram.contains(&Region::new(physical(arch, address), 1).unwrap_or(Region::EMPTY));
        if !inside {
            let fact = format!("{address:#x} is not inside RAM {}", span(ram));
            self.problem(key, fact, "correct the address or the RAM size");
        }
        inside
    }

    fn led(&mut self) -> Option<Led> {
        let led = self.file.form.led?;
        let bank =
            self.soc.form.gpio.iter().find(|bank| led.gpio.checked_sub(bank.first).is_some_and(|n| n < bank.count));
        let Some(bank) = bank.copied() else {
            let fact = format!("GPIO {} is in no bank of SoC {}", led.gpio, self.file.form.soc);
            self.problem("led.gpio", fact, "correct the number, or add the bank to the SoC's `gpio`");
            return None;
        };
        let mask = 1u32.checked_shl(led.gpio - bank.first)?;
        Some(match led.active_low {
            true => Led { mask, set: bank.clear, clear: bank.set },
            false => Led { mask, set: bank.set, clear: bank.clear },
        })
    }

    fn compatible(&mut self) -> Vec<String> {
        let names = self.file.form.compatible.clone();
        // Devicetree Specification v0.4, section 2.3.1: "manufacturer,model".
        let good = |name: &String| name.contains(',') && name.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(bad) = names.iter().find(|name| !good(name)) {
            let fact = format!("{bad:?} is no `compatible` of a device tree");
            self.problem(
                "compatible",
                fact,
                "write it as in the root node of the board's .dts: \"manufacturer,model\"",
            );
        }
        names
    }

    fn dtb(&mut self, origin: &Origin) -> Option<Dtb> {
        let name = self.file.form.dtb.as_ref()?;
        match source::tree(origin, name) {
            Ok(bytes) => Some(Dtb { name: name.clone(), bytes }),
            Err((fact, next)) => {
                self.problem("dtb", fact, next);
                None
            }
        }
    }
}

/// Resetting lets the vendor's failsafe run; without a known register the bootloader's `go` gets control back, on MIPS.
fn default_policy(arch: Machine, has_reset: bool, has_flash: bool) -> Policy {
    match (has_reset, has_flash) {
        (true, _) => Policy::Reset,
        (false, true) if arch.is_mips() => Policy::Return,
        (false, _) => Policy::Halt,
    }
}

fn core_policy(policy: raw::Policy) -> Policy {
    match policy {
        raw::Policy::Halt => Policy::Halt,
        raw::Policy::Reset => Policy::Reset,
        raw::Policy::Return => Policy::Return,
    }
}

fn physical(arch: Machine, typed: usize) -> usize {
    if arch.is_mips() { typed & (KSEG_SIZE - 1) } else { typed }
}

fn span(region: Region) -> String {
    format!("{:#x}..{:#x}", region.start(), region.end())
}
