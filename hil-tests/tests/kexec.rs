//! The script of `stoop kexec` on a router that runs, with Debian's own kexec-tools: it starts the image (`matrix.rs`), and
//! where that cannot be it says why before anything is loaded.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::arm64::Arm64;
use stoop_ci::lab::{DEBIAN_KERNELS, Endian, Lab};
use stoop_hil_tests::packed::{ARM64_BOARD, arm64_lab, arm64_request, board, lab, lab_request, machine_tree};
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::router::{Host, IMAGE, OLD_ROOT, SCRIPT, router, router_of, start_by_hand};
use stoop_hil_tests::{Boot, Cap, Packed, Rig, Via, boot, oracle};
use stoop_image::kexec::Loadable;
use stoop_image::plan::{Format, Request};

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

/// The shell words that check the image.
fn check() -> String {
    format!("sh /{SCRIPT} -n /{IMAGE}")
}

/// The same by the script for another image: the same one with one line changed.
fn other(line: &str, value: &str) -> String {
    format!("sed \"s/^{line}=.*/{line}={value}/\" /{SCRIPT} > /tmp/other.sh && sh /tmp/other.sh -n /{IMAGE}")
}

/// The same by nobody.
fn by_nobody() -> String {
    format!("mkdir -p /etc; echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd; su nobody -c '{}'", check())
}

/// The same by the script for this image, in whose place there is a file of its size.
fn by_script_of(image: &Packed) -> Result<String> {
    let script = Loadable::of(&image.built.file)?.script("foreign.sh");
    Ok(format!(
        "cat > /tmp/foreign.sh << 'END'\n{script}\nEND\n truncate -s {} /tmp/foreign.img; sh /tmp/foreign.sh -n /tmp/foreign.img",
        image.built.file.len()
    ))
}

/// Loading any image is forbidden from here on until the next boot. The lab's MIPS kernel has no sysctls.
fn forbidden() -> [Case; 2] {
    let set = |name: &str, value: &str| format!("echo {value} > /proc/sys/kernel/{name}; {}", check());
    [
        case(
            set("kexec_load_limit_reboot", "0"),
            1,
            &["kernel.kexec_load_limit_reboot is 0, until the next boot", "next: find what sets it"],
        ),
        case(
            set("kexec_load_disabled", "1"),
            1,
            &["kernel.kexec_load_disabled is set, until the next boot", "next: find what sets it"],
        ),
    ]
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
    let via = Via::Kexec(router.path().into());
    let what = Boot { image: router.path(), bootargs: None, files: &[], via };
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
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &asked)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = elf(&lab, Endian::Little)?;
    let Some(arm64) = arm64_lab()? else { return Ok(()) };
    let arm64 = Packed::of(&arm64_request(&arm64))?;
    let check = check();
    let cases = [
        case(&check, 0, &["stoop: this kernel can load /next.img\n"]),
        case(format!("sh /{SCRIPT}"), 2, &["usage: sh /next.sh [-n] [-l] IMAGE [BOOTARGS]"]),
        case(format!("sh /{SCRIPT} -n /none"), 1, &["/none cannot be read", "next: "]),
        case(
            format!("head -c 1000 /{IMAGE} > /tmp/short; sh /{SCRIPT} -n /tmp/short"),
            1,
            &["/tmp/short has 1000 bytes, the packed image ", "next: copy it again"],
        ),
        case(by_script_of(&elf(&lab, Endian::Big)?)?, 1, &["the image is big-endian, this machine is not"]),
        case(
            by_script_of(&arm64)?,
            1,
            &["this machine is mips, the image is for aarch64", "next: run this on the router"],
        ),
        case(by_nobody(), 1, &["only root may load a kernel", "next: run this as root"]),
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
            &["stoop: /next.img is loaded\n", "1\n"],
        ),
    ];
    run(rig.as_mut(), &cases, |commands| router(&lab, &packed, commands))
}

#[test]
fn a_kernel_that_cannot_stop_its_other_cpus_is_told_so_instead_of_einval() -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() };
    let Some(mut rig) = rig::open(board(Endian::Little), &asked)? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let packed = elf(&lab, Endian::Little)?;
    let [generic, _] = DEBIAN_KERNELS;
    let cases = [
        case(check(), 0, &["this kernel can load"]),
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
    let request = Request { kernel: lab.debian_kernel(generic)?, ..lab.request() };
    run(rig.as_mut(), &cases, |commands| router_of(&lab, request, &packed, commands))
}

/// Runs the cases on an arm64 machine with these options for QEMU; `change` is for the router's request.
fn on_arm64(
    emulator: &[&str],
    cases: impl FnOnce(&Arm64) -> Result<Vec<Case>>,
    change: impl FnOnce(&Arm64, Request) -> Result<Request>,
) -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], emulator };
    let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    let packed = Packed::of(&arm64_request(&lab))?;
    let request = change(&lab, lab.request())?;
    run(rig.as_mut(), &cases(&lab)?, |commands| router_of(&lab, request, &packed, commands))
}

#[test]
fn the_arm64_script_checks_machine_and_memory_before_it_loads() -> Result<()> {
    let Some(mips) = lab()? else { return Ok(()) };
    let cases = |_: &Arm64| {
        let foreign = by_script_of(&elf(&mips, Endian::Little)?)?;
        let cases = [
            case(check(), 0, &["stoop: this kernel can load /next.img\n"]),
            case(foreign, 1, &["this machine is aarch64, the image is for mips", "next: run this on the router"]),
            case(by_nobody(), 1, &["only root may load a kernel", "next: run this as root"]),
            case(format!("PATH=/bin; {}", check()), 1, &["kexec is not installed", "next: install kexec-tools"]),
            case(
                other("extent", "0x1f000000"),
                1,
                &[
                    "no free range of System RAM in /proc/iomem has 0x1f020000 bytes",
                    "next: make the root filesystem smaller",
                ],
            ),
            case(
                other("ram_end", "0x40200000"),
                1,
                &[
                    "kexec puts the image at 0x4",
                    "not inside the RAM of the board it was packed for, [0x40000000, 0x40200000)",
                    "next: pack for a board with this router's memory",
                ],
            ),
            case(other("loaded", "300000"), 1, &["the image takes 300000 KiB, the kernel takes at most half of its "]),
            case(other("file", "500000"), 1, &[" KiB are available", "next: stop services"]),
            case("cat /sys/kernel/kexec_loaded", 0, &["0\n"]),
            case(
                format!("sh /{SCRIPT} -l /{IMAGE} && cat /sys/kernel/kexec_loaded"),
                0,
                &["stoop: /next.img is loaded\n", "1\n"],
            ),
        ];
        Ok(cases.into_iter().chain(forbidden()).collect())
    };
    on_arm64(&[], cases, |_, request| Ok(request))
}

#[test]
fn a_locked_down_arm64_kernel_is_told_so_before_and_after_it_says_so_itself() -> Result<()> {
    let cases = |_: &Arm64| {
        Ok(vec![
            case(
                format!("sh /{SCRIPT} -l /{IMAGE}"),
                1,
                &["the running kernel is locked down", "Operation not permitted", "next: boot it without lockdown="],
            ),
            case(
                format!("mount -t securityfs none /sys/kernel/security; {}", check()),
                1,
                &[
                    "the running kernel is locked down",
                    "none [integrity] confidentiality",
                    "next: boot it without lockdown=",
                ],
            ),
        ])
    };
    // The lab's kernel has no lockdown.
    on_arm64(&[], cases, |lab, request| {
        let kernel = lab.debian_kernels()?.pop().unwrap_or_default();
        Ok(Request { kernel, append: Some(format!("{OLD_ROOT} lockdown=integrity")), ..request })
    })
}

#[test]
fn an_arm64_kernel_that_cannot_stop_its_other_cpus_is_told_so_instead_of_ebusy() -> Result<()> {
    let emulator = ["-smp", "2"];
    let mut edits: Vec<Vec<&str>> = Vec::new();
    for cpu in ["/cpus/cpu@0", "/cpus/cpu@1"] {
        edits.push(vec!["-t", "s", "TREE", cpu, "enable-method", "spin-table"]);
        edits.push(vec!["-t", "x", "TREE", cpu, "cpu-release-addr", "0", "5f000000"]);
    }
    let edits: Vec<&[&str]> = edits.iter().map(Vec::as_slice).collect();
    let tree = stoop_hil_tests::packed::file(&oracle::fdtput(&machine_tree(&emulator)?, &edits)?)?;
    let load = || format!("sh /{SCRIPT} -l /{IMAGE}");
    let says: &'static [&'static str] =
        &["cannot stop its other CPUs here, so kexec fails (EBUSY)", "next: run it with nr_cpus=1"];
    let cases = |_: &Arm64| Ok(vec![case(check(), 0, &["this kernel can load"]), case(load(), 1, says)]);
    on_arm64(&emulator, cases, |_, request| Ok(Request { dtb: Some(tree.path().into()), ..request }))?;
    // And that helps.
    let cases = |_: &Arm64| Ok(vec![case(load(), 0, &["is loaded"])]);
    on_arm64(&emulator, cases, |_, request| {
        let append = Some(format!("{OLD_ROOT} nr_cpus=1"));
        Ok(Request { dtb: Some(tree.path().into()), append, ..request })
    })
}

#[test]
fn kexec_tools_refuse_a_kaslr_seed_that_a_kernel_without_kaslr_leaves_and_the_script_wipes_it() -> Result<()> {
    let cases = |_: &Arm64| {
        Ok(vec![
            case(start_by_hand("-l", Some("x")), 255, &["setup_2nd_dtb failed"]),
            // More RAM than the image is packed for, so that kexec_file_load does not come first.
            case(format!("sh /{SCRIPT} -l /{IMAGE}; ls /tmp"), 0, &["stoop: /next.img is loaded\n"]),
            case("ls /tmp/*.dtb", 1, &["No such file"]),
        ])
    };
    on_arm64(&["-m", "1024"], cases, |_, request| {
        Ok(Request { append: Some(format!("nokaslr {OLD_ROOT}")), ..request })
    })
}
