//! The final device tree against an independent construction: Debian's own device trees for arm64 boards, changed once by core's merge
//! and once by dtc and fdtput, and compared byte for byte.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoop_core::fdt::{Merge, Overlay, Tree};
use stoop_core::{Code, Region};
use stoop_hil_tests::packed;

const LINE: &str = "console=ttyS0,115200 root=/dev/mtdblock99";
const PASSED: &str = "liminix hello=\"a b\"";
const VERSION: &str = "0.1.0";

/// RAM for trees that name none, a root filesystem and an initial ramdisk.
const MEMORY: (usize, usize) = (0x4000_0000, 0x1000_0000);
const PHRAM: (usize, usize) = (0x4800_0000, 0x20_0000);
const INITRD: (usize, usize) = (0x4a00_0000, 0x1234);

fn region((start, size): (usize, usize)) -> Region {
    Region::new(start, size).expect("a region of the test")
}

/// Runs a tool over `input`; what it made.
fn tool(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("it ends")
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn sorted(blob: &[u8], from: &str) -> Vec<u8> {
    tool("dtc", &["-q", "-q", "-s", "-I", from, "-O", "dtb", "-"], blob)
}

/// How the overlay's addresses are written, and whose tree is the base.
#[derive(Clone, Copy)]
struct Case {
    /// #address-cells and #size-cells that the image was packed for.
    cells: [usize; 2],
    /// The tree was packed: its own bootargs have become the overlay's line.
    packed: bool,
}

/// By core, as the board does it.
fn merged(base: &[u8], case: Case) -> Result<Vec<u8>, stoop_core::Error> {
    let overlay = Overlay {
        cells: case.cells,
        line: Some(LINE.as_bytes()),
        initrd: Some(region(INITRD)),
        phram: Some((region(PHRAM), 99)),
        memory: Some(region(MEMORY)),
        ramoops: None,
        report: Some(VERSION),
        relative: false,
    };
    let mut encoded = vec![0; 0x1000];
    let size = overlay.encode(&mut encoded).expect("an overlay");
    encoded.truncate(size);
    let mut out = vec![0; base.len() + 0x2000];
    let mut merge = Merge::new(base, &encoded, &mut out);
    merge.overlay.read()?;
    let texts: [&[u8]; 5] = [b" ", PASSED.as_bytes(), b"accepted", b"uhi", b"-"];
    merge.write(&texts)?;
    let size = merge.size();
    out.truncate(size);
    Ok(out)
}

/// One property as dtc reads it, whatever is in it.
fn property(name: &str, value: &[u8]) -> String {
    let bytes: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
    match bytes.is_empty() {
        true => format!("{name};\n"),
        false => format!("{name} = [{}];\n", bytes.join(" ")),
    }
}

fn text(name: &str, value: &str) -> String {
    property(name, &[value.as_bytes(), b"\0"].concat())
}

/// `value` in that many cells.
fn number(value: usize, cells: usize) -> Vec<u8> {
    (value as u64).to_be_bytes()[8 - 4 * cells..].to_vec()
}

fn reg((start, size): (usize, usize), cells: [usize; 2]) -> String {
    property("reg", &[number(start, cells[0]), number(size, cells[1])].concat())
}

fn counts(cells: [usize; 2]) -> String {
    property("#address-cells", &number(cells[0], 1)) + &property("#size-cells", &number(cells[1], 1))
}

/// By dtc, which merges what follows into the tree in front of it, and fdtput.
fn constructed(base: &Path, folder: &Path, number_of_case: usize, case: Case) -> Vec<u8> {
    let copy = folder.join(format!("{number_of_case}.dtb"));
    std::fs::copy(base, &copy).expect("a copy");
    let path = copy.to_str().expect("a plain path");
    let line = format!("{LINE} {PASSED}");
    tool("fdtput", &["-p", "-t", "s", path, "/chosen", "bootargs", &line], b"");
    let source = tool("dtc", &["-q", "-q", "-I", "dtb", "-O", "dts", path], b"");
    let mut source = String::from_utf8(source).expect("dtc writes text");
    let has_memory = source.contains("\n\t\tdevice_type = \"memory\";");
    let cells = case.cells;
    let mut more = String::new();
    write!(
        more,
        "/ {{ {} chosen {{ {}{} stoop {{ {}{}{}{}{}{} }}; }};\naliases {{ {} }};\n\
         reserved-memory {{ {}{} phram@{:x} {{ {}{}{} }}; }};\n",
        counts(cells),
        property("linux,initrd-start", &number(INITRD.0, 1)),
        property("linux,initrd-end", &number(INITRD.0 + INITRD.1, 1)),
        text("version", VERSION),
        text("verdict", "accepted"),
        text("entry", "uhi"),
        text("slot", "-"),
        property("count-entry", &[0; 4]),
        property("count-handoff", &[0; 4]),
        text("mtd99", &format!("/reserved-memory/phram@{:x}", PHRAM.0)),
        counts(cells),
        property("ranges", b""),
        PHRAM.0,
        text("compatible", "phram"),
        text("label", "rootfs"),
        reg(PHRAM, cells),
    )
    .expect("text");
    if !has_memory {
        writeln!(more, "memory@{:x} {{ {}{} }};", MEMORY.0, text("device_type", "memory"), reg(MEMORY, cells))
            .expect("text");
    }
    more.push_str("};\n");
    source.push_str(&more);
    std::fs::remove_file(&copy).expect("the copy is there");
    sorted(source.as_bytes(), "dts")
}

/// The cells of the root and of /reserved-memory, as fdtget sees them.
fn cells_of(path: &Path, node: &str) -> Option<[usize; 2]> {
    let path = path.to_str().expect("a plain path");
    let one = |name: &str, usual: &str| {
        let said = tool("fdtget", &["-d", usual, path, node, name], b"");
        String::from_utf8_lossy(&said).trim().parse::<usize>().ok()
    };
    let there = tool("fdtget", &["-l", path, "/"], b"");
    if node != "/" && !String::from_utf8_lossy(&there).lines().any(|child| format!("/{child}") == node) {
        return None;
    }
    Some([one("#address-cells", "2")?, one("#size-cells", "1")?])
}

/// What became of a tree, packed and as the bootloader's.
enum Compared {
    /// Whether it took the merge.
    Merged([bool; 2]),
    /// dtc's own source of it is another tree: some strings of numbers are escaped in a way that it reads differently.
    NotDtcs,
}

fn compare(path: &Path, folder: &Path, at: usize) -> Compared {
    let base = std::fs::read(path).expect("a tree");
    let source = tool("dtc", &["-q", "-q", "-I", "dtb", "-O", "dts", "-"], &base);
    if sorted(&source, "dts") != sorted(&base, "dtb") {
        return Compared::NotDtcs;
    }
    let root = cells_of(path, "/").expect("every tree has a root");
    let reserved = cells_of(path, "/reserved-memory");
    let mut tree = Tree::new(&base);
    tree.read().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = [Case { cells: root, packed: true }, Case { cells: [2, 2], packed: false }];
    Compared::Merged(cases.map(|case| {
        let fits = case.cells == root && reserved.is_none_or(|cells| cells == root);
        match merged(&base, case) {
            Ok(ours) => {
                assert!(fits, "{}: merged with the cells of another tree", path.display());
                let theirs = constructed(path, folder, at, case);
                let ours = sorted(&ours, "dtb");
                assert!(ours == theirs, "{}: dtc and fdtput make another tree", path.display());
                true
            }
            Err(error) => {
                assert_eq!(error.code(), Code::TreeCells, "{}: {error}", path.display());
                assert!(!fits, "{}: refused ({error}), packed: {}", path.display(), case.packed);
                false
            }
        }
    }))
}

#[test]
fn debians_device_trees_become_what_dtc_and_fdtput_make_of_them() -> anyhow::Result<()> {
    let Some(trees) = packed::debian_trees()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new([0usize; 3]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path): Option<&PathBuf> = trees.get(at) else { return };
                    let counted = match compare(path, folder.path(), at) {
                        Compared::Merged([packed, passed_on]) => [packed, passed_on, false],
                        Compared::NotDtcs => [false, false, true],
                    };
                    let mut done = done.lock().expect("no other worker failed");
                    done.iter_mut().zip(counted).for_each(|(count, more)| *count += usize::from(more));
                }
            });
        }
    });
    let [packed, passed_on, skipped] = done.into_inner()?;
    println!("{} trees: {packed} merged when packed, {passed_on} with the bootloader's as the base", trees.len());
    println!("HIL-SKIP: {skipped} trees whose source dtc itself reads as another tree");
    assert!(trees.len() >= 1_500, "only {} trees", trees.len());
    let compared = trees.len() - skipped;
    assert!(packed * 10 > compared * 9, "only {packed} of {compared} trees took the merge");
    Ok(())
}
