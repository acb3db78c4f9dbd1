//! What `stoop pack --json` prints.

use super::args::Args;
use super::flash;
use crate::json;
use stoop_image::image::{self, Built};
use stoop_image::plan::{ALIAS, Phram, Plan};
use stoop_image::simulate::shown;
use stoop_kernel::modules::initrd::Included;

/// The stable form.
pub(super) fn value(
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
