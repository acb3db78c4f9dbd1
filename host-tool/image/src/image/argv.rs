//! What a kernel that is called with argc, argv and env finds there: the tables are made here, where every address is known;
//! the shim only writes the pointer to the line.

use stoop_core::Region;
use stoop_core::manifest::{HandoffKind, argv};
use stoop_core::mips::kseg0;

use super::error::Error;
use crate::Result;
use crate::layout::{ARGV_SIZE, Places};
use crate::plan::Plan;
use crate::platform;
use crate::platform::TreeFrom;

/// The tables, and where they go; `tree` is where the final device tree will be.
///
/// # Errors
/// An environment that is too long.
pub(super) fn tables(plan: &Plan, places: &Places, tree: usize) -> Result<Option<(Vec<u8>, Region)>> {
    if !plan.called_with_argv() {
        return Ok(None);
    }
    let environment = environment(plan, tree);
    let strings: Vec<&[u8]> = environment.iter().map(String::as_bytes).collect();
    let at = places.argv.start();
    let mut block = vec![0; ARGV_SIZE];
    let length = argv::encode(&mut block, kseg0(at) as u32, &strings, plan.arch().is_big_endian())
        .ok_or(Error::Environment { room: ARGV_SIZE })?;
    // A block of the least size makes the shim pass on the bootloader's environment.
    let passes_on = strings.is_empty() && !plan.tree_is_seen();
    let length = if passes_on { length } else { length.max(argv::NO_ENV + 4) };
    block.truncate(length);
    Ok(Some((block, Region::new(at, length).unwrap_or_default())))
}

/// `name=value`, which every kernel tells from YAMON's pairs by the `=` in the first one (arch/mips/fw/lib/cmdline.c:
/// fw_getenv).
///
/// Empty: the bootloader's environment is passed on, but not to a kernel that has the tree. It needs none, and looks for
/// `rngseed` (arch/mips/kernel/setup.c: setup_rng_seed) after it has allocated memory from the bottom: QEMU's environment at
/// 0x2000 is overwritten by then, and following it hangs.
fn environment(plan: &Plan, tree: usize) -> Vec<String> {
    let platform = plan.kernel.config.as_ref().and_then(platform::of);
    match platform.map(|platform| platform.tree) {
        // arch/mips/ath79/setup.c: plat_mem_setup. Comes before every other tree, so not beside one in the kernel's slot.
        Some(TreeFrom::UhiOrEnv) if plan.handoff.value == HandoffKind::Argv => {
            vec![format!("fdt_start=0x{:08x}", kseg0(tree) as u32)]
        }
        // arch/mips/mti-malta/malta-dtshim.c: append_memory. In bytes there; U-Boot's own is in MiB on some boards.
        Some(TreeFrom::BuiltIn) => vec![format!("memsize=0x{:08x}", plan.board.ram.size())],
        _ => Vec::new(),
    }
}
