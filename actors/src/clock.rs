//! Time that only passes. The clock of a machine is set now and then, and may jump by hours: a brake would then stay open
//! for as long, a backoff would never end.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// The time when this was first asked, and what has passed since then. To be compared with itself alone, and shown to nobody.
pub(crate) fn steady() -> Timestamp {
    static BEGIN: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (time, instant) = BEGIN.get_or_init(|| (Timestamp::now(), Instant::now()));
    later(*time, instant.elapsed())
}

/// The time after a while.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
