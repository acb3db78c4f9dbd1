//! Results for people, and as JUnit for CI.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use stoop_samples::failure::{Failure, Result};

use super::result::PlaceResult;
use super::suite::{Outcome, Verdict};
use crate::cache;

/// How many tests ended how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// As they should.
    pub passed: usize,
    /// Did nothing here.
    pub skipped: usize,
    /// Not as they should.
    pub failed: usize,
}

impl Counts {
    /// Of one place.
    pub fn of(outcomes: &[Outcome]) -> Counts {
        let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
        Counts { passed: count(Verdict::Passed), skipped: count(Verdict::Skipped), failed: count(Verdict::Failed) }
    }
}

/// Writes `junit.xml` into a job's folder: the suite is named by the place, a failed test has its consoles.
///
/// # Errors
/// The file cannot be written.
pub fn junit(result: &PlaceResult, folder: &Path) -> Result<()> {
    let place = if result.place.is_empty() { "no place" } else { &result.place };
    let mut suite = TestSuite::new(place);
    for (key, value) in &result.tags {
        suite.add_property((key.as_str(), value.as_str()));
    }
    suite.add_test_cases(result.outcomes.iter().map(|outcome| test_case(outcome, folder)));
    if let Some(reason) = &result.no_place {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(reason.as_str());
        suite.add_test_case(TestCase::new("the place", status));
    }
    let mut report = Report::new("stoop");
    report.add_test_suite(suite);
    let text = report.to_string().map_err(|error| Failure::new(format!("junit.xml: {error}")))?;
    cache::write(&folder.join("junit.xml"), text.as_bytes())
}

fn test_case(outcome: &Outcome, folder: &Path) -> TestCase {
    let status = match outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(outcome.skips().collect::<Vec<_>>().join("; "));
            status
        }
        Verdict::Failed | Verdict::Stopped => {
            let stopped = outcome.verdict == Verdict::Stopped;
            let kind = if stopped { NonSuccessKind::Error } else { NonSuccessKind::Failure };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(if stopped { "the run was stopped" } else { reason(&outcome.output) });
            status
        }
    };
    let mut case = TestCase::new(outcome.test.name.as_str(), status);
    case.set_classname(outcome.test.module()).set_time(Duration::from_secs_f64(outcome.seconds.max(0.0)));
    let mut said = outcome.output.clone();
    if matches!(outcome.verdict, Verdict::Failed | Verdict::Stopped) {
        said += &consoles(outcome, folder);
    }
    case.set_system_out(said);
    case
}

/// The line that says most: the error that a test returned, or what it asserted.
fn reason(output: &str) -> &str {
    let lines = || output.lines().map(str::trim);
    let told = lines().find(|line| line.starts_with("Error: "));
    let asserted = || output.lines().skip_while(|line| !line.contains("panicked at")).nth(1).map(str::trim);
    told.or_else(asserted).or_else(|| lines().rfind(|line| !line.is_empty())).unwrap_or("it says nothing")
}

/// The consoles of a test.
fn consoles(outcome: &Outcome, folder: &Path) -> String {
    let mut all = String::new();
    for path in outcome.consoles(&folder.join("junit.xml")) {
        if let Ok(bytes) = cache::read(&path) {
            let _ = write!(all, "\n--- console: {}\n{}", path.display(), String::from_utf8_lossy(&bytes));
        }
    }
    all
}

/// The result of one place as lines for people.
pub fn text(result: &PlaceResult) -> String {
    let Counts { passed, skipped, failed } = Counts::of(&result.outcomes);
    let place = if result.place.is_empty() { "no place" } else { &result.place };
    let mut text = format!("{place}: {passed} passed, {skipped} skipped, {failed} failed\n");
    if let Some(reason) = &result.no_place {
        let _ = writeln!(text, "  NO PLACE: {reason}");
    }
    for outcome in &result.outcomes {
        match outcome.verdict {
            Verdict::Failed => {
                let _ = writeln!(text, "  FAILED {}: {}", outcome.test.name, reason(&outcome.output));
            }
            Verdict::Skipped => {
                for skip in outcome.skips() {
                    let _ = writeln!(text, "  skipped {skip}");
                }
            }
            Verdict::Passed => {
                for skip in outcome.skips() {
                    let _ = writeln!(text, "  {} passed, without a part: {skip}", outcome.test.name);
                }
            }
            Verdict::Stopped => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::hil::suite::Test;

    fn outcome(name: &str, verdict: Verdict, output: &str) -> Outcome {
        let test = Test { program: "lab".into(), name: name.into() };
        Outcome { test, verdict, seconds: 1.5, output: output.into() }
    }

    #[test]
    fn junit_has_the_console_of_what_failed_and_the_reason_of_what_was_skipped() {
        let folder = tempfile::tempdir().unwrap();
        cache::write(&folder.path().join("bad.qemu-malta-le.log"), b"[0000.001] U-Boot \x1b[0m<&>\n").unwrap();
        cache::write(&folder.path().join("badly.qemu-malta-le.log"), b"[0000.001] of another test\n").unwrap();
        let outcomes = vec![
            outcome("good", Verdict::Passed, "fine\n"),
            outcome("not_here", Verdict::Skipped, "HIL-SKIP: no flash\nHIL-SKIP: no power\n"),
            outcome("bad", Verdict::Failed, "thread 'bad' panicked at x.rs:1:\nseen 1, not 2\n"),
        ];
        let tags = BTreeMap::from([("arch".to_owned(), "mips".to_owned())]);
        let result = PlaceResult { place: "rack-1".into(), tags, no_place: None, outcomes };
        junit(&result, folder.path()).unwrap();
        let text_ = String::from_utf8(cache::read(&folder.path().join("junit.xml")).unwrap()).unwrap();
        for part in [
            r#"<testsuite name="rack-1" tests="3" skipped="1" errors="0" failures="1""#,
            r#"<property name="arch" value="mips"/>"#,
            r#"<skipped message="no flash; no power"/>"#,
            r#"message="seen 1, not 2""#,
            "&lt;&amp;&gt;",
        ] {
            assert!(text_.contains(part), "{part}: {text_}");
        }
        assert!(!text_.contains("of another test"), "{text_}");
        assert_eq!(
            text(&result),
            "rack-1: 1 passed, 1 skipped, 1 failed\n  skipped no flash\n  skipped no power\n  FAILED bad: seen 1, not 2\n"
        );
    }
}
