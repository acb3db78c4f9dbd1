//! The blocks that the shim reads: params and manifest.

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Entry, Kind, Listing};
use stoop_core::params::{CookieRule, MAX_SIZE, Settings, SlotAt};

use super::error::Error;
use super::part::Part;
use crate::Result;
use crate::plan::{Format, Plan};

/// The params block.
pub(super) fn params(plan: &Plan, slots: &[SlotAt], crc: &Crc32) -> Result<Vec<u8>> {
    let board = &plan.board;
    let keep: Vec<u8> = plan.cookie.keep.iter().flat_map(|key| key.bytes().chain([0])).collect();
    let settings = Settings {
        ram: board.shim_ram(),
        flash: board.flash_window(),
        uart: board.uart,
        cookie_rule: plan.cookie.rule,
        cookie: if plan.cookie.rule == CookieRule::Off { b"" } else { plan.cookie.text.as_bytes() },
        keep: &keep,
        policy: board.defaults.policy,
        reset: board.reset.map_or((0, 0), |reset| (reset.address, reset.value)),
        led: board.led.unwrap_or_default(),
        slots,
        care: plan.watchdog.care,
        watchdog: [&plan.watchdog.begin, &plan.watchdog.feed, &plan.watchdog.back],
    };
    let mut block = [0; MAX_SIZE];
    let length = settings.encode(&mut block, plan.arch().is_big_endian(), crc).ok_or_else(|| {
        let bytes = plan.cookie.text.len() + keep.len();
        Error::Params { size: bytes }
    })?;
    Ok(block[..length].to_vec())
}

pub(super) fn listing(plan: &Plan, tree: Region, parts: &[Part<'_>], manifest: usize) -> Listing {
    let mut payloads = [None; manifest::PAYLOADS];
    for part in parts {
        // Kernel and root filesystem of an ELF file lie where they belong, whoever loads the rest.
        let store = part.codec == Codec::Store;
        let elf = plan.format.value == Format::Elf && store;
        let segment =
            elf && (part.kind == Kind::Rootfs || part.kind == Kind::Kernel && part.source == part.place.start());
        let absolute = part.absolute || segment;
        let source = if absolute { part.source } else { part.source - manifest };
        payloads[part.kind as usize] = Some(Entry {
            codec: part.codec,
            source_relative: !absolute,
            destination_relative: false,
            crc: part.crc,
            source: Region::new(source, part.content.len()).unwrap_or(Region::EMPTY),
            destination: part.destination,
            memory_size: part.place.size(),
        });
    }
    Listing {
        machine: plan.arch(),
        handoff: plan.handoff.value,
        tree,
        entry_point: plan.kernel.entry_point as usize,
        relative: [0; 3],
        copies: Region::EMPTY,
        payloads,
    }
}
