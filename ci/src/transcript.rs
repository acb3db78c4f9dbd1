//! `cargo ci transcript`: README's path from a clean clone to a booted image, typed as it is written, and what came of it. After README and the
//! book's first page come the pages with blocks that need the lab. What the blocks' marks mean is told in `stoop_samples::pages`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use stoop_samples::failure::{Failure, Result};
use stoop_samples::pages::{self, Block, Runs};

use crate::lab::{Endian, Flavour, Lab};
use crate::packages::QUICK;
use crate::{cache, repository, run};

/// Typed from the first line to the last, whatever their blocks need.
const PATH: [&str; 2] = ["README.md", "docs/start.md"];

/// What a kernel says when it starts, and how often on that path: two boots of the demo, one of `stoop run`.
const BOOTED: (&str, usize) = ("Kernel command line: ", 3);

/// Clones this repository's last commit, types what the pages say, and leaves `target/transcript.txt`.
///
/// # Errors
/// A command fails, a block does not say what it is, no kernel booted, or the lab is not complete.
pub fn run() -> Result<()> {
    let start = Instant::now();
    let walk = Walk::begin(&repository().join("target"))?;
    let (mut typed, mut booted) = (0, 0);
    let mut left: Vec<String> = Vec::new();
    for page in pages::pages(&walk.clone).map_err(|error| Failure::io(&walk.clone.join("docs"), &error))? {
        let blocks = read(&walk.clone, &page)?;
        left.extend(blocks.iter().filter_map(|block| match &block.runs {
            Runs::No(why) => Some(format!("{}:{}: {why}", page.display(), block.line)),
            _ => None,
        }));
        let on_path = PATH.iter().any(|name| page == Path::new(name));
        if !on_path && !blocks.iter().any(|block| block.runs == Runs::Lab) {
            continue;
        }
        walk.put_files(&blocks)?;
        for block in blocks.iter().filter(|block| !matches!(block.runs, Runs::No(_))) {
            for line in &block.commands {
                let said = walk.r#type(&page, block, line)?;
                typed += 1;
                booted += if on_path { said.matches(BOOTED.0).count() } else { 0 };
            }
        }
    }
    if booted < BOOTED.1 {
        return Err(Failure::new(format!(
            "{booted} kernels booted on the way through {}, not {}",
            PATH.join(" and "),
            BOOTED.1
        ))
        .next(format!("read {}", walk.transcript.display())));
    }
    eprintln!("transcript: {typed} commands in {} s: {}", start.elapsed().as_secs(), walk.transcript.display());
    eprintln!("transcript: {} blocks are not run:\n  {}", left.len(), left.join("\n  "));
    Ok(())
}

fn read(clone: &Path, page: &Path) -> Result<Vec<Block>> {
    let text = cache::read(&clone.join(page))?;
    pages::blocks(&String::from_utf8_lossy(&text))
        .map_err(|unclear| Failure::new(format!("{}:{}: {}", page.display(), unclear.line, unclear.fact)))
}

/// A clone, the folder where `cargo install` puts the command, and what was typed so far.
struct Walk {
    clone: PathBuf,
    root: PathBuf,
    transcript: PathBuf,
    lab: Lab,
}

impl Walk {
    fn begin(target: &Path) -> Result<Walk> {
        let place = target.join("transcript");
        if place.exists() {
            std::fs::remove_dir_all(&place).map_err(|error| Failure::io(&place, &error))?;
        }
        cache::create_dir(&place)?;
        let walk = Walk {
            clone: place.join("stoop"),
            root: place.join("root"),
            transcript: target.join("transcript.txt"),
            lab: Lab::open()?,
        };
        run::output(run::command("git").args(["clone", "--quiet"]).arg(repository()).arg(&walk.clone))?;
        // Other crates are compiled once for both trees.
        let link = walk.clone.join("target");
        std::os::unix::fs::symlink(target, &link).map_err(|error| Failure::io(&link, &error))?;
        cache::write(&walk.transcript, b"")?;
        Ok(walk)
    }

    /// The files that the pages name, real ones of the lab; what an earlier page left is gone.
    fn put_files(&self, blocks: &[Block]) -> Result<()> {
        let mut clean = run::command("git");
        run::output(clean.arg("-C").arg(&self.clone).args(["clean", "-ffdxq", "--exclude", "/target"]))?;
        let lab = &self.lab;
        let mut files = vec![
            ("vmlinux".to_owned(), lab.vmlinux(Endian::Big, Flavour::Lab)),
            ("kernel.config".to_owned(), lab.kernel_file(Endian::Big, Flavour::Lab, "config")),
            ("vmlinux-le".to_owned(), lab.vmlinux(Endian::Little, Flavour::Lab)),
            ("root.squashfs".to_owned(), lab.squashfs(Endian::Big)),
            ("my.cpio.gz".to_owned(), lab.initramfs(Endian::Little)),
            ("board.dtb".to_owned(), self.clone.join("boards/dts/qemu-malta.dtb")),
            ("DIR/vmlinux".to_owned(), lab.vmlinux(Endian::Big, Flavour::Modular)),
        ];
        // Debian's package by the name that the page has, of whatever version the lab has.
        let words = blocks.iter().flat_map(|block| &block.commands).flat_map(|line| line.split(' '));
        for name in words.filter(|word| word.starts_with("linux-image-") && word.ends_with(".deb")) {
            files.push((name.to_owned(), lab.debian_kernel("mips32r2el")?));
        }
        let modules = lab.modules(Endian::Big, Flavour::Modular)?;
        let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((format!("DIR/lib/modules/{version}"), modules));
        for (name, from) in files {
            let to = self.clone.join(name);
            cache::create_dir(to.parent().unwrap_or(&self.clone))?;
            std::os::unix::fs::symlink(&from, &to).map_err(|error| Failure::io(&to, &error))?;
        }
        Ok(())
    }

    /// Runs a line of a page and returns what it printed, which goes to the transcript and to stderr.
    fn r#type(&self, page: &Path, block: &Block, line: &str) -> Result<String> {
        let io = |error| Failure::io(&self.transcript, &error);
        let mut file = File::options().read(true).append(true).open(&self.transcript).map_err(io)?;
        writeln!(file, "$ {line}").map_err(io)?;
        eprintln!("$ {line}");
        let from = file.metadata().map_err(io)?.len();
        let mut shell = self.shell(line)?;
        shell.stdout(file.try_clone().map_err(io)?).stderr(file.try_clone().map_err(io)?);
        let done = run::shown(&mut shell);
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        eprint!("{said}");
        if !said.is_empty() && !said.ends_with('\n') {
            writeln!(file).map_err(io)?;
            eprintln!();
        }
        done.map_err(|failure| failure.within(format!("{}:{}: {line}", page.display(), block.line)))?;
        Ok(said)
    }

    /// A shell in the clone that finds what `cargo install` installs there, and not what this machine has of that name.
    fn shell(&self, line: &str) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.root.join("bin")].into_iter().chain(std::env::split_paths(&path)))
            .map_err(|error| Failure::new(format!("the PATH: {error}")))?;
        let mut shell = run::command("sh");
        shell.current_dir(&self.clone).env("PATH", path).env("CARGO_INSTALL_ROOT", &self.root).args(["-euc", line]);
        // `cargo install` builds as for a release.
        shell.env(QUICK.0, QUICK.1);
        Ok(shell)
    }
}
