//! What can be typed behind `stoop pack`, and what it asks of the library.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::Error;
use stoop_image::cache::Cache;
use stoop_image::plan::{CodecChoice, CookieMatch, Format, HandoffChoice, PhramChoice, Request, RootfsIn};
use stoop_image::{ramoops, watchdog};
use stoop_kernel::modules::initrd::ModuleSelection;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  stoop pack --board gl-ar750 --kernel vmlinux --dtb board.dtb --rootfs root.squashfs -o image.bin"
)]
pub struct Args {
    /// The board: a name from `stoop boards list`, or a board file
    #[arg(long, value_name = "NAME|FILE", value_parser = super::super::suggest::boards(), hide_possible_values = true)]
    pub(super) board: String,
    /// vmlinux, vmlinuz, arm64 Image, EFI zboot, uImage, FIT, flat binary or linux-image-*.deb
    #[arg(long, value_name = "FILE")]
    pub(super) kernel: PathBuf,
    /// The configuration it was built with [default: the one in the kernel, in its package, beside it or in its build tree]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where a flat binary is linked
    #[arg(long, value_name = "ADDRESS", value_parser = super::super::units::address)]
    pub(super) load_address: Option<u64>,
    /// Where a flat binary is entered
    #[arg(long, value_name = "ADDRESS", value_parser = super::super::units::address)]
    pub(super) entry_point: Option<u64>,
    /// The device tree, instead of the board's
    #[arg(long, value_name = "FILE")]
    pub(super) dtb: Option<PathBuf>,
    /// An overlay (.dtbo) for the device tree; may be repeated, applied in that order
    #[arg(long, value_name = "FILE")]
    pub(super) overlay: Vec<PathBuf>,
    /// Pack no device tree: the bootloader passes one (QEMU's arm64: the default)
    #[arg(long, conflicts_with = "dtb")]
    pub(super) bootloader_dtb: bool,
    /// A squashfs, to be the root filesystem in RAM
    #[arg(long, value_name = "FILE")]
    pub(super) rootfs: Option<PathBuf>,
    /// An initial ramdisk
    #[arg(long, value_name = "FILE")]
    pub(super) initrd: Option<PathBuf>,
    /// The kernel's lib/modules/VERSION: what --require and --requirement need of it goes into the initrd
    #[arg(long, value_name = "DIR")]
    pub(super) modules: Option<PathBuf>,
    /// Requirements (firewall) and modules for the initrd, checked against the kernel
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "modules",
        value_parser = super::super::suggest::requirements(), hide_possible_values = true)]
    pub(super) require: Vec<String>,
    /// A requirement of your own
    #[arg(long, value_name = "FILE", requires = "modules")]
    pub(super) requirement: Vec<PathBuf>,
    /// The kernel's Module.symvers [default: the kernel's own tables]
    #[arg(long, value_name = "FILE", requires = "modules")]
    pub(super) symvers: Option<PathBuf>,
    /// The command line, instead of the device tree's bootargs
    #[arg(long, value_name = "STRING", allow_hyphen_values = true, conflicts_with = "append")]
    pub(super) cmdline: Option<String>,
    /// More words after the device tree's bootargs, before any ` -- ` in them
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub(super) append: Option<String>,
    /// The bootloader's bootargs count when they contain this [default: liminix]
    #[arg(long, value_name = "STRING", conflicts_with = "no_cookie")]
    pub(super) cookie: Option<String>,
    /// How they must contain it
    #[arg(long, value_enum, default_value_t, conflicts_with = "no_cookie")]
    pub(super) cookie_match: CookieMatch,
    /// The bootloader's bootargs always count
    #[arg(long)]
    pub(super) no_cookie: bool,
    /// Words KEY and KEY=… of the bootargs count even without the cookie; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(super) keep: Vec<String>,
    /// How the kernel is stored
    #[arg(long, value_enum, default_value_t)]
    pub(super) codec: CodecChoice,
    /// Compress the kernel again: by default it is taken from ~/.cache/stoop/kernels when it was compressed before
    #[arg(long)]
    pub(super) no_cache: bool,
    /// The container [default: the first that the board's bootloader starts]
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// How the kernel learns of the root filesystem
    #[arg(long, value_enum, default_value_t)]
    pub(super) phram: PhramChoice,
    /// Where the root filesystem is when the kernel mounts it
    #[arg(long, value_enum, default_value_t)]
    pub(super) rootfs_in: RootfsIn,
    /// The slot of an image for flash: a, b [default: the first]
    #[arg(long, value_name = "NAME", value_parser = super::super::suggest::slots(), hide_possible_values = true)]
    pub(super) slot: Option<char>,
    /// How to call the kernel
    #[arg(long, value_enum, default_value_t)]
    pub(super) handoff: HandoffChoice,
    /// Use the shim that reports each decision on the UART; `stoop monitor` and `stoop run` decode it
    #[arg(long)]
    pub(super) trace: bool,
    /// Store the shim as it runs instead of compressed, for debuggers
    #[arg(long)]
    pub(super) plain_shim: bool,
    /// What the shim does about a watchdog: feed it while it works, stop it, start it so that a kernel that hangs is reset, or
    /// leave it [default: feed, where the board's data say how]
    #[arg(long, value_name = "feed|stop|start:SECONDS|leave")]
    pub(super) watchdog: Option<watchdog::WatchdogChoice>,
    /// Reserve RAM in which the kernel keeps its last log over a reset (pstore with ramoops): 64K to 16M
    #[arg(long, value_name = "SIZE", value_parser = ramoops_size)]
    pub(super) ramoops: Option<usize>,
    /// The image; - for stdout
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(super) output: Option<PathBuf>,
    /// Write nothing; show what would be written
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// The image's file, as the commands call it.
    pub(super) fn name(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("image"))
    }
}

/// Which modules are to go into the initrd; `None` for none.
///
/// # Errors
/// Modules without a name.
pub(super) fn modules(args: &Args) -> Result<Option<ModuleSelection>> {
    if args.modules.is_some() && args.require.is_empty() && args.requirement.is_empty() {
        return Err(Error::NoRequirement.into());
    }
    Ok(args.modules.as_ref().map(|directory| ModuleSelection {
        directory: directory.clone(),
        names: args.require.clone(),
        requirements: args.requirement.clone(),
        symvers: args.symvers.clone(),
    }))
}

/// As the library takes it.
pub(super) fn request(args: &Args) -> Request {
    Request {
        board: args.board.clone(),
        kernel: args.kernel.clone(),
        config: args.config.clone(),
        load_address: args.load_address,
        entry_point: args.entry_point,
        dtb: args.dtb.clone(),
        overlays: args.overlay.clone(),
        bootloader_dtb: args.bootloader_dtb,
        rootfs: args.rootfs.clone(),
        initrd: args.initrd.clone(),
        cmdline: args.cmdline.clone(),
        append: args.append.clone(),
        cookie: args.cookie.clone(),
        cookie_match: args.cookie_match,
        no_cookie: args.no_cookie,
        keep: args.keep.clone(),
        codec: args.codec,
        cache: if args.no_cache { None } else { cache() },
        format: args.format,
        phram: args.phram,
        rootfs_in: args.rootfs_in,
        slot: args.slot,
        handoff: args.handoff,
        trace: args.trace,
        plain_shim: args.plain_shim,
        watchdog: args.watchdog,
        ramoops: args.ramoops,
    }
}

/// As much of compressed kernels is kept.
const CACHE_SIZE: u64 = 256 << 20;

/// `$XDG_CACHE_HOME/stoop/kernels`, else `~/.cache/stoop/kernels`; `None` without either.
fn cache() -> Option<Cache> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(Cache::new(&home.join("stoop/kernels"), CACHE_SIZE))
}

/// As [`ramoops::size`], with what to do next in clap's message.
fn ramoops_size(text: &str) -> Result<usize, String> {
    ramoops::size(text).map_err(|error| crate::ui::in_full(&error))
}
