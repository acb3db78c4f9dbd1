//! The rig itself, against a real U-Boot: power, console, TFTP, bootargs and flash do what the other tests rely on.

use std::io::Write;
use std::time::Duration;

use stoop::qemu::uboot;
use stoop::{Failure, Result};
use stoop_core::crc32::Crc32;
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::{Boot, Cap, Rig, Via, boot};

const PATIENCE: Duration = Duration::from_secs(120);

/// Each test for each byte order.
macro_rules! on_both {
    ($($name:ident needs $caps:expr;)*) => {
        mod le {
            $(#[test] fn $name() -> stoop::Result<()> { super::with("qemu-malta-le", &$caps, super::$name) })*
        }
        mod be {
            $(#[test] fn $name() -> stoop::Result<()> { super::with("qemu-malta-be", &$caps, super::$name) })*
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
    match rig::open(board, &Wish { caps, ..Wish::default() })? {
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
    lines.iter().map(|line| uboot::command(console, &facts, line)).collect()
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
    assert!(refused.fact().contains("did not fetch 0x48d15 bytes"), "{refused}");
    Ok(())
}

fn a_missing_file_ends_the_wait_with_the_reason(rig: &mut dyn Rig) -> Result<()> {
    let facts = rig.bootloader().clone();
    commands(rig, &[])?;
    let console = rig.console()?;
    uboot::network(console, &facts)?;
    let refused = uboot::fetch(console, &facts, facts.tftp_address, "nope", 1).unwrap_err();
    assert_eq!(refused.exit_code(), 1, "{refused}");
    assert!(refused.fact().contains("the console says `TFTP error: 'File not found' (1)`"), "{refused}");
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

/// Prints `[` and `]` around each of argc words at argv, nothing between them for NULL, and resets the board. MIPS32, runs
/// anywhere.
const PRINT_ARGV: [u32; 36] = [
    0x0080_8025, // move  s0, a0
    0x00a0_8825, // move  s1, a1
    0x3c12_b800, // lui   s2, 0xb800           the UART behind PCI I/O, set up by the bootloader
    0x3652_03f8, // ori   s2, s2, 0x3f8
    0x1a00_0012, // word: blez s0, done
    0x2404_005b, // li    a0, '['
    0x8e33_0000, // lw    s3, 0(s1)
    0x2631_0004, // addiu s1, s1, 4
    0x0411_0015, // bal   putc
    0x2610_ffff, // addiu s0, s0, -1
    0x1260_0008, // beqz  s3, end
    0x0000_0000, // nop
    0x9264_0000, // byte: lbu a0, 0(s3)
    0x1080_0005, // beqz  a0, end
    0x2673_0001, // addiu s3, s3, 1
    0x0411_000e, // bal   putc
    0x0000_0000, // nop
    0x1000_fffa, // b     byte
    0x0000_0000, // nop
    0x0411_000a, // end:  bal putc
    0x2404_005d, // li    a0, ']'
    0x1000_ffee, // b     word
    0x0000_0000, // nop
    0x0411_0006, // done: bal putc
    0x2404_000a, // li    a0, '\n'
    0x3c08_bf00, // lui   t0, 0xbf00           Malta's FPGA: SOFTRES at 0x500
    0x2409_0042, // li    t1, 0x42
    0xad09_0500, // sw    t1, 0x500(t0)
    0x1000_ffff, // stop: b stop
    0x0000_0000, // nop
    0x9248_0005, // putc: lbu t0, 5(s2)        line status: transmitter empty
    0x3108_0020, // andi  t0, t0, 0x20
    0x1100_fffd, // beqz  t0, putc
    0x0000_0000, // nop
    0x03e0_0008, // jr    ra
    0xa244_0000, // sb    a0, 0(s2)
];

const LOAD: u32 = 0x8010_0000;

fn program(rig: &dyn Rig) -> Vec<u8> {
    let big = rig.board().arch.is_big_endian();
    PRINT_ARGV.iter().flat_map(|word| if big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

/// A legacy uImage for MIPS Linux, not compressed.
fn uimage(payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 64];
    let crc = Crc32::new();
    let words = [0x2705_1956, 0, 0, payload.len() as u32, LOAD, LOAD, crc.of(payload)];
    for (field, word) in header.chunks_mut(4).zip(words) {
        field.copy_from_slice(&word.to_be_bytes());
    }
    header[28..32].copy_from_slice(&[5, 5, 2, 0]);
    let own = crc.of(&header);
    header[4..8].copy_from_slice(&own.to_be_bytes());
    [&header, payload].concat()
}

/// A minimal ELF file: its header, one segment, the program.
fn elf(payload: &[u8], big: bool) -> Vec<u8> {
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 1, if big { 2 } else { 1 }, 1];
    bytes.resize(16, 0);
    bytes.extend([half(2), half(8)].concat());
    bytes.extend([word(1), word(LOAD), word(52), word(0), word(0x7000_1000)].concat());
    bytes.extend([half(52), half(32), half(1), half(40), half(0), half(0)].concat());
    let size = payload.len() as u32;
    bytes.extend([word(1), word(84), word(LOAD), word(LOAD), word(size), word(size), word(7), word(4)].concat());
    bytes.extend(payload);
    bytes
}

/// Runs the printing program and returns the line that it printed.
fn printed(rig: &mut dyn Rig, image: &[u8], bootargs: Option<&str>, via: Via) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| Failure::new(error.to_string()))?;
    file.write_all(image).map_err(|error| Failure::io(file.path(), &error))?;
    let said = boot(rig, &Boot { image: file.path(), bootargs, via }, r"^\[[^\r\n]*\r?\n", PATIENCE)?;
    rig.wait_end(PATIENCE)?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

fn bootm_delivers_the_words_that_the_model_predicts(rig: &mut dyn Rig) -> Result<()> {
    let image = uimage(&program(rig));
    let mut cases: Vec<Option<String>> = hard_bootargs().into_iter().map(Some).collect();
    cases.push(None);
    for bootargs in cases {
        let words = uboot::argv(bootargs.as_deref().unwrap_or_default().as_bytes());
        let words: String = words.iter().map(|word| format!("[{}]", String::from_utf8_lossy(word))).collect();
        let got = printed(rig, &image, bootargs.as_deref(), Via::Bootm)?;
        assert_eq!(got, format!("[]{words}"), "argv[0] is empty, then the words of {bootargs:?}");
    }
    let many = vec!["a"; uboot::BOOTM_WORDS].join(" ");
    let got = printed(rig, &image, Some(&many), Via::Bootm)?;
    assert_eq!(got, format!("[]{}", "[a]".repeat(uboot::BOOTM_WORDS)), "the most that U-Boot delivers");
    let refused = printed(rig, &image, Some(&(many + " a")), Via::Bootm).unwrap_err();
    assert_eq!(refused.fact(), "U-Boot delivers 0xff words of bootargs, these have 0x100");
    Ok(())
}

fn go_and_bootelf_pass_what_is_typed(rig: &mut dyn Rig) -> Result<()> {
    let program = program(rig);
    let elf = elf(&program, rig.board().arch.is_big_endian());
    let at = rig.bootloader().tftp_address;
    assert_eq!(printed(rig, &program, Some("a b=c"), Via::Go)?, format!("[{at:#x}][a][b=c]"));
    assert_eq!(printed(rig, &program, None, Via::Go)?, format!("[{at:#x}]"));
    assert_eq!(printed(rig, &elf, Some("a b=c"), Via::Bootelf)?, "[a][b=c]");
    assert_eq!(printed(rig, &elf, Some(r#"a="b c" $d;e"#), Via::Bootelf)?, "[a=b c][$d;e]");
    Ok(())
}

/// Where these tests write to flash: far from U-Boot and its environment.
const SCRATCH: usize = 0x10_0000;

fn what_the_guest_programs_survives_power_cycles(rig: &mut dyn Rig) -> Result<()> {
    // One word programmed by hand: U-Boot's own buffered writes do not end on the emulated chip.
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
    let said = rig.power_off_at(r"^second\r?\n", PATIENCE)?;
    assert!(said.contains("\nfirst\r\nsecond\r\n") && !said.contains("\nthird"), "{said}");
    assert!(rig.console().is_err(), "power is off");
    assert_eq!(rig.power_off()?, "", "and stays off");
    Ok(())
}
