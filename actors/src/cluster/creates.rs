//! Creates whose answer has not come. The client gives one up after seconds; the API server may still
//! do it later, after another try was answered and its Job has come and gone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// After so long the API server has done it, or never will: it ends requests after a minute
/// (`--request-timeout`).
const OPEN_AT_MOST: Duration = Duration::from_secs(120);

/// Shared by all that create Jobs, and by those that delete them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Creates(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By what is created, `namespace/name`, and the number of the try: until when it may be done.
    until: BTreeMap<(String, u64), Instant>,
}

/// A create under way. Dropped without an answer, it may still be done.
pub(super) struct Create<'a> {
    creates: &'a Creates,
    key: (String, u64),
}

impl Creates {
    /// A create of this object is about to be sent.
    pub(super) fn begin(&self, name: String) -> Create<'_> {
        let now = Instant::now();
        let mut open = self.open();
        open.next += 1;
        let key = (name, open.next);
        open.until.insert(key.clone(), now + OPEN_AT_MOST);
        Create { creates: self, key }
    }

    /// Whether a create of this object may still be done.
    pub(crate) fn may_come(&self, name: &str) -> bool {
        let mut open = self.open();
        let now = Instant::now();
        open.until.retain(|_, until| now < *until);
        open.until.range((name.to_owned(), 0)..).next().is_some_and(|((open, _), _)| open == name)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Create<'_> {
    /// It was done, or refused for good.
    pub(super) fn answered(self) {
        self.creates.open().until.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use actix::System;
    use tokio::time::{advance, pause};

    use super::*;

    #[test]
    fn only_an_answer_ends_a_create() {
        let creates = Creates::default();
        drop(creates.begin("ns/a".into()));
        let again = creates.begin("ns/a".into());
        let other = creates.begin("ns/ab".into());
        again.answered();
        assert!(creates.may_come("ns/a"), "the first one was never answered");
        other.answered();
        assert!(!creates.may_come("ns/ab"));
        assert!(!creates.may_come("ns"));
    }

    #[test]
    fn the_api_server_gives_it_up_in_the_end() {
        System::new().block_on(async {
            pause();
            let creates = Creates::default();
            drop(creates.begin("ns/a".into()));
            advance(OPEN_AT_MOST - Duration::from_secs(1)).await;
            assert!(creates.may_come("ns/a"));
            advance(Duration::from_secs(1)).await;
            assert!(!creates.may_come("ns/a"));
        });
    }
}
