//! A folder with the device trees of other projects, as source or compiled, by the boards they are for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Board;
use super::error::Error;
use super::maps::{self, Difference};
use crate::Result;
use crate::format::device_tree::source;
use crate::format::device_tree::tree::{Node, Tree};

/// No tree is longer than this, in bytes; what is, is none.
const LONGEST: u64 = 4 << 20;
/// Folders within one another that are looked into.
const DEEPEST: usize = 12;

/// The trees of a folder and of those in it.
pub struct Trees {
    /// `.dts`, `.dtso` and `.dtb` files, sorted.
    boards: Vec<PathBuf>,
    /// What they include, by its name.
    included: BTreeMap<String, Vec<PathBuf>>,
}

/// How a board's flash map compares with one tree's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// The board's name.
    pub board: String,
    /// The tree's file.
    pub tree: PathBuf,
    /// Files that it includes and that are not there; partitions in them are not compared.
    pub missing: Vec<String>,
    /// Partitions of the tree's map; 0 when there is none.
    pub partitions: usize,
    /// In what the maps differ.
    pub differences: Vec<Difference>,
}

impl Trees {
    /// Looks for trees in a folder.
    ///
    /// # Errors
    /// It cannot be read, or there is no tree in it.
    pub fn open(folder: &Path) -> Result<Trees> {
        let mut trees = Trees { boards: Vec::new(), included: BTreeMap::new() };
        trees.look(folder, 0)?;
        if trees.boards.is_empty() {
            return Err(Error::NoTrees { path: folder.into() }.into());
        }
        trees.boards.sort();
        Ok(trees)
    }

    fn look(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let failed = |error| crate::Error::file(folder, error);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            if kind.is_dir() && depth < DEEPEST {
                self.look(&path, depth + 1)?;
            }
            if !kind.is_file() {
                continue;
            }
            match path.extension().and_then(|end| end.to_str()) {
                Some("dts" | "dtso" | "dtb") => self.boards.push(path),
                Some("dtsi") => {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    self.included.entry(name).or_default().push(path);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares the board with every tree for it, by the root's `compatible`. Nothing for a board without flash map.
    ///
    /// # Errors
    /// A tree for it cannot be read.
    pub fn compare(&self, board: &Board) -> Result<Vec<Comparison>> {
        let Some(flash) = &board.flash else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for path in &self.boards {
            let Some((root, missing)) = self.tree_for(board, path)? else { continue };
            let maps = maps::of(&root);
            // A tree may leave the map to an overlay.
            let Some(map) = maps::nearest(flash, &maps) else { continue };
            found.push(Comparison {
                board: board.name.clone(),
                tree: path.clone(),
                missing,
                partitions: map.parts.len(),
                differences: maps::compare(flash, map),
            });
        }
        Ok(found)
    }

    fn tree_for(&self, board: &Board, path: &Path) -> Result<Option<(Node, Vec<String>)>> {
        let Some(bytes) = short(path)? else { return Ok(None) };
        let names = |compatible: &String| bytes.windows(compatible.len()).any(|it| it == compatible.as_bytes());
        if !board.compatible.iter().any(names) {
            return Ok(None);
        }
        let (root, missing) = if path.extension().is_some_and(|end| end == "dtb") {
            (Tree::parse(&bytes).map_err(|failure| failure.within(path.display()))?.root, Vec::new())
        } else {
            let text = String::from_utf8_lossy(&bytes);
            let source = source::parse(&path.display().to_string(), &text, &|name| self.include(path, name))?;
            (source.root, source.missing)
        };
        let is_its = maps::texts(&root, "compatible").any(|name| board.compatible.iter().any(|it| it == name));
        Ok(is_its.then_some((root, missing)))
    }

    /// The text of a file that is included by one beside `by`, or by one elsewhere when there is none.
    fn include(&self, by: &Path, name: &str) -> Option<String> {
        let all = self.included.get(name)?;
        let path = all.iter().find(|path| path.parent() == by.parent()).or(all.first())?;
        Some(String::from_utf8_lossy(&short(path).ok()??).into_owned())
    }
}

/// The bytes of a file, unless it is far too long for a tree.
fn short(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error| crate::Error::file(path, error);
    if fs::metadata(path).map_err(failed)?.len() > LONGEST {
        return Ok(None);
    }
    fs::read(path).map(Some).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board;

    const FAMILY: &str = r#"/ { spi { flash0: flash@0 { }; }; };"#;
    const BOARD: &str = r#"#include "family.dtsi"
        / { compatible = "glinet,gl-ar750", "qca,qca9531"; };
        &flash0 { partitions { compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
            partition@0 { label = "u-boot"; reg = <0 0x40000>; };
            partition@40000 { label = "u-boot-env"; reg = <0x40000 0x10000>; };
            partition@50000 { label = "art"; reg = <0x50000 0x10000>; };
            partition@60000 { label = "firmware"; reg = <0x60000 0xf00000>; }; }; };"#;

    #[test]
    fn a_board_is_compared_with_the_trees_that_are_for_it_and_with_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("dts")).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join("dts").join(name), text).unwrap();
        put("family.dtsi", FAMILY);
        put("board.dts", BOARD);
        put("sister.dts", &BOARD.replace("gl-ar750", "gl-ar7500"));
        put("remark.dts", "/* like glinet,gl-ar750 */ / { compatible = \"other\"; };");
        let trees = Trees::open(folder.path()).unwrap();
        let found = trees.compare(&board::load("gl-ar750").unwrap()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].tree.ends_with("dts/board.dts"));
        assert_eq!((found[0].partitions, found[0].missing.len()), (4, 0));
        assert_eq!(found[0].differences.len(), 1, "{:?}", found[0].differences);
        assert_eq!(found[0].differences[0].partition, "firmware");
        assert_eq!(trees.compare(&board::load("gl-ar300m").unwrap()).unwrap(), []);
    }

    #[test]
    fn a_folder_without_trees_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Trees::open(folder.path()).err().unwrap();
        assert!(matches!(failure, crate::Error::Board(Error::NoTrees { .. })), "{failure}");
        assert!(Trees::open(&folder.path().join("nowhere")).is_err());
    }
}
