//! `stoop simulate`: what the shim will decide and write, without a board.

use std::path::PathBuf;
use stoop_image::machine::Machine;

use stoop_core::bootargs::is_control;
use stoop_core::cookie::Verdict;
use stoop_core::manifest::HandoffKind;

use super::stdin::stdin_once;
use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui::{self, put};
use stoop_image::format::device_tree::Facts;
use stoop_image::image::longest_line;
use stoop_image::input::{dtb, read_file};
use stoop_image::output::Output;
use stoop_image::shim_image;
use stoop_image::simulate::{self, Booted, Entry, Input, Outcome, shown};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop simulate image.bin --args \"console=ttyS0 root=31:03\"")]
pub struct Args {
    /// The image: uImage, FIT, ELF, raw or arm64 Image
    image: PathBuf,
    /// The bootargs that the bootloader passes, as U-Boot's bootm or booti does
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    args: Option<String>,
    /// The device tree that the bootloader passes (UHI, arm64), with its bootargs
    #[arg(long, value_name = "DTB", conflicts_with = "args")]
    uhi: Option<PathBuf>,
    /// Where the bootloader puts the image, if not where it was packed for
    #[arg(long, value_name = "ADDRESS", value_parser = super::units::address)]
    load_address: Option<u64>,
    /// Show where everything is when the kernel starts
    #[arg(long)]
    memory: bool,
    /// Write the final device tree to this file
    #[arg(long, value_name = "FILE")]
    dtb_out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs core's function on the image.
///
/// # Errors
/// The image cannot be read, or the shim would not boot it.
pub fn run(args: &Args) -> Result<()> {
    let inputs = [Some(&args.image), args.uhi.as_ref()].into_iter().flatten();
    stdin_once(inputs.clone())?;
    let dtb_out = args.dtb_out.as_deref().map(|path| Output::new(path, inputs.map(PathBuf::as_path))).transpose()?;
    let file = read_file(&args.image)?;
    let entry = match (&args.args, &args.uhi) {
        (Some(line), _) => Entry::Argv(line.clone().into_bytes()),
        (None, Some(path)) => Entry::Uhi(dtb::read(path)?),
        (None, None) => Entry::None,
    };
    let arm64 = shim_image::machine(&file) == Some(Machine::Arm64);
    let load = args.load_address.map(|at| if arm64 { Ok(at as usize) } else { physical(at) }).transpose()?;
    let input = Input { entry, load };
    let outcome = simulate::run(&file, &input).map_err(|failure| failure.within(args.image.display()))?;
    for warning in &outcome.warnings {
        ui::tell(format_args!("warning: {warning}"));
    }
    let why = outcome.result.as_ref().ok().and_then(|booted| why(booted, &input.entry));
    let said = match args.json {
        true => json::result(&value(&outcome, why))?,
        false => text(&outcome, why.as_deref(), args.memory),
    };
    dtb_out.as_ref().map_or_else(|| put(&said), |output| ui::put_of(output, &said))?;
    match &outcome.result {
        Ok(booted) => {
            if let Some(output) = &dtb_out {
                output.write(&booted.tree)?;
            }
            Ok(())
        }
        Err(error) => Err(Error::GivesUp { reason: *error }.into()),
    }
}

fn physical(address: u64) -> Result<usize> {
    stoop_image::machine::physical(address)
        .map(|address| address as usize)
        .ok_or_else(|| Error::Address { address }.into())
}

/// Why no bootargs reach the kernel although no cookie forbids it, with the numbers.
fn why(booted: &Booted, entry: &Entry) -> Option<String> {
    let passed = match entry {
        Entry::None => None,
        Entry::Argv(line) => Some(line.clone()),
        Entry::Uhi(tree) => Facts::of(tree).ok()?.bootargs,
    };
    Some(match (booted.verdict, passed) {
        (Verdict::None, None) if *entry == Entry::None => "nobody passed any: --args and --uhi do".into(),
        (Verdict::None, None) => "the device tree that was passed has none".into(),
        (Verdict::None | Verdict::Refused, Some(line)) => match line.iter().find(|byte| is_control(**byte)) {
            Some(byte) => format!("they have a control character, 0x{byte:02x}"),
            None if booted.verdict == Verdict::None => "the line that was passed has no word".into(),
            None => {
                let arch = if booted.handoff.kind == HandoffKind::Arm64 { Machine::Arm64 } else { Machine::MipsBe };
                let (own, more, longest) = (booted.cmdline.len(), line.len(), longest_line(arch));
                format!("{own} bytes of the image's, a blank and the {more} passed: a command line takes {longest}")
            }
        },
        _ => return None,
    })
}

/// The stable form.
fn value(outcome: &Outcome, reason: Option<String>) -> json::Simulated {
    let code = |error: &stoop_core::Error| format!("E{:02}", error.number());
    let failed = outcome.failed.iter().map(|(slot, error)| json::FailedSlot {
        slot: slot.to_string(),
        code: code(error),
        message: error.to_string(),
    });
    json::Simulated {
        ok: outcome.result.is_ok(),
        failed: failed.collect(),
        watchdog: outcome.watchdog.clone(),
        warnings: outcome.warnings.clone(),
        booted: outcome.result.as_ref().ok().map(booted_value),
        reason,
        error: outcome.result.as_ref().err().map(|error| json::ShimError {
            code: code(error),
            message: error.to_string(),
            next: Some(format!("see `stoop explain {}`", code(error))),
        }),
    }
}

fn booted_value(booted: &Booted) -> json::Booted {
    json::Booted {
        cmdline: shown(&booted.cmdline),
        verdict: booted.verdict.text().to_owned(),
        refusal: booted.refusal.map(|refusal| refusal.text().to_owned()),
        entry: booted.entry.text().to_owned(),
        slot: booted.slot.to_string(),
        handoff: json::Registers {
            kind: booted.handoff.kind.name().to_owned(),
            entry_point: booted.handoff.entry_point,
            registers: booted.handoff.registers,
            env: booted.handoff.env.iter().map(|string| shown(string)).collect(),
        },
        phram: booted.phram.map(|phram| json::Phram {
            start: phram.region.start(),
            size: phram.region.size(),
            alias: phram.alias,
        }),
        regions: booted.regions.iter().map(|(name, region)| json::NamedRegion::new(name, region)).collect(),
    }
}

fn text(outcome: &Outcome, why: Option<&str>, memory: bool) -> String {
    let mut text = String::new();
    for (slot, error) in &outcome.failed {
        text += &format!("slot {slot}       {error}\n");
    }
    let Ok(booted) = &outcome.result else { return text };
    let [a0, a1, a2, a3] = booted.handoff.registers;
    let (entry_point, first) = match booted.handoff.kind {
        HandoffKind::Arm64 => (booted.handoff.entry_point, 'x'),
        _ => (stoop_core::mips::kseg0(booted.handoff.entry_point), 'a'),
    };
    text += &format!("command line {}\n", shown(&booted.cmdline));
    text += &format!("verdict      {} (entry: {})\n", booted.verdict.text(), booted.entry.text());
    if let Some(why) = why {
        text += &format!("             {why}\n");
    }
    text += &format!("slot         {}\n", booted.slot);
    text += &format!(
        "handoff      {} to 0x{entry_point:08x}, {first}0..{first}3 = 0x{a0:08x} 0x{a1:08x} 0x{a2:08x} 0x{a3:08x}\n",
        booted.handoff.kind.name(),
    );
    for string in &booted.handoff.env {
        text += &format!("environment  {}\n", shown(string));
    }
    if let Some(phram) = booted.phram {
        let name = phram.alias.map_or("named on the command line".into(), |alias| format!("mtd{alias}"));
        text += &format!("phram        0x{:08x}, 0x{:x} bytes, {name}\n", phram.region.start(), phram.region.size());
    }
    text += &format!("device tree  0x{:x} bytes\n", booted.tree.len());
    if let Some(told) = &outcome.watchdog {
        text += &format!("watchdog     {told}\n");
    }
    if memory {
        text.push('\n');
        for (name, region) in &booted.regions {
            text += &format!("  0x{:08x}  0x{:08x}  {name}\n", region.start(), region.end());
        }
    }
    text
}
