//! The verbs, one file each: `Args` is what the user typed, `run` does it.

use clap::{CommandFactory, Parser, Subcommand};

use crate::Result;

pub mod boards;
pub mod check;
pub mod kernel;
pub mod modules;
pub mod run;

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
    /// List, show and check board data
    Boards(boards::Args),
    /// Boot an image in QEMU and show its console
    Run(run::Args),
    /// Build a kernel and its modules in one tree
    #[command(subcommand)]
    Kernel(kernel::Verb),
    /// Resolve, check and bundle the kernel's modules
    #[command(subcommand)]
    Modules(modules::Verb),
    /// Say whether a kernel takes the handoff, a root filesystem in RAM, a ramdisk, kexec
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
            Verb::Boards(args) => boards::run(args),
            Verb::Run(args) => run::run(&args),
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
