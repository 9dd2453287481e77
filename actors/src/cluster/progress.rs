//! How far the leader has got with what happens to pods: what may be stored as the checkpoint, and
//! what is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use extendedjob_decide::{checkpoint::Checkpoint, pod::Version};
use jiff::Timestamp;

/// Shared by the hub of pods, which moves it, the Elector, which stores it, and all who wait for
/// that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    /// What may be stored; `None` until the hub knows.
    reached: Option<Checkpoint>,
    stored: Option<Checkpoint>,
}

impl Progress {
    /// A term begins at this checkpoint.
    pub(crate) fn begin(&self, stored: Option<Checkpoint>) {
        *self.marks() = Marks { stored, reached: None };
    }

    /// All up to here is settled, and in the book; `newest`: the newest creation of a pod up to there. Never
    /// goes back.
    pub(crate) fn reach(&self, version: Version, newest: Option<Timestamp>) {
        let mut marks = self.marks();
        let before = marks.reached.or(marks.stored);
        if before.is_none_or(|before| version > before.version) {
            marks.reached = Some(Checkpoint::next(before, version, newest));
        }
    }

    /// The checkpoint to store with a write of the Lease.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.marks().reached
    }

    /// The Lease carries this checkpoint. One that this term has not reached is of an earlier one, and of no
    /// use if the term did not begin there.
    pub(crate) fn store(&self, checkpoint: Checkpoint) {
        let mut marks = self.marks();
        if marks.reached.is_some_and(|reached| checkpoint.version <= reached.version) {
            marks.stored = Some(checkpoint);
        }
    }

    /// How far the stored checkpoint is; 0 where there is none.
    pub(crate) fn stored(&self) -> Version {
        self.marks().stored.map_or(0, |stored| stored.version)
    }

    /// See [`Checkpoint::time`].
    pub(crate) fn stored_time(&self) -> Option<Timestamp> {
        self.marks().stored.map(|stored| stored.time)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
