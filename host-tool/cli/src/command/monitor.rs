//! `stoop monitor`: a console from a file, a pipe or a serial port, with what a traced shim says on it put into words.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ui;
use stoop_image::{ErrorCode, Failure, Result};
use stoop_lab::monitor::Monitor;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop monitor --port /dev/ttyUSB0")]
pub struct Args {
    /// The console's bytes as they came; - for stdin
    #[arg(required_unless_present = "port")]
    file: Option<PathBuf>,
    /// Read a serial port until Ctrl-C
    #[arg(long, value_name = "DEVICE", conflicts_with = "file")]
    port: Option<String>,
    /// The port's speed
    #[arg(long, value_name = "BAUD", default_value_t = 115_200, requires = "port")]
    speed: u32,
}

/// How long a port may be silent before it is asked again.
const SILENCE: Duration = Duration::from_secs(1);

/// Shows it.
///
/// # Errors
/// The file or port cannot be read.
pub fn run(args: &Args) -> Result<()> {
    match (&args.port, &args.file) {
        (Some(name), _) => {
            let open = serialport::new(name, args.speed).timeout(SILENCE).open();
            let port = open.map_err(|error| {
                Failure::new(ErrorCode::Console, format!("{name}: {error}")).next(
                    "name a device that you may read, for example `--port /dev/ttyUSB0`, which nothing else has open",
                )
            })?;
            ui::tell(format_args!("reading {name} at {} baud; Ctrl-C ends it", args.speed));
            show(port, Path::new(name))
        }
        (None, Some(path)) if path.as_os_str() != "-" => {
            let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
            show(file, path)
        }
        _ => show(io::stdin().lock(), Path::new("stdin")),
    }
}

fn show(mut from: impl Read, name: &Path) -> Result<()> {
    let (mut monitor, mut out, mut buffer) = (Monitor::default(), io::stdout().lock(), [0; 4096]);
    let mut put = |bytes: &[u8]| match out.write_all(bytes).and_then(|()| out.flush()) {
        // Who reads may go away.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(ErrorCode::Output, format!("stdout: {error}"))),
        Ok(()) => Ok(true),
    };
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return put(&monitor.end()).map(drop),
            Ok(count) => {
                if !put(&monitor.feed(&buffer[..count]))? {
                    return Ok(());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return Err(Failure::io(name, &error)),
        }
    }
}
