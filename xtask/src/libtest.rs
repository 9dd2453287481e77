//! `cargo test`, with a count of what passed and failed.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// How many tests passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Of failures, each with the name of what failed and its reason, in few lines.
    pub(crate) reasons: Vec<String>,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.reasons.extend(other.reasons);
    }
}

/// Runs a `cargo test` command, shows what it prints as it comes, and adds up the summaries of all its test
/// programs; those that ended before a failure count too. A failure that no test stands for, such as code that
/// does not compile, counts as one.
pub(crate) fn run(command: &mut Command, count: &mut Count) -> Result<()> {
    let failed_before = count.failed;
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| process::cannot_start(command))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reasons = Reasons::default();
        for line in BufReader::new(stdout).lines() {
            let line = line.context("read what the tests print")?;
            println!("{line}");
            reasons.read(&line);
            *count += summary(&line).unwrap_or_default();
        }
        count.reasons.extend(reasons.all.iter().map(Reason::to_string));
    }
    let status = child.wait().context("wait for cargo test")?;
    if !status.success() {
        let failure = format!("`{}` failed: {status}", process::shown(command));
        if count.failed == failed_before {
            count.failed += 1;
            count.reasons.push(failure.clone());
        }
        bail!(failure);
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
    Some(Count { passed: number("passed")?, failed: number("failed")?, ..Count::default() })
}

/// Finds, in what a test program prints of its failed tests, why they failed.
#[derive(Default)]
struct Reasons {
    all: Vec<Reason>,
    /// Whether the lines are those that the last of them printed.
    is_inside: bool,
    /// Whether these say why it failed.
    is_telling: bool,
}

/// What a failed test printed last: its error, or its panic.
struct Reason {
    test: String,
    lines: Vec<String>,
}

impl Reasons {
    fn read(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.all.push(Reason { test: test.to_owned(), lines: vec![] });
            (self.is_inside, self.is_telling) = (true, false);
            return;
        }
        self.is_inside &= line != "failures:";
        let Some(reason) = self.all.last_mut().filter(|_| self.is_inside) else { return };
        if line.starts_with("Error: ") || line.starts_with("thread '") && line.contains(" panicked at ") {
            reason.lines.clear();
            self.is_telling = true;
        } else if line.to_lowercase().starts_with("stack backtrace:") {
            self.is_telling = false;
        }
        if self.is_telling {
            reason.lines.push(line.to_owned());
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 8;
        const LINE: usize = 800;
        write!(f, "{}", self.test)?;
        for line in self.lines.iter().filter(|line| !line.trim().is_empty()).take(LINES) {
            write!(f, "\n    {}", line.chars().take(LINE).collect::<String>())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(passed: usize, failed: usize) -> Count {
        Count { passed, failed, ..Count::default() }
    }

    #[test]
    fn summaries_of_test_programs_are_understood() {
        let ok =
            "test result: ok. 13 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(summary(ok), Some(counted(13, 0)));
        let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(summary(failed), Some(counted(1, 2)));
        assert_eq!(summary("test spec::tests::no_selector_means_all ... ok"), None);
    }

    #[test]
    fn tests_of_a_failed_program_count_and_its_failure_is_an_error() {
        let script = "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101";
        let mut count = Count::default();
        let result = run(Command::new("sh").args(["-c", script]), &mut count);
        assert!(result.is_err());
        assert_eq!(count, counted(1, 2));
    }

    #[test]
    fn a_failure_without_a_failed_test_counts_as_one() {
        let mut count = counted(3, 2);
        assert!(run(Command::new("sh").args(["-c", "exit 101"]), &mut count).is_err());
        assert_eq!((count.passed, count.failed, count.reasons.len()), (3, 3, 1));
    }

    #[test]
    fn the_reason_of_a_failure_is_what_its_test_printed_last() {
        let script = "printf '%s\\n' \
            'failures:' '' \
            '---- keys::fifty stdout ----' '=== a dump' 'Error: of something else' 'dumped' \
            'Error: waited in vain' '' 'Caused by:' '    no such key' '' 'Stack backtrace:' '   0: main' \
            '---- keys::one stdout ----' '' \"thread 'keys::one' (7) panicked at keys.rs:1:\" 'left is not right' \
            'failures:' '    keys::fifty' '    keys::one' '' \
            'test result: FAILED. 1 passed; 2 failed'; exit 101";
        let mut count = Count::default();
        assert!(run(Command::new("sh").args(["-c", script]), &mut count).is_err());
        let fifty = "keys::fifty\n    Error: waited in vain\n    Caused by:\n        no such key";
        let one = "keys::one\n    thread 'keys::one' (7) panicked at keys.rs:1:\n    left is not right";
        assert_eq!(count.reasons, [fifty, one]);
    }
}
