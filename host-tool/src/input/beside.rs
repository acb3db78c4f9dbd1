//! A kernel's configuration, where people keep it: beside the kernel, or in its build tree.

use std::path::{Path, PathBuf};

use super::read_file;
use crate::kconfig::Kconfig;

/// The configurations near the kernel in this file that may be its own, the likeliest first; of another version they are not.
pub(super) fn configurations(kernel: &Path, version: Option<&str>) -> Vec<Kconfig> {
    let own = |config: &Kconfig| match (config.version(), version) {
        // The configuration has the version without the local part.
        (Some(configured), Some(version)) => {
            version.strip_prefix(configured).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        }
        _ => true,
    };
    let versions = [version_of(kernel), version];
    let files = candidates(kernel, versions.into_iter().flatten());
    let files = files.into_iter().filter(|file| file.is_file() && file != kernel);
    // A kernel beside this one is another form of it if their versions are the same.
    let same = |file: &PathBuf| {
        file.file_name().is_none_or(|name| name != "vmlinux")
            || read_file(file).is_ok_and(|bytes| super::kernel::version(&bytes).as_deref() == version)
    };
    files.filter(same).filter_map(|file| Kconfig::read(&file).ok()).filter(own).collect()
}

/// `6.1.0-50` of `vmlinuz-6.1.0-50`.
fn version_of(kernel: &Path) -> Option<&str> {
    kernel.file_name()?.to_str()?.split_once('-').map(|(_, version)| version)
}

fn candidates<'a>(kernel: &Path, versions: impl Iterator<Item = &'a str>) -> Vec<PathBuf> {
    let here = kernel.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = versions.map(|version| here.join(format!("config-{version}"))).collect();
    files.dedup();
    for folder in [Some(here.to_owned()), build_tree(here)].into_iter().flatten() {
        files.extend([".config", "config.gz", "vmlinux"].map(|name| folder.join(name)));
    }
    files
}

/// The root of the build tree of `arch/mips/boot/compressed` or the like.
fn build_tree(here: &Path) -> Option<PathBuf> {
    // A relative path says too little; that of a file in the current directory is empty.
    let here = here.canonicalize().or_else(|_| Path::new(".").canonicalize()).ok()?;
    let arch = here.ancestors().take(4).find(|folder| folder.file_name().is_some_and(|name| name == "arch"))?;
    arch.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_by_version_beside_and_in_the_build_tree() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        };
        let found = |name: &str, version| {
            let configs = configurations(&folder.path().join(name), version);
            configs.iter().map(|config| config.get("A").as_u64().unwrap()).collect::<Vec<_>>()
        };
        put("boot/config-6.1-x", "CONFIG_A=1\n");
        put("boot/.config", "# Linux/mips 6.1.0 Kernel Configuration\nCONFIG_A=2\n");
        put("b/.config", "CONFIG_A=3\n");
        put("b/arch/mips/boot/compressed/x", "");
        assert_eq!(found("boot/vmlinuz-6.1-x", None), [1, 2]);
        assert_eq!(found("boot/vmlinuz", Some("6.1.0-50")), [2]);
        assert_eq!(found("boot/vmlinuz", Some("6.1.01")), [0; 0]);
        assert_eq!(found("boot/vmlinuz", Some("6.12.1")), [0; 0]);
        assert_eq!(found("b/arch/mips/boot/vmlinux.bin", None), [3]);
        assert_eq!(found("b/arch/mips/boot/compressed/vmlinux.bin.gz", None), [3]);
        assert_eq!(found("other/vmlinux", None), [0; 0]);
    }
}
