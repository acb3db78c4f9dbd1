//! Where images go: files, links, pipes and stdout; and what is printed to copy.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};

use object::{Object, ObjectSection, SectionKind};

use crate::bench::Bench;

const PACK: [&str; 5] = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux"];

fn stoop(bench: &Bench) -> Command {
    bench.command(env!("CARGO_BIN_EXE_stoop"))
}

fn good(output: Output) -> Output {
    assert!(output.status.success(), "{output:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A bench with `vmlinux`, and the image that it packs to.
fn bench() -> (Bench, Vec<u8>) {
    let bench = Bench::new();
    bench.full();
    good(bench.stoop(&[&PACK[..], &["-o", "image"]].concat()));
    let image = std::fs::read(bench.path("image")).unwrap();
    (bench, image)
}

#[test]
fn a_pipe_gets_the_bytes_and_stays_a_pipe() {
    let (bench, image) = bench();
    let fifo = bench.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::read(fifo).unwrap()
    });
    good(bench.stoop(&[&PACK[..], &["-o", "fifo"]].concat()));
    assert!(reader.join().unwrap() == image);
    assert!(std::fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
}

#[test]
fn stdout_by_every_name_gets_the_image_and_stderr_the_words() {
    let (bench, image) = bench();
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let output = good(bench.stoop(&[&PACK[..], &["-o", name]].concat()));
        assert!(output.stdout == image, "{name}");
        assert!(text(&output.stderr).contains("at the bootloader"), "{name}");
    }
    // Also when stdout is a file, which is not renamed over.
    let file = std::fs::File::create(bench.path("redirected")).unwrap();
    let before = file.metadata().unwrap().ino();
    let mut command = stoop(&bench);
    good(command.args(PACK).args(["-o", "/dev/stdout"]).stdout(file).output().unwrap());
    assert!(std::fs::read(bench.path("redirected")).unwrap() == image);
    assert_eq!(std::fs::metadata(bench.path("redirected")).unwrap().ino(), before);
}

#[test]
fn stdin_is_every_inputs_dash() {
    let (bench, image) = bench();
    let piped = |words: &[&str], input: &[u8]| {
        let mut child = stoop(&bench);
        let mut child =
            child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        good(child.wait_with_output().unwrap())
    };
    let kernel = std::fs::read(bench.path("vmlinux")).unwrap();
    let pack: Vec<&str> = PACK.iter().map(|word| if *word == "vmlinux" { "-" } else { word }).collect();
    assert!(piped(&[&pack[..], &["-o", "-"]].concat(), &kernel).stdout == image);
    for words in [&["inspect", "-"][..], &["simulate", "-"], &["check", "-", "--board", "qemu-malta-le"]] {
        assert!(!piped(words, &image).stdout.is_empty(), "{words:?}");
    }
    piped(&["check", "--kernel", "-"], &kernel);
    let boards = concat!(env!("CARGO_MANIFEST_DIR"), "/../../boards/qemu-malta-le.toml");
    let board = std::fs::read(boards).unwrap();
    let words = ["pack", "--board", "-", "--kernel", "vmlinux", "--json", "-o", "by-stdin"];
    let value: serde_json::Value = serde_json::from_slice(&piped(&words, &board).stdout).unwrap();
    assert_eq!(value["board"], "stdin");
    let own = b"description = \"mine\"\nmodules = [\"a\"]\n";
    let said = piped(&["modules", "requirements", "--requirement", "-"], own);
    assert!(text(&said.stdout).contains("@stdin: mine"), "{said:?}");
    let tree = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../image/boards/dts/qemu-malta.dtb")).unwrap();
    piped(&["boards", "new", "--dtb", "-", "--soc", "malta", "--output", "by-stdin.toml"], &tree);
    for words in [
        &["boards", "new", "--dtb", "-", "--log", "-"][..],
        &["monitor", "-", "--vmlinux", "-"],
        &["simulate", "-", "--uhi", "-"],
    ] {
        let refused = bench.stoop(words);
        assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("one of its inputs"), "{refused:?}");
    }
    let refused = bench.stoop(&["pack", "--board", "-", "--kernel", "-", "-o", "twice"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let twice = bench.stoop(&[&pack[..], &["--rootfs", "-", "-o", "twice"]].concat());
    assert_eq!(twice.status.code(), Some(2), "{twice:?}");
    assert!(text(&twice.stderr).contains("one of its inputs"), "{twice:?}");
}

#[test]
fn an_output_that_is_an_input_is_refused_before_anything_is_written() {
    let (bench, image) = bench();
    std::os::unix::fs::symlink("vmlinux", bench.path("link")).unwrap();
    let kernel = std::fs::read(bench.path("vmlinux")).unwrap();
    for name in ["vmlinux", "./vmlinux", "link"] {
        let output = bench.stoop(&[&PACK[..], &["-o", name]].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("is the input vmlinux"), "{output:?}");
    }
    assert!(std::fs::read(bench.path("vmlinux")).unwrap() == kernel);
    for words in [&["simulate", "image", "--dtb-out", "image"][..], &["kexec", "image", "-o", "image"]] {
        assert_eq!(bench.stoop(words).status.code(), Some(2), "{words:?}");
    }
    assert!(std::fs::read(bench.path("image")).unwrap() == image);
}

#[test]
fn new_files_have_the_permissions_that_the_umask_leaves() {
    let (bench, _) = bench();
    for (umask, mode) in [("077", 0o600), ("027", 0o640), ("000", 0o666)] {
        let script = format!("umask {umask}; exec {} {} -o {umask}", env!("CARGO_BIN_EXE_stoop"), PACK.join(" "));
        good(Command::new("sh").args(["-c", &script]).current_dir(bench.path(".")).output().unwrap());
        assert_eq!(std::fs::metadata(bench.path(umask)).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn no_folder_is_made_for_an_output() {
    let (bench, _) = bench();
    let before = bench.files();
    for words in [
        [&PACK[..], &["-o", "none/image"]].concat(),
        vec!["simulate", "image", "--dtb-out", "none/dtb"],
        vec!["run", "image", "--log", "none/log"],
    ] {
        let output = bench.stoop(&words);
        assert!(!output.status.success() && text(&output.stderr).contains("none"), "{output:?}");
    }
    assert_eq!(bench.files(), before);
}

#[test]
fn printed_commands_hold_no_word_that_a_shell_or_bootloader_takes_apart() {
    let (bench, _) = bench();
    let name = "a;reset $(touch PWNED) 'b'.img";
    for format in ["uimage", "elf", "nor"] {
        let output = good(bench.stoop(&[&PACK[..], &["--format", format, "--json", "-o", name]].concat()));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let uboot = [&value["commands"], &value["flash"]["u-boot"]].map(ToString::to_string).concat();
        assert!(!uboot.contains(['$', ';', '\'', '(']) && uboot.contains("a_reset___touch_PWNED___b_.img"), "{uboot}");
        assert!(text(&output.stderr).contains("serve it by that name"), "{output:?}");
        if let Some(lines) = value["flash"]["linux"].as_array() {
            // What copies an extent of the file reads exactly that file.
            let line = lines.iter().filter_map(|line| line.as_str()).find(|line| line.starts_with("tail")).unwrap();
            let script = line.split(" | ").next().unwrap();
            good(Command::new("sh").args(["-c", script]).current_dir(bench.path(".")).output().unwrap());
        }
    }
    let kexec = bench.path("it's.elf");
    good(bench.stoop(&[&PACK[..], &["--format", "elf", "-o", "it's.elf"]].concat()));
    let output = good(bench.stoop(&["kexec", kexec.to_str().unwrap(), "-o", "run $(touch PWNED).sh"]));
    assert!(text(&output.stdout).contains(r"sh 'run $(touch PWNED).sh' -n 'it'\''s.elf'"), "{output:?}");
    assert!(!bench.path("PWNED").exists());
}

#[test]
fn an_elf_images_sections_load_what_its_segments_load() {
    let (bench, _) = bench();
    let words = ["--rootfs", "root.squashfs", "--initrd", "initrd", "--format", "elf", "-o", "image.elf"];
    good(bench.stoop(&[&PACK[..], &words].concat()));
    let file = std::fs::read(bench.path("image.elf")).unwrap();
    let elf = object::read::elf::ElfFile32::<object::Endianness>::parse(&file[..]).unwrap();
    let mut sections: Vec<(u64, u64, Vec<u8>)> = Vec::new();
    for section in elf.sections().filter(|section| section.address() != 0 && section.size() != 0) {
        let bytes = section.data().unwrap().to_vec();
        assert_eq!(bytes.is_empty(), section.kind() == SectionKind::UninitializedData);
        match sections.last_mut().filter(|(start, size, _)| start + size == section.address() && bytes.is_empty()) {
            Some((_, size, _)) => *size += section.size(),
            None => sections.push((section.address(), section.size(), bytes)),
        }
    }
    use object::ObjectSegment;
    let segments: Vec<_> =
        elf.segments().map(|segment| (segment.address(), segment.size(), segment.data().unwrap().to_vec())).collect();
    assert!(segments.len() > 1 && sections == segments);
}

#[test]
fn a_file_that_may_not_grow_leaves_the_old_one_and_nothing_else() {
    let (bench, _) = bench();
    bench.put("old", b"kept");
    let before = bench.files();
    for name in ["old", "new"] {
        let mut command = bench.command("prlimit");
        command.args(["--fsize=4096", env!("CARGO_BIN_EXE_stoop")]).args(PACK).args(["-o", name]);
        let output = command.output().expect("prlimit of util-linux");
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("next: make room for 0x"), "{output:?}");
    }
    assert_eq!(std::fs::read(bench.path("old")).unwrap(), b"kept");
    assert_eq!(bench.files(), before);
}
