//! `cargo test`, with a count of what passed and failed.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a `cargo test` command, shows what it prints as it comes, and adds up the summaries of all its test
/// programs; those that ended before a failure count too. A failure that no test stands for, such as code that
/// does not compile, counts as one.
pub(crate) fn run(command: &mut Command, count: &mut Count) -> Result<()> {
    let failed_before = count.failed;
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| process::cannot_start(command))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("read what the tests print")?;
            println!("{line}");
            *count += summary(&line).unwrap_or_default();
        }
    }
    let status = child.wait().context("wait for cargo test")?;
    if !status.success() {
        count.failed += usize::from(count.failed == failed_before);
        bail!("`{}` failed: {status}", process::shown(command));
    }
    Ok(())
}

/// What the last line of a test program says, as in
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
fn summary(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        counts.split("; ").find_map(|count| count.strip_suffix(what)).and_then(|n| n.trim().parse().ok())
    };
    Some(Count { passed: number("passed")?, failed: number("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_test_programs_are_understood() {
        let ok =
            "test result: ok. 13 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(summary(ok), Some(Count { passed: 13, failed: 0 }));
        let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(summary(failed), Some(Count { passed: 1, failed: 2 }));
        assert_eq!(summary("test spec::tests::no_selector_means_all ... ok"), None);
    }

    #[test]
    fn tests_of_a_failed_program_count_and_its_failure_is_an_error() {
        let script = "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101";
        let mut count = Count::default();
        let result = run(Command::new("sh").args(["-c", script]), &mut count);
        assert!(result.is_err());
        assert_eq!(count, Count { passed: 1, failed: 2 });
    }

    #[test]
    fn a_failure_without_a_failed_test_counts_as_one() {
        let mut count = Count { passed: 3, failed: 2 };
        assert!(run(Command::new("sh").args(["-c", "exit 101"]), &mut count).is_err());
        assert_eq!(count, Count { passed: 3, failed: 3 });
    }
}
