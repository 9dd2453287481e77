//! Who leads: what to do about the Lease, judged by one's own monotonic clock alone.
//!
//! A standby that compares the holder's renewTime with its wall clock takes over at once when its
//! clock is an hour ahead. So it counts the Lease's duration from the moment it *saw* the last
//! change. Times are durations since the start of the process.

use std::time::Duration;

use crate::checkpoint::Checkpoint;

/// How the times of an election stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a Lease without a change is still its holder's.
    pub duration: Duration,
    /// How long the holder takes itself for the leader after it *sent* a renewal that succeeded.
    pub renew_deadline: Duration,
    /// How long a write may take that was begun within the deadline.
    pub request_timeout: Duration,
    /// How often the Lease is renewed, or looked at.
    pub period: Duration,
}

impl Timing {
    /// A holder that does not hear from the API server has sent its last write, and that write is
    /// over, before anyone else takes the Lease.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.renew_deadline + self.request_timeout < self.duration && self.period * 2 < self.renew_deadline
    }
}

/// The Lease as it was read, or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; `None` or empty if it was released.
    pub holder: Option<String>,
    /// How often it has changed hands: the number of the present term.
    pub transitions: i64,
    /// The version of the object: any change changes it.
    pub version: String,
    /// How far its holders have got with what happens to pods.
    pub checkpoint: Option<Checkpoint>,
}

/// What a candidate remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The version seen last, and when it was first seen.
    seen: Option<(String, Duration)>,
    /// The highest number of a term seen.
    transitions: i64,
    /// The checkpoint seen last.
    checkpoint: Option<Checkpoint>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is someone else's: look again later.
    Stand(Lease),
    /// Write it; who gets that through leads.
    Write(Write),
}

/// A write that makes its author the leader, or lets it stay so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// There is no Lease: make it, and begin the term of this number.
    Create(i64),
    /// It is free: take it, and begin the term of this number.
    Take(Lease, i64),
    /// It is ours.
    Renew(Lease),
}

impl Memory {
    /// The Lease is like this now.
    pub fn note(&mut self, lease: &Lease) {
        self.note_term(lease.transitions);
        self.checkpoint = lease.checkpoint.or(self.checkpoint);
    }

    /// A term of this number has begun, whatever the Lease says.
    pub fn note_term(&mut self, number: i64) {
        self.transitions = self.transitions.max(number);
    }

    /// The checkpoint that was seen last: someone may have deleted the Lease that bore it.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoint
    }

    /// What the candidate `me` does about `lease`, read at `now`. `held` is the term in which it leads.
    ///
    /// One that has given up a term, but still stands in the Lease, begins another: what it sent off in
    /// the first is then refused.
    pub fn step(
        &mut self,
        me: &str,
        held: Option<i64>,
        lease: Option<Lease>,
        now: Duration,
        timing: Timing,
    ) -> Step {
        let Some(lease) = lease else {
            self.seen = None;
            // Someone may have deleted it: the numbers of terms go on all the same.
            return Step::Write(Write::Create(self.transitions + 1));
        };
        self.note(&lease);
        let since = match &self.seen {
            Some((version, since)) if *version == lease.version => *since,
            _ => {
                self.seen = Some((lease.version.clone(), now));
                now
            }
        };
        let next = self.transitions + 1;
        match lease.holder.as_deref() {
            Some(holder) if holder == me && held == Some(lease.transitions) => {
                Step::Write(Write::Renew(lease))
            }
            Some(holder) if holder == me => Step::Write(Write::Take(lease, next)),
            None | Some("") => Step::Write(Write::Take(lease, next)),
            Some(_) if now.saturating_sub(since) >= timing.duration => Step::Write(Write::Take(lease, next)),
            Some(_) => Step::Stand(lease),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        duration: Duration::from_secs(20),
        renew_deadline: Duration::from_secs(10),
        request_timeout: Duration::from_secs(8),
        period: Duration::from_secs(2),
    };

    fn lease(holder: &str, version: &str) -> Lease {
        let version = version.into();
        Lease { holder: Some(holder.into()), transitions: 3, version, checkpoint: None }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_missing_or_released_lease_is_taken_at_once() {
        let mut memory = Memory::default();
        assert_eq!(memory.step("me", None, None, at(0), TIMING), Step::Write(Write::Create(1)));
        let released = lease("", "1");
        assert_eq!(
            memory.step("me", None, Some(released.clone()), at(0), TIMING),
            Step::Write(Write::Take(released, 4))
        );
        let unheld = Lease { holder: None, ..lease("", "2") };
        assert_eq!(
            memory.step("me", None, Some(unheld.clone()), at(0), TIMING),
            Step::Write(Write::Take(unheld, 4))
        );
    }

    #[test]
    fn a_standby_counts_from_the_change_that_it_saw() {
        let mut memory = Memory::default();
        for (second, version, takes) in [
            // The first look tells nothing of when the change was.
            (100, "1", false),
            (119, "1", false),
            (119, "2", false),
            (138, "2", false),
            (139, "2", true),
        ] {
            let step = memory.step("me", None, Some(lease("other", version)), at(second), TIMING);
            assert_eq!(
                matches!(step, Step::Write(Write::Take(_, 4))),
                takes,
                "at {second} with version {version}"
            );
        }
    }

    #[test]
    fn the_numbers_of_terms_go_on_when_someone_deletes_the_lease() {
        let mut memory = Memory::default();
        memory.step("me", None, Some(lease("other", "1")), at(0), TIMING);
        assert_eq!(memory.step("me", None, None, at(1), TIMING), Step::Write(Write::Create(4)));
    }

    #[test]
    fn a_term_is_above_all_that_are_known_to_have_begun() {
        let mut memory = Memory::default();
        memory.note_term(81);
        assert_eq!(memory.step("me", None, None, at(0), TIMING), Step::Write(Write::Create(82)));
        // The Lease was made anew, and began to count anew.
        let released = lease("", "1");
        let taken = Step::Write(Write::Take(released.clone(), 82));
        assert_eq!(memory.step("me", None, Some(released), at(1), TIMING), taken);
    }

    #[test]
    fn the_holder_renews_and_one_that_gave_up_begins_another_term() {
        let ours = lease("me", "1");
        let step = |held| Memory::default().step("me", held, Some(ours.clone()), at(0), TIMING);
        assert_eq!(step(Some(3)), Step::Write(Write::Renew(ours.clone())));
        assert_eq!(step(None), Step::Write(Write::Take(ours.clone(), 4)));
        assert_eq!(step(Some(2)), Step::Write(Write::Take(ours.clone(), 4)));
    }

    #[test]
    fn a_timing_in_which_writes_outlive_the_lease_is_unsafe() {
        assert!(TIMING.is_safe());
        assert!(!Timing { request_timeout: Duration::from_secs(10), ..TIMING }.is_safe());
        assert!(!Timing { period: Duration::from_secs(5), ..TIMING }.is_safe());
    }
}
