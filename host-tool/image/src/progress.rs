//! How long work reports that it goes on.

/// What long work reports to. The library calls it; who listens is the caller's choice.
pub trait Progress {
    /// A new step begins, named by a few words; `total` counts its units when known.
    fn step(&mut self, name: &str, total: Option<u64>);
    /// So many units of the step are done.
    fn at(&mut self, done: u64);
    /// What is being worked on, a file's name for instance. Comes often; may be ignored.
    fn now(&mut self, _what: &str) {}
}

/// Listens to nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _name: &str, _total: Option<u64>) {}
    fn at(&mut self, _done: u64) {}
}
