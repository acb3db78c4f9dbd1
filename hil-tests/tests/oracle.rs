//! The oracle kernel itself: what it does with the two lines is what the model of its rule says, byte for byte.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::Lab;
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Cap, oracle};
use stoop_image::bootloader::uboot::argv;

const PATIENCE: Duration = Duration::from_secs(300);

/// For the console; what init prints comes over it.
const CONSOLE: &str = "console=ttyS0,115200";

/// Linux arch/mips/kernel/setup.c, `bootcmdline_init` with DTB_EXTEND, on the words that the bootloader delivers joined with
/// blanks (arch/mips/fw/lib/cmdline.c, `fw_init_cmdline`).
fn model(tree: Option<&str>, bootargs: Option<&str>) -> String {
    let words = argv(bootargs.unwrap_or_default().as_bytes()).join(&b' ');
    let words = String::from_utf8(words).unwrap();
    match tree.unwrap_or_default() {
        "" => words,
        tree if words.is_empty() => tree.to_owned(),
        tree => format!("{tree} {words}"),
    }
}

fn ask_on(board: &str) -> Result<()> {
    let Some(mut rig) = rig::open(board, &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() })? else {
        return Ok(());
    };
    let lab = match Lab::open() {
        Ok(lab) => lab,
        Err(failure) => {
            println!("HIL-SKIP: the oracle on {board}: {failure}");
            return Ok(());
        }
    };
    let tree = rig.board().dtb.clone().expect("QEMU's boards bring a tree").bytes.into_owned();
    let long: String = (0..200).map(|i| format!(" w{i:03}.abcdefghij")).collect();
    let cases = [
        (Some(CONSOLE), None),
        (Some(CONSOLE), Some("liminix root.x=31:03  two \"a b\" ")),
        (Some("console=ttyS0,115200 dt.x=1 "), Some(long.as_str())),
        (None, Some(CONSOLE)),
    ];
    for (ours, theirs) in cases {
        let tree = oracle::with_bootargs(&tree, ours)?;
        let seen = oracle::ask(rig.as_mut(), &lab, &tree, theirs, PATIENCE)?;
        assert_eq!(seen.cmdline(), model(ours, theirs), "tree {ours:?}, bootargs {theirs:?}");
    }
    Ok(())
}

#[test]
fn little_endian_oracle_follows_the_model() -> Result<()> {
    ask_on("qemu-malta-le")
}

#[test]
fn big_endian_oracle_follows_the_model() -> Result<()> {
    ask_on("qemu-malta-be")
}
