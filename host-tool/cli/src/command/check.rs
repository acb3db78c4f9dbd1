//! `stoop check`: will this kernel take the handoff, a root filesystem in RAM, a ramdisk, kexec; or, of a finished image, what would
//! go wrong on a board.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use stoop_image::platform;

use clap::builder::{PossibleValue, PossibleValuesParser};
use comfy_table::{Attribute, Cell, Color, Table, presets};

use super::stdin::stdin_once;
use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui;
use crate::ui::{harmless, on_one_line};
use stoop_image::input::kernel::Form;
use stoop_image::input::{Kernel, Overrides};
use stoop_image::kconfig::Kconfig;
use stoop_image::machine::described;
use stoop_image::preflight::{self, Level, PhramMode, Requirement, SETS, Wants};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  stoop check --kernel vmlinux --for phram-root,kexec\n  stoop check image.bin --board gl-ar750"
)]
pub struct Args {
    /// A finished image, made by stoop or not: what would go wrong with it on a board
    #[arg(conflicts_with_all = ["kernel", "config", "needs", "load_address", "entry_point"])]
    image: Option<PathBuf>,
    /// The board: a name from `stoop boards list`, or a board file [default: the one that the image was packed for]
    #[arg(long, value_name = "NAME|FILE", requires = "image", value_parser = super::suggest::boards(), hide_possible_values = true)]
    board: Option<String>,
    /// vmlinux, vmlinuz, arm64 Image, EFI zboot, uImage, FIT, flat binary or linux-image-*.deb
    #[arg(long, value_name = "FILE", required_unless_present_any = ["image", "config"])]
    kernel: Option<PathBuf>,
    /// The configuration it was built with, if neither the kernel nor its package has it; can be given without the kernel
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the kernel must be able to do; by default only a handoff is required, and the rest is shown
    #[arg(long = "for", value_name = "LIST", value_delimiter = ',', value_parser = names(), default_value = "handoff")]
    needs: Vec<String>,
    /// Where a flat binary is linked
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    load_address: Option<u64>,
    /// Where a flat binary is entered
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    entry_point: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The names that stand for the best of several sets.
const HANDOFF: &str = "handoff";
const PHRAM_ROOT: &str = "phram-root";

fn names() -> PossibleValuesParser {
    let best = [
        PossibleValue::new(HANDOFF).help("the best of uhi, appended and argv"),
        PossibleValue::new(PHRAM_ROOT).help("phram-dt or else phram-cmdline"),
    ];
    let sets = SETS.iter().map(|set| PossibleValue::new(set.name).help(set.about));
    PossibleValuesParser::new(best.into_iter().chain(sets))
}

fn address(text: &str) -> std::result::Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; write it as 0x80100000"))
}

/// Prints what the kernel can do, or what would go wrong with the image.
///
/// # Errors
/// The kernel or configuration cannot be read, or something that is needed does not hold or is unknown.
pub fn run(args: Args) -> Result<()> {
    let files = [&args.image, &args.kernel, &args.config].into_iter().flatten().map(PathBuf::as_path);
    stdin_once(files.chain(args.board.as_deref().map(Path::new)))?;
    if let Some(image) = &args.image {
        return super::check_image::run(image, args.board.as_deref(), args.json);
    }
    let config = args.config.as_deref().map(Kconfig::read).transpose()?;
    let kernel = match (&args.kernel, config) {
        (Some(kernel), config) => {
            let overrides = Overrides { load_address: args.load_address, entry_point: args.entry_point, config };
            Kernel::read(kernel, overrides, &mut ui::Stderr::default())?
        }
        (None, Some(config)) => Kernel::of_config(config)?,
        (None, None) => {
            return Err(Error::NothingToCheck.into());
        }
    };
    let answer = answer(&kernel, &args.needs);
    match args.json {
        true => json::put(&answer.json(&kernel))?,
        // The table's cells are harmless, its colours are our own.
        false => ui::put_raw(
            answer.text(&kernel, std::io::stdout().is_terminal(), ui::is_styled(&std::io::stdout())).as_bytes(),
        )?,
    }
    answer.verdict()
}

/// Everything that was found out.
struct Answer {
    handoff: Option<(&'static str, String)>,
    phram: Option<&'static str>,
    requirements: Vec<Requirement>,
}

fn answer(kernel: &Kernel, needs: &[String]) -> Answer {
    let wants = Wants { initrd: needs.iter().any(|need| need == "initramfs"), ..Wants::default() };
    let best = preflight::assess(kernel, &Wants::default());
    let (mode, phram_root) = preflight::phram_root(kernel, &wants);
    let mut requirements: Vec<Requirement> = Vec::new();
    for need in needs {
        match need.as_str() {
            HANDOFF => requirements.extend(best.requirements.iter().take(1).cloned()),
            PHRAM_ROOT => requirements.push(phram_root.clone()),
            name => requirements.extend(preflight::set(name).map(|set| preflight::apply(set, kernel, &wants, true))),
        }
    }
    let mut seen = Vec::new();
    requirements.retain(|requirement| {
        !seen.contains(&requirement.name) && {
            seen.push(requirement.name);
            true
        }
    });
    // What was not asked for is shown too: a person looks for what the kernel can do.
    // Without a configuration there is nothing to show.
    let rest = SETS.iter().filter(|set| kernel.config.is_some() && !seen.contains(&set.name));
    requirements.extend(rest.map(|set| preflight::apply(set, kernel, &wants, false)));
    Answer {
        handoff: best.handoff.map(|(kind, reason)| (kind.name(), reason)),
        phram: (phram_root.level() < Level::Unknown).then_some(match mode {
            PhramMode::CommandLine => "cmdline",
            _ => "dt",
        }),
        requirements,
    }
}

impl Answer {
    /// Exit code 1 when something needed does not hold; unknown is not good enough.
    fn verdict(&self) -> Result<()> {
        let needed = self.requirements.iter().filter(|requirement| requirement.needed);
        let failed: Vec<_> =
            needed.clone().filter(|requirement| requirement.level() >= Level::Unknown).map(|r| r.name).collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Error::NotMet { failed: failed.len(), needed: needed.count(), names: failed }.into())
    }

    fn json(&self, kernel: &Kernel) -> json::KernelCheck {
        let finding = |finding: &preflight::Finding| json::Finding {
            result: finding.level.name().to_owned(),
            symbol: finding.symbol.clone(),
            value: finding.value.clone(),
            says: finding.says.clone(),
            fix: finding.fix.clone(),
        };
        let requirement = |requirement: &Requirement| json::Requirement {
            name: requirement.name.to_owned(),
            needed: requirement.needed,
            result: requirement.level().name().to_owned(),
            findings: requirement.findings.iter().map(finding).collect(),
        };
        let verdict = self.verdict();
        json::KernelCheck {
            ok: verdict.is_ok(),
            kernel: kernel_value(kernel),
            handoff: self
                .handoff
                .as_ref()
                .map(|(name, reason)| json::Chosen { kind: (*name).to_owned(), reason: reason.clone() }),
            phram: self.phram.map(str::to_owned),
            requirements: self.requirements.iter().map(requirement).collect(),
            error: verdict.as_ref().err().map(Into::into),
        }
    }

    fn text(&self, kernel: &Kernel, terminal: bool, styled: bool) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| out.push_str(&format!("{name:<10}{value}\n"));
        let version = on_one_line(kernel.version.as_deref().unwrap_or("unknown version"));
        line("kernel", format!("{version}, {}, {}", described(kernel.arch), kernel.form));
        let memory = kernel.load_address..kernel.load_address + kernel.memory_size;
        if kernel.form != Form::Configuration {
            line(
                "memory",
                format!("[0x{:x}, 0x{:x}), entry point 0x{:x}", memory.start, memory.end, kernel.entry_point),
            );
        }
        if let Some(inner) = &kernel.decompresses_to {
            let region = &inner.region;
            line("", format!("decompresses itself to [0x{:x}, 0x{:x})", region.start, region.end));
        }
        let source = kernel.config.as_ref().map_or("unknown: give it with --config", |config| config.source());
        line("config", source.into());
        if let Some(platform) = kernel.config.as_ref().and_then(platform::of) {
            line("platform", platform.symbol.into());
        }
        match &self.handoff {
            Some((name, reason)) => line("handoff", format!("{name} ({reason})")),
            None => line("handoff", "none can be chosen".into()),
        }
        for note in &kernel.notes {
            line("note", note.clone());
        }
        out.push('\n');
        harmless(&out).into_owned() + &if terminal { self.table(styled) } else { self.plain() }
    }

    /// One row for each finding that is needed; of what was not asked for its worst finding, or what it means.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for requirement in &self.requirements {
            let row = |finding: &preflight::Finding| Row {
                level: finding.level,
                needed: requirement.needed,
                name: requirement.name,
                symbol: symbol(finding),
                says: finding.says.clone(),
                fix: finding.fix.clone().unwrap_or_default(),
            };
            let level = requirement.level();
            if requirement.needed {
                rows.extend(requirement.findings.iter().map(row));
            } else if level == Level::Ok {
                let (symbol, fix) = (String::new(), String::new());
                rows.push(Row {
                    level,
                    needed: false,
                    name: requirement.name,
                    symbol,
                    says: requirement.about.into(),
                    fix,
                });
            } else {
                rows.extend(requirement.findings.iter().find(|finding| finding.level == level).map(row));
            }
        }
        rows
    }

    fn plain(&self) -> String {
        let mut out = String::new();
        for row in self.rows() {
            let needed = if row.needed { "needed" } else { "-" };
            let symbol = if row.symbol.is_empty() { String::new() } else { row.symbol + ": " };
            out.push_str(&format!("{:<8}{:<15}{needed:<8}{symbol}{}\n", row.level.name(), row.name, row.says));
            if !row.fix.is_empty() {
                out.push_str(&format!("{:<31}-> {}\n", "", row.fix));
            }
        }
        harmless(&out).into_owned()
    }

    fn table(&self, styled: bool) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        ui::fit(&mut table);
        if !styled {
            table.force_no_tty();
        }
        table.set_header(["", "for", "symbol", "what", "what to do"]);
        for row in self.rows() {
            let colour = match row.level {
                Level::Ok => Color::Green,
                Level::Warn => Color::Yellow,
                Level::Unknown => Color::Cyan,
                Level::No => Color::Red,
            };
            let name = Cell::new(row.name);
            table.add_row([
                Cell::new(row.level.name()).fg(colour),
                if row.needed { name.add_attribute(Attribute::Bold) } else { name.fg(Color::DarkGrey) },
                Cell::new(harmless(&row.symbol)),
                Cell::new(harmless(&row.says)),
                Cell::new(harmless(&row.fix)),
            ]);
        }
        format!("{table}\n")
    }
}

fn kernel_value(kernel: &Kernel) -> json::CheckedKernel {
    let platform = kernel.config.as_ref().and_then(platform::of).map(|platform| platform.symbol);
    let is_there = kernel.form != Form::Configuration;
    json::CheckedKernel {
        form: kernel.form.to_string(),
        arch: described(kernel.arch).to_owned(),
        version: kernel.version.clone(),
        config: kernel.config.as_ref().map(|config| config.source().to_owned()),
        platform: platform.map(str::to_owned),
        load_address: is_there.then_some(kernel.load_address),
        entry_point: is_there.then_some(kernel.entry_point),
        image_size: is_there.then_some(kernel.image.len()),
        memory_size: is_there.then_some(kernel.memory_size),
        decompresses_to: kernel.decompresses_to.as_ref().map(|inner| (&inner.region).into()),
        relocates_to: kernel.relocation.as_ref().map(|relocation| (&relocation.region).into()),
        appended_dtb: kernel.appended_dtb.map(|(at, _)| at),
        notes: kernel.notes.clone(),
    }
}

/// A line of the table.
struct Row<'a> {
    level: Level,
    needed: bool,
    name: &'a str,
    symbol: String,
    says: String,
    fix: String,
}

fn symbol(finding: &preflight::Finding) -> String {
    match finding.value.as_str() {
        "" => finding.symbol.clone(),
        value => format!("{}={}", finding.symbol, on_one_line(value)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use stoop_image::Explained as _;

    use clap::Parser;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn kernel() -> tempfile::NamedTempFile {
        file(&elf(b"\0Linux version 6.12.1 (x)\0\0\0"))
    }

    /// A big-endian MIPS ELF file with one segment (System V ABI, ELF header and program header).
    fn elf(segment: &[u8]) -> Vec<u8> {
        let size = segment.len() as u32;
        let mut file = b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x08".to_vec();
        file.extend([1, 0x8010_0000, 52, 0, 0x7000_1001].map(u32::to_be_bytes).as_flattened());
        file.extend([52, 32, 1, 40, 0, 0].map(u16::to_be_bytes).as_flattened());
        file.extend([1, 84, 0x8010_0000, 0x8010_0000, size, size + 0x1000, 7, 16].map(u32::to_be_bytes).as_flattened());
        [&file, segment].concat()
    }

    fn check(config: &str, options: &[&str]) -> Result<()> {
        let (kernel, config) = (kernel(), file(config.as_bytes()));
        let paths = ["stoop", "check", "--kernel", kernel.path().to_str().unwrap(), "--config"];
        let line = paths.into_iter().chain([config.path().to_str().unwrap()]).chain(options.iter().copied());
        crate::command::Cli::try_parse_from(line).expect("a good command line").run()
    }

    const UHI: &str = "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n";

    #[test]
    fn what_is_needed_decides_and_the_rest_does_not() {
        assert!(check(UHI, &[]).is_ok());
        assert!(check(UHI, &["--for", "uhi"]).is_ok());
        let failure = check(UHI, &["--for", "uhi,kexec,phram-root"]).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(failure.to_string(), "2 of 3 requirements not met: kexec, phram-dt");
    }

    #[test]
    fn unknown_is_not_good_enough() {
        let kernel = kernel();
        let line = ["stoop", "check", "--kernel", kernel.path().to_str().unwrap()];
        let failure = crate::command::Cli::try_parse_from(line).unwrap().run().unwrap_err();
        assert!(failure.to_string().contains("not met: uhi"), "{failure}");
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_a_suggestion() {
        let error =
            crate::command::Cli::try_parse_from(["stoop", "check", "--kernel", "k", "--for", "kexecc"]).unwrap_err();
        assert!(error.to_string().contains("'kexec'"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_configuration_that_is_none_is_refused() {
        assert!(check("hello\n", &[]).unwrap_err().to_string().contains("line 1"));
        assert!(check("\x7fELF", &[]).unwrap_err().to_string().contains("without IKCONFIG"));
    }

    #[test]
    fn json_and_text_say_the_same() {
        let overrides = Overrides { config: Some(Kconfig::parse(UHI, "c").unwrap()), ..Overrides::default() };
        let kernel = Kernel::read(kernel().path(), overrides, &mut stoop_image::progress::Quiet).unwrap();
        let answer = answer(&kernel, &["handoff".into(), "squashfs-xz".into()]);
        let json = serde_json::to_value(answer.json(&kernel)).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["handoff"]["kind"], "uhi");
        assert_eq!(json["kernel"]["platform"], "MIPS_GENERIC_KERNEL");
        assert_eq!(json["kernel"]["load-address"], 0x10_0000);
        let needed: Vec<_> = json["requirements"].as_array().unwrap().iter().filter(|r| r["needed"] == true).collect();
        assert_eq!((&needed[0]["name"], &needed[0]["result"]), (&"uhi".into(), &"ok".into()));
        assert_eq!((&needed[1]["name"], &needed[1]["result"]), (&"squashfs-xz".into(), &"no".into()));
        assert_eq!(needed[1]["findings"][0]["symbol"], "CONFIG_SQUASHFS");
        assert_eq!(json["requirements"].as_array().unwrap().len(), SETS.len());
        for text in [answer.text(&kernel, false, false), answer.text(&kernel, true, false)] {
            assert!(text.contains("6.12.1, mips big-endian, vmlinux"), "{text}");
            assert!(text.contains("squashfs-xz") && text.contains("absent"), "{text}");
        }
        // A table is as wide as the terminal: its cells are broken.
        assert!(answer.text(&kernel, false, false).contains("CONFIG_SQUASHFS=absent"));
    }
}
