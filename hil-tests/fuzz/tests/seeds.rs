//! Every committed seed through its target, on the stable compiler.

use std::fs;
use std::path::Path;

use stoop_fuzz::TARGETS;

fn seeds() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

#[test]
fn every_target_takes_all_of_its_seeds_without_a_panic() {
    for (name, target) in TARGETS {
        let folder = seeds().join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no seed");
        for file in files {
            let bytes = fs::read(&file).expect("a seed");
            eprintln!("{name}: {}", file.display());
            target(&bytes);
            // Cut and damaged seeds reach further than whole ones.
            target(&bytes[..bytes.len() / 2]);
            for at in 0..bytes.len().min(64) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x80;
                target(&damaged);
            }
        }
    }
}

#[test]
fn no_folder_of_seeds_is_without_a_target() {
    for entry in fs::read_dir(seeds()).expect("the seeds") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(stoop_fuzz::target(&name).is_some(), "seeds/{name} belongs to no target");
    }
}
