//! A command as a list of steps, each with a heading, the time it took, and how it ended.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The steps that were taken so far.
pub(crate) struct Steps {
    begin: Instant,
    done: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    Done,
    Failed,
}

impl Steps {
    /// No steps yet; the clock starts.
    pub(crate) fn begin() -> Self {
        Self { begin: Instant::now(), done: Vec::new() }
    }

    /// Takes a step. A failure is noted, and handed back for the caller to stop or go on.
    pub(crate) fn take<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n==> {name}");
        let begin = Instant::now();
        let result = step();
        let took = begin.elapsed();
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        println!("<== {name}: {outcome} after {}", Seconds(took));
        self.done.push(Step { name: name.to_owned(), took, outcome });
        result
    }
}

/// The table of steps.
impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.done.iter().map(|step| step.name.len()).max().unwrap_or_default();
        for Step { name, took, outcome } in &self.done {
            writeln!(f, "{name:width$}  {outcome:8} {:>9}", Seconds(*took).to_string())?;
        }
        writeln!(f, "{:width$}  {:8} {:>9}", "together", "", Seconds(self.begin.elapsed()).to_string())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Failed => "FAILED",
        })
    }
}

/// A duration as people read it: `4.2 s`, `3 min 05 s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds < 60 {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        } else {
            write!(f, "{} min {:02} s", seconds / 60, seconds % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_table_shows_which_steps_failed() {
        let mut steps = Steps::begin();
        assert_eq!(steps.take("build", || Ok(1)).ok(), Some(1));
        assert!(steps.take::<()>("test", || bail!("broken")).is_err());
        let table = steps.to_string();
        let outcomes: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(outcomes[..2], ["done", "FAILED"]);
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(Seconds(Duration::from_millis(4_240)).to_string(), "4.2 s");
        assert_eq!(Seconds(Duration::from_secs(185)).to_string(), "3 min 05 s");
    }
}
