//! Named places around each write at which a test can have the operator die, as a crash would.
//!
//! `EXTENDEDJOB_FAILPOINT=job:unanswered:3` ends the process when the third create of a Job has been
//! done and before anyone learns of it. Only in builds with debug assertions, which no release is.

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failpoint {
    /// The Lease is taken, renewed or released.
    Lease,
    /// The fence between leaders is raised.
    Fence,
    /// A ledger is stored.
    Ledger,
    /// A page of the book is stored.
    Page,
    /// A Job is created.
    Job,
    /// A status is patched.
    Status,
    /// An errand's `run` is set back.
    Reset,
    /// On a Job it is noted that its output has settled.
    Note,
    /// Output is stored.
    Output,
    /// A Job may be cleaned up: its TTL is set, or it is deleted.
    Cleanup,
}

impl Failpoint {
    /// About to be sent.
    pub(super) fn before(self) {
        #[cfg(debug_assertions)]
        armed::pass(self, "before");
    }

    /// Answered. What the answer leads to is done in the turn of the event loop that follows, so
    /// that dying in the one after it is dying behind the write.
    pub(super) fn after(self, done: bool) {
        #[cfg(debug_assertions)]
        if done {
            armed::pass(self, "unanswered");
            actix::spawn(async move {
                tokio::task::yield_now().await;
                armed::pass(self, "after");
            });
        }
        #[cfg(not(debug_assertions))]
        let _: bool = done;
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::{
        process,
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
    };

    use super::Failpoint;

    struct Armed {
        place: String,
        /// How often the place is passed before it is the last time.
        left: AtomicU32,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let place = std::env::var("EXTENDEDJOB_FAILPOINT").ok()?;
        let (place, left) = place.rsplit_once(':')?;
        Some(Armed { place: place.to_owned(), left: AtomicU32::new(left.parse().ok()?) })
    });

    pub(super) fn pass(point: Failpoint, stage: &str) {
        let Some(armed) = &*ARMED else { return };
        let place = format!("{point:?}:{stage}").to_lowercase();
        if armed.place == place && armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::error!(place, "a failpoint ends the operator");
            process::abort();
        }
    }
}
