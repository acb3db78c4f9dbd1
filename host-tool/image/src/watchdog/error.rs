//! Why a watchdog is not cared for as asked.

crate::explained! {
    /// Why the board's watchdog, which is called `dog`, cannot be used as asked.
    pub enum Error {
        #[error("--watchdog {choice}: the data of {board} name no watchdog")]
        None { choice: String, board: String } => Watchdog USAGE,
            "add `watchdog` to a board file of your own (boards/README.md), or give `--watchdog leave`";
        /// `done` is what the board's data do not say how to do.
        #[error("--watchdog {asked}: {dog} of {board} cannot be {done} by what is known of it")]
        Unknown { asked: &'static str, done: &'static str, dog: String, board: String, can_be_fed: bool }
            => Watchdog USAGE, (match can_be_fed {
                false => "give `--watchdog leave`",
                true => "give `--watchdog feed`, or `--watchdog leave`",
            });
        /// In seconds.
        #[error("--watchdog start:{seconds}: {dog} of {board} counts {longest} s at most")]
        TooLong { seconds: u32, dog: String, board: String, longest: u32 }
            => Watchdog USAGE, "give 1 to {longest} seconds";
    }
}
