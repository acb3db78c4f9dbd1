//! The rules for the vendor's bootloader.

use stoop_core::Region;

use super::{Rules, physical, span};
use crate::board::types::MOST_TFTP_BLOCKS;
use crate::machine::{LOW, Machine};

impl Rules<'_> {
    pub(super) fn bootloader_leaves_ram(&mut self, ram: Region) {
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

    pub(super) fn tftp_address_is_free(&mut self, arch: Machine, ram: Region) {
        let bootloader = &self.file.form.bootloader;
        let Some(address) = bootloader.tftp_address else { return };
        let taken = ram.end().saturating_sub(bootloader.reserved_top);
        let key = "bootloader.tftp-address";
        if !self.typed_is_ram(key, arch, ram, address) {
            return;
        }
        if physical(arch, address) >= taken {
            let fact = format!("{address:#x} lies in the top of RAM from {taken:#x}, which is the bootloader's own");
            self.problem(key, fact, "give an address below it, or correct reserved-top");
        }
        if physical(arch, address) < LOW {
            let fact = format!("{address:#x} lies in the first {LOW:#x} bytes, with the exception vectors");
            self.problem(key, fact, "give an address that is free while the bootloader runs");
        }
        // A device tree, and so a FIT, is read by words of 64 bits (Devicetree Specification v0.4, section 5.2).
        if !address.is_multiple_of(8) {
            let fact = format!("{address:#x} is not a multiple of 8, and headers are read by words");
            self.problem(key, fact, "give a rounder address");
        }
    }

    pub(super) fn tftp_window_is_granted(&mut self) {
        let window = self.file.form.bootloader.tftp_window;
        if let Some(window) = window.filter(|window| !(1..=MOST_TFTP_BLOCKS).contains(window)) {
            let next = format!("give 1 to {MOST_TFTP_BLOCKS}, or leave the key out when nobody measured it");
            self.problem("bootloader.tftp-window", format!("a window of {window} blocks"), next);
        }
    }

    pub(super) fn staging_is_ram(&mut self, ram: Region, staging: Option<Region>) {
        let Some(staging) = staging else { return };
        if staging.is_empty() || !ram.contains(&staging) {
            let fact = format!("{} is not inside RAM {}", span(staging), span(ram));
            self.problem("bootloader.staging", fact, "give the physical address, without KSEG0's 0x80000000");
            return;
        }
        let taken = ram.end().saturating_sub(self.file.form.bootloader.reserved_top);
        if staging.end() > taken {
            let fact =
                format!("{} reaches into the top of RAM from {taken:#x}, which is the bootloader's own", span(staging));
            self.problem("bootloader.staging", fact, "correct it, or reserved-top");
        }
    }

    pub(super) fn limits_are_not_zero(&mut self) {
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

    /// What is sent to a terminal or waited for there.
    pub(super) fn dialogue_is_possible(&mut self) {
        let bootloader = &self.file.form.bootloader;
        let (prompt, interrupt) = (bootloader.prompt.as_deref(), bootloader.interrupt.as_ref());
        let on = interrupt.and_then(|interrupt| interrupt.on.as_deref());
        for (key, awaited) in [("bootloader.prompt", prompt), ("bootloader.interrupt.on", on)] {
            match awaited {
                Some(text) if text.trim().is_empty() => {
                    self.problem(key, "no text, and every line has that", "give what it prints, or leave it out");
                }
                Some(text) => self.text_is_plain(key, text),
                None => {}
            }
        }
        if interrupt.is_some_and(|interrupt| interrupt.send.is_empty()) {
            self.problem("bootloader.interrupt.send", "nothing is sent", "give the key, as \" \" or \"\\u0003\"");
        }
    }
}
