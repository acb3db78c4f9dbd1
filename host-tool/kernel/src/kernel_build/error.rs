//! Why a kernel is not built.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

stoop_image::explained! {
    /// Why a kernel is not built.
    pub enum Error {
        #[error("{origin}: {line:?} is no setting")]
        NotASetting { origin: String, line: String }
            => KernelConfig USAGE, "write CONFIG_NAME=value, or # CONFIG_NAME is not set";
        #[error("--modules is given, and CONFIG_MODULES is not set")]
        NoModules => KernelConfig, "add CONFIG_MODULES=y to a fragment";
        /// Each says what was asked for, what came of it and why.
        #[error("{} requested symbols did not hold:{}", lost.len(), lost.concat())]
        SymbolsLost { lost: Vec<String> } => SymbolsLost,
            "set what each depends on in a fragment as well, or take the symbol out";

        #[error("a kernel's source does not come from stdin: what was unpacked is known by its file's name and size")]
        SourceStdin => KernelSource USAGE, "save the archive to a file, and give that";
        #[error("{path}: {source}")]
        NoSource { path: PathBuf, source: io::Error }
            => File, "give a kernel's source, as an archive or a directory";
        #[error("{path} was unpacked from {known}, not from {given}")]
        OtherSource { path: PathBuf, known: String, given: String }
            => KernelSource, "use another --out, or remove that directory";
        #[error("{path} is there already and was not unpacked by stoop")]
        ForeignTree { path: PathBuf } => KernelSource, "use another --out, or give that directory as --source";
        #[error("{path}: not one directory in it")]
        NotOneDirectory { path: PathBuf } => KernelSource, "give a kernel's source archive";
        #[error("{path}: this is no Linux kernel source")]
        NotAKernel { path: PathBuf } => KernelSource, "give the kernel's source archive, or its unpacked tree";
        #[error("the archive's {link} is a link that leads out of it")]
        LinkOutside { link: String } => KernelSource, "give a kernel's source archive as it was released";
        #[error("{path}: the archive cannot be unpacked: {source}")]
        Archive { path: PathBuf, source: io::Error } => KernelSource, "download it again";
        #[error("{path} is not there")]
        NoKconfig { path: PathBuf } => KernelSource, "give a kernel's source tree";

        #[error("{path}: no patch: it changes no file")]
        NoPatch { path: PathBuf } => Patch,
            "give a unified diff with one leading directory (a/, b/), as git and quilt write it";
        #[error("patch {patch} names {path}, which is outside of the tree", path = path.display())]
        PatchOutside { patch: String, path: PathBuf } => Patch, "make it a diff against the tree's top directory";
        #[error("{path} is no file inside of the tree")]
        NotInside { path: PathBuf }
            => Patch, "use a tree and patches without links out of it, or begin with a new --out";
        #[error("patch cannot be run: {source}")]
        NoPatchProgram { source: io::Error } => Patch, "install the package `patch`";
        /// `failed` is what the program patch says, each on a line of its own.
        #[error("patch {patch} does not apply; the tree is as it was{}", failed.concat())]
        DoesNotApply { patch: String, failed: Vec<String> } => Patch, "refresh the patch against this kernel";
        #[error("patch {patch} cannot be taken back{}", failed.concat())]
        NotTakenBack { patch: String, failed: Vec<String> }
            => Patch, "undo your own changes to these files, or begin with a new --out";

        #[error("{path}: {source}")]
        NoOut { path: PathBuf, source: io::Error }
            => File, "give an --out in a folder that exists and that you may write";
        #[error("{path} is a link, and no state of stoop's")]
        StateIsLink { path: PathBuf } => BuildTree, "remove it";
        #[error("{path}: another build works in this tree")]
        Locked { path: PathBuf } => BuildTree, "wait for it, or build with another --out";
        #[error("{path}: {source}")]
        NotBuilt { path: PathBuf, source: io::Error } => File, "build again; the log says what is missing";

        #[error("make cannot be run: {source}")]
        NoMake { source: io::Error }
            => Toolchain, "install the packages make, gcc, bison, flex, bc and libssl-dev";
        #[error("no compiler for {architecture}: there is no {machine}-linux-gnu-gcc in the path")]
        NoCompiler { architecture: String, machine: &'static str, package: &'static str }
            => Toolchain, "install {package}, or name one with --cross-compile PREFIX";
        #[error("no pipe to make: {source}")]
        Pipe { source: io::Error } => Make;
        #[error("make's output cannot be read: {source}")]
        Output { source: io::Error } => Make;
        #[error("make: {source}")]
        Wait { source: io::Error } => Make;
        /// `errors` are its first lines that say why, each on a line of its own.
        #[error("make {} failed ({status}){}", targets.join(" "), errors.concat())]
        Make { targets: Vec<String>, status: ExitStatus, errors: Vec<String>, log: PathBuf }
            => Make, (format!("see {}", log.display()));
        #[error("make {target} failed: {said}")]
        Ask { target: String, said: String } => Make, "see what make says in the tree";
    }
}
