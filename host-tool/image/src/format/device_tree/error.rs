//! Why a device tree or an overlay cannot be used.

crate::explained! {
    /// What is wrong with a device tree, its source or an overlay.
    pub enum Error {
        /// In the header or between the blocks, where there is no offset to name.
        #[error("the device tree is damaged: {what}")]
        Damaged { what: &'static str } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree is damaged: its {block} lies outside of its 0x{total:x} bytes")]
        BlockOutside { block: &'static str, total: usize } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        /// `at` counts from the blob's first byte.
        #[error("the device tree is damaged: {what} at offset 0x{at:x}")]
        Structure { what: &'static str, at: usize } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree is of version {version}, Linux reads 2 to 17")]
        Version { version: usize } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree's nodes are nested deeper than {deepest} levels")]
        TooDeep { deepest: usize } => TreeDamaged, "give a tree that Linux can read: it does not look deeper";
        #[error("the device tree's root has #address-cells or #size-cells other than 1 and 2")]
        RootCells => TreeDamaged, "compile it again with dtc -I dts -O dtb, from a source that has 1 or 2 of each";

        /// `file` is the source's name, escaped; lines count from 1.
        #[error("{file}: line {line}: expected {expected}")]
        Source { file: String, line: usize, expected: String }
            => NotATree, "see whether dtc takes the file; a macro that stands for nodes is not understood here";
        #[error("{file}: {nested} files within one another, or {most} bytes in all")]
        SourceTooLarge { file: String, nested: usize, most: usize }
            => TreeDamaged, "see whether a file includes itself";

        #[error("this is no overlay: no fragment with __overlay__ in it")]
        NoOverlay
            => Overlay, "compile an overlay from a source with `/plugin/;`, or give a whole tree with --dtb";
        #[error("the overlay is damaged: its phandles leave no room")]
        Phandles => Overlay, "compile it again with dtc -@ -I dts -O dtb";
        /// `table` is the node that lists what has to be changed, `place` what it names: a cell, a node, a path.
        #[error("the overlay is damaged: {table} names {place}, which is not there")]
        Fixup { table: &'static str, place: String } => Overlay, "compile it again with dtc -@ -I dts -O dtb";
        #[error("the overlay is damaged: {fragment} has neither target nor target-path")]
        NoTarget { fragment: String } => Overlay, "compile it again with dtc -@ -I dts -O dtb";
        #[error("the overlay is damaged: its label {label} is no text")]
        LabelNoText { label: String } => Overlay, "compile it again with dtc -@ -I dts -O dtb";
        #[error("the overlay is damaged: its label {label} is in {node}, which is no fragment")]
        LabelOutside { label: String, node: String } => Overlay, "compile it again with dtc -@ -I dts -O dtb";
        #[error("the overlay names the label {label}, and the device tree carries no labels")]
        NoLabels { label: String }
            => Overlay, "compile the device tree with dtc -@, which keeps its labels in /__symbols__";
        #[error("the overlay names the label {label}, which the device tree has not")]
        NoLabel { label: String } => Overlay, "give the overlay that was made for this device tree";
        #[error("the device tree's label {label} names {path}, which has no phandle")]
        NoPhandle { label: String, path: String } => Overlay, "compile the device tree again with dtc -@";
        #[error("the overlay's {fragment} is for the phandle 0x{phandle:x}, which the device tree has not")]
        TargetPhandle { fragment: String, phandle: u32 }
            => Overlay, "give the overlay that was made for this device tree";
        #[error("the overlay's {fragment} is for {path}, which the device tree has not")]
        TargetPath { fragment: String, path: String } => Overlay, "give the overlay that was made for this device tree";
    }
}
