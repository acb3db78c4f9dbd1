//! Params and manifest: written, read back, and damaged in every bit.

use std::cell::Cell;

use crate::common::{NO_PAYLOADS, entry, params_block, region, settings};
use stoop_core::bytes::Writer;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, HandoffKind, Kind, Listing, Machine, Manifest, Payload, SIZE};
use stoop_core::params::{CookieRule, MAX_SIZE, MAX_SLOTS, Params, Policy, Settings, SlotAt, UartKind};
use stoop_core::region::align_up;
use stoop_core::watchdog::{Care, EVERY, Moment, Write};
use stoop_core::{Code, Region};

const SLOTS: [SlotAt; 2] =
    [SlotAt { name: b'a', relative: true, address: 0x1234 }, SlotAt { name: b'b', relative: false, address: 0x5678 }];

#[test]
fn params_come_back_in_both_byte_orders() {
    let crc = Crc32::new();
    for big_endian in [false, true] {
        let mut settings = settings(CookieRule::Word, b"liminix", b"bootImage\0a\0");
        settings.slots = &SLOTS;
        let block = params_block(&settings, big_endian);
        let params = Params::check(&block, big_endian, &crc).unwrap();
        assert_eq!(params.ram(), settings.ram);
        assert_eq!(params.flash(), settings.flash);
        assert_eq!(params.uart(), settings.uart);
        assert_eq!(params.cookie_rule(), CookieRule::Word);
        assert_eq!(params.cookie(), b"liminix");
        assert_eq!(params.keep(), b"bootImage\0a\0");
        assert_eq!(params.policy(), Policy::Reset);
        assert_eq!(params.reset(), settings.reset);
        assert_eq!(params.led(), settings.led);
        assert_eq!(params.slots().collect::<Vec<_>>(), SLOTS);
        assert_eq!(Params::check(&block, !big_endian, &crc).unwrap_err().code(), Code::Params);
        // Nothing behind the block is needed.
        let length = settings.encode(&mut [0; MAX_SIZE], big_endian, &crc).unwrap();
        assert_eq!(Params::check(&block[..length], big_endian, &crc).unwrap().keep(), params.keep());
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn addresses_and_sizes_above_4_gib_come_back() {
    let crc = Crc32::new();
    let far = |low: usize| region(0x12_3000_0000 + low, 0x5_0000_0000 + low);
    let slots = [SlotAt { address: far(3).start(), ..SLOTS[1] }];
    let mut settings = settings(CookieRule::Off, b"", b"");
    (settings.ram, settings.flash, settings.slots) = (far(1), far(2), &slots);
    let block = params_block(&settings, false);
    let params = Params::check(&block, false, &crc).unwrap();
    assert_eq!((params.ram(), params.flash(), params.slot(0)), (far(1), far(2), Some(slots[0])));
    let mut made = listing(Machine::Arm64);
    (made.tree, made.copies, made.entry_point) = (far(4), far(5), far(6).start());
    let mut kernel = entry(far(7), b"", Some(far(8)), far(8).size());
    kernel.source_relative = false;
    made.payloads[Kind::Kernel as usize] = Some(kernel);
    let read = Manifest::check(&made.encode(&crc), 0, 0, Machine::Arm64, &crc).unwrap();
    assert_eq!((read.tree(), read.copies(), read.entry_point()), (far(4), far(5), far(6).start()));
    let kernel = read.payload(Kind::Kernel);
    assert_eq!((kernel.source, kernel.destination, kernel.place), (far(7), far(8), far(8)));
}

#[test]
fn every_choice_comes_back() {
    let crc = Crc32::new();
    let mut settings = settings(CookieRule::Off, b"", b"");
    let check = |settings: &Settings<'_>| {
        let block = params_block(settings, true);
        let params = Params::check(&block, true, &crc).unwrap();
        assert_eq!((params.uart(), params.policy()), (settings.uart, settings.policy));
        assert_eq!(params.cookie_rule(), settings.cookie_rule);
    };
    for kind in [UartKind::None, UartKind::Ns16550, UartKind::Pl011] {
        settings.uart.kind = kind;
        check(&settings);
    }
    for policy in [Policy::Halt, Policy::Reset, Policy::Return] {
        settings.policy = policy;
        check(&settings);
    }
    for rule in [CookieRule::Off, CookieRule::Contains, CookieRule::Word] {
        settings.cookie_rule = rule;
        check(&settings);
    }
}

#[test]
fn every_codec_comes_back_from_its_byte() {
    for codec in [Codec::Store, Codec::Lz4, Codec::Lzma] {
        assert_eq!(Codec::from_byte(codec as u8), Some(codec));
    }
    assert_eq!((3..=u8::MAX).find_map(Codec::from_byte), None);
}

#[test]
fn a_writer_is_empty_until_something_is_written() {
    let mut room = [0; 4];
    let mut writer = Writer::new(&mut room);
    assert!(writer.is_empty());
    assert_eq!((writer.bytes(b"abc"), writer.bytes(b"de")), (Some(()), None));
    assert!(!writer.is_empty());
    assert_eq!(writer.written(), b"abc");
}

#[test]
fn params_with_a_right_crc_that_state_more_slots_than_there_are_end_at_the_last() {
    let crc = Crc32::new();
    let slots = [SLOTS[0]; MAX_SLOTS];
    let writes = [Write { address: 1, keep: 2, flip: 3 }; 6];
    let mut settings = settings(CookieRule::Contains, b"liminix", b"");
    (settings.slots, settings.watchdog) = (&slots, [&writes[..], &[], &[]]);
    let mut block = params_block(&settings, true);
    let end = settings.encode(&mut [0; MAX_SIZE], true, &crc).unwrap() - 4;
    // Word 13 has the number of slots in its second byte.
    assert_eq!(block[53], MAX_SLOTS as u8);
    block[53] = 0xff;
    let sum = crc.of(&block[..end]).to_be_bytes();
    block[end..end + 4].copy_from_slice(&sum);
    let params = Params::check(&block, true, &crc).unwrap();
    assert_eq!(params.slot(MAX_SLOTS), None, "what follows are writes to the watchdog");
    assert_eq!(params.slots().collect::<Vec<_>>(), slots);
}

#[test]
fn what_is_written_to_a_watchdog_comes_back_by_its_moment() {
    let crc = Crc32::new();
    let write = |address| Write { address, keep: !address, flip: address << 4 };
    let writes = [1, 2, 3, 4, 5, 6].map(write);
    for big_endian in [false, true] {
        for (begin, feed) in [(0, 0), (0, 1), (1, 1), (4, 5), (0, 6), (6, 6)] {
            for care in [Care::Leave, Care::Feed, Care::Stop, Care::Start] {
                let mut settings = settings(CookieRule::Word, b"liminix", b"bootImage\0a\0");
                settings.care = care;
                settings.watchdog = [&writes[..begin], &writes[begin..feed], &writes[feed..]];
                let block = params_block(&settings, big_endian);
                let params = Params::check(&block, big_endian, &crc).unwrap();
                assert_eq!(params.care(), care);
                for (moment, written) in [Moment::Begin, Moment::Feed, Moment::Back].into_iter().zip(settings.watchdog)
                {
                    let mut found = vec![];
                    params.watchdog(moment, &mut |write| found.push(write));
                    assert_eq!(found, written, "{moment:?}");
                }
                assert_eq!((params.cookie(), params.keep()), (&b"liminix"[..], &b"bootImage\0a\0"[..]));
                // Nothing behind the block is needed.
                let length = settings.encode(&mut [0; MAX_SIZE], big_endian, &crc).unwrap();
                assert_eq!(Params::check(&block[..length], big_endian, &crc).unwrap().keep(), params.keep());
                assert_eq!(params.slots().collect::<Vec<_>>(), settings.slots);
            }
        }
    }
    let seven = [write(7); 7];
    let mut settings = settings(CookieRule::Off, b"", b"");
    settings.watchdog = [&seven[..4], &seven[4..5], &seven[5..]];
    assert_eq!(settings.encode(&mut [0; MAX_SIZE], true, &crc), None, "more writes than there is room for");
}

#[test]
fn a_checksum_feeds_the_watchdog_for_every_few_bytes_and_is_the_same() {
    let crc = Crc32::new();
    for length in [0, 1, EVERY - 1, EVERY, EVERY + 1, 10 * EVERY + 7] {
        let bytes: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
        let fed = Cell::new(0);
        assert_eq!(crc.of_fed(&bytes, &|| fed.set(fed.get() + 1)), crc.of(&bytes), "{length}");
        assert_eq!(fed.get(), length.div_ceil(EVERY), "{length}");
    }
}

#[test]
fn params_of_the_largest_size_come_back() {
    let keep = [b'k'; 255];
    let slots = [SLOTS[0]; MAX_SLOTS];
    let mut settings = settings(CookieRule::Contains, &keep[..1], &keep);
    settings.slots = &slots;
    let mut room = [0; MAX_SIZE];
    let crc = Crc32::new();
    // 24 + 4 * 3 words, the CRC, and what is left for strings.
    let left = MAX_SIZE - (24 + 12 + 1) * 4;
    let cookie = vec![b'c'; left - 255];
    settings.cookie = &cookie;
    assert_eq!(settings.encode(&mut room, true, &crc), Some(MAX_SIZE));
    let params = Params::check(&room, true, &crc).unwrap();
    assert_eq!((params.cookie(), params.keep()), (&cookie[..], &keep[..]));
    let cookie = vec![b'c'; left - 254];
    settings.cookie = &cookie;
    assert_eq!(settings.encode(&mut room, true, &crc), None, "one byte more");
    settings.cookie = b"c";
    assert_eq!(settings.encode(&mut room[..MAX_SIZE - 200], true, &crc), None, "too little room");
    let slots = [SLOTS[0]; MAX_SLOTS + 1];
    settings.slots = &slots;
    settings.keep = b"";
    assert_eq!(settings.encode(&mut room, true, &crc), None, "too many slots");
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn every_flipped_bit_and_every_cut_of_params_is_found() {
    let mut settings = settings(CookieRule::Contains, b"liminix", b"k\0");
    settings.slots = &SLOTS;
    let crc = Crc32::new();
    let mut room = [0; MAX_SIZE];
    let length = settings.encode(&mut room, false, &crc).unwrap();
    for bit in 0..length * 8 {
        let mut block = room;
        block[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Params::check(&block, false, &crc).err().map(|e| e.code()), Some(Code::Params), "bit {bit}");
    }
    for cut in 0..length {
        assert_eq!(Params::check(&room[..cut], false, &crc).err().map(|e| e.code()), Some(Code::Params), "{cut}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn params_of_every_length_field_are_refused_without_a_fault() {
    let crc = Crc32::new();
    let block = params_block(&settings(CookieRule::Contains, b"liminix", b"k\0"), false);
    let right = u16::from_le_bytes([block[4], block[5]]);
    for length in (0..=u16::MAX).filter(|length| *length != right) {
        let mut block = block.clone();
        block[4..6].copy_from_slice(&length.to_le_bytes());
        assert!(Params::check(&block, false, &crc).is_err(), "{length}");
    }
}

fn listing(machine: Machine) -> Listing {
    let mut listing = Listing { machine, handoff: HandoffKind::Argv, ..NO_PAYLOADS };
    listing.tree = region(0x11_0000, 0x2000);
    listing.entry_point = 0x40;
    let mut kernel = entry(region(0x150, 0x30), b"x", Some(region(0x2000, 0x60)), 0x80);
    kernel.destination_relative = true;
    listing.payloads[Kind::Kernel as usize] = Some(kernel);
    let mut dtb = entry(region(0x700_0000, 0x100), b"y", None, 0);
    dtb.source_relative = false;
    listing.payloads[Kind::Dtb as usize] = Some(dtb);
    listing
}

#[test]
fn a_manifest_comes_back_for_every_machine() {
    let crc = Crc32::new();
    for machine in [Machine::MipsBe, Machine::MipsLe, Machine::Arm64] {
        let bytes = listing(machine).encode(&crc);
        let manifest = Manifest::check(&bytes, 0x9000, 0x8000, machine, &crc).unwrap();
        assert_eq!(manifest.handoff(), HandoffKind::Argv);
        assert_eq!(manifest.tree(), region(0x11_8000, 0x2000), "relative as the kernel is");
        assert_eq!(manifest.entry_point(), 0x8040, "relative as the kernel is");
        let kernel = Payload {
            codec: Codec::Store,
            crc: crc.of(b"x"),
            source: region(0x9150, 0x30),
            destination: region(0xa000, 0x60),
            place: region(0xa000, 0x80),
        };
        assert_eq!(manifest.payload(Kind::Kernel), kernel);
        let dtb = Payload { crc: crc.of(b"y"), source: region(0x700_0000, 0x100), ..Payload::NONE };
        assert_eq!(manifest.payload(Kind::Dtb), dtb);
        assert!(manifest.payload(Kind::Rootfs).source.is_empty());
        assert!(manifest.payload(Kind::Rootfs).place.is_empty());
        assert_eq!(manifest.payload(Kind::Overlay), Payload::NONE);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn every_flipped_bit_and_every_cut_of_a_manifest_is_found() {
    let crc = Crc32::new();
    let good = listing(Machine::MipsBe).encode(&crc);
    let code = |bytes: &[u8]| Manifest::check(bytes, 0x9000, 0, Machine::MipsBe, &crc).unwrap_err().code();
    for bit in 0..SIZE * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        // A length beyond the end of memory is no manifest's.
        let expected = match bit / 8 {
            0..4 => vec![Code::NoManifest],
            4..8 => vec![Code::ManifestCrc, Code::NoManifest],
            _ => vec![Code::ManifestCrc],
        };
        assert!(expected.contains(&code(&bytes)), "bit {bit}");
    }
    for cut in 0..SIZE {
        assert!(matches!(code(&good[..cut]), Code::NoManifest | Code::ManifestCrc), "{cut}");
    }
}

#[test]
fn a_manifest_for_another_machine_is_foreign() {
    let crc = Crc32::new();
    let machines = [Machine::MipsBe, Machine::MipsLe, Machine::Arm64];
    for made in machines {
        for read in machines.into_iter().filter(|read| *read != made) {
            let bytes = listing(made).encode(&crc);
            assert_eq!(Manifest::check(&bytes, 0, 0, read, &crc).unwrap_err().code(), Code::Foreign);
        }
    }
}

#[test]
fn a_sound_manifest_of_another_version_or_length_is_no_shape_this_shim_knows() {
    let crc = Crc32::new();
    for (at, byte) in [(6, 1), (6, 3), (4, (SIZE - 4) as u8)] {
        let mut bytes = listing(Machine::MipsLe).encode(&crc);
        bytes[at] = byte;
        let end = usize::from(u16::from_le_bytes([bytes[4], bytes[5]])) - 4;
        let sum = crc.of(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
        let error = Manifest::check(&bytes, 0x9000, 0, Machine::MipsLe, &crc).unwrap_err();
        assert_eq!((error.code(), error.value), (Code::ManifestShape, 0x9000), "byte {at}");
    }
}

#[test]
fn a_handoff_or_codec_that_no_version_defines_is_no_shape_this_shim_knows() {
    let crc = Crc32::new();
    // Words are little-endian: the handoff is the second highest byte of word 2, the codec the lowest of a payload's first.
    for (at, byte) in [(10, 4), (10, 0xff), (manifest::CODEC, 3), (manifest::CODEC + 5 * 48, 0xff)] {
        let mut bytes = listing(Machine::MipsLe).encode(&crc);
        bytes[at] = byte;
        let sum = crc.of(&bytes[..SIZE - 4]);
        bytes[SIZE - 4..].copy_from_slice(&sum.to_le_bytes());
        let error = Manifest::check(&bytes, 0x9000, 0, Machine::MipsLe, &crc).unwrap_err();
        assert_eq!((error.code(), error.value), (Code::ManifestShape, 0x9000), "byte {at}");
    }
}

#[test]
fn errors_of_a_manifest_say_where() {
    let crc = Crc32::new();
    let good = listing(Machine::MipsLe).encode(&crc);
    let value = |bytes: &[u8]| Manifest::check(bytes, 0x9000, 0, Machine::MipsLe, &crc).unwrap_err().value;
    assert_eq!(value(&[0; SIZE]), 0x9000);
    assert_eq!(value(&[]), 0x9000);
    let mut bytes = good;
    bytes[100] ^= 1;
    assert_eq!(value(&bytes), crc.of(&bytes[..SIZE - 4]) as usize, "the computed CRC");
}

#[test]
fn a_region_moves_as_a_whole_or_is_empty() {
    assert_eq!(region(0x1000, 0x20).moved(0x300), region(0x1300, 0x20));
    assert_eq!(region(0x1000, 0x20).moved(usize::MAX - 0x1020).end(), usize::MAX);
    for offset in [usize::MAX - 0x101f, usize::MAX] {
        assert_eq!(region(0x1000, 0x20).moved(offset), Region::EMPTY, "0x{offset:x}");
    }
}

#[test]
fn the_next_multiple_of_a_power_of_two() {
    for (value, align, next) in [(0, 16, 0), (1, 16, 16), (16, 16, 16), (0x1001, 0x1000, 0x2000), (7, 1, 7)] {
        assert_eq!(align_up(value, align), Some(next), "{value}");
    }
    assert_eq!((align_up(usize::MAX - 15, 16), align_up(usize::MAX - 14, 16)), (Some(usize::MAX - 15), None));
}

#[test]
fn regions_overlap_when_they_share_a_byte() {
    let table = [
        ((0, 4), (4, 4), false),
        ((0, 5), (4, 4), true),
        ((4, 4), (0, 5), true),
        ((0, 9), (4, 1), true),
        ((4, 0), (0, 9), false),
        ((0, 9), (4, 0), false),
        ((0, 0), (0, 0), false),
        ((7, 1), (7, 1), true),
        ((usize::MAX - 1, 1), (0, 1), false),
        ((usize::MAX - 4, 4), (usize::MAX - 1, 1), true),
    ];
    for ((a, b), (c, d), expected) in table {
        assert_eq!(region(a, b).overlaps(&region(c, d)), expected, "{a:#x}+{b:#x} {c:#x}+{d:#x}");
    }
    assert!(region(2, 4).contains(&region(2, 4)) && region(2, 4).contains(&region(6, 0)));
    assert!(!region(2, 4).contains(&region(1, 2)) && !region(2, 4).contains(&region(5, 2)));
    assert_eq!(Region::new(usize::MAX, 1), None);
}
