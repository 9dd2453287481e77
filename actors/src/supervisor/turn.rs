//! One write of a kind at a time, and a pause between two.

/// Whether a write may begin.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Yes.
    #[default]
    Idle,
    /// One is to be made as soon as others have made theirs. What changes meanwhile goes with it.
    Waiting,
    /// One is under way. What changes meanwhile goes with the next.
    Writing,
    /// The next one comes after a pause.
    Pausing,
}
