//! From what the user asked for to one complete plan: flags before the board's defaults before what fits the kernel, each
//! with its origin. Nothing is written here.

mod error;

pub mod line;
mod request;
mod tree;
mod warnings;

use crate::cache::Cache;
use crate::machine::Machine;
use std::path::Path;

use stoop_core::bootargs::is_text;
use stoop_core::codec::Codec;
use stoop_core::fdt::Ramoops;
use stoop_core::manifest::HandoffKind;
use stoop_core::params::CookieRule;

use crate::board::{self, Board, Container};
use crate::format::device_tree::Facts;
use crate::input::initrd::{self, Needs};
use crate::input::{Kernel, Overrides, Rootfs};
use crate::kconfig::Kconfig;
use crate::platform;
use crate::platform::TreeFrom;
use crate::preflight::{self, PhramMode, Wants};
use crate::progress::Progress;
use crate::shim_image::{Form, Variant};
pub use error::Error;

use crate::{Result, ramoops, watchdog};

pub use line::{add_words, has_word};
pub use request::{
    ALIAS, COOKIE, Chosen, CodecChoice, Cookie, CookieMatch, Format, HandoffChoice, MakeRamdisk, Origin, Phram,
    PhramChoice, Request, RootfsIn,
};
use warnings::{
    another_root, another_version, board_warnings, cookie_of_all, namesake, reserved_kernel, root_warnings,
};

/// Everything resolved and read; what is left is arithmetic.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The board.
    pub board: Board,
    /// The kernel.
    pub kernel: Kernel,
    /// The device tree as given; `None` when the bootloader passes one.
    pub dtb: Option<Chosen<Vec<u8>>>,
    /// What it says; of an empty tree when there is none.
    pub facts: Facts,
    /// The initial ramdisk's bytes.
    pub initrd: Option<Vec<u8>>,
    /// The root filesystem.
    pub rootfs: Option<Rootfs>,
    /// The kernel's command line before bootargs, without phram's words.
    pub line: Vec<u8>,
    /// Whether phram's words belong behind it: the user has no root= of their own.
    pub line_takes_root: bool,
    /// The cookie.
    pub cookie: Cookie,
    /// How payloads are stored.
    pub codec: CodecChoice,
    /// Where compressed kernels are kept.
    pub cache: Option<Cache>,
    /// The container.
    pub format: Chosen<Format>,
    /// How the root filesystem gets its name.
    pub phram: Chosen<Phram>,
    /// Where the root filesystem stays.
    pub rootfs_in: RootfsIn,
    /// The slot of a flash image; `None`: the first.
    pub slot: Option<char>,
    /// How the kernel is called, and why so.
    pub handoff: Chosen<HandoffKind>,
    /// The reason for the handoff.
    pub handoff_reason: String,
    /// The shim says what it decides and why.
    pub trace: bool,
    /// The shim is stored as it runs, for debuggers.
    pub plain_shim: bool,
    /// What it does about the watchdog.
    pub watchdog: watchdog::Plan,
    /// Where the kernel keeps its log over a reset.
    pub ramoops: Option<Ramoops>,
    /// What the user should know, whole sentences without a full stop.
    pub warnings: Vec<String>,
}

/// What is read and chosen before the initial ramdisk is known.
struct Read {
    board: Board,
    cookie: Cookie,
    watchdog: watchdog::Plan,
    format: Chosen<Format>,
    kernel: Kernel,
}

impl Read {
    fn all(request: &Request, progress: &mut dyn Progress) -> Result<Read> {
        let board = board::load(&request.board)?;
        let cookie = cookie(request)?;
        let watchdog = watchdog::Plan::resolve(request.watchdog, &board)?;
        for (flag, text) in [("--cmdline", &request.cmdline), ("--append", &request.append)] {
            if text.as_ref().is_some_and(|text| !is_text(text.as_bytes())) {
                return Err(Error::ControlCharacters { option: flag }.into());
            }
        }
        let format = format(request, &board)?;
        if format.value != Format::Nor && (request.slot.is_some() || request.rootfs_in == RootfsIn::Flash) {
            return Err(Error::NotForFlash.into());
        }
        let config = request.config.as_deref().map(Kconfig::read).transpose()?;
        let overrides = Overrides { load_address: request.load_address, entry_point: request.entry_point, config };
        progress.step("reading the kernel", None);
        let kernel = Kernel::read(&request.kernel, overrides, progress)?;
        same_machine(&kernel, &board, &request.kernel)?;
        fits_machine(request, &kernel, format.value)?;
        Ok(Read { board, cookie, watchdog, format, kernel })
    }
}

impl Plan {
    /// Reads every input and resolves every choice.
    ///
    /// # Errors
    /// Unreadable or foreign inputs, contradictions between them, and a kernel that does not take what it would get.
    pub fn resolve(request: &Request, progress: &mut dyn Progress) -> Result<Plan> {
        Plan::resolve_with(request, &mut |_, own, _| Ok(own), progress)
    }

    /// The same with an initial ramdisk that `ramdisk` makes of the user's, for this kernel.
    ///
    /// # Errors
    /// As for [`Plan::resolve`], and what `ramdisk` reports.
    pub fn resolve_with<E: From<crate::Error>>(
        request: &Request,
        ramdisk: &mut MakeRamdisk<'_, E>,
        progress: &mut dyn Progress,
    ) -> Result<Plan, E> {
        let read = Read::all(request, progress)?;
        let own = request.initrd.as_deref().map(initrd::read).transpose()?;
        let initrd = ramdisk(&read.kernel, own, progress)?;
        Ok(Plan::of(request, read, initrd)?)
    }

    fn of(request: &Request, read: Read, initrd: Option<initrd::Initrd>) -> Result<Plan> {
        let Read { board, cookie, watchdog, format, kernel } = read;
        let rootfs = request.rootfs.as_deref().map(Rootfs::read).transpose()?;
        let mut warnings = kernel.notes.clone();
        warnings.extend(initrd.iter().filter_map(|initrd| initrd.warning.clone()));
        warnings.extend(another_version(&kernel));
        warnings.extend(cookie_of_all(&cookie));
        warnings.extend(namesake(&request.board, &board));
        warnings.extend(board_warnings(&board, &kernel, format.value));

        let wants = Wants {
            handoff: None,
            phram: phram_mode(request, &board),
            rootfs: rootfs.as_ref().map(|rootfs| rootfs.info),
            initrd: initrd.is_some(),
            initrd_needs: initrd.as_ref().map_or(Needs::default(), |initrd| initrd.needs),
        };
        let (handoff, handoff_reason, phram) = handoff(request, &board, &kernel, wants, &mut warnings)?;
        let dtb = tree::packed(request, &board, handoff.value, &mut warnings)?;
        let facts = match &dtb {
            Some(dtb) => Facts::of(&dtb.value)?,
            // What every arm64 tree has: RAM may end above 4 GiB.
            None if kernel.arch == Machine::Arm64 => Facts { cells: [2, 2], ..Facts::default() },
            None => Facts::default(),
        };
        few_reservations(&facts)?;
        let phram = phram_choice(request, phram, &facts, rootfs.is_some())?;
        let ramoops = request.ramoops.map(|size| ramoops::place(size, &board, &facts)).transpose()?;
        if ramoops.is_some() {
            warnings.extend(ramoops::warnings(kernel.config.as_ref()));
        }
        let has_line = dtb.is_some() || kernel.arch == Machine::Arm64;
        let (line, line_takes_root) = line(request, has_line, &facts)?;
        if kernel.arch == Machine::Arm64 && has_word(&line, |word| word.starts_with(b"phram.phram=")) {
            return Err(no_phram_parameter().into());
        }
        warnings.extend(root_warnings(phram.value, has_line, line_takes_root));
        if rootfs.is_some() && request.rootfs_in == RootfsIn::Ram && has_line {
            warnings.extend(another_root(phram.value, &line));
        }
        warnings.extend(reserved_kernel(&facts, &kernel));
        let plan = Plan {
            board,
            kernel,
            dtb,
            facts,
            initrd: initrd.map(|initrd| initrd.bytes),
            rootfs,
            line,
            line_takes_root,
            cookie,
            codec: request.codec,
            cache: request.cache.clone(),
            format,
            phram,
            rootfs_in: request.rootfs_in,
            slot: request.slot,
            handoff,
            handoff_reason,
            trace: request.trace,
            plain_shim: request.plain_shim,
            watchdog,
            ramoops,
            warnings,
        };
        if plan.ramoops.is_some() && !plan.tree_is_seen() {
            return Err(Error::RamoopsUnread.into());
        }
        Ok(plan)
    }

    /// What the kernel is for.
    pub fn arch(&self) -> Machine {
        self.kernel.arch
    }

    /// The shim for payloads stored by all of these: the smallest that can deliver them, unless it is to be traced.
    pub fn shim(&self, codecs: impl IntoIterator<Item = Codec>) -> Variant {
        if self.trace { Variant::Trace } else { Variant::smallest(codecs) }
    }

    /// How it is stored.
    pub fn shim_form(&self) -> Form {
        if self.plain_shim { Form::Plain } else { Form::Squeezed }
    }

    /// The kernel reads the final device tree; else it knows only what the command line and the environment tell.
    pub fn tree_is_seen(&self) -> bool {
        let platform = self.kernel.config.as_ref().and_then(platform::of);
        match self.handoff.value {
            HandoffKind::Argv => platform.is_some_and(|platform| platform.tree == TreeFrom::UhiOrEnv),
            HandoffKind::Uhi | HandoffKind::Appended | HandoffKind::Arm64 => true,
        }
    }

    /// The kernel is called with argc, argv and env. One that takes the line from the tree in its slot is called as by UHI,
    /// which is no argv to any kernel: it might join the line in argv to the same one in the tree
    /// (arch/mips/kernel/setup.c: bootcmdline_init).
    pub fn called_with_argv(&self) -> bool {
        const FROM_TREE: [&str; 2] = ["MIPS_CMDLINE_FROM_DTB", "MIPS_CMDLINE_DTB_EXTEND"];
        let config = self.kernel.config.as_ref();
        match self.handoff.value {
            HandoffKind::Argv => true,
            HandoffKind::Appended => {
                !config.is_some_and(|config| FROM_TREE.into_iter().any(|symbol| config.is_yes(symbol)))
            }
            HandoffKind::Uhi | HandoffKind::Arm64 => false,
        }
    }

    /// There is a line of our own in front of bootargs: with a packed tree, and on arm64, where the bootloader's tree is
    /// what boards have.
    pub fn has_line(&self) -> bool {
        self.dtb.is_some() || self.arch() == Machine::Arm64
    }

    /// The words on the base line keep a kernel with KASLR where it is (arch/mips/kernel/relocate.c: kaslr_disabled).
    pub fn stays(&self) -> bool {
        has_word(&self.line, |word| word.starts_with(b"nokaslr"))
    }
}

fn cookie(request: &Request) -> Result<Cookie> {
    let text = request.cookie.clone().unwrap_or_else(|| COOKIE.to_owned());
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(key) = request.keep.iter().find(|key| !plain(key) || key.contains(['=', '"'])) {
        return Err(Error::KeepKey { key: key.clone() }.into());
    }
    let mut keep: Vec<String> = Vec::new();
    for key in &request.keep {
        if !keep.contains(key) {
            keep.push(key.clone());
        }
    }
    if request.no_cookie {
        return Ok(Cookie { rule: CookieRule::Off, text: String::new(), keep });
    }
    if !is_text(text.as_bytes()) || text.is_empty() || text.len() > 255 {
        return Err(Error::Cookie { text }.into());
    }
    let rule = match request.cookie_match {
        CookieMatch::Contains => CookieRule::Contains,
        CookieMatch::Word if plain(&text) => CookieRule::Word,
        CookieMatch::Word => {
            return Err(Error::CookieWords { text }.into());
        }
    };
    Ok(Cookie { rule, text, keep })
}

fn format(request: &Request, board: &Board) -> Result<Chosen<Format>> {
    if let Some(value) = request.format {
        return Ok(Chosen { value, origin: Origin::Flag });
    }
    let written = board.bootloader.containers.first().map(|container| match container {
        Container::Elf => Format::Elf,
        Container::Raw => Format::Raw,
        Container::Image => Format::Image,
        Container::Fit => Format::Fit,
        // Who unpacks a uImage starts one that is not packed, too; it is not certain, so there will be a warning.
        Container::UimageNone | Container::UimageLzma | Container::UimageGzip => Format::Uimage,
    });
    match written {
        Some(value) => Ok(Chosen { value, origin: Origin::Board }),
        None => Err(Error::NoContainer { board: board.name.clone() }.into()),
    }
}

fn same_machine(kernel: &Kernel, board: &Board, path: &Path) -> Result<()> {
    if kernel.arch == board.arch {
        return Ok(());
    }
    Err(Error::OtherMachine { path: path.into(), kernel: kernel.arch, board: board.name.clone(), of_board: board.arch }
        .into())
}

/// What one architecture has and the other has not.
fn fits_machine(request: &Request, kernel: &Kernel, format: Format) -> Result<()> {
    let arm64 = kernel.arch == Machine::Arm64;
    if arm64 && request.handoff != HandoffChoice::Auto {
        return Err(Error::Arm64Handoff.into());
    }
    if let Some(pages) = kernel.foreign_pages.filter(|_| request.rootfs.is_some()) {
        return Err(Error::ForeignPages { pages }.into());
    }
    if arm64 && request.phram == PhramChoice::Cmdline {
        return Err(no_phram_parameter().into());
    }
    match (arm64, format) {
        (true, Format::Nor) => Err(Error::Arm64Flash.into()),
        (true, Format::Elf) => Err(Error::Arm64Elf.into()),
        (false, Format::Image) => Err(Error::ImageOfMips.into()),
        _ => Ok(()),
    }
}

/// arch/arm64/mm/ioremap.c: what is RAM is not mapped twice.
fn no_phram_parameter() -> Error {
    Error::Arm64Phram
}

fn phram_mode(request: &Request, board: &Board) -> PhramMode {
    if request.rootfs_in == RootfsIn::Flash {
        return PhramMode::Off;
    }
    match (request.phram, board.defaults.phram) {
        (PhramChoice::Dt, _) | (PhramChoice::Auto, board::Phram::Dt) => PhramMode::Tree,
        (PhramChoice::Cmdline, _) | (PhramChoice::Auto, board::Phram::Cmdline) => PhramMode::CommandLine,
        (PhramChoice::Off, _) | (PhramChoice::Auto, board::Phram::Off) => PhramMode::Off,
        (PhramChoice::Auto, board::Phram::Auto) => PhramMode::Auto,
    }
}

/// The flag decides; without one the board's default, as long as the kernel takes it; else the kernel.
fn handoff(
    request: &Request,
    board: &Board,
    kernel: &Kernel,
    wants: Wants,
    warnings: &mut Vec<String>,
) -> Result<(Chosen<HandoffKind>, String, PhramMode)> {
    let asked = match request.handoff {
        HandoffChoice::Auto if kernel.arch == Machine::Arm64 => Some(HandoffKind::Arm64),
        HandoffChoice::Auto => None,
        HandoffChoice::Uhi => Some(HandoffKind::Uhi),
        HandoffChoice::Argv => Some(HandoffKind::Argv),
        HandoffChoice::Appended => Some(HandoffKind::Appended),
    };
    let default = match board.defaults.handoff {
        board::Handoff::Auto | board::Handoff::Arm64 => None,
        board::Handoff::Uhi => Some(HandoffKind::Uhi),
        board::Handoff::Argv => Some(HandoffKind::Argv),
        board::Handoff::Appended => Some(HandoffKind::Appended),
    };
    let assess = |handoff| preflight::assess(kernel, &Wants { handoff, ..wants });
    let mut origin = if asked == Some(HandoffKind::Arm64) {
        Origin::Kernel
    } else if asked.is_some() {
        Origin::Flag
    } else {
        Origin::Board
    };
    let mut assessment = assess(asked.or(default));
    if asked.is_none() && (default.is_none() || assessment.refusal().is_some()) {
        let other = assess(None);
        // What the kernel lacks for any handoff is said of the board's, if it has one.
        if default.is_none() || other.refusal().is_none() {
            (origin, assessment) = (Origin::Kernel, other);
        }
    }
    if let Some(refusal) = assessment.refusal() {
        return Err(refusal.into());
    }
    // Pack itself reserves the memory of a root filesystem that the command line names.
    let open = assessment.warnings().filter(|finding| finding.symbol != "memory");
    warnings.extend(open.map(|finding| match &finding.fix {
        Some(fix) => format!("{}: {}: {fix}", finding.symbol, finding.says),
        None => format!("{}: {}", finding.symbol, finding.says),
    }));
    let Some((value, reason)) = assessment.handoff else {
        return Err(Error::NoHandoff.into());
    };
    Ok((Chosen { value, origin }, reason, assessment.phram))
}

fn phram_choice(request: &Request, mode: PhramMode, facts: &Facts, rootfs: bool) -> Result<Chosen<Phram>> {
    let value = match mode {
        _ if !rootfs => Phram::Off,
        PhramMode::Off => Phram::Off,
        PhramMode::CommandLine => Phram::CommandLine,
        PhramMode::Tree | PhramMode::Auto => Phram::Tree,
    };
    let alias = format!("mtd{ALIAS}");
    if value == Phram::Tree
        && let Some((_, path)) = facts.aliases.iter().find(|(name, _)| *name == alias)
    {
        return Err(Error::Alias { alias, path: path.clone() }.into());
    }
    let origin = if request.phram == PhramChoice::Auto { Origin::Kernel } else { Origin::Flag };
    Ok(Chosen { value, origin })
}

/// The base line, and whether root= is still to be added.
fn line(request: &Request, packed: bool, facts: &Facts) -> Result<(Vec<u8>, bool)> {
    if !packed && (request.cmdline.is_some() || request.append.is_some()) {
        return Err(Error::NoTreeForLine.into());
    }
    let mut line = match &request.cmdline {
        Some(cmdline) => cmdline.clone().into_bytes(),
        None => facts.bootargs.clone().unwrap_or_default(),
    };
    if let Some(append) = &request.append {
        add_words(&mut line, append.as_bytes());
    }
    let own = [&request.cmdline, &request.append].into_iter().flatten();
    let root = own.into_iter().any(|text| has_word(text.as_bytes(), |word| word.starts_with(b"root=")));
    Ok((line, packed && !root))
}

/// Every place is held against every reservation, so their number is bounded.
fn few_reservations(facts: &Facts) -> Result<()> {
    const MOST: usize = 1024;
    let count = facts.reserved.len() + facts.dynamic.len();
    if count <= MOST {
        return Ok(());
    }
    Err(Error::Reservations { count, most: MOST }.into())
}

/// Physical addresses are numbers of either width.
pub(crate) fn region(range: &std::ops::Range<u64>) -> Result<stoop_core::Region> {
    let number = |number: u64| usize::try_from(number).ok();
    let region =
        number(range.start).zip(number(range.end)).and_then(|(start, end)| stoop_core::Region::between(start, end));
    region.ok_or_else(|| Error::OutOfReach { range: range.clone() }.into())
}
