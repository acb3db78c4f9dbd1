//! The script of `stoop kexec` on a router that runs, with Debian's own kexec-tools: it starts the image (`matrix.rs`), and
//! where that cannot be it says why before anything is loaded.

use std::time::Duration;

use stoop::Result;
use stoop::kexec::Loadable;
use stoop::plan::{Format, Request};
use stoop_ci::lab::{DEBIAN_KERNELS, Endian, Lab};
use stoop_hil_tests::packed::{board, lab, lab_request};
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::router::{IMAGE, SCRIPT, router};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot};

const PATIENCE: Duration = Duration::from_secs(600);

/// Printed by the router when everything ran.
const DONE: &str = "router: done";

/// What a shell command must print, and its exit code.
struct Case {
    command: String,
    says: &'static [&'static str],
    code: u8,
}

fn case(command: impl Into<String>, code: u8, says: &'static [&'static str]) -> Case {
    Case { command: command.into(), says, code }
}

fn elf(lab: &Lab, endian: Endian) -> Result<Packed> {
    Packed::of(&Request { format: Some(Format::Elf), ..lab_request(lab, endian) })
}

/// Runs the cases on the router, one after the other.
fn run(rig: &mut dyn Rig, cases: &[Case], router: impl FnOnce(&str) -> Result<Packed>) -> Result<()> {
    let begin = |index: usize| format!("case {index}:");
    let end = |index: usize| format!("case {index} ends: ");
    let mut commands = String::new();
    for (index, case) in cases.iter().enumerate() {
        // Not in one word, or the shell's own messages about the script could look like it.
        commands += &format!("echo '{}'\n( {} ) 2>&1\necho \"{}$?\"\n", begin(index), case.command, end(index));
    }
    let router = router(&format!("{commands}echo '{DONE}'\n"))?;
    let what = Boot { image: router.path(), bootargs: None, files: &[], via: Via::Direct };
    let said = boot(rig, &what, &format!("^{DONE}\r?\n"), PATIENCE)?.replace('\r', "");
    rig.power_off()?;
    for (index, case) in cases.iter().enumerate() {
        let said = said.split_once(&begin(index)).map_or("", |(_, behind)| behind);
        let (said, behind) = said.split_once(&end(index)).unwrap_or((said, ""));
        let code = behind.split_once('\n').map_or("", |(code, _)| code);
        assert_eq!(code, case.code.to_string(), "{}: {said}", case.command);
        for words in case.says {
            assert!(said.contains(words), "{}: no {words:?} in: {said}", case.command);
        }
    }
    Ok(())
}

#[test]
fn the_script_checks_image_machine_and_memory_before_it_loads() -> Result<()> {
    let wish = Wish { caps: &[Cap::Direct], ..Wish::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &wish)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = elf(&lab, Endian::Little)?;
    let big = elf(&lab, Endian::Big)?;
    let big_script = Loadable::of(&big.built.file)?.script("big.elf");
    let check = format!("sh /{SCRIPT} -n /{IMAGE}");
    // The script for another image: the same one with one line changed.
    let other = |line: &str, value: &str| {
        format!("sed \"s/^{line}=.*/{line}={value}/\" /{SCRIPT} > /tmp/other.sh && sh /tmp/other.sh -n /{IMAGE}")
    };
    let cases = [
        case(&check, 0, &["stoop: this kernel can load /next.elf\n"]),
        case(format!("sh /{SCRIPT}"), 2, &["usage: sh /next.sh [-n] [-l] IMAGE [BOOTARGS]"]),
        case(format!("sh /{SCRIPT} -n /none"), 1, &["/none cannot be read", "next: "]),
        case(
            format!("head -c 1000 /{IMAGE} > /tmp/short; sh /{SCRIPT} -n /tmp/short"),
            1,
            &["/tmp/short has 1000 bytes, the packed image ", "next: copy it again"],
        ),
        case(
            format!(
                "cat > /tmp/big.sh << 'END'\n{big_script}\nEND\n truncate -s {} /tmp/big.elf; sh /tmp/big.sh -n /tmp/big.elf",
                big.built.file.len()
            ),
            1,
            &["the image is big-endian, this machine is not"],
        ),
        case(format!("PATH=/bin; {check}"), 1, &["kexec is not installed", "next: install kexec-tools"]),
        case(
            other("segments", "'0x00100000-0x00200000 0x0fff0000-0x10010000'"),
            1,
            &[
                "[0x0fff0000, 0x10010000) is not System RAM in /proc/iomem",
                "next: pack for a board with this router's memory",
            ],
        ),
        case(other("loaded", "200000"), 1, &["the image takes 200000 KiB, the kernel takes at most half of its "]),
        case(other("file", "400000"), 1, &[" KiB are available", "next: stop services"]),
        case("cat /sys/kernel/kexec_loaded", 0, &["0\n"]),
        case(
            format!("sh /{SCRIPT} -l /{IMAGE} && cat /sys/kernel/kexec_loaded"),
            0,
            &["stoop: /next.elf is loaded\n", "1\n"],
        ),
    ];
    run(rig.as_mut(), &cases, |commands| router(&lab, None, &packed, commands))
}

#[test]
fn a_kernel_that_cannot_stop_its_other_cpus_is_told_so_instead_of_einval() -> Result<()> {
    let wish = Wish { caps: &[Cap::Direct], ..Wish::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &wish)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = elf(&lab, Endian::Little)?;
    let [generic, _] = DEBIAN_KERNELS;
    let kernel = lab.debian_kernel(generic)?;
    let cases = [
        case(format!("sh /{SCRIPT} -n /{IMAGE}"), 0, &["this kernel can load"]),
        case(
            format!("sh /{SCRIPT} /{IMAGE}"),
            1,
            &[
                "-mips32r2el is built for more than one CPU and has no way to stop the others here",
                "(EINVAL)",
                "next: run a kernel without CONFIG_SMP",
            ],
        ),
    ];
    run(rig.as_mut(), &cases, |commands| router(&lab, Some(kernel), &packed, commands))
}
