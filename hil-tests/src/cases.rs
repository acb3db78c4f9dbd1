//! Boots of a table: each one is compared with what `simulate` says and with what the table expects.

use std::time::Duration;

use stoop_ci::Result;
use stoop_ci::lab::arm64::Arm64;
use stoop_ci::lab::{BIG_CRC, BIG_SIZE, Endian, Lab};

use crate::packed::{ARM64_BOARD, Booting, arm64_lab, board, lab};
use crate::rig::{self, BootRequest};
use crate::seen::Sum;
use crate::{Cap, Packed, Rig, Via};

/// For one boot. Machines that run tests can be busy.
const PATIENCE: Duration = Duration::from_secs(600);

/// Ends with the words that real vendors pass.
pub const VENDOR: &str = "console=ttyS1,57600 root=31:03 rootfstype=jffs2 init=/etc/preinit mem=32M \
    mtdparts=ar7240-nor0:256k(u-boot),64k(u-boot-env),2752k(rootfs),896k(uImage)";

/// Boots and collects what is not as it should be, case by case, so that one does not hide the others.
pub struct Cases<'a> {
    /// The board.
    pub rig: &'a mut dyn Rig,
    /// How images are started when a case does not say.
    usual: Via,
    wrong: Vec<String>,
}

impl<'a> Cases<'a> {
    /// Runs `cases` on that board, and fails with all that was wrong.
    ///
    /// # Errors
    /// A case did not boot.
    ///
    /// # Panics
    /// With everything that was not as expected.
    pub fn collect(rig: &'a mut dyn Rig, usual: Via, cases: impl FnOnce(&mut Cases<'a>) -> Result<()>) -> Result<()> {
        let mut all = Cases { rig, usual, wrong: Vec::new() };
        cases(&mut all)?;
        assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
        Ok(())
    }

    /// The image gets these bootargs and comes to this verdict; behind its own line, the kernel sees `passed`.
    ///
    /// # Errors
    /// It did not boot.
    pub fn boot(
        &mut self,
        name: &str,
        packed: &Packed,
        bootargs: Option<&str>,
        verdict: &str,
        passed: &str,
    ) -> Result<()> {
        self.boot_via(name, packed, bootargs, self.usual.clone(), verdict, passed)
    }

    /// As [`Cases::boot`], started another way.
    ///
    /// # Errors
    /// It did not boot.
    pub fn boot_via(
        &mut self,
        name: &str,
        packed: &Packed,
        bootargs: Option<&str>,
        via: Via,
        verdict: &str,
        passed: &str,
    ) -> Result<()> {
        if via == Via::Direct && !self.rig.caps().contains(&Cap::Direct) {
            println!("HIL-SKIP: {name}: there is no board without a bootloader");
            return Ok(());
        }
        let booting = Booting::of(self.rig, packed, bootargs, via, PATIENCE).map_err(|failure| failure.within(name))?;
        let mut wrong = booting.differences(packed);
        let seen = &booting.seen;
        let own = String::from_utf8_lossy(&packed.built.line);
        let line = [&own, passed].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        // What the shim says of itself is compared with `simulate`, which is to be as expected.
        if (seen.cmdline(), booting.simulated.verdict.text()) != (line.clone(), verdict) {
            wrong.push(format!(
                "seen {} {:?}, not {verdict} {line:?}",
                booting.simulated.verdict.text(),
                seen.cmdline()
            ));
        }
        let big = Sum { size: BIG_SIZE as u32, crc: BIG_CRC };
        if packed.plan.rootfs.is_some() && (seen.sum("big"), seen.text("root")) != (Some(big), "31:99".into()) {
            wrong.push(format!("seen root {}, /big {:x?}", seen.text("root"), seen.sum("big")));
        }
        println!("{name}: {}", if wrong.is_empty() { "as simulated" } else { "WRONG" });
        self.wrong.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        Ok(())
    }
}

/// Runs `cases` on the board of that endianness, if there is one, and fails with all that was wrong.
///
/// # Errors
/// A case did not boot, or there is no rig.
///
/// # Panics
/// With everything that was not as expected.
pub fn on(endian: Endian, caps: &[Cap], cases: fn(&mut Cases<'_>, &Lab, Endian) -> Result<()>) -> Result<()> {
    let Some(mut rig) = rig::open(board(endian), &BootRequest { caps, ..BootRequest::default() })? else {
        return Ok(());
    };
    let Some(lab) = lab()? else { return Ok(()) };
    Cases::collect(rig.as_mut(), Via::Bootm, |all| cases(all, &lab, endian))
}

/// As [`on`], on arm64 and with these options for QEMU.
///
/// # Errors
/// As for [`on`].
///
/// # Panics
/// As for [`on`].
pub fn on_arm64(emulator: &[&str], cases: impl FnOnce(&mut Cases<'_>, &Arm64) -> Result<()>) -> Result<()> {
    let asked = BootRequest { caps: &[Cap::Uboot], emulator };
    let Some(mut rig) = rig::open(ARM64_BOARD, &asked)? else { return Ok(()) };
    let Some(lab) = arm64_lab()? else { return Ok(()) };
    Cases::collect(rig.as_mut(), Via::Booti, |all| cases(all, &lab))
}
