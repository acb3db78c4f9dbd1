//! The board on the desk, as far as somebody at a keyboard does something to it.

use stoop_lab::connection::Sender;
use stoop_lab::terminal::{self, Board};

/// The board on the desk.
pub(in crate::command) struct Desk<R> {
    /// Of a console that takes what is typed.
    pub(in crate::command) sender: Option<Sender>,
    /// Switches its power off and on.
    pub(in crate::command) reset: R,
}

impl<R> Desk<R> {
    fn sender(&self) -> stoop_lab::Result<&Sender> {
        self.sender.as_ref().ok_or_else(|| terminal::Error::NotABoard.into())
    }
}

impl<R: FnMut() -> stoop_lab::Result<()>> Board for Desk<R> {
    fn send(&mut self, bytes: &[u8]) -> stoop_lab::Result<()> {
        Ok(self.sender()?.send(bytes)?)
    }

    fn send_break(&mut self) -> stoop_lab::Result<()> {
        Ok(self.sender()?.send_break()?)
    }

    fn reset(&mut self) -> stoop_lab::Result<()> {
        (self.reset)()
    }
}
