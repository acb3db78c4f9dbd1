//! From what the files say to a [`Board`]: one level of inheritance, then small rules that each find one kind of mistake.

mod bootloader;
mod flash;
mod registers;
mod texts;
mod watchdog;

use std::collections::BTreeMap;

use stoop_core::Region;
use stoop_core::params::{Policy, Uart, UartKind};

use super::problem::Problem;
use super::raw::{self, Document};
use super::source::{self, Origin};
use super::types::{Board, Bootloader, Defaults, Dtb, Handoff};
use crate::machine::{KSEG_SIZE, Machine, described};

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
        self.texts_are_plain(watchdog.as_ref());
        self.handoff_is_possible(arch);
        self.dialogue_is_possible();
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
        ];
        self.registers_are_reachable(arch, ram, &registers);
        self.reset_is_possible(reset);
        self.pins_are_reachable(arch, ram);
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

    fn handoff_is_possible(&mut self, arch: Machine) {
        let handoff = self.file.form.defaults.handoff.or(self.soc.form.defaults.handoff).unwrap_or_default();
        if handoff != Handoff::Auto && (handoff == Handoff::Arm64) == arch.is_mips() {
            let fact = format!("a kernel for {} is not called that way", described(arch));
            self.problem("defaults.handoff", fact, "leave it out: pack sees from the kernel how to call it");
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

    /// Below these it is taken for MHz and MB/s, above for a slip: no CPU or flash of such boards is as fast.
    fn speeds_are_possible(&mut self, cpu_clock: Option<usize>) {
        if let Some(clock) = cpu_clock.filter(|clock| !(1_000_000..10_000_000_000).contains(clock)) {
            let next = "give it in hertz, as 650_000_000; leave the key out when nobody knows";
            self.problem("cpu-clock", format!("{clock} Hz"), next);
        }
        let speed = self.file.form.flash.as_ref().and_then(|flash| flash.read_speed);
        if let Some(speed) = speed.filter(|speed| !(10_000..10_000_000_000).contains(speed)) {
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
