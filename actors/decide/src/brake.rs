//! Token buckets that keep a pod, or an ExtendedJob, from starting runs without end.
//!
//! In memory only, full at the start: they are there against storms, not to keep accounts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How many runs may start at once, and how soon one more may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Runs that may start at once.
    pub burst: u32,
    /// After which time one comes back.
    pub every: Duration,
}

/// A bucket, which is full until something is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    taken: u32,
    /// When the last token came back, or the first was taken.
    since: Timestamp,
}

impl Bucket {
    /// Takes a token, if there is one.
    pub fn take(&mut self, limit: Limit, now: Timestamp) -> bool {
        self.refill(limit, now);
        let some = self.taken < limit.burst;
        self.taken += u32::from(some);
        some
    }

    /// Gives back a token that was taken for nothing.
    pub fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Whether a token could be taken.
    #[must_use]
    pub fn has_token(mut self, limit: Limit, now: Timestamp) -> bool {
        self.refill(limit, now);
        self.taken < limit.burst
    }

    /// Whether it is as if nothing had ever been taken.
    #[must_use]
    pub fn is_full(mut self, limit: Limit, now: Timestamp) -> bool {
        self.refill(limit, now);
        self.taken == 0
    }

    /// When the next token comes back.
    #[must_use]
    pub fn next(&self, limit: Limit) -> Timestamp {
        self.since.checked_add(limit.every).unwrap_or(Timestamp::MAX)
    }

    fn refill(&mut self, limit: Limit, now: Timestamp) {
        if self.taken == 0 || now < self.since {
            self.since = now;
            return;
        }
        let every = limit.every.as_millis().max(1);
        let passed = u128::try_from(now.duration_since(self.since).as_millis()).unwrap_or_default();
        let back = u32::try_from(passed / every).unwrap_or(u32::MAX).min(self.taken);
        self.taken -= back;
        let credited = i64::try_from(every * u128::from(back)).unwrap_or(i64::MAX);
        self.since = self.since.checked_add(SignedDuration::from_millis(credited)).unwrap_or(now);
        if self.taken == 0 {
            self.since = now;
        }
    }
}

/// How long to wait for a token that comes back at `next`. Never nothing: a bucket counts in whole milliseconds.
#[must_use]
pub fn delay_until(next: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(next.duration_since(now)).unwrap_or_default().max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    const LIMIT: Limit = Limit { burst: 3, every: Duration::from_secs(30) };

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_one_at_a_time() {
        let mut bucket = Bucket::default();
        let taken: Vec<bool> = [0, 0, 1, 2, 29, 30, 31, 59, 60, 1000, 1000, 1000, 1000]
            .map(|second| bucket.take(LIMIT, at(second)))
            .into();
        let expected = [true, true, true, false, false, true, false, false, true, true, true, true, false];
        assert_eq!(taken, expected);
    }

    #[test]
    fn the_next_token_is_foreseen_and_a_full_bucket_can_be_forgotten() {
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.take(LIMIT, at(5));
        }
        assert_eq!(bucket.next(LIMIT), at(35));
        assert!(!bucket.has_token(LIMIT, at(34)));
        assert!(bucket.has_token(LIMIT, at(35)));
        assert!(!bucket.is_full(LIMIT, at(94)));
        assert!(bucket.is_full(LIMIT, at(95)));
    }

    #[test]
    fn a_token_that_is_given_back_can_be_taken_at_once() {
        let mut bucket = Bucket::default();
        bucket.give_back();
        let taken: Vec<bool> = (0..4).map(|_| bucket.take(LIMIT, at(0))).collect();
        assert_eq!(taken, [true, true, true, false]);
        bucket.give_back();
        assert!(bucket.take(LIMIT, at(1)) && !bucket.take(LIMIT, at(1)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_no_harm() {
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.take(LIMIT, at(3600));
        }
        assert!(!bucket.take(LIMIT, at(0)));
        assert!(bucket.take(LIMIT, at(30)));
    }
}
