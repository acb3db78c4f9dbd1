//! Boards and a labgrid on loopback for a command that wants some: `stand lab --place a=qemu-malta-le -- cargo ci hil --all`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use stoop_ci::labgrid::Tools;
use stoop_ci::{Failure, Result};
use stoop_hil_tests::stand::lab::{Lab, Offer, Place};
use stoop_hil_tests::stand::prompt::Prompt;
use stoop_hil_tests::stand::{Board, Emulated, Machine, Wiring};
use stoop_image::board;
use tempfile::TempDir;

/// Boards that QEMU plays, wired up as on a desk or in a lab, for as long as a command runs.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// One board on a pseudo-terminal: the command gets STOOP_SERIAL, STOOP_POWER and their like
    Desk {
        /// Its name
        board: String,
        /// What to run
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// A labgrid with places: the command gets LG_COORDINATOR
    Lab {
        /// A place: NAME=BOARD, or NAME=BOARD:serial for one whose console comes by ser2net
        #[arg(long = "place", value_name = "PLACE")]
        places: Vec<String>,
        /// So many places more, whose boards only have a prompt
        #[arg(long, default_value_t = 0)]
        prompts: usize,
        /// What to run
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Desk { board, command } => desk(&board, &command),
        Verb::Lab { places, prompts, command } => lab(&places, prompts, &command),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("stand: {failure}");
        ExitCode::from(failure.exit_code())
    })
}

/// A board that QEMU plays, and the folder that it fetches files from.
fn emulated(name: &str, wiring: Wiring) -> Result<(Board, PathBuf, TempDir)> {
    let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let tftp = work.path().join("tftp");
    std::fs::create_dir(&tftp).map_err(|error| Failure::io(&tftp, &error))?;
    let machine = Emulated::new(name, work.path(), &tftp)?;
    Ok((Board::new(Box::new(machine), wiring)?, tftp, work))
}

fn desk(name: &str, command: &[String]) -> Result<ExitCode> {
    let (board, tftp, _work) = emulated(name, Wiring::Pty)?;
    let variables = [
        ("STOOP_RIG", "serial".to_owned()),
        ("STOOP_BOARD", name.to_owned()),
        ("STOOP_SERIAL", board.console.clone()),
        ("STOOP_POWER", board.switch()),
        ("STOOP_TFTP_DIR", tftp.display().to_string()),
        ("STOOP_TFTP_URL", format!("tftp://{}/", stoop_lab::qemu::TFTP_SERVER)),
    ];
    run(command, &variables)
}

fn lab(places: &[String], prompts: usize, command: &[String]) -> Result<ExitCode> {
    let mut folders = Vec::new();
    let mut all = Vec::new();
    for place in places {
        let (name, board) = place
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`{place}` is no NAME=BOARD")).next("see `stand lab --help`"))?;
        let (board, offer) = match board.strip_suffix(":serial") {
            Some(board) => (board, Offer::Rfc2217),
            None => (board, Offer::Raw),
        };
        let wiring = if offer == Offer::Raw { Wiring::Tcp } else { Wiring::Pty };
        let (wired, tftp, folder) = emulated(board, wiring)?;
        folders.push(folder);
        let tftp = Some((tftp, stoop_lab::qemu::TFTP_SERVER.to_owned()));
        all.push(Place { name: name.to_owned(), tags: tags(board)?, board: Arc::new(wired), offer, tftp });
    }
    for number in 0..prompts {
        let machine: Box<dyn Machine> = Box::new(Prompt::new("maltael #"));
        let board = Arc::new(Board::new(machine, Wiring::Tcp)?);
        let name = format!("prompt{number:02}");
        all.push(Place { name, tags: tags("qemu-malta-le")?, board, offer: Offer::Raw, tftp: None });
    }
    let boards: Vec<Arc<Board>> = all.iter().map(|place| Arc::clone(&place.board)).collect();
    let lab = Lab::start(&Tools::find()?, &[all])?;
    let code = run(command, &[("LG_COORDINATOR", lab.address.clone())])?;
    let on = boards.iter().filter(|board| board.is_on()).count();
    if on > 0 {
        eprintln!("stand: {on} boards were left on");
    }
    Ok(code)
}

/// As a lab would tag it.
fn tags(name: &str) -> Result<Vec<(String, String)>> {
    let board = board::load(name)?;
    let arch = if board.arch.is_mips() { "mips" } else { "arm64" };
    let endian = if board.arch.is_big_endian() { "big" } else { "little" };
    let pairs = [("arch", arch), ("endian", endian), ("board", name)];
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec())
}

fn run(words: &[String], variables: &[(&str, String)]) -> Result<ExitCode> {
    let (program, words) = words.split_first().ok_or_else(|| Failure::usage("there is no command"))?;
    let mut command = Command::new(program);
    command.args(words).envs(variables.iter().map(|(name, value)| (name, value)));
    let status = command.status().map_err(|error| Failure::new(format!("cannot start {program}: {error}")))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
