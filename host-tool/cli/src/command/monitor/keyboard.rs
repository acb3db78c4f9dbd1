//! The keyboard while it belongs to a board: every key is passed on as it is pressed, Ctrl-C too.

use std::io::{self, ErrorKind, Read};
use std::sync::Once;
use std::sync::mpsc::Sender;
use std::thread;

use crate::command::Error;
use crate::{Result, ui};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use stoop_lab::terminal::Happening;

/// The terminal in raw mode; it is as before when the value goes away, and before a panic is printed.
pub struct Raw(());

impl Raw {
    fn enter() -> Result<Raw> {
        static HOOK: Once = Once::new();
        enable_raw_mode().map_err(|error| Error::RawTerminal { source: error })?;
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let _ = disable_raw_mode();
                before(panic);
            }));
        });
        Ok(Raw(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = disable_raw_mode();
    }
}

/// Says how to leave, and passes on what is typed until the process ends.
///
/// # Errors
/// stdin is no terminal that can be set up.
pub fn attach(name: &str, speed: u32, to: Sender<Happening>) -> Result<Raw> {
    ui::tell(format_args!("{name} at {speed} baud; Ctrl-] q leaves, Ctrl-] ? shows the keys"));
    let raw = Raw::enter()?;
    thread::spawn(move || {
        let (mut keys, mut buffer) = (io::stdin().lock(), [0; 1024]);
        loop {
            match keys.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    if to.send(Happening::Typed(buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The terminal is gone.
                Ok(_) | Err(_) => {
                    let _ = to.send(Happening::Interrupted);
                    return;
                }
            }
        }
    });
    Ok(raw)
}
