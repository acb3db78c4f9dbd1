//! The verbs, one file each: `Args` is what the user typed, `run` does it.

use clap::{CommandFactory, Parser, Subcommand};

use crate::Result;

pub mod boards;
pub mod check;
mod check_image;
pub mod explain;
pub mod inspect;
pub mod kernel;
pub mod kexec;
pub mod modules;
pub mod monitor;
pub mod pack;
pub mod run;
pub mod simulate;

/// One image, one command: boot an unpatched Linux kernel behind a vendor bootloader.
#[derive(Parser, Debug)]
#[command(name = "stoop", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Make one image from kernel, device tree and root filesystem
    Pack(Box<pack::Args>),
    /// Show what is inside an image, and whether it is whole
    Inspect(inspect::Args),
    /// Show what the shim will decide and write, without a board
    Simulate(simulate::Args),
    /// Say what an error code of the shim means, and what to do
    Explain(explain::Args),
    /// List, show and check board data
    Boards(boards::Args),
    /// Boot an image in QEMU and show its console
    Run(run::Args),
    /// Show a console with what a traced shim says on it put into words
    Monitor(monitor::Args),
    /// Write a script that starts an image from a running Linux, with stock kexec-tools
    Kexec(kexec::Args),
    /// Build a kernel and its modules in one tree
    #[command(subcommand)]
    Kernel(kernel::Verb),
    /// Resolve, check and bundle the kernel's modules
    #[command(subcommand)]
    Modules(modules::Verb),
    /// Say whether a kernel takes the handoff, a root filesystem in RAM…, or what goes wrong with an image on a board
    Check(check::Args),
    /// Print the completions for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever the verb reports; `main` prints it and turns it into the exit code.
    pub fn run(self) -> Result<()> {
        match self.verb {
            Verb::Pack(args) => pack::run(&args),
            Verb::Inspect(args) => inspect::run(&args),
            Verb::Simulate(args) => simulate::run(&args),
            Verb::Explain(args) => explain::run(&args),
            Verb::Boards(args) => boards::run(args),
            Verb::Run(args) => run::run(&args),
            Verb::Monitor(args) => monitor::run(&args),
            Verb::Kexec(args) => kexec::run(&args),
            Verb::Kernel(verb) => verb.run(),
            Verb::Modules(verb) => verb.run(),
            Verb::Check(args) => check::run(args),
            Verb::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "stoop", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

/// An address as people type it.
pub(crate) fn address(text: &str) -> std::result::Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; write it as 0x80100000"))
}
