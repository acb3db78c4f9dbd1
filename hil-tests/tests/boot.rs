<<<<<<< HEAD
//! Packed images on the board: the kernel sees exactly what `simulate` says, whatever the bootloader passes and whichever
//! way the image is started.

use std::time::Duration;

use stoop::Result;
use stoop::image::LONGEST_LINE;
use stoop::plan::{CookieMatch, Format, Request};
use stoop_ci::lab::{BIG_CRC, BIG_SIZE, DEBIAN_KERNELS, Endian, Lab};
use stoop_hil_tests::packed::{Booting, board, lab, lab_request};
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::seen::Sum;
use stoop_hil_tests::{Cap, Packed, Rig, Via};

const PATIENCE: Duration = Duration::from_secs(600);

/// Ends with the words that real vendors pass.
const VENDOR: &str = "console=ttyS1,57600 root=31:03 rootfstype=jffs2 init=/etc/preinit mem=32M \
    mtdparts=ar7240-nor0:256k(u-boot),64k(u-boot-env),2752k(rootfs),896k(uImage)";

/// Boots and collects what is not as it should be, case by case, so that one does not hide the others.
struct Cases<'a> {
    rig: &'a mut dyn Rig,
    wrong: Vec<String>,
}

impl Cases<'_> {
    /// The image gets these bootargs and comes to this verdict; behind its own line, the kernel sees `passed`.
    fn boot(&mut self, name: &str, packed: &Packed, bootargs: Option<&str>, verdict: &str, passed: &str) -> Result<()> {
        self.boot_via(name, packed, bootargs, Via::Bootm, verdict, passed)
    }

    fn boot_via(
        &mut self,
        name: &str,
        packed: &Packed,
        bootargs: Option<&str>,
        via: Via,
        verdict: &str,
        passed: &str,
    ) -> Result<()> {
        let booting = Booting::of(self.rig, packed, bootargs, via, PATIENCE).map_err(|failure| failure.within(name))?;
        let mut wrong = booting.differences(packed);
        let seen = &booting.seen;
        let own = String::from_utf8_lossy(&packed.built.line);
        let line = if passed.is_empty() { own.into_owned() } else { format!("{own} {passed}") };
        if (seen.cmdline(), seen.text("chosen/stoop/verdict")) != (line.clone(), verdict.into()) {
            wrong.push(format!(
                "seen {} {:?}, not {verdict} {line:?}",
                seen.text("chosen/stoop/verdict"),
                seen.cmdline()
            ));
        }
        let big = Sum { size: BIG_SIZE as u32, crc: BIG_CRC };
        if packed.plan.rootfs.is_some() && (seen.sum("big"), seen.text("root")) != (Some(big), "31:99".into()) {
            wrong.push(format!("seen root {}, /big {:x?}", seen.text("root"), seen.sum("big")));
        }
        println!("{name}: {}", if wrong.is_empty() { "as simulated" } else { "WRONG" });
        self.wrong.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        Ok(())
    }
}

/// Runs `cases` on the board of that endianness, if there is one, and fails with all that was wrong.
fn on(endian: Endian, caps: &[Cap], cases: fn(&mut Cases<'_>, &Lab, Endian) -> Result<()>) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &Wish { caps, ..Wish::default() })? else { return Ok(()) };
    let Some(lab) = lab()? else { return Ok(()) };
    let mut all = Cases { rig: rig.as_mut(), wrong: Vec::new() };
    cases(&mut all, &lab, endian)?;
    assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
    Ok(())
}

/// Words that no kernel wants, `length` bytes of them with the cookie in front, in words that U-Boot passes all.
fn long_bootargs(length: usize) -> String {
    let mut line = "liminix".to_owned();
    while line.len() < length {
        line += &format!(" w{:03}.abcdefghijklmnopqrstuvwxyz", line.len() / 30);
    }
    line.truncate(length);
    // The last byte must not be the blank that U-Boot drops.
    if line.ends_with(' ') {
        line.replace_range(length - 1.., "x")
    }
    line
}

fn every_kind_of_bootargs(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let contains = Packed::of(&lab_request(lab, endian))?;
    cases.boot("no bootargs", &contains, None, "none", "")?;
    cases.boot("no cookie", &contains, Some("quiet x.y=1 LIMINIX lim inix"), "ignored", "")?;
    cases.boot("the cookie", &contains, Some("x.y=1 liminix z.z"), "accepted", "x.y=1 liminix z.z")?;
    cases.boot("the cookie in a word", &contains, Some("a.notliminix=1"), "accepted", "a.notliminix=1")?;
    cases.boot("a vendor's stale root= and mtdparts=", &contains, Some(VENDOR), "ignored", "")?;
    let room = LONGEST_LINE - contains.built.line.len() - 1;
    let fits = long_bootargs(room);
    cases.boot("bootargs that just fit", &contains, Some(&fits), "accepted", &fits)?;
    cases.boot("bootargs of a byte more", &contains, Some(&long_bootargs(room + 1)), "refused", "")?;
    cases.boot("bootargs of more than 4 KB", &contains, Some(&long_bootargs(LONGEST_LINE + 1)), "refused", "")?;

    let word = Packed::of(&Request { cookie_match: CookieMatch::Word, ..lab_request(lab, endian) })?;
    cases.boot("word: the cookie in a word", &word, Some("a.notliminix=1 b.liminix"), "ignored", "")?;
    cases.boot("word: the cookie", &word, Some("a.b liminix"), "accepted", "a.b liminix")?;

    let keep = Request { keep: vec!["bootImage".into(), "uboot.slot".into()], ..lab_request(lab, endian) };
    let keep = Packed::of(&keep)?;
    let vendor = format!("{VENDOR} bootImage=1 bootImageX=2 uboot.slot");
    cases.boot("kept keys", &keep, Some(&vendor), "kept", "bootImage=1 uboot.slot")
}

#[test]
fn a_little_endian_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], every_kind_of_bootargs)
}

#[test]
fn a_big_endian_kernel_sees_what_simulate_says_for_every_kind_of_bootargs() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot], every_kind_of_bootargs)
}

fn every_way_to_start(cases: &mut Cases<'_>, lab: &Lab, endian: Endian) -> Result<()> {
    let packed = |format| Packed::of(&Request { format: Some(format), ..lab_request(lab, endian) });
    let (uimage, raw, elf) = (packed(Format::Uimage)?, packed(Format::Raw)?, packed(Format::Elf)?);
    let accepted = "x.y=1 liminix z.z";
    let tree = cases.rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes.into_owned();
    cases.boot_via("bootm with a tree", &uimage, Some(accepted), Via::BootmTree(tree), "accepted", accepted)?;
    cases.boot_via("go", &raw, Some(accepted), Via::Go, "accepted", accepted)?;
    cases.boot_via("go, no bootargs", &raw, None, Via::Go, "none", "")?;
    let with_name = format!("argv0 {accepted}");
    cases.boot_via("bootelf", &elf, Some(&with_name), Via::Bootelf, "accepted", accepted)?;
    cases.boot_via("bootelf, no bootargs", &elf, None, Via::Bootelf, "none", "")?;
    cases.boot_via("no bootloader", &elf, Some(accepted), Via::Direct, "accepted", accepted)?;
    cases.boot_via("no bootloader, no cookie", &elf, Some(VENDOR), Via::Direct, "ignored", "")
}

#[test]
fn a_little_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot, Cap::Direct], every_way_to_start)
}

#[test]
fn a_big_endian_kernel_sees_the_same_whichever_way_the_image_is_started() -> Result<()> {
    on(Endian::Big, &[Cap::Uboot, Cap::Direct], every_way_to_start)
}

#[test]
fn debians_stock_kernel_sees_what_simulate_says() -> Result<()> {
    on(Endian::Little, &[Cap::Uboot], |cases, lab, endian| {
        let [generic, _] = DEBIAN_KERNELS;
        let packed = Packed::of(&Request {
            board: board(endian).into(),
            kernel: lab.debian_kernel(generic)?,
            initrd: Some(lab.initramfs(endian)),
            ..Request::default()
        })?;
        cases.boot("a vendor's line", &packed, Some(VENDOR), "ignored", "")?;
        cases.boot("the cookie", &packed, Some("liminix x.y=1"), "accepted", "liminix x.y=1")
=======
//! Packed images on a board, behind its real bootloader: the kernel sees what simulate says and what the oracle kernel sees.

use stoop::plan::{Format, Request};
use stoop::simulate::Entry;
use stoop::{Failure, Result};
use stoop_ci::lab::{Endian, Flavour, Lab};
use stoop_hil_tests::bench::{PATIENCE, Packed, read};
use stoop_hil_tests::rig::{self, Wish};
use stoop_hil_tests::{Boot, Cap, Rig, Via, boot, oracle, see};

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
    every_kind_of_bootargs_ends_as_simulated needs [super::Cap::Uboot];
    generated_lines_equal_the_oracle needs [super::Cap::Uboot];
    a_tree_from_the_bootloader_is_the_base needs [super::Cap::Uboot];
    go_bootelf_and_direct_start_the_same_system needs [super::Cap::Uboot, super::Cap::Direct];
    a_flipped_bit_is_found_before_the_kernel_runs needs [super::Cap::Uboot];
}

/// A board with the lab's files for it.
struct Desk {
    rig: Box<dyn Rig>,
    lab: Lab,
    endian: Endian,
}

fn with(board: &str, caps: &[Cap], test: fn(&mut Desk) -> Result<()>) -> Result<()> {
    let Some(rig) = rig::open(board, &Wish { caps, ..Wish::default() })? else { return Ok(()) };
    let endian = if rig.board().arch.is_big_endian() { Endian::Big } else { Endian::Little };
    match Lab::open() {
        Ok(lab) => test(&mut Desk { rig, lab, endian }),
        Err(failure) => {
            println!("HIL-SKIP: {board}: {failure}");
            Ok(())
        }
    }
}

impl Desk {
    /// The lab kernel with its root in the image.
    fn request(&self) -> Request {
        Request {
            board: self.rig.board().name.clone(),
            kernel: self.lab.vmlinux(self.endian, Flavour::Lab),
            config: Some(self.lab.kernel_file(self.endian, Flavour::Lab, "config")),
            rootfs: Some(self.lab.squashfs(self.endian)),
            ..Request::default()
        }
    }
}

/// Words that no kernel knows and none minds: they look like parameters of a module.
fn filler(length: usize) -> String {
    let words: String = (0..).map(|i| format!(" lab{i:03}.x=0123456789")).take(length / 10).collect();
    words[..length].to_owned()
}

fn every_kind_of_bootargs_ends_as_simulated(desk: &mut Desk) -> Result<()> {
    let packed = Packed::new(&desk.request())?;
    let own = packed.simulate(Entry::None)?.cmdline.len();
    // With the blank between them and the NUL: the longest that fits, and one byte more.
    let room = 4096 - own - 2;
    let longest = format!("liminix{}", filler(room - "liminix".len()));
    let cases = [
        (None, "none"),
        (Some("root=31:03 console=ttyS1,9600 mtdparts=ath-nor0:256k(u-boot),-(firmware) init=/nope"), "ignored"),
        (Some("liminix lab.x=1"), "accepted"),
        (Some("boot.liminixish  \"a b\" "), "accepted"),
        (Some("lab.x=1 root=/dev/mtdblock99 mtdparts=x:1m(y) liminix"), "accepted"),
        (Some(longest.as_str()), "accepted"),
        (Some(&*format!("{longest}x")), "refused"),
    ]
    .map(|(bootargs, verdict)| (bootargs.map(str::to_owned), verdict));
    for (bootargs, verdict) in cases {
        let bootargs = bootargs.as_deref();
        assert_eq!(packed.simulate(Entry::Argv(bootargs.unwrap_or_default().into()))?.verdict, verdict, "{bootargs:?}");
        let seen = packed.boots_as_simulated(desk.rig.as_mut(), bootargs)?;
        let rootfs = read(&desk.lab.squashfs(desk.endian))?.len();
        let mtd = seen.mtd();
        assert!(mtd.iter().any(|(name, size)| name == "rootfs" && *size as usize == rootfs), "{mtd:?}");
    }
    Ok(())
}

/// A small generator, so that each run asks the same.
struct Dice(u32);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as usize % sides
    }

    fn line(&mut self, cookie: bool) -> String {
        const WORDS: [&str; 10] = [
            "quiet",
            "lab.a=1",
            "lab.b=\"x y\"",
            "",
            "loglevel=8",
            "lab.liminixx",
            "debug",
            "lab.c=a=b,c;d",
            "ro",
            "lab.$d",
        ];
        let mut words: Vec<&str> = (0..self.throw(12)).map(|_| WORDS[self.throw(WORDS.len())]).collect();
        if cookie {
            words.insert(self.throw(words.len() + 1), "liminix");
        }
        words.join(" ")
    }
}

fn generated_lines_equal_the_oracle(desk: &mut Desk) -> Result<()> {
    let mut dice = Dice(if desk.endian == Endian::Big { 7 } else { 11 });
    let tree = desk.rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes.into_owned();
    for case in 0..7 {
        let tree = oracle::with_bootargs(&tree, Some(&format!("console=ttyS0,115200 {}", dice.line(false))))?;
        let file = tempfile::NamedTempFile::new().map_err(|error| Failure::new(error.to_string()))?;
        std::fs::write(file.path(), &tree).map_err(|error| Failure::io(file.path(), &error))?;
        let packed = Packed::new(&Request { dtb: Some(file.path().into()), ..desk.request() })?;
        let bootargs = dice.line(case % 3 != 0);
        let seen = packed.boots_as_simulated(desk.rig.as_mut(), Some(&bootargs))?;
        // The oracle gets the tree's line as packed, with its root=, and always joins: it is asked for what counts.
        let ours = String::from_utf8_lossy(&packed.simulate(Entry::None)?.cmdline).into_owned();
        let counts = bootargs.contains("liminix").then_some(bootargs.as_str());
        let tree = oracle::with_bootargs(&tree, Some(&ours))?;
        let oracle = oracle::ask(desk.rig.as_mut(), &desk.lab, &tree, counts, PATIENCE)?;
        assert_eq!(seen.cmdline(), oracle.cmdline(), "tree {ours:?}, bootargs {bootargs:?}");
    }
    Ok(())
}

fn a_tree_from_the_bootloader_is_the_base(desk: &mut Desk) -> Result<()> {
    let packed = Packed::new(&Request { bootloader_dtb: true, ..desk.request() })?;
    let tree = desk.rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes.into_owned();
    for bootargs in ["liminix lab.x=1", "root=31:03"] {
        // U-Boot overwrites the tree's bootargs with its own.
        let expected = packed.simulate(Entry::Uhi(oracle::with_bootargs(&tree, Some(bootargs))?))?;
        let via = Via::BootmTree(tree.clone());
        let what = Boot { image: &packed.path(), bootargs: Some(bootargs), files: &[], via };
        // Without bootargs that count there may be no console=: stdout-path names it.
        let seen = see(desk.rig.as_mut(), &what, PATIENCE)?;
        packed.compare(&seen, &expected, &format!("tree with bootargs {bootargs:?}"))?;
    }
    Ok(())
}

fn go_bootelf_and_direct_start_the_same_system(desk: &mut Desk) -> Result<()> {
    for (format, via) in [(Format::Raw, Via::Go), (Format::Elf, Via::Bootelf), (Format::Elf, Via::Direct)] {
        let packed = Packed::new(&Request { format: Some(format), ..desk.request() })?;
        let own = packed.simulate(Entry::None)?;
        let ours = String::from_utf8_lossy(&own.cmdline).into_owned();
        for (bootargs, verdict) in [("lab.y=2 liminix", "accepted"), ("lab.y=2 root=31:03", "ignored")] {
            let case = format!("{via:?} with {bootargs:?}");
            let what = Boot { image: &packed.path(), bootargs: Some(bootargs), files: &[], via: via.clone() };
            let seen = see(desk.rig.as_mut(), &what, PATIENCE)?;
            assert_eq!(seen.text("chosen/stoop/verdict").trim_end_matches('\0'), verdict, "{case}");
            assert_eq!(seen.text("chosen/stoop/entry").trim_end_matches('\0'), "argv", "{case}");
            let line = seen.cmdline();
            let rest = line.strip_prefix(&ours).unwrap_or_else(|| panic!("{case}: {line}"));
            match verdict {
                // What stands in argv[0] is the loader's affair: an address, a file's name, or the first word.
                "accepted" => assert!(rest.ends_with(bootargs), "{case}: {line}"),
                _ => assert_eq!(rest, "", "{case}"),
            }
            assert_eq!(seen.text("root/type"), "ram", "{case}");
        }
    }
    Ok(())
}

fn a_flipped_bit_is_found_before_the_kernel_runs(desk: &mut Desk) -> Result<()> {
    // Raw: U-Boot would find it in a uImage.
    let packed = Packed::new(&Request { format: Some(Format::Raw), ..desk.request() })?;
    let place = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let path = place.path().join("flipped");
    for quarter in 1..=3 {
        let mut bytes = packed.bytes.clone();
        let at = bytes.len() / 4 * quarter;
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).map_err(|error| Failure::io(&path, &error))?;
        let what = Boot { image: &path, bootargs: None, files: &[], via: Via::Go };
        let said = boot(desk.rig.as_mut(), &what, "^stoop: E[0-9][0-9] .*\n", PATIENCE)?;
        assert!(said.contains("crc"), "bit flipped at {at:#x}: {said}");
        assert!(!desk.rig.power_off()?.contains("Linux version"), "bit flipped at {at:#x}");
    }
    Ok(())
}

/// Debian's own kernel, unmodified, with the lab's initramfs. Little endian only: Debian has no other.
#[test]
fn debian_s_stock_kernel_boots_with_and_without_the_cookie() -> Result<()> {
    with("qemu-malta-le", &[Cap::Uboot], |desk| {
        let packed = Packed::new(&Request {
            kernel: desk.lab.debian_kernel("mips32r2el")?,
            config: None,
            rootfs: None,
            initrd: Some(desk.lab.initramfs(desk.endian)),
            ..desk.request()
        })?;
        for bootargs in ["root=31:03 console=ttyS1", "lab.x=1 liminix"] {
            let seen = packed.boots_as_simulated(desk.rig.as_mut(), Some(bootargs))?;
            assert!(seen.text("version").contains("Debian"), "{}", seen.text("version"));
        }
        Ok(())
>>>>>>> hil
    })
}
