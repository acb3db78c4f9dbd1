//! `stoop pack`: one image from kernel, device tree and root filesystem.

mod flash;

use std::path::{Path, PathBuf};

use stoop_core::manifest::Kind;
use stoop_core::params::CookieRule;
use stoop_core::watchdog::Care;

use super::units::amount;
use crate::json;
use crate::ui;
use stoop_image::cache::Cache;
use stoop_image::commands;
use stoop_image::format::device_tree;
use stoop_image::image::{self, Built};
use stoop_image::layout::{NamedRegion, RegionKind};
use stoop_image::output::Output;
use stoop_image::plan::{
    ALIAS, CodecChoice, CookieMatch, Format, HandoffChoice, Origin, Phram, PhramChoice, Plan, Request, RootfsIn,
};
use stoop_image::preflight::Level;
use stoop_image::progress::Progress;
use stoop_image::simulate::{self, Entry, Input, shown};
use stoop_image::{ErrorCode, Failure, Result, board_check, plan, shell, watchdog};
use stoop_kernel::modules::initrd::{Included, ModuleSelection, plan_with};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  stoop pack --board gl-ar750 --kernel vmlinux --dtb board.dtb --rootfs root.squashfs -o image.bin"
)]
pub struct Args {
    /// The board: a name from `stoop boards list`, or a board file
    #[arg(long, value_name = "NAME|FILE", value_parser = super::suggest::boards(), hide_possible_values = true)]
    board: String,
    /// vmlinux, vmlinuz, arm64 Image, EFI zboot, uImage, FIT, flat binary or linux-image-*.deb
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// The configuration it was built with [default: the one in the kernel, in its package, beside it or in its build tree]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where a flat binary is linked
    #[arg(long, value_name = "ADDRESS", value_parser = super::units::address)]
    load_address: Option<u64>,
    /// Where a flat binary is entered
    #[arg(long, value_name = "ADDRESS", value_parser = super::units::address)]
    entry_point: Option<u64>,
    /// The device tree, instead of the board's
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// An overlay (.dtbo) for the device tree; may be repeated, applied in that order
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Pack no device tree: the bootloader passes one (QEMU's arm64: the default)
    #[arg(long, conflicts_with = "dtb")]
    bootloader_dtb: bool,
    /// A squashfs, to be the root filesystem in RAM
    #[arg(long, value_name = "FILE")]
    rootfs: Option<PathBuf>,
    /// An initial ramdisk
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// The kernel's lib/modules/VERSION: what --require and --requirement need of it goes into the initrd
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Requirements (firewall) and modules for the initrd, checked against the kernel
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "modules",
        value_parser = super::suggest::requirements(), hide_possible_values = true)]
    require: Vec<String>,
    /// A requirement of your own
    #[arg(long, value_name = "FILE", requires = "modules")]
    requirement: Vec<PathBuf>,
    /// The kernel's Module.symvers [default: the kernel's own tables]
    #[arg(long, value_name = "FILE", requires = "modules")]
    symvers: Option<PathBuf>,
    /// The command line, instead of the device tree's bootargs
    #[arg(long, value_name = "STRING", allow_hyphen_values = true, conflicts_with = "append")]
    cmdline: Option<String>,
    /// More words behind the device tree's bootargs, in front of any ` -- ` in them
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    append: Option<String>,
    /// The bootloader's bootargs count when they contain this [default: liminix]
    #[arg(long, value_name = "STRING", conflicts_with = "no_cookie")]
    cookie: Option<String>,
    /// How they must contain it
    #[arg(long, value_enum, default_value_t, conflicts_with = "no_cookie")]
    cookie_match: CookieMatch,
    /// The bootloader's bootargs always count
    #[arg(long)]
    no_cookie: bool,
    /// Words KEY and KEY=… of the bootargs count even without the cookie; may be repeated
    #[arg(long, value_name = "KEY")]
    keep: Vec<String>,
    /// How the kernel is stored
    #[arg(long, value_enum, default_value_t)]
    codec: CodecChoice,
    /// Compress the kernel again: by default it is taken from ~/.cache/stoop/kernels when it was compressed before
    #[arg(long)]
    no_cache: bool,
    /// The container [default: the first that the board's bootloader starts]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// How the kernel learns of the root filesystem
    #[arg(long, value_enum, default_value_t)]
    phram: PhramChoice,
    /// Where the root filesystem is when the kernel mounts it
    #[arg(long, value_enum, default_value_t)]
    rootfs_in: RootfsIn,
    /// The slot of an image for flash: a, b [default: the first]
    #[arg(long, value_name = "NAME", value_parser = super::suggest::slots(), hide_possible_values = true)]
    slot: Option<char>,
    /// How to call the kernel
    #[arg(long, value_enum, default_value_t)]
    handoff: HandoffChoice,
    /// With the shim that says on the UART what it decides and why: `stoop monitor` and `stoop run` show it
    #[arg(long)]
    trace: bool,
    /// With the shim stored as it runs instead of squeezed, for debuggers
    #[arg(long)]
    plain_shim: bool,
    /// What the shim does about a watchdog: feed it while it works, stop it, start it so that a kernel that hangs is reset, or
    /// leave it [default: feed, where the board's data say how]
    #[arg(long, value_name = "feed|stop|start:SECONDS|leave")]
    watchdog: Option<watchdog::WatchdogChoice>,
    /// The image; - for stdout
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Write nothing; say what would be
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Packs, checks what was packed, and writes it.
///
/// # Errors
/// Whatever [`Plan::resolve`] and [`image::build`] find, and an image that would not boot; no file is left behind.
pub fn run(args: &Args) -> Result<()> {
    let (request, modules) = (request(args), modules(args)?);
    let inputs = || request.inputs().chain(modules.iter().flat_map(ModuleSelection::inputs));
    if inputs().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(
            Failure::usage(ErrorCode::Options, "stdin can be only one of its inputs").next("give the others as files")
        );
    }
    let output = args.output.as_deref().map(|path| Output::new(path, inputs())).transpose()?;
    let name = args.name();
    let mut progress = ui::Stderr::default();
    let (plan, included) = match &modules {
        Some(modules) => plan_with(modules, &request, &mut progress).map(|(plan, included)| (plan, Some(included)))?,
        None => (Plan::resolve(&request, &mut progress)?, None),
    };
    let included = included.as_ref();
    let built = image::build(&plan, &mut progress)?;
    progress.step("checking the image as the shim will", None);
    let mut warnings = plan.warnings.clone();
    warnings.extend(included.iter().flat_map(|included| included.notes.clone()));
    warnings.extend(verify(&plan, &built)?);
    warnings.extend(limits(&plan, &built)?);
    warnings.extend(plan::line::warnings(&built.line));
    let work = image::seconds(&plan, &built);
    warnings.extend(plan.watchdog.warnings(&plan.board, plan.kernel.config.as_ref(), work));
    if let Some(output) = output.as_ref().filter(|_| !args.dry_run) {
        output.write(&built.file)?;
    }
    drop(progress);
    if shell::served_name(name) != shell::file_name(name) {
        warnings.push(format!(
            "a bootloader would take the file name apart: the commands call it {}, serve it by that name",
            shell::served_name(name)
        ));
    }
    for warning in &warnings {
        ui::tell(format_args!("warning: {warning}"));
    }
    let commands = commands::printed(&plan, &built, &shell::served_name(name));
    let said = match args.json {
        true => json::result(&value(args, &plan, included, &built, &commands, &warnings))?,
        false => text(args, &plan, included, &built, &commands),
    };
    match output.filter(|_| !args.dry_run) {
        Some(output) => ui::put_of(&output, &said),
        None => ui::put(&said),
    }
}

impl Args {
    /// The image's file, as the commands call it.
    fn name(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("image"))
    }
}

/// # Errors
/// Modules without a name.
fn modules(args: &Args) -> Result<Option<ModuleSelection>> {
    if args.modules.is_some() && args.require.is_empty() && args.requirement.is_empty() {
        return Err(Failure::usage(
            ErrorCode::Options,
            "--modules is given, and nothing says which modules are needed",
        )
        .next("name requirements or modules, for example `--require phram-root squashfs-root`"));
    }
    Ok(args.modules.as_ref().map(|directory| ModuleSelection {
        directory: directory.clone(),
        names: args.require.clone(),
        requirements: args.requirement.clone(),
        symvers: args.symvers.clone(),
    }))
}

fn request(args: &Args) -> Request {
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

/// Runs the shim's own function on the finished bytes; gives its warnings.
fn verify(plan: &Plan, built: &Built) -> Result<Vec<String>> {
    let report = |fact: String| {
        Failure::new(ErrorCode::Options, format!("the finished image would not boot: {fact}")).next("report this")
    };
    let entry = if plan.dtb.is_some() { Entry::None } else { Entry::Uhi(device_tree::empty()) };
    let outcome = simulate::run(&built.file, &Input { entry, load: None })?;
    let booted = outcome.result.map_err(|error| report(error.to_string()))?;
    if booted.handoff.entry_point != built.entry_point {
        return Err(report(format!(
            "it enters 0x{:x}, the kernel begins at 0x{:x}",
            booted.handoff.entry_point, built.entry_point
        )));
    }
    if plan.has_line() && booted.cmdline != built.line {
        return Err(report(format!("its command line is {:?}", shown(&booted.cmdline))));
    }
    Ok(outcome.warnings)
}

/// What the bootloader or the flash may not take; gives warnings.
///
/// # Errors
/// The board is known to choke on it. A format that the user named is only warned of.
fn limits(plan: &Plan, built: &Built) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if built.reads_twice {
        warnings.push("RAM has no room for a copy of what is stored in flash: the shim reads it twice".into());
    }
    for finding in board_check::examine(&built.file, &plan.board)? {
        let next = finding.fix.unwrap_or_default();
        match finding.level {
            // Whether the bootloader knows the format the plan has said already; that the layout found a place for the
            // file, its commands say.
            _ if matches!(finding.what, "containers" | "tftp-address") => {}
            Level::No => {
                let fact = format!("{} would choke on the image: {}: {}", plan.board.name, finding.what, finding.says);
                return Err(Failure::new(ErrorCode::Options, fact).next(next));
            }
            Level::Warn => warnings.push(format!("{}: {next}", finding.says)),
            Level::Ok | Level::Unknown => {}
        }
    }
    Ok(warnings)
}

/// The stable form.
fn value(
    args: &Args,
    plan: &Plan,
    included: Option<&Included>,
    built: &Built,
    commands: &[String],
    warnings: &[String],
) -> json::Packed {
    let typed = plan.board.typed(built.places.head.start());
    let regions = built.places.regions.iter().map(|named| json::Used {
        name: named.what.name().to_owned(),
        start: named.region.start(),
        size: named.region.size(),
        when: named.when.names().map(str::to_owned).collect(),
    });
    json::Packed {
        image: args.output.as_ref().filter(|_| !args.dry_run).map(|path| path.display().to_string()),
        format: plan.format.value.name().to_owned(),
        size: built.file.len(),
        board: plan.board.name.clone(),
        load_address: typed,
        entry_point: typed,
        shim: built.shim,
        kernel: json::Kernel {
            form: plan.kernel.form.to_string(),
            version: plan.kernel.version.clone(),
            config: plan.kernel.config.as_ref().map(|config| config.source().to_owned()),
            load_address: plan.board.typed(plan.kernel.load_address as usize),
            entry_point: plan.board.typed(built.entry_point),
        },
        handoff: json::Handoff {
            kind: plan.handoff.value.name().to_owned(),
            origin: plan.handoff.origin.to_string(),
            reason: plan.handoff_reason.clone(),
        },
        phram: plan.phram.value.name().to_owned(),
        alias: (plan.phram.value == Phram::Tree).then_some(ALIAS),
        cookie: json::Cookie {
            rule: plan.cookie.rule.name().to_owned(),
            text: plan.cookie.text.clone(),
            keep: plan.cookie.keep.clone(),
        },
        watchdog: json::Watchdog {
            care: plan.watchdog.care.name().to_owned(),
            seconds: (plan.watchdog.seconds != 0).then_some(plan.watchdog.seconds),
            left_running: plan.board.bootloader.watchdog,
        },
        seconds: image::seconds(plan, built),
        cmdline: shown(&built.line),
        modules: included.map(modules_value),
        payloads: built.payloads.iter().map(payload_value).collect(),
        regions: regions.collect(),
        commands: commands.to_vec(),
        flash: flash::steps(plan, built, args.name()).map(|steps| steps.value()),
        warnings: warnings.to_vec(),
    }
}

fn payload_value(payload: &image::Packed) -> json::Payload {
    json::Payload {
        name: payload.kind.subject().text().to_owned(),
        codec: payload.codec.name().to_owned(),
        reason: Some(payload.why.clone()),
        stored: payload.stored,
        decoded: payload.decoded,
        crc: format!("0x{:08x}", payload.crc),
        start: payload.place.start(),
        size: payload.place.size(),
    }
}

fn modules_value(modules: &Included) -> json::Included {
    json::Included {
        version: modules.version.clone(),
        order: modules.order.clone(),
        builtin: modules.builtin.clone(),
        services: modules.services.clone(),
        symbols: modules.symbols.clone(),
        config: modules.config.clone(),
        module_bytes: modules.module_bytes,
        archive_bytes: modules.archive_bytes,
    }
}

fn text(args: &Args, plan: &Plan, included: Option<&Included>, built: &Built, commands: &[String]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<13}{value}\n");
    let not = if args.dry_run { ", not written" } else { "" };
    let (size, format) = (built.file.len(), plan.format.value.name());
    line("image", format!("{}: {format}, {}{not}", args.name().display(), amount(size)));
    line("board", format!("{} ({})", plan.board.name, plan.board.title));
    let version = plan.kernel.version.as_deref().unwrap_or("of unknown version");
    let entry = plan.board.typed(built.entry_point);
    line("kernel", format!("{version}, {}, entry point 0x{entry:08x}", plan.kernel.form));
    let config = plan.kernel.config.as_ref().map_or("unknown: give it with --config", |config| config.source());
    line("config", config.into());
    let load = plan.board.typed(built.places.head.start());
    line("load address", format!("0x{load:08x}, which is the entry point too"));
    if let Some(flash) = &built.flash {
        line("flash", format!("slot {}, started by {}", flash.slot, plan.board.bootloader.name));
    }
    let traced = if plan.trace { ", says what it decides: `stoop monitor` shows it" } else { "" };
    let plain = if plan.plain_shim { ", stored as it runs" } else { "" };
    let run = plan.board.typed(built.places.run.start());
    line("shim", format!("0x{:x} bytes, runs at 0x{run:08x}{plain}{traced}", built.shim));
    let why = match plan.handoff.origin {
        Origin::Kernel => format!("{}: {}", plan.handoff.origin, plan.handoff_reason),
        origin => origin.to_string(),
    };
    line("handoff", format!("{} ({why})", plan.handoff.value.name()));
    line(
        "phram",
        match plan.phram.value {
            Phram::Off => "off".into(),
            Phram::Tree => format!("dt, mtd{ALIAS} ({})", plan.phram.origin),
            Phram::CommandLine => format!("cmdline ({})", plan.phram.origin),
        },
    );
    let keep = match plan.cookie.keep.is_empty() {
        true => String::new(),
        false => format!("; kept without it: {}", plan.cookie.keep.join(" ")),
    };
    line(
        "cookie",
        match plan.cookie.rule {
            CookieRule::Off => "none: bootargs always count".into(),
            rule => format!("{:?}, {}{keep}", plan.cookie.text, rule.name()),
        },
    );
    line("watchdog", watchdog_line(plan));
    if let Some(seconds) = image::seconds(plan, built) {
        line("time", format!("about {seconds:.1} s to check and to deliver, by the board's figures"));
    }
    if let Some(modules) = included {
        let (count, size) = (modules.order.len(), amount(modules.archive_bytes));
        line("modules", format!("{count} of {} in the initrd, {size}: they fit {}", modules.version, modules.symbols));
    }
    let cmdline = if plan.has_line() { shown(&built.line) } else { "from the bootloader's device tree".into() };
    line("command line", cmdline);

    text += "\npayload   codec     stored    decoded   crc         goes to\n";
    for payload in &built.payloads {
        let to = match payload.place.is_empty() {
            true => "read where it is".into(),
            false => format!("0x{:08x}, 0x{:x} bytes", payload.place.start(), payload.place.size()),
        };
        text += &format!(
            "{:<10}{:<10}{:<10}{:<10}0x{:08x}  {to}\n",
            payload.kind.subject().text(),
            payload.codec.name(),
            format!("0x{:x}", payload.stored),
            format!("0x{:x}", payload.decoded),
            payload.crc
        );
    }
    for payload in built.payloads.iter().filter(|payload| payload.kind == Kind::Kernel) {
        text += &format!("kernel: {}: {}\n", payload.codec.name(), payload.why);
    }
    text += "\nstart       end         size        region, and when its bytes matter\n";
    for named in &built.places.regions {
        text += &map_line(named);
    }
    if let Some(steps) = flash::steps(plan, built, args.name()) {
        return text + &steps.text();
    }
    text += "\nat the bootloader\n";
    for command in commands {
        text += &format!("  {command}\n");
    }
    if plan.format.value == Format::Raw {
        text += "  (go cleans no cache: the line before it sees to the first instructions, the shim to the rest)\n";
    }
    text
}

/// What the shim does about the watchdog.
fn watchdog_line(plan: &Plan) -> String {
    let left = match plan.board.bootloader.watchdog {
        None => "what the bootloader leaves running is not known".to_owned(),
        Some(0) => "the bootloader leaves none running".to_owned(),
        Some(seconds) => format!("one that fires after {seconds} s runs when the image starts"),
    };
    let title = plan.board.watchdog.as_ref().map_or("", |dog| &dog.title);
    match plan.watchdog.care {
        Care::Leave => format!("left alone; {left}"),
        Care::Feed => format!("{title}: fed until the kernel starts; {left}"),
        Care::Stop => format!("{title}: stopped"),
        Care::Start => {
            format!("{title}: started, resets the board {} s after the kernel starts", plan.watchdog.seconds)
        }
    }
}

fn map_line(named: &NamedRegion) -> String {
    let NamedRegion { what, region, when } = named;
    let when: Vec<_> = when.names().collect();
    let note = if *what == RegionKind::Relocation { ", may move itself here" } else { "" };
    format!(
        "0x{:08x}  0x{:08x}  {:<12}{what} ({}{note})\n",
        region.start(),
        region.end(),
        format!("0x{:x}", region.size()),
        when.join(", ")
    )
}
