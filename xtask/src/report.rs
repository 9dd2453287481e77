//! What a test run came to: its steps, and the tests within them.

use std::fmt;
use std::process::Command;

use anyhow::Result;

use crate::libtest::{self, Count};
use crate::steps::Steps;

/// The steps, and the tests within them.
pub(crate) struct Report {
    steps: Steps,
    count: Count,
}

impl Report {
    /// Nothing yet; the clock starts.
    pub(crate) fn begin() -> Self {
        Self { steps: Steps::begin(), count: Count::default() }
    }

    /// Whether nothing has failed so far.
    pub(crate) fn is_good(&self) -> bool {
        self.count.failed == 0
    }

    /// Takes a step that counts as one failure if it fails, and not at all if it does not.
    pub(crate) fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        self.counted(name, |_| step())
    }

    /// Runs tests, which count each for itself.
    pub(crate) fn tests(&mut self, name: &str, command: impl FnOnce() -> Result<Command>) -> Option<()> {
        self.counted(name, |count| libtest::run(&mut command()?, count))
    }

    /// Takes a step that counts the tests in it. A failure that none of them stands for counts as one.
    pub(crate) fn counted<T>(&mut self, name: &str, step: impl FnOnce(&mut Count) -> Result<T>) -> Option<T> {
        let Self { steps, count } = self;
        let failed_before = count.failed;
        steps
            .take(name, || step(count))
            .inspect_err(|error| {
                eprintln!("error: {error:#}");
                if count.failed == failed_before {
                    count.failed += 1;
                    count.reasons.push(format!("{name}\n    {error:#}"));
                }
            })
            .ok()
    }
}

/// The table of steps, why what failed did, and the numbers as the last word.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { passed, failed, reasons } = &self.count;
        writeln!(f, "{}", self.steps)?;
        for reason in reasons {
            writeln!(f, "FAILED {reason}\n")?;
        }
        write!(f, "{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn last_line(report: &Report) -> String {
        report.to_string().lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_step_that_fails_counts_once_whether_or_not_tests_in_it_did() {
        let mut report = Report::begin();
        report.step("fine", || Ok(()));
        assert!(report.is_good());
        report.step::<()>("broken", || bail!("broken"));
        report.tests("not even built", || bail!("broken"));
        let two_failed = |count: &mut Count| {
            *count += Count { passed: 3, failed: 2, ..Count::default() };
            bail!("broken")
        };
        report.counted::<()>("tested", two_failed);
        assert_eq!(last_line(&report), "3 passed, 4 failed");
        assert!(report.to_string().contains("FAILED not even built\n    broken\n"));
        assert!(!report.is_good());
    }
}
