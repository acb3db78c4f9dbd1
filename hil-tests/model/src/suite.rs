//! The cases of one board: each container that its bootloader takes, each codec, each way in.

use stoop_core::params::Policy;
use stoop_image::board::{Board, Container};
use stoop_image::image;
use stoop_image::image::{Built, flash};
use stoop_image::plan::{CodecChoice, Format, Plan, Request};
use stoop_image::progress::Quiet;
use stoop_samples::failure::{Failure, Result};

use crate::boot::Boot;
use crate::bootloader::{Caches, Enter};
use crate::cpu::Cpu;
use crate::judge::Judge;
use crate::kernel::{Line, Parts};
use crate::machine::Machine;

/// Every codec.
pub const CODECS: [CodecChoice; 3] = [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma];

/// What is wrong, by case, and how many boots there were.
#[derive(Default, Debug)]
pub struct Tally {
    /// Boots.
    pub boots: usize,
    /// Instructions.
    pub instructions: u64,
    /// What is wrong.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: Tally) {
        self.boots += other.boots;
        self.instructions += other.instructions;
        self.wrong.extend(other.wrong);
    }

    /// Runs one boot and compares it.
    ///
    /// # Errors
    /// It cannot even begin.
    pub fn boot(&mut self, name: &str, boot: &Boot<'_>, plan: &Plan, built: &Built) -> Result<()> {
        let mut ran = boot.run().map_err(|failure| failure.within(name))?;
        let mut judge = Judge { boot, plan, built, wrong: Vec::new() };
        judge.compare(&mut ran).map_err(|failure| failure.within(name))?;
        self.boots += 1;
        self.instructions += ran.core.executed();
        self.wrong.extend(judge.wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        Ok(())
    }
}

/// Packs.
///
/// # Errors
/// As pack.
pub fn pack(request: &Request, policy: Option<Policy>) -> Result<(Plan, Built)> {
    let mut plan = Plan::resolve(request, &mut Quiet)?;
    if let Some(policy) = policy {
        plan.board.defaults.policy = policy;
    }
    let built = image::build(&plan, &mut Quiet)?;
    Ok((plan, built))
}

/// Most instructions of a boot.
const MOST: u64 = 60_000_000;

/// The usual boot of a board.
pub fn usual<'a>(board: &'a Board, file: &'a [u8], seed: u64) -> Boot<'a> {
    let enter = Enter::Bootm("console=ttyS1,57600 root=31:03 mem=32M".into());
    Boot {
        board,
        cpu: Cpu::of(board),
        file,
        flash: None,
        enter,
        caches: Caches::Used,
        seed,
        load: None,
        uncached: false,
        change: None,
        simulated: None,
        flipped: None,
        most: MOST,
    }
}

/// How this board's bootloader enters an image of this format.
pub fn entries(board: &Board, format: Format) -> Result<Vec<Enter>> {
    let ignored = "console=ttyS1,57600 root=31:03 rootfstype=jffs2 init=/etc/preinit mem=32M";
    let accepted = "liminix x.y=1 \"quoted\" console=ttyS0,115200n8";
    let mut all = match format {
        Format::Uimage | Format::Fit => vec![Enter::Bootm(ignored.into()), Enter::BootmCached(accepted.into())],
        Format::Elf => vec![Enter::BootmCached(accepted.into()), Enter::Nonsense],
        Format::Raw => vec![Enter::Go(accepted.into()), Enter::Nonsense],
        Format::Nor => vec![Enter::Bootm(ignored.into()), Enter::Bootm(accepted.into())],
        Format::Image => Vec::new(),
    };
    if board.bootloader.bootm_dtb || board.bootloader.containers.contains(&Container::Fit) {
        all.push(Enter::Tree(stoop_samples::tree(b"console=ttyS9 liminix from=tree")?));
    }
    Ok(all)
}

/// Every container with every codec, every way in.
///
/// # Errors
/// Something cannot be packed.
pub fn containers(board: &Board) -> Result<Tally> {
    let parts = Parts::new()?;
    let mut tally = Tally::default();
    for format in formats(board) {
        for (index, codec) in CODECS.into_iter().enumerate() {
            let line = if index % 2 == 0 { Line::FromTree } else { Line::FromBootloader };
            let request = Request { format: Some(format), codec, ..parts.request(board, line)? };
            let name = format!("{} {} {codec:?}", board.name, format.name());
            if format == Format::Nor {
                tally.add(slots(board, &request, &name)?);
                continue;
            }
            let (plan, built) = pack(&request, None).map_err(|failure| failure.within(&name))?;
            for (number, enter) in entries(board, format)?.into_iter().enumerate() {
                let name = format!("{name} {}", enter.name());
                let seed = (index * 10 + number + 1) as u64;
                let boot = Boot { enter, ..usual(board, &built.file, seed) };
                tally.boot(&name, &boot, &plan, &built)?;
            }
        }
    }
    Ok(tally)
}

/// The tree in the kernel's own slot, with and without argv, stored and decoded, every way in.
///
/// # Errors
/// Something cannot be packed.
pub fn appended(board: &Board) -> Result<Tally> {
    let parts = Parts::new()?;
    let mut tally = Tally::default();
    let Some(format) = formats(board).into_iter().find(|format| *format != Format::Nor) else { return Ok(tally) };
    for (number, line) in [Line::FromSlot, Line::BesideSlot].into_iter().enumerate() {
        for codec in [CodecChoice::Store, CodecChoice::Lzma] {
            let request = Request { format: Some(format), codec, ..parts.request(board, line)? };
            let name = format!("{} {line:?} {codec:?}", board.name);
            let (plan, built) = pack(&request, None).map_err(|failure| failure.within(&name))?;
            for enter in entries(board, format)? {
                let name = format!("{name} {}", enter.name());
                let boot = Boot { enter, ..usual(board, &built.file, number as u64 + 31) };
                tally.boot(&name, &boot, &plan, &built)?;
            }
        }
    }
    Ok(tally)
}

/// From flash: the first slot; the second when the first is damaged; neither.
fn slots(board: &Board, request: &Request, name: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let map = flash::Map::of(board)?;
    let mut all = Vec::new();
    for slot in map.slots.iter().take(2) {
        let request = Request { slot: Some(slot.name), initrd: None, ..request.clone() };
        all.push(pack(&request, None).map_err(|failure| failure.within(name))?);
    }
    let images: Vec<&Built> = all.iter().map(|(_, built)| built).collect();
    let mut flash = flash_with(board, &images)?;
    for (number, (plan, built)) in all.iter().enumerate() {
        for enter in entries(board, Format::Nor)? {
            let name = format!("{name} slot {number} {}", enter.name());
            let boot = Boot { enter, flash: Some(flash.clone()), ..usual(board, &built.file, number as u64 + 7) };
            tally.boot(&name, &boot, plan, built)?;
        }
        // The kernel's CRC no longer matches, so that the next slot's turn has come.
        let area = &map.slots[number].area;
        let at = area.offset() + 0x1000;
        flash[at] ^= 1;
    }
    if let Some((plan, built)) = all.last() {
        let boot = Boot { flash: Some(flash), ..usual(board, &built.file, 9) };
        tally.boot(&format!("{name} no slot"), &boot, plan, built)?;
    }
    Ok(tally)
}

fn asleep(machine: &mut Machine) {
    machine.watchdog.iter_mut().for_each(|dog| dog.runs = false);
}

/// An image with one flipped bit in its kernel, for every policy.
///
/// # Errors
/// Something cannot be packed.
pub fn damaged(board: &Board) -> Result<Tally> {
    let parts = Parts::new()?;
    let mut tally = Tally::default();
    let format = formats(board).into_iter().find(|format| *format != Format::Nor).unwrap_or(Format::Raw);
    for (number, policy) in [Policy::Reset, Policy::Return, Policy::Halt].into_iter().enumerate() {
        if policy == Policy::Reset && board.reset.is_none() {
            continue;
        }
        let request =
            Request { format: Some(format), codec: CodecChoice::Store, ..parts.request(board, Line::FromTree)? };
        let (plan, built) = pack(&request, Some(policy))?;
        let mut file = built.file.clone();
        let kernel = &plan.kernel.image;
        let at = file.windows(64).position(|bytes| bytes == &kernel[..64]).unwrap_or(file.len() / 2);
        file[at + 0x2000] ^= 0x10;
        let enter = Enter::Go("x=1".into());
        // One that runs would end the halt.
        let change = (policy == Policy::Halt).then_some(asleep as fn(&mut Machine));
        let boot = Boot { enter, change, most: 12_000_000, ..usual(board, &file, number as u64 + 11) };
        tally.boot(&format!("{} damaged, {policy:?}", board.name), &boot, &plan, &built)?;
    }
    Ok(tally)
}

/// The flash of a board with these images in it, each at its place.
///
/// # Errors
/// An image is none for flash.
pub fn flash_with(board: &Board, images: &[&Built]) -> Result<Vec<u8>> {
    let mut bytes = vec![0xff; board.flash_window().size()];
    for built in images {
        let flash = built.flash.as_ref().ok_or_else(|| Failure::new("no image for flash"))?;
        for write in [&flash.boot].into_iter().chain(&flash.update) {
            let piece = &built.file[write.from..][..write.area.size()];
            bytes[write.area.offset()..][..piece.len()].copy_from_slice(piece);
        }
    }
    Ok(bytes)
}

/// The formats that the board's bootloader starts, and flash when the shim can read it.
pub fn formats(board: &Board) -> Vec<Format> {
    let mut formats = Vec::new();
    for container in &board.bootloader.containers {
        let format = match container {
            Container::UimageNone | Container::UimageLzma | Container::UimageGzip => Format::Uimage,
            Container::Fit => Format::Fit,
            Container::Elf => Format::Elf,
            Container::Raw => Format::Raw,
            Container::Image => Format::Image,
        };
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    if flash::Map::of(board).is_ok() {
        formats.push(Format::Nor);
    }
    formats
}
