//! How far the operator has got with what happens to pods: the checkpoint, below which every
//! transition that counts has its Job or stands in a ledger, and every edge in the book.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use jiff::Timestamp;

use crate::{pod::Version, transition::Move};

/// A checkpoint as the Lease carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// All up to here is settled.
    pub version: Version,
    /// The newest creation of a pod up to there, or before. It tells pods that came after it from pods
    /// that were there, where the watch can't. (The time of a write would not do: what is created before
    /// it may be seen after it.)
    pub time: Timestamp,
    /// An API server no longer knows how pods were then. Another one may, or the same one at another
    /// time; but whoever begins here compares, for what a comparison finds is counted otherwise than what
    /// a watch tells one by one.
    pub forgotten: bool,
}

impl Checkpoint {
    /// The checkpoint at `version`, behind `before`; `newest`: the newest creation of a pod that is known up
    /// to there.
    #[must_use]
    pub fn next(before: Option<Self>, version: Version, newest: Option<Timestamp>) -> Self {
        let time = before.map(|before| before.time).max(newest).unwrap_or_default();
        Self { version, time, forgotten: false }
    }
}

/// Behind a checkpoint that is forgotten.
const FORGOTTEN: &str = " forgotten";

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forgotten = if self.forgotten { FORGOTTEN } else { "" };
        write!(f, "{}@{}{forgotten}", self.version, self.time)
    }
}

/// What stands in the Lease is no checkpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint, which is `resourceVersion@time` or `resourceVersion@time forgotten`: {0}")]
pub struct NoCheckpoint(String);

impl FromStr for Checkpoint {
    type Err = NoCheckpoint;

    fn from_str(text: &str) -> Result<Self, NoCheckpoint> {
        let parse = || {
            let (text, forgotten) = text.strip_suffix(FORGOTTEN).map_or((text, false), |text| (text, true));
            let (version, time) = text.split_once('@')?;
            Some(Self { version: version.parse().ok()?, time: time.parse().ok()?, forgotten })
        };
        parse().ok_or_else(|| NoCheckpoint(text.to_owned()))
    }
}

/// Identifies a move that was delivered, among those of one receiver.
pub type Receipt = u64;

/// What was delivered to each receiver, the watcher of an ExtendedJob, and is not yet settled. It
/// is delivered again to one that takes the receiver's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deliveries {
    open: BTreeMap<String, BTreeMap<Receipt, Move>>,
    holds: BTreeMap<String, Version>,
    versions: BTreeMap<Version, usize>,
    next: Receipt,
}

impl Deliveries {
    /// Notes that `moved` is on its way to `receiver`.
    pub fn deliver(&mut self, receiver: &str, moved: Move) -> Receipt {
        self.next += 1;
        *self.versions.entry(moved.seen).or_default() += 1;
        self.open.entry(receiver.to_owned()).or_default().insert(self.next, moved);
        self.next
    }

    /// Holds the checkpoint at `version` for a receiver whose baseline is not stored yet: another
    /// operator would have to see again what was there then.
    pub fn hold(&mut self, receiver: &str, version: Version) {
        if !self.holds.contains_key(receiver) {
            self.holds.insert(receiver.to_owned(), version);
            *self.versions.entry(version + 1).or_default() += 1;
        }
    }

    /// The receiver's baseline is stored.
    pub fn release(&mut self, receiver: &str) {
        if let Some(version) = self.holds.remove(receiver) {
            release(&mut self.versions, version + 1);
        }
    }

    /// What is not settled of one receiver, in the order in which it happened.
    pub fn of(&self, receiver: &str) -> impl Iterator<Item = (Receipt, &Move)> {
        self.open.get(receiver).into_iter().flatten().map(|(receipt, moved)| (*receipt, moved))
    }

    /// The move counts for nothing, or its run has a Job or stands in the ledger. Said twice, it
    /// is done once.
    pub fn settle(&mut self, receiver: &str, receipt: Receipt) {
        let Some(open) = self.open.get_mut(receiver) else { return };
        if let Some(moved) = open.remove(&receipt) {
            release(&mut self.versions, moved.seen);
        }
        if self.open.get(receiver).is_some_and(BTreeMap::is_empty) {
            self.open.remove(receiver);
        }
    }

    /// The receiver is no more, and with it all that it had to do.
    pub fn forget(&mut self, receiver: &str) {
        self.release(receiver);
        for moved in self.open.remove(receiver).into_iter().flat_map(BTreeMap::into_values) {
            release(&mut self.versions, moved.seen);
        }
    }

    /// Where the oldest of all that is not settled was seen.
    #[must_use]
    pub fn oldest(&self) -> Option<Version> {
        self.versions.keys().next().copied()
    }
}

fn release(versions: &mut BTreeMap<Version, usize>, version: Version) {
    if let Entry::Occupied(mut entry) = versions.entry(version) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

/// How far the checkpoint may go: to what has been observed, but not to the oldest move that is
/// not settled, nor to the oldest change that the book does not hold.
#[must_use]
pub fn reach(observed: Version, unsettled: Option<Version>, unwritten: Option<Version>) -> Version {
    [unsettled, unwritten]
        .into_iter()
        .flatten()
        .map(|open| open.saturating_sub(1))
        .fold(observed, Version::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{at, pod},
        transition::What,
    };

    fn moved(seen: Version) -> Move {
        Move { before: None, after: pod().into(), what: What::Vanished, seen }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        for forgotten in [false, true] {
            let checkpoint = Checkpoint { version: 123, time: at(5), forgotten };
            assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }
        for text in ["", "123", "x@2026-01-01T00:00:00Z", "1@now", "1@now forgotten"] {
            assert_eq!(text.parse::<Checkpoint>(), Err(NoCheckpoint(text.to_owned())));
        }
    }

    #[test]
    fn the_oldest_open_delivery_holds_the_checkpoint_back() {
        let mut deliveries = Deliveries::default();
        let first = deliveries.deliver("a", moved(5));
        let twin = deliveries.deliver("b", moved(5));
        let later = deliveries.deliver("a", moved(7));
        assert_eq!(reach(9, deliveries.oldest(), None), 4);
        deliveries.settle("a", first);
        deliveries.settle("a", first);
        deliveries.settle("a", twin);
        assert_eq!(deliveries.oldest(), Some(5), "the other receiver has not settled it");
        deliveries.forget("b");
        assert_eq!(deliveries.of("a").map(|(receipt, _)| receipt).collect::<Vec<_>>(), [later]);
        assert_eq!(reach(9, deliveries.oldest(), Some(3)), 2);
        deliveries.settle("a", later);
        assert_eq!(deliveries, Deliveries { next: 3, ..Deliveries::default() });
        assert_eq!(reach(9, None, None), 9);
    }
}
