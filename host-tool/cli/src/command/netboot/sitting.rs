//! What comes behind the start: `stoop monitor`, on the console over which the board was booted.

use std::io::{self, IsTerminal};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use crate::Result;
use crate::command::monitor::keyboard;
use stoop_lab::place::Place;
use stoop_lab::qemu::Console;
use stoop_lab::terminal::{Board, Ended, Happening, Screen, Session, Watch};

/// A sitting at the board.
pub(super) struct Sitting<B> {
    pub(super) screen: Screen,
    /// What keys are for.
    pub(super) desk: B,
    /// Where what happens is told.
    pub(super) sender: Sender<Happening>,
    /// What happens, from the image's start on.
    pub(super) happenings: Receiver<Happening>,
}

impl<B: Board> Sitting<B> {
    /// Shows what happens until `wait` is over, which has the console meanwhile, or until somebody leaves. On a terminal the keys are the
    /// board's.
    ///
    /// # Errors
    /// As of `wait`; the terminal cannot be set up, or what is shown cannot be written.
    pub(super) fn run(
        mut self,
        place: &Place,
        console: &mut Console,
        wait: impl FnOnce(&mut Console) -> Result<()> + Send,
    ) -> Result<()> {
        let interrupter = console.interrupter();
        let has_keys = io::stdin().is_terminal() && io::stdout().is_terminal();
        let keys = has_keys.then(|| keyboard::attach(&place.serial.to_string(), place.speed, self.sender.clone()));
        let raw = keys.transpose()?;
        let mut out = io::stdout().lock();
        // The console itself waits for patterns: it has heard what came before.
        let session = Session::new(self.screen, Watch::default(), &mut self.desk, &mut out);
        let over = self.sender;
        let (ended, waited) = thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let waited = wait(console);
                // Behind everything that was heard until then.
                let _ = over.send(Happening::Interrupted);
                waited
            });
            let ended = session.run(&self.happenings);
            // Who reads the output may go away (`stoop netboot … | head`); the wait goes on.
            if has_keys || !matches!(ended, Ok(Ended::Quit)) {
                interrupter.interrupt();
            }
            // Nothing is heard any more, so that nothing is kept for nobody.
            drop(self.happenings);
            (ended, waiting.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        // The terminal is the shell's again before anything is said on it.
        drop(raw);
        match ended? {
            Ended::Quit if has_keys => Ok(()),
            _ => waited,
        }
    }
}
