//! What `stoop pack` tells people.

use crate::ui::on_one_line;
use stoop_core::manifest::Kind;
use stoop_core::params::CookieRule;
use stoop_core::watchdog::Care;

use super::super::units::amount;
use super::args::Args;
use super::flash;
use stoop_image::image::{self, Built};
use stoop_image::layout::{NamedRegion, Phases, RegionKind};
use stoop_image::plan::{ALIAS, Format, Origin, Phram, Plan};
use stoop_image::simulate::shown;
use stoop_kernel::modules::initrd::Included;

/// Everything about the image, and what to type at the bootloader.
pub(super) fn text(
    args: &Args,
    plan: &Plan,
    included: Option<&Included>,
    built: &Built,
    commands: &[String],
) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<13}{value}\n");
    let not = if args.dry_run { ", not written" } else { "" };
    let (size, format) = (built.file.len(), plan.format.value.name());
    line("image", format!("{}: {format}, {}{not}", args.name().display(), amount(size)));
    line("board", format!("{} ({})", plan.board.name, plan.board.title));
    let version = on_one_line(plan.kernel.version.as_deref().unwrap_or("of unknown version"));
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

/// A region in at most 80 columns.
fn map_line(named: &NamedRegion) -> String {
    let NamedRegion { what, region, when } = named;
    let when = match *when {
        Phases::ALL => "always".to_owned(),
        Phases::KEPT => "from shim on".to_owned(),
        other => other.names().collect::<Vec<_>>().join(", "),
    };
    let note = if *what == RegionKind::Relocation { ", may move here" } else { "" };
    format!(
        "0x{:08x}  0x{:08x}  {:<12}{what} ({when}{note})\n",
        region.start(),
        region.end(),
        format!("0x{:x}", region.size()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_lines_of_the_map_have_80_columns_at_most() {
        let region = stoop_core::Region::new(0x1000_0000, 0x1000_0000).expect("it fits");
        for (what, when) in [
            (RegionKind::Reserved, Phases::KEPT),
            (RegionKind::Relocation, Phases::KERNEL),
            (RegionKind::Decompressed, Phases::KERNEL),
            (RegionKind::Kernel, Phases::LOADED.and(Phases::HANDOFF)),
        ] {
            let line = map_line(&NamedRegion::new(what, region, when));
            assert!(line.trim_end().len() <= 80, "{line}");
        }
    }
}
