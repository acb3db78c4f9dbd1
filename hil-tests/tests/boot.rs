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
    })
}
