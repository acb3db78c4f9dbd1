//! The `stoop` command: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match stoop::command::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stoop::ui::tell(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
