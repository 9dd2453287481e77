//! Says on standard error what is being done, each step a line with the time since the beginning.

use std::time::Instant;

/// The clock of one `up` or `down`.
pub(crate) struct Progress {
    begun: Instant,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    /// Says what begins now.
    pub(crate) fn step(&self, what: impl AsRef<str>) {
        eprintln!("[{:7.1}s] {}", self.begun.elapsed().as_secs_f64(), what.as_ref());
    }
}
