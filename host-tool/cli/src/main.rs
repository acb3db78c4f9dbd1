//! The `stoop` command: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use stoop::command::Cli;
use stoop_image::Explained as _;

fn main() -> ExitCode {
    stoop::ui::fail_where_files_may_not_grow();
    stoop::ending::on_signals();
    let done = Cli::read(std::env::args_os().collect()).and_then(|all| {
        let several = all.len() > 1;
        all.into_iter().try_for_each(|each| {
            stoop::json::begin(several);
            each.run()
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if stoop::json::is_asked() {
                stoop::json::put_failure(&failure);
            }
            stoop::ui::tell(format_args!("{}: {}", failure.code(), stoop::ui::in_full(&failure)));
            ExitCode::from(failure.exit_code())
        }
    }
}
