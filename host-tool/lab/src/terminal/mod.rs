//! A terminal on a board's console: what is shown of it, kept of it and waited for. Nothing here needs a port.

mod error;
mod keys;
mod lines;
mod log;
mod recording;
mod screen;
mod session;
mod watch;

pub use error::Error;
pub use keys::{ESCAPE, HELP, Key, Keys};
pub use lines::Lines;
pub use log::Log;
pub use recording::Recording;
pub use screen::{Screen, Style};
pub use session::{Board, Ended, Happening, Session};
pub use watch::{Verdict, Watch};
