//! The connection ends in the middle of writing: the slot does not look good, and the next run goes on.

use stoop_ci::Result;
use stoop_core::Code;
use stoop_hil_tests::slots::flashing;
use stoop_image::image::flash::Map;
use stoop_image::simulate::{Input, run_from_flash};

use super::{Bench, assert_holds, fault};

impl Bench {
    /// Puts a program in the place of `flashcp` that writes a part by the real one's neighbours, and then does `then`.
    fn cut_short(&mut self, then: &str) -> Result<()> {
        let program = format!(
            "#!/bin/sh\\nflash_erase -q $2 0 0\\nhead -c 300000 $1 | dd of=$2 conv=notrunc 2> /dev/null\\n{then}\\n"
        );
        self.linux.type_line(&format!("printf '{program}' > /usr/sbin/flashcp; chmod 755 /usr/sbin/flashcp"))?;
        Ok(())
    }
}

#[test]
fn a_server_that_ends_and_a_cable_that_is_pulled_leave_no_slot_that_looks_good() -> Result<()> {
    let Some(mut bench) = Bench::start()? else { return Ok(()) };
    let (old, new) = (bench.packed('a', "old")?, bench.packed('b', "new")?);
    bench.flash(&old)?;
    bench.flash(&bench.packed('b', "older")?)?;

    bench.cut_short("killall dropbear")?;
    let (code, exit, text) = fault(bench.flash(&new));
    assert_eq!((code, exit), ("L093", 75), "{text}");
    bench.linux.type_line("dropbear -E -r /etc/dropbear/key")?;

    // No packet comes any more: nobody says that the connection is at its end.
    bench.cut_short("for card in /sys/class/net/eth*; do ip link set ${card##*/} down; done")?;
    let (code, exit, text) = fault(bench.flash(&new));
    assert_eq!((code, exit), ("L093", 75), "{text}");
    assert!(text.contains("not responding"), "{text}");

    let flash = bench.flash_when_off()?;
    assert_holds(&flash, &old);
    let slot = flashing(&new).update.last().expect("the slot").area.offset();
    assert!(flash[slot..][..0x1_0000].iter().all(|byte| *byte == 0xff), "the first block is erased");
    assert!(flash[slot + 0x1_0000..][..0x1_0000].iter().any(|byte| *byte != 0xff), "and a part behind it is written");
    let at = Map::of(&bench.board)?.boot.offset();
    let mut alone = flash.clone();
    alone[flashing(&old).update.last().expect("a slot").area.offset()] ^= 1;
    let failed = run_from_flash(&alone[at..], &Input::default(), &alone)?.failed;
    assert!(failed.iter().any(|(name, error)| (*name, error.code()) == ('b', Code::NoManifest)), "{failed:?}");
    assert_eq!(bench.boot_from_flash()?, ("old".into(), "a".into()));

    bench.linux.start_again()?;
    bench.flash_with(&new, &bench.linux.config(), &["--switch"])?;
    assert_eq!(bench.boot_from_flash()?, ("new".into(), "b".into()));
    Ok(())
}
