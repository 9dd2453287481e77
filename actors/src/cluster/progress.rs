//! How far the leader has got with what happens to pods: what may be stored as the checkpoint, and
//! what is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use extendedjob_decide::{checkpoint::Checkpoint, lease::Lease, pod::Version};
use jiff::Timestamp;

/// Shared by the hub of pods, which moves it, the Elector, which stores it, and all who wait for
/// that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    /// What may be stored; `None` until the hub knows. Its time is that of the last write of the Lease
    /// before, by the API server's clock: what is created after the checkpoint is created after that.
    reached: Option<Checkpoint>,
    stored: Version,
    /// When the Lease was written last, as far as this leader has looked.
    written: Option<Timestamp>,
}

impl Progress {
    /// A term begins at this checkpoint.
    pub(crate) fn begin(&self, stored: Option<Checkpoint>) {
        *self.marks() = Marks { stored: stored.map_or(0, |stored| stored.version), ..Marks::default() };
    }

    /// The checkpoint that the term began with is of no use.
    pub(crate) fn begin_nowhere(&self) {
        let written = self.marks().written;
        *self.marks() = Marks { written, ..Marks::default() };
    }

    /// All up to here is settled, and in the book. Never goes back.
    pub(crate) fn reach(&self, version: Version) {
        let mut marks = self.marks();
        let before = marks.reached.map_or(marks.stored, |reached| reached.version.max(marks.stored));
        if let (true, Some(time)) = (version > before, marks.written) {
            marks.reached = Some(Checkpoint { version, time });
        }
    }

    /// The Lease was written then.
    pub(crate) fn renewed(&self, lease: &Lease) {
        self.marks().written = lease.written;
    }

    /// The checkpoint to store with a write of the Lease.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.marks().reached
    }

    /// The Lease carries this checkpoint.
    pub(crate) fn store(&self, checkpoint: Checkpoint) {
        let mut marks = self.marks();
        marks.stored = marks.stored.max(checkpoint.version);
    }

    /// How far the stored checkpoint is.
    pub(crate) fn stored(&self) -> Version {
        self.marks().stored
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
