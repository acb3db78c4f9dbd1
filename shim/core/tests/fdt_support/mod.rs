//! What the tests of `fdt` share: fixtures, dtc, and a model of the edits that is as plain as it can be.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stoop_core::fdt::{COUNT_ENTRY, COUNT_HANDOFF, Merge, Overlay, Ramoops, Tree, check};
use stoop_core::{Code, Error, Region, Result, Subject};

pub const FIXTURES: [(&str, &[u8]); 7] = [
    ("malta", include_bytes!("../fixtures/malta.dtb")),
    ("minimal", include_bytes!("../fixtures/minimal.dtb")),
    ("crowded", include_bytes!("../fixtures/crowded.dtb")),
    ("two-chosen", include_bytes!("../fixtures/two-chosen.dtb")),
    ("bare-reserved", include_bytes!("../fixtures/bare-reserved.dtb")),
    ("other-cells", include_bytes!("../fixtures/other-cells.dtb")),
    ("mixed-cells", include_bytes!("../fixtures/mixed-cells.dtb")),
];

pub fn fixture(name: &str) -> &'static [u8] {
    FIXTURES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no fixture {name}")).1
}

pub fn fixtures_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn region(start: usize, size: usize) -> Region {
    Region::new(start, size).expect("a region of the test")
}

/// The report that the tests want to find.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub version: &'a str,
    pub verdict: &'a [u8],
    pub entry: &'a [u8],
    pub slot: u8,
    pub count_entry: u32,
}

/// Everything the final tree has that the base tree has not, known when packing or only on the board.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The new bootargs, in up to three pieces; the first one is known when packing.
    pub bootargs: Option<&'a [&'a [u8]]>,
    pub phram: Option<(Region, u8)>,
    pub initrd: Option<Region>,
    pub memory: Option<Region>,
    pub ramoops: Option<Ramoops>,
    pub report: Option<Report<'a>>,
}

pub const REPORT: Report<'static> =
    Report { version: "0.1.0", verdict: b"accepted", entry: b"argv", slot: b'a', count_entry: 0x0102_0304 };

/// #address-cells and #size-cells of a root, as Linux takes them; the tree may be damaged.
pub fn root_cells(blob: &[u8]) -> [usize; 2] {
    let word = |at: usize| blob.get(at..at + 4).map_or(0, |word| u32::from_be_bytes(word.try_into().unwrap()) as usize);
    let (mut at, strings) = (word(8), word(12));
    let name = blob.get(at + 4..).map_or(0, |text| text.iter().take_while(|byte| **byte != 0).count());
    at += (4 + name + 1).next_multiple_of(4);
    let mut cells = [1, 1];
    loop {
        match word(at) {
            3 => {
                let name = blob.get(strings + word(at + 8)..).unwrap_or_default();
                for (index, wanted) in [&b"#address-cells\0"[..], b"#size-cells\0"].into_iter().enumerate() {
                    if name.starts_with(wanted) {
                        cells[index] = word(at + 12);
                    }
                }
                at += (12 + word(at + 4)).next_multiple_of(4);
            }
            4 => at += 4,
            _ => return cells,
        }
    }
}

/// The overlay as the host tool makes them for `source`; `None` when it would refuse.
pub fn overlay(source: &[u8], edits: &Edits) -> Option<Vec<u8>> {
    let line = edits.bootargs.map(|pieces| pieces.first().copied().unwrap_or_default());
    let what = Overlay {
        cells: root_cells(source),
        line,
        initrd: edits.initrd,
        phram: edits.phram,
        memory: edits.memory,
        ramoops: edits.ramoops,
        relative: false,
        report: edits.report.map(|report| report.version),
    };
    let mut bytes = vec![0; 0x4000];
    let size = what.encode(&mut bytes)?;
    bytes.truncate(size);
    Some(bytes)
}

/// Merges as the board does; the new tree's size, and where the value of `count-handoff` is (0 without a report).
pub fn write(source: &[u8], edits: &Edits, out: &mut [u8]) -> Result<(usize, usize)> {
    let overlay = overlay(source, edits).ok_or(Error::new(Code::TreeCells, Subject::Dtb, 0))?;
    let mut pieces = edits.bootargs.unwrap_or_default().iter().copied().skip(1);
    let mut texts: Vec<&[u8]> = Vec::new();
    if edits.bootargs.is_some() {
        texts.extend([pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default()]);
    }
    let slot = edits.report.map(|report| [report.slot]);
    if let (Some(report), Some(slot)) = (&edits.report, &slot) {
        texts.extend([report.verdict, report.entry, slot]);
    }
    let (size, slot) = {
        let mut merge = Merge::new(source, &overlay, out);
        merge.overlay.read().expect("the overlay has a header");
        merge.write(&texts)?;
        (merge.size(), merge.slot)
    };
    let Some(report) = edits.report else { return Ok((size, 0)) };
    out[slot + COUNT_ENTRY..][..4].copy_from_slice(&report.count_entry.to_be_bytes());
    Ok((size, slot + COUNT_HANDOFF))
}

/// The bootargs that the kernel would take from a sound tree.
pub fn bootargs_in(blob: &[u8]) -> Vec<u8> {
    let mut tree = Tree::new(blob);
    tree.read().expect("a sound tree");
    tree.bootargs().to_vec()
}

/// One edit each, none, and all at once.
pub fn edit_sets() -> Vec<(&'static str, Edits<'static>)> {
    let all = Edits {
        bootargs: Some(&[b"console=ttyS0", b" ", b"root=/dev/mtdblock9"]),
        phram: Some((region(0x400_0000, 0x20_0000), 9)),
        initrd: Some(region(0x500_0000, 0x1234)),
        memory: Some(region(0x200_0000, 0x800_0000)),
        ramoops: Some(Ramoops { region: region(0x900_0000, 0x2_0000), record: 0x4000, console: 0x8000, ecc: 16 }),
        report: Some(REPORT),
    };
    let none = Edits::default();
    vec![
        ("nothing", none),
        ("bootargs", Edits { bootargs: all.bootargs, ..none }),
        ("empty bootargs", Edits { bootargs: Some(&[]), ..none }),
        ("phram", Edits { phram: all.phram, ..none }),
        ("phram as mtd255 at 0", Edits { phram: Some((region(0, 0x1000), 255)), ..none }),
        ("initrd", Edits { initrd: all.initrd, ..none }),
        ("memory", Edits { memory: all.memory, ..none }),
        ("ramoops", Edits { ramoops: all.ramoops, ..none }),
        ("report", Edits { report: all.report, ..none }),
        ("everything", all),
    ]
}

/// Writes into a buffer that is large enough.
pub fn written(source: &[u8], edits: &Edits) -> Result<(Vec<u8>, usize)> {
    let mut out = vec![0xaa; source.len() + 4096];
    check(source)?;
    let (size, count) = write(source, edits, &mut out)?;
    out.truncate(size);
    Ok((out, count))
}

/// Every node by its path, in order, with its properties.
pub type Model = Vec<(String, BTreeMap<String, Vec<u8>>)>;

/// Reads a tree with the `fdt` crate, which is another implementation; only for trees that are known to be sound.
pub fn model(blob: &[u8]) -> Model {
    let tree = fdt::Fdt::new(blob).unwrap_or_else(|error| panic!("the fdt crate: {error:?}"));
    let mut nodes = Model::new();
    read_node(tree.find_node("/").expect("a root"), "", &mut nodes);
    nodes
}

fn read_node(node: fdt::node::FdtNode, path: &str, nodes: &mut Model) {
    let mut properties = BTreeMap::new();
    for property in node.properties() {
        let twice = properties.insert(property.name.to_owned(), property.value.to_vec());
        assert!(twice.is_none(), "{path} has {} twice", property.name);
    }
    nodes.push((if path.is_empty() { "/".to_owned() } else { path.to_owned() }, properties));
    for child in node.children() {
        read_node(child, &format!("{path}/{}", child.name), nodes);
    }
}

/// What the tree must be after the edits, in the words of the edits' documentation; `None` when they must be refused.
pub fn edited(mut nodes: Model, edits: &Edits) -> Option<BTreeMap<String, BTreeMap<String, Vec<u8>>>> {
    let root = nodes[0].1.clone();
    let count = |properties: &BTreeMap<String, Vec<u8>>, name: &str| {
        properties.get(name).map(|value| u32::from_be_bytes(value[..4].try_into().expect("a cell")))
    };
    let cells =
        [count(&root, "#address-cells").unwrap_or(1) as usize, count(&root, "#size-cells").unwrap_or(1) as usize];
    let number = |value: usize, cells: usize| -> Option<Vec<u8>> {
        match cells {
            1 => Some(u32::try_from(value).ok()?.to_be_bytes().to_vec()),
            2 => Some((value as u64).to_be_bytes().to_vec()),
            _ => None,
        }
    };
    let reg = |region: Region| -> Option<Vec<u8>> {
        Some([number(region.start(), cells[0])?, number(region.size(), cells[1])?].concat())
    };
    let text = |text: &[u8]| [text, b"\0"].concat();
    let depth_1 = |path: &str| path.len() > 1 && path.rfind('/') == Some(0);
    let has_memory = nodes
        .iter()
        .any(|(path, properties)| depth_1(path) && properties.get("device_type") == Some(&b"memory\0".to_vec()));
    let chosen = nodes
        .iter()
        .find(|(path, _)| path == "/chosen" || path == "/chosen@0")
        .map_or("/chosen".to_owned(), |(path, _)| path.clone());

    let set = |nodes: &mut Model, path: &str, name: &str, value: Vec<u8>| {
        if !nodes.iter().any(|(known, _)| known == path) {
            nodes.push((path.to_owned(), BTreeMap::new()));
        }
        let node = nodes.iter_mut().find(|(known, _)| known == path).expect("it was made");
        node.1.insert(name.to_owned(), value);
    };
    if let Some(pieces) = edits.bootargs {
        set(&mut nodes, &chosen, "bootargs", text(&pieces.concat()));
    }
    if let Some(initrd) = edits.initrd {
        let cells = if u32::try_from(initrd.end()).is_ok() { 1 } else { 2 };
        set(&mut nodes, &chosen, "linux,initrd-start", number(initrd.start(), cells)?);
        set(&mut nodes, &chosen, "linux,initrd-end", number(initrd.end(), cells)?);
    }
    if let Some(report) = edits.report {
        let path = format!("{chosen}/stoop");
        if !nodes.iter().any(|(known, _)| *known == chosen) {
            nodes.push((chosen.clone(), BTreeMap::new()));
        }
        for (name, value) in [
            ("version", text(report.version.as_bytes())),
            ("verdict", text(report.verdict)),
            ("entry", text(report.entry)),
            ("slot", vec![report.slot, 0]),
            ("count-entry", report.count_entry.to_be_bytes().to_vec()),
            ("count-handoff", vec![0; 4]),
        ] {
            set(&mut nodes, &path, name, value);
        }
    }
    if edits.phram.is_some() || edits.ramoops.is_some() {
        for (name, cells) in [("#address-cells", cells[0]), ("#size-cells", cells[1])] {
            let old = nodes.iter().find(|(known, _)| known == "/reserved-memory").and_then(|node| count(&node.1, name));
            if old.is_some_and(|old| old as usize != cells) {
                return None;
            }
            set(&mut nodes, "/reserved-memory", name, (cells as u32).to_be_bytes().to_vec());
        }
        set(&mut nodes, "/reserved-memory", "ranges", vec![]);
    }
    if let Some((phram, alias)) = edits.phram {
        let path = format!("/reserved-memory/phram@{:x}", phram.start());
        set(&mut nodes, &path, "compatible", text(b"phram"));
        set(&mut nodes, &path, "label", text(b"rootfs"));
        set(&mut nodes, &path, "reg", reg(phram)?);
        set(&mut nodes, "/aliases", &format!("mtd{alias}"), text(path.as_bytes()));
    }
    if let Some(ramoops) = edits.ramoops {
        let path = format!("/reserved-memory/ramoops@{:x}", ramoops.region.start());
        set(&mut nodes, &path, "compatible", text(b"ramoops"));
        set(&mut nodes, &path, "reg", reg(ramoops.region)?);
        for (name, bytes) in
            [("record-size", ramoops.record), ("console-size", ramoops.console), ("ecc-size", ramoops.ecc)]
        {
            set(&mut nodes, &path, name, bytes.to_be_bytes().to_vec());
        }
    }
    // Where addresses are written, the cells they were made for are written too.
    if edits.phram.is_some() || edits.memory.is_some() || edits.ramoops.is_some() {
        for (name, cells) in [("#address-cells", cells[0]), ("#size-cells", cells[1])] {
            set(&mut nodes, "/", name, (cells as u32).to_be_bytes().to_vec());
        }
    }
    if let (Some(memory), false) = (edits.memory, has_memory) {
        let path = format!("/memory@{:x}", memory.start());
        set(&mut nodes, &path, "device_type", text(b"memory"));
        set(&mut nodes, &path, "reg", reg(memory)?);
    }
    Some(nodes.into_iter().collect())
}

/// The version line, or `None` with the reason on stderr.
pub fn dtc() -> Option<String> {
    match Command::new("dtc").arg("--version").output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) => {
            eprintln!("SKIP the comparison with dtc: {error} (Debian package device-tree-compiler)");
            None
        }
    }
}

/// Runs dtc over `input`: its status, output and messages.
pub fn dtc_run(arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = Command::new("dtc")
        .arg("-q")
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dtc starts");
    // dtc may stop reading early: what it says then is what counts.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("dtc ends");
    (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}
