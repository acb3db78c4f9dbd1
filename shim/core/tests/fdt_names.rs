//! Which of a tree's nodes are meant: by where they are, not by their name alone.

use stoop_core::Region;
use stoop_core::fdt::{Merge, Overlay, Tree};

const BEGIN: usize = 1;
const END_NODE: usize = 2;
const PROPERTY: usize = 3;
const END: usize = 9;

/// The names of properties, and where each begins in the strings block.
const STRINGS: &[u8] = b"bootargs\0device_type\0compatible\0";

/// A tree in the making (Devicetree Specification, chapter 5).
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn word(&mut self, word: usize) {
        self.0.extend((word as u32).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.extend(text.bytes().chain([0]));
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn node(mut self, name: &str, inside: impl FnOnce(Writer) -> Writer) -> Writer {
        self.word(BEGIN);
        self.text(name);
        let mut writer = inside(self);
        writer.word(END_NODE);
        writer
    }

    fn property(mut self, name: &str, value: &str) -> Writer {
        let at = STRINGS.windows(name.len()).position(|part| part == name.as_bytes()).expect("a name in STRINGS");
        [PROPERTY, value.len() + 1, at].into_iter().for_each(|word| self.word(word));
        self.text(value);
        self
    }

    fn tree(mut self) -> Vec<u8> {
        self.word(END);
        let (size, strings) = (self.0.len(), 56 + self.0.len());
        let header =
            [0xd00d_feed, strings + STRINGS.len(), 56, strings, 40, 17, 16, 0, STRINGS.len(), size, 0, 0, 0, 0];
        let mut tree = Writer::default();
        header.into_iter().for_each(|word| tree.word(word));
        [tree.0, self.0, STRINGS.to_vec()].concat()
    }
}

fn merged(base: &[u8], what: &Overlay<'_>) -> Vec<u8> {
    let mut overlay = vec![0; 0x1000];
    let size = what.encode(&mut overlay).expect("there is room");
    overlay.truncate(size);
    let mut out = vec![0; 0x2000];
    let mut merge = Merge::new(base, &overlay, &mut out);
    merge.overlay.read().expect("sound");
    merge.write(&[]).expect("it merges");
    let size = merge.size();
    out.truncate(size);
    out
}

#[test]
fn a_node_of_that_name_deeper_inside_is_another_one() {
    let soc = |writer: Writer| writer.node("chosen", |writer| writer.property("bootargs", "of the chip"));
    let base = Writer::default()
        .node("", |root| root.node("soc", soc).node("chosen", |chosen| chosen.property("bootargs", "the board's")))
        .tree();
    let mut tree = Tree::new(&base);
    tree.read().expect("sound");
    assert_eq!(tree.bootargs(), b"the board's");
    let out = merged(&base, &Overlay { line: Some(b"stoop's"), ..Overlay::default() });
    let read = fdt::Fdt::new(&out).expect("the crate reads it");
    let line = |path: &str| read.find_node(path)?.property("bootargs")?.as_str();
    assert_eq!((line("/soc/chosen"), line("/chosen")), (Some("of the chip"), Some("stoop's")));
}

#[test]
fn only_the_device_type_memory_is_ram() {
    let ram = Region::new(0x1000, 0x2000).expect("a region");
    for (name, value, is_ram) in [
        ("device_type", "memory", true),
        ("device_type", "memory-controller", false),
        ("device_type", "soc", false),
        ("device_type", "memo", false),
        ("compatible", "memory", false),
    ] {
        let base = Writer::default().node("", |root| root.node("it", |it| it.property(name, value))).tree();
        let out = merged(&base, &Overlay { cells: [2, 1], memory: Some(ram), ..Overlay::default() });
        let read = fdt::Fdt::new(&out).expect("the crate reads it");
        assert_eq!(read.find_node("/memory@1000").is_none(), is_ram, "{name} {value}");
    }
}
