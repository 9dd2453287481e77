//! Whether this operator leads at this moment. Looked at directly before each write.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// One leader's time in office, shared by all that write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Term(Arc<Mutex<Option<Held>>>);

#[derive(Clone, Copy, Debug)]
struct Held {
    number: i64,
    /// By the monotonic clock.
    until: Instant,
}

impl Term {
    /// The term of this number goes on until then, unless it is renewed before.
    pub(crate) fn hold(&self, number: i64, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held { number, until });
    }

    /// The term is over.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The number of the present term; `None` for a standby, and for a holder that could not
    /// renew in time.
    pub(crate) fn number(&self) -> Option<i64> {
        let held = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.filter(|held| Instant::now() < held.until).map(|held| held.number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_term_that_was_not_renewed_is_over() {
        let term = Term::default();
        assert_eq!(term.number(), None);
        term.hold(4, Instant::now() + Duration::from_secs(60));
        assert_eq!(term.number(), Some(4));
        term.hold(4, Instant::now());
        assert_eq!(term.number(), None);
        term.hold(5, Instant::now() + Duration::from_secs(60));
        term.end();
        assert_eq!(term.number(), None);
    }
}
