//! What a finished boot should have come to by `simulate`, and everything in which it did not.

use stoop_core::Region;
use stoop_core::manifest::HandoffKind;
use stoop_core::params::Policy;
use stoop_image::image::Built;
use stoop_image::plan::Plan;
use stoop_image::simulate::{Booted, Outcome};
use stoop_samples::failure::Result;

use crate::boot::{Boot, Ran};
use crate::bootloader::Enter;
use crate::core::{Core, Stop, cp0};
use crate::machine::Event;

/// What a bootloader wants back unchanged.
const SAVED: [usize; 12] = [16, 17, 18, 19, 20, 21, 22, 23, 26, 28, 29, 30];

/// What a boot should come to, and everything in which it did not.
pub struct Judge<'a> {
    /// The boot.
    pub boot: &'a Boot<'a>,
    /// What was packed.
    pub plan: &'a Plan,
    /// The packed image.
    pub built: &'a Built,
    /// What went wrong.
    pub wrong: Vec<String>,
}

impl Judge<'_> {
    fn unless_equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: &T, wanted: &T) {
        if is != wanted {
            self.wrong.push(format!("{what}: {is:x?}, not {wanted:x?}"));
        }
    }

    /// Compares a finished run with what `simulate` says.
    ///
    /// # Errors
    /// `simulate` cannot run it.
    pub fn compare(&mut self, ran: &mut Ran) -> Result<()> {
        let outcome = self.boot.simulate()?;
        match &outcome.result {
            Ok(booted) => self.booted(ran, booted, &outcome),
            Err(_) => self.gave_up(ran, &outcome),
        }
        self.unless_equal("characters lost", &ran.core.machine.lost, &0);
        ran.core.check_layout();
        let violations: Vec<String> = ran.core.violations.all().iter().map(ToString::to_string).collect();
        self.wrong.extend(violations);
        if ran.core.machine.events.iter().any(|(_, event)| *event == Event::Bite) {
            self.wrong.push("the watchdog was not fed in time".into());
        }
        Ok(())
    }

    fn booted(&mut self, ran: &mut Ran, booted: &Booted, outcome: &Outcome) {
        let entry = 0x8000_0000 | booted.handoff.entry_point as u32;
        match ran.stop {
            Stop::Arrived { pc } if pc == entry + 12 => {}
            ref stop => {
                self.wrong.push(format!("the kernel did not arrive: {stop}; said {:?}", ran.said()));
                return;
            }
        }
        ran.core.check_handoff();
        // IE, EXL and ERL: the kernel has no vectors yet.
        self.unless_equal("interrupts and levels in Status", &(ran.core.cp0[cp0::STATUS] & 7), &0);
        let core = &ran.core;
        let mut said = String::new();
        if core.machine.uart.kind != stoop_core::params::UartKind::None {
            said = failures(outcome) + &report(booted, &self.boot.enter);
        }
        if self.boot.enter == Enter::Nonsense {
            // Random registers may lead to an argv of nothing, or to text without the cookie.
            let said = ran.said();
            if !said.is_empty()
                && !["bootargs none", "bootargs ignored", "bootargs refused"].iter().any(|end| said.contains(end))
            {
                self.wrong.push(format!("nonsense was taken for bootargs: {said:?}"));
            }
            self.payloads(core);
            return;
        }
        self.unless_equal("the UART", &ran.said(), &said);
        let wanted = booted.handoff.registers.map(|register| register as u32);
        let mut is = [core.r[4], core.r[5], core.r[6], core.r[7]];
        if is[2] == ran.environment && booted.handoff.env.is_empty() {
            is[2] = wanted[2];
        }
        self.unless_equal("a0 to a3", &is, &wanted);
        let tree = booted.regions.iter().find(|(name, _)| *name == "dtb").map_or(Region::EMPTY, |(_, region)| *region);
        let bytes = core.machine.bytes(tree.start() as u64, tree.size()).unwrap_or_default().to_vec();
        let (is, wanted) = (without_counts(bytes), without_counts(booted.tree.clone()));
        if is != wanted {
            let at = is.iter().zip(&wanted).position(|(a, b)| a != b).unwrap_or(is.len());
            self.wrong.push(format!("the device tree differs from simulate's at 0x{at:x}"));
        }
        if let Some(slot) = self.slot() {
            self.unless_equal("the final tree's place", &tree.start(), &slot.start());
        }
        self.payloads(core);
    }

    /// Where the kernel looks for a tree, when it finds the final one there.
    fn slot(&self) -> Option<Region> {
        let (at, room) = self.plan.kernel.appended_dtb?;
        let is_used = self.plan.handoff.value == HandoffKind::Appended;
        is_used.then(|| Region::new(at as usize, room as usize)).flatten()
    }

    /// Every payload is in memory, and zeros are behind it.
    fn payloads(&mut self, core: &Core) {
        let kernel = &self.plan.kernel;
        let mut image = kernel.image.clone();
        image.resize((kernel.memory_size as usize).max(image.len()), 0);
        let load = kernel.load_address as usize;
        // The slot has the tree, and what it was made from.
        let slot = self.slot().map_or(load + image.len()..load + image.len(), |slot| slot.start()..slot.end());
        let behind = image.split_off((slot.end - load).min(image.len()));
        image.truncate(slot.start - load);
        let places = &self.built.places;
        let page = stoop_image::layout::PAGE;
        let rootfs = self
            .plan
            .rootfs
            .as_ref()
            .filter(|_| !places.rootfs.is_empty())
            .map(|rootfs| rootfs.bytes().unwrap_or_default());
        let all = [
            ("kernel", load, Some(image)),
            ("kernel behind its slot", slot.end, Some(behind)),
            ("initrd", places.initrd.start(), self.plan.initrd.clone()),
            ("rootfs", places.rootfs.start(), rootfs),
        ];
        for (name, at, bytes) in all {
            let Some(mut bytes) = bytes else { continue };
            if name == "rootfs" && core.machine.ram_at.contains(&places.rootfs) {
                bytes.resize(bytes.len().next_multiple_of(page), 0);
            }
            let is = core.machine.bytes(at as u64, bytes.len()).unwrap_or_default();
            if is != bytes {
                let offset = is.iter().zip(&bytes).position(|(a, b)| a != b).unwrap_or(is.len());
                self.wrong.push(format!("the {name} at 0x{at:08x} is wrong from 0x{offset:x} on"));
            }
        }
    }

    fn gave_up(&mut self, ran: &Ran, outcome: &Outcome) {
        let core = &ran.core;
        let Err(error) = &outcome.result else { return };
        let mut said = String::new();
        if core.machine.uart.kind != stoop_core::params::UartKind::None {
            said = failures(outcome);
        }
        self.unless_equal("the UART", &ran.said(), &said);
        self.led(core, error.number());
        match self.plan.board.defaults.policy {
            Policy::Reset => {
                self.unless_equal("the end", &ran.stop, &Stop::Reset);
                let reset = core.machine.events.last().is_some_and(|(_, event)| *event == Event::Reset);
                self.unless_equal("the reset register was written", &reset, &true);
            }
            Policy::Return => {
                self.unless_equal("the end", &ran.stop, &Stop::Halted);
                self.unless_equal("v0", &core.r[2], &u32::from(error.number()));
                for register in SAVED {
                    self.unless_equal(&format!("r{register}"), &core.r[register], &ran.entered_with[register]);
                }
                let is = [core.cp0[cp0::STATUS], core.cp0[cp0::CONFIG]];
                self.unless_equal("Status and Config", &is, &ran.entered_cp0);
            }
            Policy::Halt => {
                let endless = matches!(ran.stop, Stop::Endless { .. });
                self.unless_equal("it halts", &endless, &true);
            }
        }
    }

    /// Tens as long flashes, then ones as short ones; each dark in between. The waits are what embedded-hal's
    /// `DelayNs` promises if a turn of the shim's loop takes what it assumes.
    fn led(&mut self, core: &Core, number: u8) {
        if core.machine.led.is_none() {
            return;
        }
        let flashes: Vec<(u64, Event)> =
            core.machine.events.iter().filter(|(_, event)| matches!(event, Event::Led(_))).copied().collect();
        // A halted board repeats the code after a longer pause.
        let mut codes = vec![0];
        let mut dark_since = None;
        for pair in flashes.chunks_exact(2) {
            let [(on, Event::Led(true)), (off, Event::Led(false))] = pair else {
                self.wrong.push(format!("the LED is not lit and darkened in turns: {flashes:?}"));
                return;
            };
            if dark_since.is_some_and(|dark| on - dark > LONG) {
                codes.push(0);
            }
            *codes.last_mut().unwrap_or(&mut 0) += if off - on > LONG { 10 } else { 1 };
            dark_since = Some(*off);
        }
        let repeats = self.plan.board.defaults.policy == Policy::Halt;
        if repeats {
            // The run ended in the middle of the last one.
            codes.pop();
        }
        if codes.is_empty() || codes.iter().any(|code| *code != u32::from(number)) || (!repeats && codes.len() != 1) {
            self.wrong.push(format!("the LED flashes {codes:?}, the error is {number}"));
        }
    }
}

/// Instructions between a short flash or pause (250 and 500 ms in turns of 16 ns) and a long one (1500 ms).
const LONG: u64 = 8 * 1_000_000_000 / 16;

/// A line for each slot that does not boot.
fn failures(outcome: &Outcome) -> String {
    outcome.failed.iter().map(|(slot, error)| format!("stoop: {error}, slot {slot}\r\n")).collect()
}

/// What the shim says when it boots: docs and DESIGN.md have the words, this is written from them.
pub(crate) fn report(booted: &Booted, enter: &Enter) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut said =
        format!("stoop {version}: entry {}, slot {}, bootargs {}\r\n", booted.entry, booted.slot, booted.verdict);
    let line = match enter {
        Enter::Bootm(line) | Enter::BootmCached(line) | Enter::Go(line) => line.clone(),
        Enter::Tree(tree) => stoop_image::format::device_tree::Facts::of(tree)
            .ok()
            .and_then(|facts| facts.bootargs)
            .map_or(String::new(), |line| String::from_utf8_lossy(&line).into_owned()),
        Enter::Nonsense => String::new(),
    };
    if !line.is_empty() {
        let (shown, dots) = if line.len() > 56 { (&line[..56], "...") } else { (&line[..], "") };
        let why = booted.refusal.map_or(String::new(), |refusal| format!(", {refusal}"));
        said += &format!("stoop: {}{why}: {shown}{dots}\r\n", booted.verdict);
    }
    said
}

/// The tree with zeros as the values of `count-entry` and `count-handoff` (devicetree specification, chapter 5).
pub(crate) fn without_counts(mut tree: Vec<u8>) -> Vec<u8> {
    let word = |tree: &[u8], at: usize| {
        tree.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes) as usize
    };
    let (structure, strings, size) = (word(&tree, 8), word(&tree, 12), word(&tree, 36));
    let mut at = structure;
    while at < structure + size {
        match word(&tree, at) {
            // BEGIN_NODE
            1 => {
                let name = tree[at + 4..].iter().position(|byte| *byte == 0).unwrap_or(0);
                at += (4 + name + 1).next_multiple_of(4);
            }
            // PROP
            3 => {
                let (length, name) = (word(&tree, at + 4), strings + word(&tree, at + 8));
                let name = tree.get(name..).unwrap_or_default();
                if (name.starts_with(b"count-entry\0") || name.starts_with(b"count-handoff\0")) && length == 4 {
                    tree[at + 12..at + 16].fill(0);
                }
                at += 12 + length.next_multiple_of(4);
            }
            9 => break,
            _ => at += 4,
        }
    }
    tree
}
