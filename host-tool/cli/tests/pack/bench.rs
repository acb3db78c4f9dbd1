//! The workbench: a folder with a small kernel, device tree, ramdisk and root filesystem, and `stoop` itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stoop_image::image::{Built, build};
use stoop_image::plan::{Plan, Request};
use stoop_image::progress::Quiet;
pub use stoop_samples::squashfs;
use vm_fdt::FdtWriter;

/// A generic kernel that takes everything.
pub const CONFIG: &str = "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\nCONFIG_MTD=y\n\
    CONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\nCONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\n\
    CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n";
/// The same one, taking its line from the bootloader only.
pub const FROM_BOOTLOADER: &str = "CONFIG_MIPS_CMDLINE_FROM_DTB=n\nCONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n";

/// A kernel to be written.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub big_endian: bool,
    pub load: u32,
    /// Bytes behind the version and configuration.
    pub filler: usize,
    pub bss: u32,
    /// Lines behind [`CONFIG`].
    pub config: String,
}

impl Kernel {
    /// 64 KiB at 0x80100000.
    pub fn new(big_endian: bool) -> Kernel {
        Kernel { big_endian, load: 0x8010_0000, filler: 0x1_0000, bss: 0x8000, config: String::new() }
    }

    /// Its bytes: version, configuration as the kernel keeps it, and something that compresses.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        // The last setting of a symbol counts.
        bytes.extend(stoop_samples::version_and_configuration(&format!("{CONFIG}{}", self.config)));
        bytes.extend((0..self.filler).map(|at| (at / 3) as u8));
        bytes
    }

    /// An arm64 Image (Documentation/arch/arm64/booting.rst): its header in front of the bytes, and all of the bss.
    pub fn image(&self) -> Vec<u8> {
        let mut image = vec![0; 64];
        image.extend(self.bytes());
        let size = (image.len() as u64 + u64::from(self.bss)).next_multiple_of(0x1000);
        for (at, field) in [(16, size), (24, 0xa)] {
            image[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    /// An ELF file with one segment.
    pub fn elf(&self) -> Vec<u8> {
        stoop_samples::elf(self.big_endian, self.load, &self.bytes(), self.bss)
    }
}

/// A device tree with these bootargs; `None` for no such property.
pub fn tree(bootargs: Option<&[u8]>) -> Vec<u8> {
    bootargs.map_or_else(stoop_image::format::device_tree::empty, |bootargs| stoop_samples::tree(bootargs).unwrap())
}

/// As arm64 has them: two cells each for addresses and sizes, these bootargs, and so many bytes that mean nothing.
pub fn tree_arm64(bootargs: &str, filler: usize) -> Vec<u8> {
    let write = || -> Result<Vec<u8>, vm_fdt::Error> {
        let mut tree = FdtWriter::new()?;
        let root = tree.begin_node("")?;
        tree.property_u32("#address-cells", 2)?;
        tree.property_u32("#size-cells", 2)?;
        tree.property("filler", &vec![0x5a; filler])?;
        let chosen = tree.begin_node("chosen")?;
        tree.property_string("bootargs", bootargs)?;
        tree.end_node(chosen)?;
        tree.end_node(root)?;
        tree.finish()
    };
    write().unwrap()
}

/// A folder that goes away.
pub struct Bench {
    folder: tempfile::TempDir,
    cache: tempfile::TempDir,
}

/// What a command said, on stdout and then on stderr.
pub fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

impl Bench {
    pub fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap(), cache: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// `stoop` with these words, which has to succeed.
    pub fn good(&self, words: &[&str]) -> Output {
        let output = self.stoop(words);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        output
    }

    /// For little-endian Malta, everything in it.
    pub fn full(&self) -> Request {
        Request {
            board: "qemu-malta-le".into(),
            kernel: self.put("vmlinux", &Kernel::new(false).elf()),
            rootfs: Some(self.put("root.squashfs", &squashfs(0x1_2345))),
            initrd: Some(self.put("initrd", b"070701 is what a cpio archive begins with")),
            ..Request::default()
        }
    }

    /// For QEMU's arm64 board, everything in it.
    pub fn arm64(&self) -> Request {
        let kernel = Kernel { config: "CONFIG_ARM64=y\n".into(), ..Kernel::new(false) };
        Request { board: "qemu-virt-arm64".into(), kernel: self.put("Image", &kernel.image()), ..self.full() }
    }

    /// A program that runs in this folder and keeps compressed kernels beside it, not in the user's cache.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.cache.path());
        command
    }

    /// `stoop` with these words, in this folder.
    pub fn stoop(&self, words: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_stoop")).args(words).output().unwrap()
    }

    /// The same with 512 MiB of memory and 5 s of the CPU: what any file under 16 MiB may take.
    pub fn limited(&self, words: &[&str]) -> Output {
        let mut command = self.command("prlimit");
        command.args(["--as=536870912", "--cpu=5", env!("CARGO_BIN_EXE_stoop")]);
        let output = command.args(words).output().expect("prlimit of util-linux");
        assert!(output.status.code().is_some_and(|code| code < 3), "{words:?}: {output:?}");
        output
    }

    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn plan(request: &Request) -> Plan {
    Plan::resolve(request, &mut Quiet).unwrap_or_else(|failure| panic!("{failure}"))
}

pub fn packed(request: &Request) -> (Plan, Built) {
    let plan = plan(request);
    let built = build(&plan, &mut Quiet).unwrap_or_else(|failure| panic!("{failure}"));
    (plan, built)
}

/// A tool of the system on a file; `None`, with a line that says so, when it is not installed.
pub fn tool(name: &str, arguments: &[&str], file: &Path) -> Option<Output> {
    match Command::new(name).args(arguments).arg(file).output() {
        Ok(output) => Some(output),
        Err(error) => {
            stoop_samples::machine::skipped(&format!("{name}: {error}"));
            None
        }
    }
}

/// What the shim does with it.
pub fn booted(file: &[u8], entry: stoop_image::simulate::Entry) -> stoop_image::simulate::Booted {
    let outcome = stoop_image::simulate::run(file, &stoop_image::simulate::Input { entry, load: None }).unwrap();
    outcome.result.unwrap_or_else(|error| panic!("{error}"))
}
