//! The rules for the vendor's bootloader.

use stoop_core::Region;

use super::{Rules, physical, span};
use crate::machine::Machine;

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
        if self.typed_is_ram(key, arch, ram, address) && physical(arch, address) >= taken {
            let fact = format!("{address:#x} lies in the top of RAM from {taken:#x}, which is the bootloader's own");
            self.problem(key, fact, "give an address below it, or correct reserved-top");
        }
    }

    pub(super) fn staging_is_ram(&mut self, ram: Region, staging: Option<Region>) {
        let Some(staging) = staging else { return };
        if staging.is_empty() || !ram.contains(&staging) {
            let fact = format!("{} is not inside RAM {}", span(staging), span(ram));
            self.problem("bootloader.staging", fact, "give the physical address, without KSEG0's 0x80000000");
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
}
