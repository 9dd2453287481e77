//! Which of the runs that wait someone has to do something about. Kept beside them, so that in a burst, when all of them are
//! being made, none has to be looked at.

use std::collections::BTreeSet;

use super::{Stage, Waiting};

/// Places in the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    /// Of those that have not been tried.
    idle: BTreeSet<u64>,
    /// Of those that belong into the ledger, and do not stand in the one that is stored.
    unrecorded: BTreeSet<u64>,
}

impl Standing {
    /// Says what waits at a place; `recorded`: the Jobs of the stored ledger's runs.
    pub(super) fn put(&mut self, place: u64, waiting: Option<&Waiting>, recorded: &BTreeSet<String>) {
        let is_idle = |it: &Waiting| it.stage == Stage::Idle;
        // What is being made is about to have its Job.
        let is_lasting = |it: &Waiting| !matches!(it.stage, Stage::Making(0 | 1));
        let is_unrecorded =
            |it: &Waiting| is_lasting(it) && it.is_to_be_recorded() && !recorded.contains(&it.run.job);
        set(&mut self.idle, place, waiting.is_some_and(is_idle));
        set(&mut self.unrecorded, place, waiting.is_some_and(is_unrecorded));
    }

    /// Those that have not been tried, in order.
    pub(super) fn idle(&self) -> impl Iterator<Item = u64> {
        self.idle.iter().copied()
    }

    pub(super) fn is_any_unrecorded(&self) -> bool {
        !self.unrecorded.is_empty()
    }
}

fn set(places: &mut BTreeSet<u64>, place: u64, is_in: bool) {
    if is_in {
        places.insert(place);
    } else {
        places.remove(&place);
    }
}
