//! How long to wait before a failed step is tried again.
//!
//! The only place that uses the `backoff` crate, which is no longer maintained.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use jiff::Timestamp;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Delays that grow with each failure, with jitter, and start over after a quiet time.
#[derive(Debug)]
pub struct Backoff {
    delays: ExponentialBackoff,
    quiet_after: Option<Timestamp>,
}

impl Default for Backoff {
    fn default() -> Self {
        let delays = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST)
            .with_multiplier(2.0)
            .with_max_interval(LONGEST)
            .with_max_elapsed_time(None)
            .build();
        Self { delays, quiet_after: None }
    }
}

impl Backoff {
    /// The delay after a failure at `now`.
    ///
    /// Delays start over when the last failure is more than twice the longest delay ago.
    pub fn after_failure(&mut self, now: Timestamp) -> Duration {
        if self.quiet_after.is_some_and(|quiet| now > quiet) {
            self.delays.reset();
        }
        self.quiet_after = now.checked_add(LONGEST * 2).ok();
        self.delays.next_backoff().unwrap_or(LONGEST)
    }

    /// The step went well: delays start over.
    pub fn reset(&mut self) {
        self.delays.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    /// The jitter of the crate is ± 50 %.
    fn about(delay: Duration, expected: Duration) -> bool {
        delay >= expected / 2 && delay <= expected * 3 / 2
    }

    #[test]
    fn delays_grow_to_a_limit() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..12).map(|_| backoff.after_failure(at(0))).collect();
        assert!(about(delays[0], FIRST), "{delays:?}");
        assert!(about(delays[3], FIRST * 8), "{delays:?}");
        assert!(about(delays[11], LONGEST), "{delays:?}");
    }

    #[test]
    fn quiet_and_success_start_over() {
        let mut backoff = Backoff::default();
        for _ in 0..8 {
            backoff.after_failure(at(0));
        }
        assert!(about(backoff.after_failure(at(1000)), FIRST));
        backoff.after_failure(at(1000));
        backoff.reset();
        assert!(about(backoff.after_failure(at(1000)), FIRST));
    }
}
