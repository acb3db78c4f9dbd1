//! Which extent of flash is being written at this moment: what an interruption leaves behind.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Job, Step, Tell};

/// Follows the steps of a job. Clones follow the same one.
#[derive(Clone)]
pub struct Unfinished {
    job: Job,
    what: Arc<Mutex<Option<&'static str>>>,
}

impl Unfinished {
    /// Listens to the steps that are told to the returned [`Tell`], which tells them to `tell`.
    pub fn watch(job: &Job, tell: Tell) -> (Unfinished, Tell) {
        let unfinished = Unfinished { job: job.clone(), what: Arc::default() };
        let seen = unfinished.clone();
        let tell: Tell = Arc::new(move |step| {
            match &step {
                Step::Writing { what, .. } => seen.set(Some(what)),
                Step::Verified { .. } => seen.set(None),
                _ => {}
            }
            tell(step);
        });
        (unfinished, tell)
    }

    fn set(&self, what: Option<&'static str>) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// What an interruption now means; nothing when no extent is half written.
    pub fn interrupted(&self) -> Option<Error> {
        let what = (*self.what.lock().unwrap_or_else(PoisonError::into_inner))?;
        let area = &self.job.writes.iter().find(|write| write.what == what)?.area;
        let (start, end) = (area.offset(), area.offset() + area.size());
        Some(Error::HalfWritten { what, partition: area.partition().to_owned(), start, end })
    }
}

#[cfg(test)]
mod tests {
    use stoop_image::board;

    use super::*;

    #[test]
    fn only_between_an_extents_first_byte_and_its_comparison_is_it_half_written() {
        let board = board::load("qemu-malta-le").expect("a board");
        let job = Job::of(&board, b"image", false).expect("a job");
        let what = job.writes[0].what;
        let (unfinished, tell) = Unfinished::watch(&job, Arc::new(|_| {}));
        assert!(unfinished.interrupted().is_none());
        tell(Step::Writing { what, bytes: 1, size: 1 });
        tell(Step::Typed("erase".into()));
        let said = unfinished.interrupted().expect("an error").to_string();
        let area = &job.writes[0].area;
        let range = format!("[0x{:x}, 0x{:x}) of {}", area.offset(), area.offset() + area.size(), area.partition());
        assert!(said.contains(&range), "{said}");
        tell(Step::Verified { what });
        assert!(unfinished.interrupted().is_none());
    }
}
