//! The rig itself, against a real U-Boot: power, console, TFTP, bootargs and flash do what the other tests rely on.

use std::io::Write;
use std::time::Duration;
use stoop_image::Explained as _;

use stoop_ci::{Failure, Result};
use stoop_core::crc32::Crc32;
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Boot, Cap, Rig, Via, boot, program};
use stoop_image::bootloader::uboot::{BOOTM_WORDS, argv};
use stoop_lab::qemu::uboot;

const PATIENCE: Duration = Duration::from_secs(120);

/// Each test for each byte order.
macro_rules! on_both {
    ($($name:ident needs $caps:expr;)*) => {
        mod le {
            $(#[test] fn $name() -> stoop_ci::Result<()> { super::with("qemu-malta-le", &$caps, super::$name) })*
        }
        mod be {
            $(#[test] fn $name() -> stoop_ci::Result<()> { super::with("qemu-malta-be", &$caps, super::$name) })*
        }
    };
}

on_both! {
    a_file_arrives_as_it_was_staged needs [super::Cap::Uboot];
    a_missing_file_ends_the_wait_with_the_reason needs [super::Cap::Uboot];
    bootargs_arrive_byte_for_byte needs [super::Cap::Uboot];
    bootm_delivers_the_words_that_the_model_predicts needs [super::Cap::Uboot];
    go_and_bootelf_pass_what_is_typed needs [super::Cap::Uboot];
    what_the_guest_programs_survives_power_cycles needs [super::Cap::Uboot, super::Cap::NorWrite];
    what_is_flashed_from_outside_is_what_the_guest_reads needs [super::Cap::Uboot, super::Cap::NorWrite];
    power_is_cut_at_a_line needs [super::Cap::Uboot, super::Cap::PowerLoss];
}

fn with(board: &str, caps: &[Cap], test: fn(&mut dyn Rig) -> Result<()>) -> Result<()> {
    match rig::open(board, &BootRequest { caps, ..BootRequest::default() })? {
        Some(mut rig) => test(rig.as_mut()),
        None => Ok(()),
    }
}

/// Switches on and runs these commands; returns what each printed.
fn commands(rig: &mut dyn Rig, lines: &[&str]) -> Result<Vec<String>> {
    let facts = rig.bootloader().clone();
    rig.power_cycle()?;
    let console = rig.console()?;
    uboot::attach(console, &facts)?;
    lines.iter().map(|line| Ok(uboot::command(console, &facts, line)?)).collect()
}

fn a_file_arrives_as_it_was_staged(rig: &mut dyn Rig) -> Result<()> {
    let bytes: Vec<u8> = (0..0x1_2345_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    let name = rig.stage("numbers.bin", &bytes)?;
    let facts = rig.bootloader().clone();
    let at = facts.tftp_address;
    commands(rig, &[])?;
    let console = rig.console()?;
    uboot::network(console, &facts)?;
    uboot::fetch(console, &facts, at, &name, bytes.len())?;
    let said = uboot::command(console, &facts, &format!("crc32 {at:#x} {:#x}", bytes.len()))?;
    assert!(said.contains(&format!("==> {:08x}\n", Crc32::new().of(&bytes))), "{said}");
    let refused = uboot::fetch(console, &facts, at, &name, bytes.len() + 1).unwrap_err();
    assert!(refused.to_string().contains("did not fetch 0x48d15 bytes"), "{refused}");
    Ok(())
}

fn a_missing_file_ends_the_wait_with_the_reason(rig: &mut dyn Rig) -> Result<()> {
    let facts = rig.bootloader().clone();
    commands(rig, &[])?;
    let console = rig.console()?;
    uboot::network(console, &facts)?;
    let refused = uboot::fetch(console, &facts, facts.tftp_address, "nope", 1).unwrap_err();
    assert_eq!(refused.exit_code(), 1, "{refused}");
    assert!(refused.to_string().contains("the console says `TFTP error: 'File not found' (1)`"), "{refused}");
    uboot::attach(console, &facts)?;
    assert_eq!(uboot::command(console, &facts, "echo $?")?, "1\n", "the prompt is back");
    Ok(())
}

/// Bootargs that a typed `setenv` would spoil, and lines longer than the console's buffer.
fn hard_bootargs() -> Vec<String> {
    let mut all: Vec<String> =
        ["", "a", " a  b ", "$bootargs ${x} a;b", r#"quote="a b" 'c d' \ \\ # end"#, "tab\tand=\u{e9}"]
            .map(str::to_owned)
            .into();
    all.push((0..).map(|i| format!("word{i:03}=abcdefg")).take(254).collect::<Vec<_>>().join(" "));
    all.push("x".repeat(4095));
    all
}

fn bootargs_arrive_byte_for_byte(rig: &mut dyn Rig) -> Result<()> {
    let facts = rig.bootloader().clone();
    commands(rig, &[])?;
    uboot::network(rig.console()?, &facts)?;
    let at = facts.tftp_address;
    for bootargs in hard_bootargs() {
        let text = uboot::env_text("bootargs", bootargs.as_bytes());
        let name = rig.stage("env.txt", &text)?;
        let console = rig.console()?;
        uboot::fetch(console, &facts, at, &name, text.len())?;
        uboot::command(console, &facts, &format!("env import -t {at:#x} {:#x}", text.len()))?;
        // A NUL-terminated export holds the value as it is, but for doubled backslashes.
        uboot::command(console, &facts, &format!("env export -b {at:#x} bootargs"))?;
        let exported = match bootargs.as_str() {
            "" => b"\0".to_vec(), // an empty variable is none
            value => format!("bootargs={}\0", value.replace('\\', r"\\")).into_bytes(),
        };
        let said = uboot::command(console, &facts, &format!("crc32 {at:#x} {:#x}", exported.len()))?;
        assert!(said.contains(&format!("==> {:08x}\n", Crc32::new().of(&exported))), "{bootargs:?}: {said}");
    }
    Ok(())
}

/// Runs the printing program and returns the line that it printed.
fn printed(rig: &mut dyn Rig, image: &[u8], bootargs: Option<&str>, via: Via) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| Failure::new(error.to_string()))?;
    file.write_all(image).map_err(|error| Failure::io(file.path(), &error))?;
    let said = boot(rig, &Boot { image: file.path(), bootargs, files: &[], via }, r"^\[.*\n", PATIENCE)?;
    rig.wait_end(PATIENCE)?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

fn bootm_delivers_the_words_that_the_model_predicts(rig: &mut dyn Rig) -> Result<()> {
    let image = program::uimage(rig.board().arch.is_big_endian());
    let mut cases: Vec<Option<String>> = hard_bootargs().into_iter().map(Some).collect();
    cases.push(None);
    for bootargs in cases {
        let words = argv(bootargs.as_deref().unwrap_or_default().as_bytes());
        let words: String = words.iter().map(|word| format!("[{}]", String::from_utf8_lossy(word))).collect();
        let got = printed(rig, &image, bootargs.as_deref(), Via::Bootm)?;
        assert_eq!(got, format!("[]{words}"), "argv[0] is empty, then the words of {bootargs:?}");
    }
    let many = vec!["a"; BOOTM_WORDS].join(" ");
    let got = printed(rig, &image, Some(&many), Via::Bootm)?;
    assert_eq!(got, format!("[]{}", "[a]".repeat(BOOTM_WORDS)), "the most that U-Boot delivers");
    let refused = printed(rig, &image, Some(&(many + " a")), Via::Bootm).unwrap_err();
    assert!(refused.to_string().starts_with("U-Boot delivers 255 words of bootargs, these have 256\n"), "{refused}");
    Ok(())
}

fn go_and_bootelf_pass_what_is_typed(rig: &mut dyn Rig) -> Result<()> {
    let big = rig.board().arch.is_big_endian();
    let (raw, elf) = (program::raw(big), program::elf(big));
    // By KSEG1: `go` cleans no cache.
    let at = rig.bootloader().tftp_address | 0x2000_0000;
    assert_eq!(printed(rig, &raw, Some("a b=c"), Via::Go)?, format!("[{at:#x}][a][b=c]"));
    assert_eq!(printed(rig, &raw, None, Via::Go)?, format!("[{at:#x}]"));
    assert_eq!(printed(rig, &elf, Some("a b=c"), Via::Bootelf)?, "[a][b=c]");
    assert_eq!(printed(rig, &elf, Some(r#"a="b c" $d;e"#), Via::Bootelf)?, "[a=b c][$d;e]");
    Ok(())
}

/// Where these tests write to flash: far from U-Boot and its environment.
const SCRATCH: usize = 0x10_0000;

fn what_the_guest_programs_survives_power_cycles(rig: &mut dyn Rig) -> Result<()> {
    // One word programmed by hand: of a block, Debian's U-Boot writes only the first 2 KiB on the emulated chip.
    let program = ["mw.l be100000 00400040", "mw.l be100000 51115eed", "mw.l be100000 00ff00ff", "md.l be100000 2"];
    let said = commands(rig, &program)?;
    assert!(said[3].starts_with("be100000: 51115eed ffffffff"), "{said:?}");
    for _ in 0..2 {
        let said = commands(rig, &["md.l be100000 2", "md.l be000000 1"])?;
        assert!(said[0].starts_with("be100000: 51115eed ffffffff"), "{said:?}");
    }
    rig.power_off()?;
    let big = rig.board().arch.is_big_endian();
    let word = if big { 0x5111_5eed_u32.to_be_bytes() } else { 0x5111_5eed_u32.to_le_bytes() };
    assert_eq!(rig.read_nor()?[SCRATCH..SCRATCH + 5], [&word[..], &[0xff]].concat());
    let said = commands(rig, &["erase be100000 +10000", "md.l be100000 1"])?;
    assert!(said[1].starts_with("be100000: ffffffff"), "{said:?}");
    rig.power_off()?;
    assert_eq!(rig.read_nor()?[SCRATCH..SCRATCH + 4], [0xff; 4]);
    Ok(())
}

fn what_is_flashed_from_outside_is_what_the_guest_reads(rig: &mut dyn Rig) -> Result<()> {
    rig.write_nor(SCRATCH, b"0123456789abcdef")?;
    let said = commands(rig, &["md.b be100000 10", "crc32 be100000 10"])?;
    assert!(said[0].contains("0123456789abcdef"), "{said:?}");
    assert!(said[1].contains(&format!("{:08x}", Crc32::new().of(b"0123456789abcdef"))), "{said:?}");
    assert!(rig.write_nor(SCRATCH, b"x").is_err(), "power is on");
    Ok(())
}

fn power_is_cut_at_a_line(rig: &mut dyn Rig) -> Result<()> {
    commands(rig, &[])?;
    rig.console()?.send(b"echo first; echo second; sleep 600; echo third\n")?;
    let said = rig.power_off_at("^second\n", PATIENCE)?;
    assert!(said.contains("\nfirst\nsecond\n") && !said.contains("\nthird"), "{said}");
    assert!(rig.console().is_err(), "power is off");
    assert_eq!(rig.power_off()?, "", "and stays off");
    Ok(())
}
