//! `stoop init`: writes a project file from what lies here, and asks for what cannot be seen.

use std::io::{BufRead, Write};
use std::path::Path;
use stoop_image::format::device_tree;

use crate::Result;
use crate::command::Error;
use crate::project::FILE;
use crate::ui::{put, tell};
use stoop_image::board;
use stoop_image::input::looks_like;
use stoop_image::output::Output;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop init --board gl-ar750")]
pub struct Args {
    /// The board: a name from `stoop boards list`, or a board file
    #[arg(long, value_name = "NAME|FILE", value_parser = super::suggest::boards(), hide_possible_values = true)]
    board: Option<String>,
    /// The kernel [default: the one in this folder]
    #[arg(long, value_name = "FILE")]
    kernel: Option<String>,
    /// The device tree [default: the one in this folder]
    #[arg(long, value_name = "FILE")]
    dtb: Option<String>,
    /// The root filesystem [default: the squashfs in this folder]
    #[arg(long, value_name = "FILE")]
    rootfs: Option<String>,
    /// The initial ramdisk [default: the cpio archive in this folder]
    #[arg(long, value_name = "FILE")]
    initrd: Option<String>,
    /// The kernel's command line, instead of the device tree's
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// The image to be made
    #[arg(short, long, value_name = "FILE", default_value = "image.bin")]
    output: String,
    /// The board's place in a lab: begins the table [place], which says how to reach the board
    #[arg(long, value_name = "NAME")]
    place: Option<String>,
}

/// What a file is to a project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Kernel,
    Dtb,
    Rootfs,
    Initrd,
}

/// Writes `stoop.toml`.
///
/// # Errors
/// There is one already, a question has no answer, or the file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    if Path::new(FILE).exists() {
        return Err(crate::project::Error::Exists.into());
    }
    let here = here()?;
    let board = match &args.board {
        Some(board) => board.clone(),
        None => ask("which board is it for? (`stoop boards list`)", &[], "--board")?,
    };
    let board = board::load(&board).map(|_| board)?;
    let mut lines = vec![("board", board)];
    let files = [
        ("kernel", &args.kernel, Role::Kernel),
        ("dtb", &args.dtb, Role::Dtb),
        ("rootfs", &args.rootfs, Role::Rootfs),
        ("initrd", &args.initrd, Role::Initrd),
    ];
    for (key, given, role) in files {
        let found: Vec<&str> = here.iter().filter(|(_, is)| *is == role).map(|(name, _)| name.as_str()).collect();
        let value = match (given, &found[..]) {
            (Some(value), _) => Some(value.clone()),
            (None, [only]) => Some((*only).to_owned()),
            (None, []) if role == Role::Kernel => Some(ask("which file is the kernel?", &[], "--kernel")?),
            (None, []) => None,
            (None, several) => Some(ask(&format!("which of these is the {key}?"), several, &format!("--{key}"))?),
        };
        if let Some(missing) = value.as_deref().filter(|value| !Path::new(value).exists()) {
            tell(format_args!("warning: the {key} {missing} is not there: `stoop pack` will need it"));
        }
        lines.extend(value.map(|value| (key, value)));
    }
    lines.extend(args.cmdline.clone().map(|line| ("cmdline", line)));
    lines.push(("output", args.output.clone()));
    let mut text = String::from("# What `stoop pack` would be told each time, by the names of its flags; flags win.\n");
    for (key, value) in &lines {
        text += &format!("{key} = {}\n", toml::Value::String(value.clone()));
    }
    if let Some(name) = &args.place {
        text += &format!("\n[place]\nname = {}\n", toml::Value::String(name.clone()));
    }
    Output::new(Path::new(FILE), [])?.write(text.as_bytes())?;
    put(&format!("{text}\nwritten to {FILE}; `stoop pack` makes {}\n", args.output))
}

/// The files of this folder that a project may be made of, by name.
fn here() -> Result<Vec<(String, Role)>> {
    let folder = Path::new(".");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| crate::Error::file(folder, error))? {
        let entry = entry.map_err(|error| crate::Error::file(folder, error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Some(role) = role(&name, &entry.path()) {
            found.push((name, role));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn role(name: &str, path: &Path) -> Option<Role> {
    use std::io::Read as _;
    if !path.is_file() {
        return None;
    }
    let mut front = Vec::new();
    std::fs::File::open(path).ok()?.take(0x1000).read_to_end(&mut front).ok()?;
    let is_named = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match looks_like(&front) {
        "an arm64 Image" => Some(Role::Kernel),
        "an ELF file" if name.starts_with("vmlinu") => Some(Role::Kernel),
        "a uImage" | "a FIT image" if is_named(&["vmlinu", "kernel", "zImage", "uImage"]) => Some(Role::Kernel),
        "an ar archive or Debian package" if name.starts_with("linux-image-") => Some(Role::Kernel),
        "gzip data" if name.starts_with("Image") || name.starts_with("vmlinu") => Some(Role::Kernel),
        "a squashfs" => Some(Role::Rootfs),
        "a cpio archive" => Some(Role::Initrd),
        _ if is_named(&["initrd", "initramfs"]) && name != FILE => Some(Role::Initrd),
        _ => (front.starts_with(&device_tree::MAGIC.to_be_bytes()) && name.ends_with(".dtb")).then_some(Role::Dtb),
    }
}

/// Asks on stderr, and reads a line from stdin: a name, or the number of a choice.
fn ask(question: &str, choices: &[&str], flag: &str) -> Result<String> {
    tell(question);
    for (number, choice) in choices.iter().enumerate() {
        tell(format_args!("  {} {choice}", number + 1));
    }
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Error::Stdin { source: error })?;
    let answer = answer.trim();
    let chosen = answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
    match (chosen, answer) {
        (Some(choice), _) => Ok((*choice).to_owned()),
        (None, "") => {
            Err(crate::project::Error::NoAnswer { question: question.to_owned(), option: flag.to_owned() }.into())
        }
        (None, name) => Ok(name.to_owned()),
    }
}
