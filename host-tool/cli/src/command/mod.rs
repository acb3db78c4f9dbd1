//! The verbs, one file each: `Args` is what the user typed, `run` does it.

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::json;
use crate::project::Project;
pub use error::Error;

use crate::Result;

pub mod boards;
pub mod check;
mod check_image;
mod error;
pub mod explain;
pub mod flash;
pub mod init;
pub mod inspect;
pub mod kernel;
pub mod kexec;
pub mod man;
pub mod modules;
pub mod monitor;
pub mod netboot;
pub mod pack;
mod picture;
mod place;
pub mod power;
pub mod run;
pub mod simulate;
mod stdin;
mod stop;
mod suggest;
mod units;

/// One image, one command: boot an unpatched Linux kernel behind a vendor bootloader.
///
/// What is typed each time can stand in a file stoop.toml in the folder where stoop runs; `stoop init` writes one.
#[derive(Parser, Debug)]
#[command(
    name = "stoop",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Example:\n  stoop pack --board gl-ar750 --kernel vmlinux --dtb board.dtb --rootfs root.squashfs -o image.bin"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Write a project file, stoop.toml, from the files in this folder
    Init(init::Args),
    /// Make one image from kernel, device tree and root filesystem
    Pack(Box<pack::Args>),
    /// Show what is inside an image, and whether it is whole
    Inspect(inspect::Args),
    /// Show what the shim will decide and write, without a board
    Simulate(simulate::Args),
    /// Explain an error code of the shim or of stoop, and what to do about it
    Explain(explain::Args),
    /// List, show and check board data
    Boards(boards::Args),
    /// Boot an image in QEMU and show its console
    Run(run::Args),
    /// Boot an image on a real board: serve it by TFTP, type at its bootloader, show its console
    Netboot(Box<netboot::Args>),
    /// Write an image to a real board's flash by its bootloader, or read a partition back
    Flash(Box<flash::Args>),
    /// Switch a board's power
    Power(power::Args),
    /// Show a board's console; explain error codes, decode traces and crashes
    Monitor(monitor::Args),
    /// Write a script that starts an image from a running Linux, with stock kexec-tools
    Kexec(kexec::Args),
    /// Build a kernel and its modules in one tree
    #[command(
        subcommand,
        after_help = "Example:\n  stoop kernel build --source linux.tar.xz --arch mips --endian big --config base.config --out out"
    )]
    Kernel(kernel::Verb),
    /// Resolve, check and bundle the kernel's modules
    #[command(subcommand, after_help = "Example:\n  stoop modules resolve --modules lib/modules/6.12.117 @firewall")]
    Modules(modules::Verb),
    /// Check whether a kernel supports the handoff and a root filesystem in RAM, or whether an image would work on a board
    Check(check::Args),
    /// Print the completions for a shell
    #[command(after_help = "Example:\n  stoop completions bash")]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    Man(man::Args),
}

impl Cli {
    /// The command line; where COLUMNS is 0, as of a terminal that does not know its size, help has 80 columns.
    fn as_wide_as_told() -> clap::Command {
        match std::env::var("COLUMNS").as_deref() {
            Ok("0") => Cli::command().term_width(80),
            _ => Cli::command(),
        }
    }

    /// What was typed, with what the project file of this folder adds to it: once for each image to be made.
    ///
    /// # Errors
    /// A project file that cannot be read. A wrong command line ends the process.
    pub fn read(words: Vec<OsString>) -> Result<Vec<Cli>> {
        let (mut command, verb) =
            (Cli::as_wide_as_told(), words.get(1).and_then(|verb| verb.to_str()).unwrap_or_default());
        command.build();
        let with = |more: Vec<OsString>| {
            let (front, rest) = words.split_at(words.len().min(2));
            let read = Cli::as_wide_as_told().try_get_matches_from([front, &more, rest].concat());
            read.and_then(|mut typed| Cli::from_arg_matches_mut(&mut typed)).unwrap_or_else(|error| refuse(&error))
        };
        let pack = command.find_subcommand("pack").cloned().unwrap_or_default();
        let at_a_place =
            command.find_subcommand(verb).filter(|_| matches!(verb, "netboot" | "flash" | "power" | "check")).cloned();
        if at_a_place.is_none() && !matches!(verb, "pack" | "run" | "inspect" | "simulate") {
            return Ok(vec![with(Vec::new())]);
        }
        // What is wrong with the line is told when it is read with all its words.
        let typed = command.ignore_errors(true).try_get_matches_from(&words).ok();
        let typed = typed.as_ref().and_then(|typed| typed.subcommand_matches(verb));
        let (Some(typed), Some(project)) = (typed, Project::read(Path::new("."), &pack)?) else {
            return Ok(vec![with(Vec::new())]);
        };
        if verb == "pack" {
            return Ok(project.pack_words(&pack, typed).into_iter().map(with).collect());
        }
        let takes_image = ["image", "kernel", "config"].iter().any(|id| typed.try_contains_id(id).is_ok());
        let is_typed = |id: &str| matches!(typed.try_contains_id(id), Ok(true));
        let is_told = ["image", "kernel", "config"].iter().any(|id| is_typed(id));
        let has_image = is_typed("image") || (!is_told && project.image().is_some());
        // `check` of a kernel alone takes no board.
        let at_a_place = at_a_place.filter(|_| verb != "check" || has_image);
        let words = at_a_place.map(|verb| project.place_words(&verb, typed)).transpose()?;
        let mut more = words.unwrap_or_default();
        more.extend(project.image().filter(|_| takes_image && !is_told).map(OsString::from));
        Ok(vec![with(more)])
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever the verb reports; `main` prints it and turns it into the exit code.
    pub fn run(self) -> Result<()> {
        match self.verb {
            Verb::Init(args) => init::run(&args),
            Verb::Pack(args) => pack::run(&args),
            Verb::Inspect(args) => inspect::run(&args),
            Verb::Simulate(args) => simulate::run(&args),
            Verb::Explain(args) => explain::run(&args),
            Verb::Boards(args) => boards::run(args),
            Verb::Run(args) => run::run(&args),
            Verb::Netboot(args) => netboot::run(&args),
            Verb::Flash(args) => flash::run(&args),
            Verb::Power(args) => power::run(&args),
            Verb::Monitor(args) => monitor::run(&args),
            Verb::Kexec(args) => kexec::run(&args),
            Verb::Kernel(verb) => verb.run(),
            Verb::Modules(verb) => verb.run(),
            Verb::Check(args) => check::run(args),
            Verb::Completions { shell } => crate::ui::put_raw(&completions(shell)),
            Verb::Man(args) => man::run(&args, Cli::command()),
        }
    }
}

/// Ends the process as clap does; for those who read JSON with the failure in it.
fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() && json::is_asked() {
        let text = error.render().to_string();
        let fact = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        json::put_failure(&Error::CommandLine { fact }.into());
    }
    error.exit()
}

fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stoop", &mut script);
    if shell == clap_complete::Shell::Fish {
        // What is made for fish has only the flags' values.
        let names = |values: suggest::Suggest| values.names().join(" ");
        for (verb, below, values) in [
            ("boards", "show", names(suggest::boards())),
            ("modules", "resolve check bundle", names(suggest::requirements_among_modules())),
        ] {
            let seen = format!("__fish_seen_subcommand_from {verb}; and __fish_seen_subcommand_from {below}");
            script.extend(format!("complete -c stoop -n \"{seen}\" -a \"{values}\"\n").bytes());
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(command: &clap::Command, found: &mut Vec<clap::Command>) {
        found.push(command.clone());
        command.get_subcommands().filter(|below| below.get_name() != "help").for_each(|below| commands(below, found));
    }

    #[test]
    fn every_help_ends_with_an_example_that_is_a_right_command_line() {
        let mut command = Cli::command();
        command.build();
        let mut all = Vec::new();
        commands(&command, &mut all);
        assert!(all.len() > 20);
        for command in all {
            let name = command.get_name().to_owned();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = help.strip_prefix("Example:\n  ").unwrap_or_else(|| panic!("{name}: no example"));
            for line in example.lines() {
                // Without a shell: quotes hold words together.
                let words = line.trim().split('"').enumerate().flat_map(|(at, part)| match at % 2 {
                    1 => vec![part],
                    _ => part.split_whitespace().collect(),
                });
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok() || line.contains(" help "), "{name}: {line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn boards_slots_requirements_and_codecs_are_completed_in_every_shell() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let script = String::from_utf8(completions(shell)).unwrap();
            for word in ["gl-ar750", "qemu-virt-arm64", "phram-root", "@firewall", "lzma"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
