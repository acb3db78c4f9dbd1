//! Images that were cut or changed: inspect says what is damaged, and the shim gives up with a code.

use stoop_core::Code;
use stoop_image::Explained as _;
use stoop_image::image;
use stoop_image::plan::{Format, Request};
use stoop_image::simulate::{self, Input};

use crate::bench::{Bench, packed, tree_arm64};

fn damage_of(file: &[u8]) -> Vec<String> {
    let opened = image::open(file).unwrap();
    opened.checks().into_iter().filter(|check| check.wrong.is_some()).map(|check| check.of).collect()
}

/// With a device tree, so that nothing that can be in an image is missing.
fn arm64(bench: &Bench) -> Request {
    Request { dtb: Some(bench.put("virt.dtb", &tree_arm64("console=ttyAMA0", 0))), ..bench.arm64() }
}

#[test]
fn a_flipped_bit_in_a_payload_names_it_and_the_shim_gives_e12() {
    let bench = Bench::new();
    for request in [bench.full(), arm64(&bench)] {
        let (_, built) = packed(&Request { format: Some(Format::Uimage), ..request });
        let opened = image::open(&built.file).unwrap();
        let manifest = opened.manifest(&stoop_core::crc32::Crc32::new()).unwrap();
        for kind in stoop_core::manifest::Kind::ALL {
            let source = manifest.payload(kind).source;
            if source.is_empty() {
                continue;
            }
            for at in [source.start(), source.end() - 1] {
                let mut damaged = built.file.clone();
                damaged[64 + at - opened.load] ^= 0x10;
                let name = kind.subject().text();
                assert_eq!(damage_of(&damaged), ["uImage data", name]);
                let outcome = simulate::run(&damaged, &Input::default()).unwrap();
                let error = outcome.result.unwrap_err();
                assert_eq!((error.code(), outcome.failed.len()), (Code::Crc, 1));
                assert!(error.to_string().starts_with(&format!("E12 {name} crc")), "{error}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_manifest_is_found() {
    let bench = Bench::new();
    for (format, request) in [(Format::Raw, bench.full()), (Format::Image, arm64(&bench))] {
        let (_, built) = packed(&Request { format: Some(format), ..request });
        let at = image::open(&built.file).unwrap().note.manifest;
        for offset in 0..stoop_core::manifest::SIZE {
            let mut damaged = built.file.clone();
            damaged[at + offset] ^= 1 << (offset % 8);
            assert_eq!(damage_of(&damaged), ["manifest"], "offset {offset}");
            assert!(simulate::run(&damaged, &Input::default()).unwrap().result.is_err());
        }
    }
}

#[test]
fn a_flipped_bit_in_the_shim_or_its_params_is_found() {
    let bench = Bench::new();
    // On MIPS neither the first instructions are summed, nor what Malta puts there; on arm64 the first two words are how tools know
    // an image.
    for (format, request, first) in [(Format::Raw, bench.full(), 20), (Format::Image, arm64(&bench), 8)] {
        let (_, built) = packed(&Request { format: Some(format), ..request });
        for at in (first..built.shim).step_by(13) {
            let mut damaged = built.file.clone();
            damaged[at] ^= 4;
            // Either it is no image any more, or it is said.
            if image::open(&damaged).is_ok() {
                assert!(damage_of(&damaged).contains(&"shim".to_owned()), "{}: byte {at}", format.name());
            }
        }
    }
}

#[test]
fn a_cut_image_is_refused_or_named_damaged() {
    let bench = Bench::new();
    let mips = [Format::Uimage, Format::Fit, Format::Elf, Format::Raw].map(|format| (format, bench.full()));
    let arm64 = [Format::Uimage, Format::Fit, Format::Image].map(|format| (format, arm64(&bench)));
    for (format, request) in mips.into_iter().chain(arm64) {
        let (_, built) = packed(&Request { format: Some(format), ..request });
        let whole = built.file.len();
        for length in [0, 1, 16, 63, 64, 100, 3000, whole / 2, whole - 0x2000] {
            let cut = &built.file[..length];
            match image::open(cut) {
                Ok(opened) => assert!(opened.checks().iter().any(|check| check.wrong.is_some()), "{length}"),
                Err(failure) => assert!(failure.next_step().is_some(), "{failure}"),
            }
            if let Ok(outcome) = simulate::run(cut, &Input::default()) {
                assert!(outcome.result.is_err(), "{} cut to {length} boots", format.name());
            }
        }
    }
}

#[test]
fn what_is_no_image_is_named() {
    for (bytes, what) in [(&b"hsqs0000"[..], "a squashfs"), (b"hello", "text"), (&[0xff; 200], "erased flash")] {
        let failure = image::open(bytes).unwrap_err();
        assert!(failure.to_string().contains(what), "{failure}");
    }
    assert!(image::open(&crate::bench::Kernel::new(true).elf()).unwrap_err().to_string().contains("no stoop image"));
}
