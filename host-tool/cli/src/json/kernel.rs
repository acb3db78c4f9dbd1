//! `stoop kernel build`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

/// What was built.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Built {
    /// The kernel's release.
    pub release: String,
    /// Where the results are.
    #[schemars(with = "String")]
    pub out: PathBuf,
    /// The tree that was built in.
    #[schemars(with = "String")]
    pub tree: PathBuf,
    /// The compiler's prefix.
    pub cross_compile: String,
    /// The results, relative to `out`.
    pub files: Vec<String>,
    /// The modules' directory, relative to `out`.
    pub modules: Option<String>,
    /// How many modules there are.
    pub module_count: usize,
    /// What became of the patches.
    pub patches: Patches,
    /// Whether the configuration was made anew.
    pub configured: bool,
    /// How many files make built.
    pub files_built: u64,
    /// Bytes that the build wrote, where the system counts them.
    pub bytes_written: Option<u64>,
    /// Bytes that were copied to the results.
    pub bytes_copied: u64,
    /// How long it took.
    pub seconds: f64,
}

/// What became of the patches.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Patches {
    /// Applied now.
    pub applied: usize,
    /// Reverted now.
    pub reverted: usize,
    /// Applied before.
    pub kept: usize,
}
