//! `stoop pack`: one image from kernel, device tree and root filesystem.

mod args;
mod flash;
mod text;
mod value;

use super::stdin::stdin_once;
use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui;
use stoop_image::commands;
use stoop_image::format::device_tree;
use stoop_image::image::{self, Built};
use stoop_image::output::Output;
use stoop_image::plan::{Format, Plan};
use stoop_image::preflight::Level;
use stoop_image::progress::Progress;
use stoop_image::simulate::{self, Entry, Input, shown};
use stoop_image::{board_check, plan, shell};
use stoop_kernel::modules::initrd::{ModuleSelection, plan_with};

pub use args::Args;

/// Packs, checks what was packed, and writes it.
///
/// # Errors
/// Whatever [`Plan::resolve`] and [`image::build`] find, and an image that would not boot; no file is left behind.
pub fn run(args: &Args) -> Result<()> {
    let (request, modules) = (args::request(args), args::modules(args)?);
    let inputs = || request.inputs().chain(modules.iter().flat_map(ModuleSelection::inputs));
    stdin_once(inputs())?;
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
        true => json::result(&value::value(args, &plan, included, &built, &commands, &warnings))?,
        false => text::text(args, &plan, included, &built, &commands),
    };
    match output.filter(|_| !args.dry_run) {
        Some(output) => ui::put_of(&output, &said),
        None => ui::put(&said),
    }
}

/// Runs the shim's own function on the finished bytes; gives its warnings.
fn verify(plan: &Plan, built: &Built) -> Result<Vec<String>> {
    let report = |what| Error::FinishedImage { what };
    let entry = if plan.dtb.is_some() { Entry::None } else { Entry::Uhi(device_tree::empty()) };
    let outcome = simulate::run(&built.file, &Input { entry, load: None })?;
    let booted = outcome.result.map_err(|error| report(error.to_string()))?;
    if booted.handoff.entry_point != built.entry_point {
        return Err(report(format!(
            "it enters 0x{:x}, the kernel begins at 0x{:x}",
            booted.handoff.entry_point, built.entry_point
        ))
        .into());
    }
    if plan.has_line() && booted.cmdline != built.line {
        return Err(report(format!("its command line is {:?}", shown(&booted.cmdline))).into());
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
    warnings.extend(fetched(plan, built)?);
    for finding in board_check::examine(&built.file, &plan.board)? {
        let next = finding.fix.clone().unwrap_or_default();
        match finding.level {
            // Whether the bootloader knows the format the plan has said already; that the layout found a place for the
            // file, its commands say.
            _ if matches!(finding.what, "containers" | "tftp-address") => {}
            Level::No => {
                return Err(Error::Chokes {
                    board: plan.board.name.clone(),
                    what: finding.what,
                    says: finding.says,
                    fix: finding.fix,
                }
                .into());
            }
            Level::Warn => warnings.push(format!("{}: {next}", finding.says)),
            Level::Ok | Level::Unknown => {}
        }
    }
    Ok(warnings)
}

/// Why the commands fetch the file to another address than people type on this board.
fn fetched(plan: &Plan, built: &Built) -> Result<Option<String>> {
    let board = &plan.board;
    let Some(usual) = board.bootloader.tftp_address else { return Ok(None) };
    let at = board.typed(built.places.download);
    if at == usual || plan.format.value == Format::Nor {
        return Ok(None);
    }
    let moved = board_check::fetched(board, &built.file)?.moved;
    Ok(moved.map(|why| format!("fetch it to 0x{at:08x}, not to the board's usual 0x{usual:08x}: {why}")))
}
