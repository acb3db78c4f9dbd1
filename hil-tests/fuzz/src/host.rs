//! Targets over the host tool: each takes a file as a user would give it. What is refused is fine; a panic is not.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use stoop_image::board;
use stoop_image::image::{open, open_container};
use stoop_image::input::dtb;
use stoop_image::input::initrd;
use stoop_image::input::kernel::{Kernel, Overrides};
use stoop_image::input::rootfs::SquashfsInfo;
use stoop_image::kconfig::Kconfig;
use stoop_image::progress::Quiet;
use stoop_image::simulate::{self, Entry, Input};
use stoop_kernel::kernel_build;
use stoop_kernel::modules::ko::Module;
use stoop_kernel::modules::requirement::Requirement;
use stoop_kernel::modules::symbols;
use stoop_kernel::modules::tree::{Source, Tree};
use stoop_lab::monitor::Monitor;

/// By name: those over the host tool.
pub const TARGETS: &[(&str, crate::Target)] = &[
    ("kernel", kernel),
    ("deb", deb),
    ("device-tree", device_tree),
    ("squashfs", squashfs),
    ("ramdisk", ramdisk),
    ("image", image),
    ("board-file", board_file),
    ("module", module),
    ("modules-dep", modules_dep),
    ("symvers", symvers),
    ("configuration", configuration),
    ("requirement", requirement),
    ("expression", expression),
    ("patch", patch),
    ("monitor", monitor),
];

thread_local! {
    /// One folder a thread, in memory where the machine has such a place: parsers that take a path get a file in it.
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// Calls `act` with the path of a file called `name` that holds `bytes`.
fn with_file<T>(name: &str, bytes: &[u8], act: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| {
            let memory = Path::new("/dev/shm");
            let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            made.expect("a folder for the parsers' files")
        });
        let path: PathBuf = folder.path().join(name);
        fs::write(&path, bytes).expect("a file for the parser");
        act(&path)
    })
}

/// Every form of kernel: ELF, uImage, FIT, zboot, arm64 Image, compressed and flat ones, and its symbols.
pub fn kernel(bytes: &[u8]) {
    with_file("kernel", bytes, |path| {
        if let Ok(kernel) = Kernel::read(path, Overrides::default(), &mut Quiet) {
            let _ = kernel.proper();
            let _ = symbols::Kernel::of(path, &kernel);
        }
        let flat = Overrides { load_address: Some(0x8000_1000), ..Overrides::default() };
        let _ = Kernel::read(path, flat, &mut Quiet);
    });
}

/// Debian's kernel packages.
pub fn deb(bytes: &[u8]) {
    let archive = [b"!<arch>\n", bytes].concat();
    with_file("kernel.deb", &archive, |path| {
        let _ = Kernel::read(path, Overrides::default(), &mut Quiet);
    });
}

/// Device trees and overlays.
pub fn device_tree(bytes: &[u8]) {
    with_file("board.dtb", bytes, |path| {
        if let Ok(blob) = dtb::read(path) {
            let _ = dtb::bootargs(&blob);
        }
    });
}

/// Root filesystems.
pub fn squashfs(bytes: &[u8]) {
    let _ = SquashfsInfo::of(bytes);
}

/// Initial ramdisks.
pub fn ramdisk(bytes: &[u8]) {
    with_file("initrd", bytes, |path| {
        let _ = initrd::read(path);
    });
}

/// Finished images, stoop's and others': what `inspect`, `check` and `simulate` read.
pub fn image(bytes: &[u8]) {
    if let Ok(opened) = open(bytes) {
        let _ = opened.checks();
    }
    let _ = open_container(bytes);
    let entry = Entry::Argv(b"console=ttyS0 liminix root=31:03".to_vec());
    let _ = simulate::run(bytes, &Input { entry, ..Input::default() });
}

/// Board files.
pub fn board_file(bytes: &[u8]) {
    with_file("board.toml", bytes, |path| {
        let _ = board::check(path);
    });
}

/// Modules.
pub fn module(bytes: &[u8]) {
    if let Ok(module) = Module::parse(bytes) {
        let _ = module.info("depends").count();
    }
}

/// `modules.dep`.
pub fn modules_dep(bytes: &[u8]) {
    with_file("modules.dep", bytes, |path| {
        let Some(folder) = path.parent() else { return };
        if let Ok(tree) = Tree::open(folder, Source::Auto) {
            for module in 0..tree.paths().len().min(16) as u32 {
                let _ = tree.needs(module);
                let _ = tree.by_name(&tree.name(module));
            }
        }
        let _ = fs::remove_file(path);
    });
}

/// `Module.symvers`.
pub fn symvers(bytes: &[u8]) {
    with_file("Module.symvers", bytes, |path| {
        let _ = symbols::Kernel::from_symvers(path);
    });
}

/// Kernel configurations.
pub fn configuration(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Kconfig::parse(text, "fuzz");
    }
    let _ = Kconfig::from_image(bytes, "fuzz");
}

/// Requirements.
pub fn requirement(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Requirement::parse("fuzz", text);
    }
}

/// Expressions of Kconfig.
pub fn expression(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(expression) = kernel_build::expression::Expression::parse(text)
    {
        let _ = expression.conjuncts().len();
        let _ = expression.symbols().len();
        let _ = expression.evaluate(&|_| "y".to_owned());
    }
}

/// A console with trace frames: whatever comes in how many pieces, the same bytes go out.
pub fn monitor(bytes: &[u8]) {
    let mut whole = Monitor::default();
    let mut out = whole.feed(bytes);
    out.extend(whole.end());
    let mut pieces = Monitor::default();
    let mut same: Vec<u8> = bytes.chunks(3).flat_map(|piece| pieces.feed(piece)).collect();
    same.extend(pieces.end());
    assert_eq!(out, same, "a console in pieces is the same console");
}

/// Patches of a kernel's source: what they would change.
pub fn patch(bytes: &[u8]) {
    with_file("fuzz.patch", bytes, |path| {
        let _ = kernel_build::patches::changed_files(path);
    });
}
