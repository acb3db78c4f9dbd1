//! The Nix files are parsed by Nix, and `stoopImage` is evaluated; the script that it would build by is run.

use super::{command, done, has, has_payloads, recipes};
use crate::bench::{Bench, Kernel, squashfs, tree};

/// What `stoop-image.nix` takes of nixpkgs.
const LIBRARY: &str = "{
    optionals = condition: list: if condition then list else [ ];
    inherit (builtins) concatMap concatStringsSep;
    escapeShellArgs = words: builtins.concatStringsSep \" \" (map (word: \"'${word}'\") words);
}";

fn nix(words: &[&str], bench: &Bench) -> String {
    let mut nix = command("nix-instantiate", &bench.path("."));
    // Nothing of a real store is read or written.
    nix.env("NIX_REMOTE", "dummy://").env("HOME", bench.path("."));
    let output = nix.args(words).output().unwrap();
    done(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_nix_file_is_one() {
    if !has("nix-instantiate") {
        return;
    }
    let bench = Bench::new();
    let files = std::fs::read_dir(recipes().join("nix")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "nix")).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        assert!(!nix(&["--parse", file.to_str().unwrap()], &bench).is_empty());
    }
}

#[test]
fn stoop_image_packs_and_checks() {
    if !has("nix-instantiate") {
        return;
    }
    let bench = Bench::new();
    let [kernel, dtb, rootfs] = [
        bench.put("vmlinux", &Kernel::new(false).elf()),
        bench.put("board.dtb", &tree(Some(b"from-tree"))),
        bench.put("root.squashfs", &squashfs(0x1_2345)),
    ];
    let expression = format!(
        "import {} {{ lib = {LIBRARY}; runCommand = name: attributes: script: script; stoop = \"stoop\"; }} {{
            board = \"qemu-malta-le\"; kernel = {}; dtb = {}; rootfs = {}; format = \"raw\";
            commandLine = [ \"panic=10\" \"quiet\" ]; keep = [ \"bootImage\" ]; }}",
        recipes().join("nix/stoop-image.nix").display(),
        // Strings, not paths: nothing is copied to a store.
        format_args!("{:?}", kernel.to_str().unwrap()),
        format_args!("{:?}", dtb.to_str().unwrap()),
        format_args!("{:?}", rootfs.to_str().unwrap()),
    );
    let json = nix(&["--eval", "--strict", "--json", "--expr", &expression], &bench);
    let script: String = serde_json::from_str(&json).unwrap();
    let out = bench.path("out");
    done(&command("sh", &bench.path(".")).args(["-euc", &script]).env("out", &out).output().unwrap());
    has_payloads(&out.join("image"), &["kernel", "dtb", "rootfs"]);
    let read =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(out.join(name)).unwrap()).unwrap() };
    assert!(
        read("pack.json")["cmdline"].as_str().unwrap().contains("from-tree panic=10 quiet"),
        "{}",
        read("pack.json")
    );
    assert!(read("check.json").is_object());
}
