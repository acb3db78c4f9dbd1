//! Boards that QEMU plays: what its command line must be. The pure part of `stoop run` and of the `qemu` rig.
//!
//! [`Emulator`] is such a board; [`Vm`] is one run of it, [`Console`] talks to it, [`uboot`] knows what to say, [`flash`]
//! is its NOR.

pub mod console;
pub mod emulator;
mod error;
pub mod flash;
pub mod uboot;
pub mod vm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use console::{Console, Interrupter, Log, Seen};
pub use emulator::{Emulator, Options, Target};
pub use error::Error;
pub use vm::Vm;

/// The machine that stands for a board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The emulator, found in `PATH`: `qemu-system-mipsel`.
    pub binary: String,
    /// What `-M` gets: `malta`.
    pub machine: String,
    /// What `-cpu` gets; QEMU's default when `None`.
    pub cpu: Option<String>,
    /// RAM in MiB. U-Boot for Malta needs 256.
    pub memory: u32,
    /// QEMU reverses the bytes of each 32-bit word of the flash file at start (little-endian Malta: [`flash`]).
    pub word_swap: bool,
    /// The exact size of the pflash file in bytes; QEMU takes no other.
    pub flash_size: usize,
    /// The bootloader's image as its author ships it, to be put at the start of the flash.
    pub uboot: Option<PathBuf>,
    /// The model of its network card: `pcnet`.
    pub network: String,
}

/// What the CPU finds when power comes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start<'a> {
    /// The reset vector, in this pflash file; what the guest writes stays in it.
    Flash(&'a Path),
    /// An ELF file put into RAM by QEMU, with one string of arguments.
    Kernel {
        /// The ELF file.
        elf: &'a Path,
        /// The whole line. QEMU's Malta stores it in 256 bytes: [`DIRECT_ARGS_LIMIT`].
        args: Option<&'a str>,
    },
}

/// The longest line which `-append` delivers whole, in bytes: QEMU `hw/mips/malta.c` keeps each argument in
/// `ENVP_ENTRY_SIZE` (256) bytes with its NUL and cuts what is longer.
pub const DIRECT_ARGS_LIMIT: usize = 255;

/// The address of QEMU's user network at which its TFTP server answers.
pub const TFTP_SERVER: &str = "10.0.2.2";

/// The command line of QEMU without its first word.
///
/// `tftp` is the one directory that the guest can read over TFTP. `extra` comes last, so it can override.
pub fn arguments(machine: &Machine, start: Start<'_>, tftp: Option<&Path>, extra: &[String]) -> Vec<OsString> {
    let mut line: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| line.extend(words.iter().map(OsString::from));
    add(&["-M", &machine.machine]);
    if let Some(cpu) = &machine.cpu {
        add(&["-cpu", cpu]);
    }
    add(&["-m", &machine.memory.to_string()]);
    // `-display none` alone still wants the VGA option ROM, and the network card its own: slim packages have neither.
    add(&["-display", "none", "-vga", "none", "-global", &format!("{}.romfile=", machine.network)]);
    add(&["-monitor", "none", "-serial", "stdio", "-no-reboot"]);
    line.push("-nic".into());
    let nic = format!("user,model={}", machine.network);
    line.push(match tftp {
        Some(directory) => option(&format!("{nic},tftp="), directory),
        None => nic.into(),
    });
    match start {
        Start::Flash(file) => {
            line.push("-drive".into());
            line.push(option("if=pflash,format=raw,file=", file));
        }
        Start::Kernel { elf, args } => {
            line.push("-kernel".into());
            line.push(elf.into());
            if let Some(args) = args {
                line.push("-append".into());
                line.push(args.into());
            }
        }
    }
    line.extend(extra.iter().map(OsString::from));
    line
}

/// A path as the last value of a QEMU option: a comma inside is written twice.
fn option(prefix: &str, path: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    match path.to_str() {
        Some(text) => word.push(text.replace(',', ",,")),
        None => word.push(path),
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malta() -> Machine {
        Machine {
            binary: "qemu-system-mipsel".into(),
            machine: "malta".into(),
            cpu: Some("24Kf".into()),
            memory: 256,
            word_swap: true,
            flash_size: 0x40_0000,
            uboot: None,
            network: "pcnet".into(),
        }
    }

    fn words(start: Start<'_>, tftp: Option<&Path>, extra: &[String]) -> String {
        let line = arguments(&malta(), start, tftp, extra);
        line.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join("|")
    }

    const COMMON: &str = "-M|malta|-cpu|24Kf|-m|256|-display|none|-vga|none|-global|pcnet.romfile=|\
                          -monitor|none|-serial|stdio|-no-reboot|-nic|user,model=pcnet";

    #[test]
    fn flash_starts_with_a_writable_pflash_and_the_tftp_directory() {
        let line = words(Start::Flash(Path::new("/t/nor.img")), Some(Path::new("/t/tftp")), &[]);
        assert_eq!(line, format!("{COMMON},tftp=/t/tftp|-drive|if=pflash,format=raw,file=/t/nor.img"));
    }

    #[test]
    fn an_elf_starts_with_its_line_as_one_word() {
        let start = Start::Kernel { elf: Path::new("k,1.elf"), args: Some("a=1 b,c") };
        assert_eq!(words(start, None, &[]), format!("{COMMON}|-kernel|k,1.elf|-append|a=1 b,c"));
        let start = Start::Kernel { elf: Path::new("k.elf"), args: None };
        assert_eq!(words(start, None, &[]), format!("{COMMON}|-kernel|k.elf"));
    }

    #[test]
    fn a_comma_in_a_path_does_not_end_the_option() {
        let line = words(Start::Flash(Path::new("a,b")), Some(Path::new("c,d")), &[]);
        assert!(line.ends_with("tftp=c,,d|-drive|if=pflash,format=raw,file=a,,b"), "{line}");
    }

    #[test]
    fn extra_words_come_last() {
        let extra = ["-icount".to_owned(), "shift=0".to_owned()];
        assert!(words(Start::Flash(Path::new("f")), None, &extra).ends_with("|-icount|shift=0"));
    }
}
