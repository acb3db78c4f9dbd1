//! The first thing to know of a place: its board is there, it is switched by its power switch, and it is the board that the
//! place says it is.

use stoop_ci::Result;
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_lab::qemu::uboot;

#[test]
fn the_bootloader_of_each_board_answers_after_each_power_cycle() -> Result<()> {
    for board in rig::boards()? {
        let Some(mut rig) = rig::open(&board, &BootRequest::default())? else { continue };
        let facts = rig.bootloader().clone();
        for _ in 0..2 {
            rig.power_cycle()?;
            let console = rig.console()?;
            uboot::attach(console, &facts)?;
            let said = uboot::command(console, &facts, "version")?;
            assert!(said.starts_with("U-Boot "), "{board}: {said}");
        }
        let said = rig.power_off()?;
        assert!(said.contains("U-Boot "), "{board}: the console has the start: {said}");
    }
    Ok(())
}
