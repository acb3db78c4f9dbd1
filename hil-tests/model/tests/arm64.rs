//! Every arm64 board of `boards/` on a core with caches: each container that its bootloader takes, at each exception level,
//! with the bootloader's tree and with a packed one, with each codec, and damaged. A new board file is in it.
//! `STOOP_MODEL_BOARD` in the environment: only boards whose name has one of these, divided by commas, in it.

use stoop_image::board::{self, Board};
use stoop_image::image::Opened;
use stoop_image::image::{self, Built, open};
use stoop_image::machine::Machine;
use stoop_image::plan::{CodecChoice, Plan, Request};
use stoop_image::progress::Quiet;
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::{EntryPath, Place};
use stoop_model::aarch64::case::Case;
use stoop_model::aarch64::parts::{Parts, tree};
use stoop_model::suite::formats;
use stoop_samples::failure::Result;

const LEVELS: [Level; 3] = [Level::El1, Level::El2, Level::El2Host];
const CODECS: [CodecChoice; 3] = [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma];
const COOKIE: &[u8] = b"console=ttyS0,115200 liminix x.y=1";
const VENDOR: &[u8] = b"console=ttyS0,115200 root=/dev/mmcblk0p65 rootwait ubi.mtd=ubi";

/// The arm64 boards, from the data files.
fn boards() -> Result<Vec<Board>> {
    let mut boards = board::names().map(board::load).collect::<stoop_image::Result<Vec<_>>>()?;
    let only = std::env::var("STOOP_MODEL_BOARD").unwrap_or_default();
    let wanted = |name: &str| only.split(',').any(|only| name.contains(only));
    boards.retain(|board| board.arch == Machine::Arm64 && wanted(&board.name));
    Ok(boards)
}

fn packed(request: &Request) -> Result<(Plan, Built)> {
    let plan = Plan::resolve(request, &mut Quiet)?;
    let built = image::build(&plan, &mut Quiet)?;
    Ok((plan, built))
}

/// A board's boots, and what was wrong with them.
struct Boots<'a> {
    board: &'a Board,
    count: u32,
    wrong: Vec<String>,
}

/// One image of a board, packed in one of its ways.
struct Image<'a> {
    plan: &'a Plan,
    built: &'a Built,
    title: String,
}

impl Boots<'_> {
    /// Every container, codec, and tree.
    fn with_every_image(board: &Board, mut each: impl FnMut(&mut Boots<'_>, &Image<'_>) -> Result<()>) -> Result<()> {
        let parts = Parts::new()?;
        let mut boots = Boots { board, count: 0, wrong: Vec::new() };
        let formats = formats(board);
        // Codecs, packed tree or none, levels.
        let least = formats.len() * CODECS.len() * 2 * LEVELS.len();
        for format in formats {
            for codec in CODECS {
                for packed_tree in [false, true] {
                    let (plan, built) = packed(&parts.request(&board.name, format, codec, packed_tree))?;
                    let title = format!("{} {format:?} {codec:?} packed tree {packed_tree}", board.name);
                    each(&mut boots, &Image { plan: &plan, built: &built, title })?;
                }
            }
        }
        let Boots { count, wrong, .. } = boots;
        println!("{}: {count} boots", board.name);
        assert!(count as usize >= least && least > 0, "{count} boots of {}, not {least}", board.name);
        assert!(
            wrong.is_empty(),
            "{} wrong in {count} boots\n{}",
            wrong.len(),
            wrong[..wrong.len().min(20)].join("\n")
        );
        Ok(())
    }

    /// One image at every level. Every third lies elsewhere than where it was laid out for.
    fn at_every_level(&mut self, image: &Image<'_>, file: &[u8], tree: Option<&[u8]>, way: EntryPath) -> Result<()> {
        let opened: Opened<'_> = open(file)?;
        for level in LEVELS {
            self.count += 1;
            let case = Case {
                board: self.board,
                plan: image.plan,
                file,
                image: &opened,
                tree,
                place: Place::InRam,
                way,
                level,
                moved: if self.count.is_multiple_of(4) { 0x20_0000 } else { 0 },
                seed: self.count,
                patches: &[],
            };
            let title = format!("{} {level:?} {way:?}", image.title);
            self.wrong.extend(case.wrong()?.into_iter().map(|wrong| format!("{title}: {wrong}")));
        }
        Ok(())
    }
}

#[test]
fn every_arm64_board_hands_over_what_simulate_says_from_every_container_at_every_level() -> Result<()> {
    let (cookie, vendor) = (tree(COOKIE)?, tree(VENDOR)?);
    for board in boards()? {
        Boots::with_every_image(&board, |boots, image| {
            boots.at_every_level(image, &image.built.file, Some(&cookie), EntryPath::Cleaned)?;
            if image.plan.dtb.is_none() {
                return boots.at_every_level(image, &image.built.file, Some(&vendor), EntryPath::Cleaned);
            }
            boots.at_every_level(image, &image.built.file, None, EntryPath::Running)
        })?;
    }
    Ok(())
}

#[test]
fn a_damaged_image_says_so_on_every_arm64_board_and_does_what_the_policy_wants() -> Result<()> {
    let cookie = tree(COOKIE)?;
    for board in boards()? {
        Boots::with_every_image(&board, |boots, image| {
            let mut file = image.built.file.clone();
            // Near the end there is kernel, packed or not.
            let at = file.len() - 0x400;
            file[at] ^= 0x10;
            boots.at_every_level(image, &file, Some(&cookie), EntryPath::Cleaned)
        })?;
    }
    Ok(())
}
