//! Whether an attempt's output is written, over what, and in which form.
//!
//! Read, decide, patch: what stands here is the middle. Each key of a target bears an annotation
//! that says whose output it is, so that a write done twice is done once, and a later output is
//! never replaced by an earlier one.

mod body;
mod json;
mod present;
mod record;
mod room;
mod version;
mod wish;

use std::time::Duration;

use jiff::Timestamp;

pub use self::{
    body::{Write, body},
    json::{Field, NotFlat, Place, fields},
    present::{Present, Verdict, judge},
    record::{Attempt, AttemptResult, Record},
    room::{Full, MOST, annotations_fit, room, values_fit},
    version::{Version, labels, next, selector, version},
    wish::{Piece, Source, Wish, wishes},
};

/// Whether the output of an attempt that ended then has been tried for long enough.
#[must_use]
pub fn is_hopeless(ended: Timestamp, now: Timestamp, patience: Duration) -> bool {
    let waited = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    waited >= patience
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn a_write_is_given_up_when_its_attempt_is_long_over() {
        let day = Duration::from_secs(86_400);
        assert!(!is_hopeless(at(0), at(86_399), day));
        assert!(is_hopeless(at(0), at(86_400), day));
        // By a clock that is behind that of the node.
        assert!(!is_hopeless(at(10), at(0), day));
    }
}
