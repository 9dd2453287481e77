//! The changes of a pod's readiness, each with the count that tells it from others alike.
//!
//! After a node outage the kubelet writes its cached `True` back with the *old* time, and two flaps
//! in one second look alike too. So a transition's key holds how many edges to the same status
//! and time came before.

use serde::{Deserialize, Serialize};

use crate::pod::{Readiness, Status, Version};

/// How many edges that differ are remembered, of those that the checkpoint has passed.
const KEPT: usize = 8;

/// The edges of one pod, oldest first.
///
/// What the checkpoint has passed is folded into a few entries, each fold a step of one and the
/// same function: an operator that begins again at the checkpoint counts the edges after it as
/// the one before it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edges {
    passed: Vec<Counted>,
    /// Above the count of every edge that was forgotten, so that none of them can come again
    /// under an old key.
    forgotten: Version,
    recent: Vec<Edge>,
    /// See [`raise`](Self::raise).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    raised: Vec<Version>,
}

/// The newest of some edges to one readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Counted {
    to: Readiness,
    n: Version,
}

/// A change of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// What it led to.
    pub to: Readiness,
    /// How many edges of this pod to the same status and time came before, see [`Edges::raise`].
    pub n: Version,
    /// Where it was seen.
    pub seen: Version,
    /// Readiness was lost, on a pod that was not being deleted.
    pub lost: bool,
}

/// Whether something can have happened between two observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// No: they are successive events of a watch.
    None,
    /// Yes: the later one comes from a list, after the watch had lost its place.
    Some,
}

impl Edges {
    /// The edges of a pod that was there before anyone watched.
    pub(crate) fn before(ready: Readiness) -> Self {
        Self { passed: vec![Counted { to: ready, n: 0 }], ..Self::default() }
    }

    pub(crate) fn push(&mut self, from: Readiness, to: Readiness, seen: Version, deleting: bool, gap: Gap) {
        let n = self.count(to);
        // False with another time, though no event said so: it was ready in between.
        let dipped = gap == Gap::Some && from.status == Status::False && to.status == Status::False;
        let lost = !deleting && !to.is_ready() && (from.is_ready() || dipped);
        self.recent.push(Edge { to, n, seen, lost });
    }

    /// How many edges to `to` came before.
    fn count(&self, to: Readiness) -> Version {
        let mut all = self.clone();
        all.pass(Version::MAX);
        let alike = all.passed.iter().find(|passed| passed.to == to);
        alike.map_or(0, |passed| passed.n.saturating_add(1)).max(all.forgotten)
    }

    /// From `version` on nobody can tell how many edges came before: an operator that begins at the
    /// checkpoint may not have seen them, because the pod was of no concern, or they fell into a
    /// gap. So the counts go on above the version, which is more than there can have been.
    pub(crate) fn raise(&mut self, version: Version) {
        self.raised.push(version);
    }

    /// The checkpoint has come to `version`.
    pub fn pass(&mut self, version: Version) {
        let recent = std::mem::take(&mut self.recent);
        let (passed, recent) = recent.into_iter().partition(|edge| edge.seen <= version);
        self.recent = recent;
        for Edge { to, n, .. } in passed {
            self.passed.retain(|passed| passed.to != to);
            self.passed.push(Counted { to, n });
            if self.passed.len() > KEPT {
                self.forgotten = self.forgotten.max(self.passed.remove(0).n.saturating_add(1));
            }
        }
        let passed = self.raised.extract_if(.., |raised| *raised <= version).max();
        self.forgotten = self.forgotten.max(passed.unwrap_or_default());
    }

    /// As they were at `version`, which the checkpoint had not passed when they were written down.
    #[must_use]
    pub fn as_of(mut self, version: Version) -> Self {
        self.recent.retain(|edge| edge.seen <= version);
        self.raised.retain(|raised| *raised <= version);
        self
    }

    /// The edges that the checkpoint had not passed when that was last noted.
    pub fn recent(&self) -> impl Iterator<Item = &Edge> {
        self.recent.iter()
    }

    /// What the last edge led to.
    #[must_use]
    pub fn last(&self) -> Option<Readiness> {
        let recent = self.recent.last().map(|edge| edge.to);
        recent.or_else(|| self.passed.last().map(|passed| passed.to))
    }

    /// Each readiness that was seen.
    pub fn states(&self) -> impl Iterator<Item = Readiness> {
        let mut all = self.clone();
        all.pass(Version::MAX);
        all.passed.into_iter().map(|passed| passed.to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::at;

    fn readiness(status: Status, second: i64) -> Readiness {
        Readiness { status, since: Some(at(second)) }
    }

    fn all(states: &[Readiness]) -> Edges {
        let mut edges = Edges::default();
        for (index, state) in states.iter().enumerate() {
            let from = edges.last().unwrap_or_default();
            edges.push(from, *state, index as Version + 1, false, Gap::None);
        }
        edges
    }

    #[test]
    fn a_cached_true_written_back_is_counted_apart() {
        let (up, down) = (readiness(Status::True, 1), readiness(Status::Unknown, 2));
        let counts: Vec<Version> = all(&[up, down, up]).recent().map(|edge| edge.n).collect();
        assert_eq!(counts, [0, 0, 1]);
    }

    #[test]
    fn readiness_is_lost_from_true_only_and_never_by_a_deletion() {
        use Status::{Absent, False, True, Unknown};
        let table = [
            (True, False, false, Gap::None, true),
            (True, Unknown, false, Gap::None, true),
            (True, Absent, false, Gap::None, true),
            (True, False, true, Gap::None, false),
            (False, Unknown, false, Gap::None, false),
            (Unknown, False, false, Gap::None, false),
            (False, True, false, Gap::None, false),
            (False, False, false, Gap::None, false),
            // It was ready in between, though nobody saw it.
            (False, False, false, Gap::Some, true),
            (False, False, true, Gap::Some, false),
            (Unknown, Unknown, false, Gap::Some, false),
        ];
        for (from, to, deleting, gap, lost) in table {
            let mut edges = Edges::default();
            edges.push(readiness(from, 1), readiness(to, 2), 1, deleting, gap);
            assert_eq!(edges.recent[0].lost, lost, "{from:?} {to:?} deleting {deleting} {gap:?}");
        }
    }

    #[test]
    fn counts_go_on_above_where_they_were_raised() {
        let (up, down) = (readiness(Status::True, 1), readiness(Status::False, 2));
        let mut edges = all(&[up, down]);
        edges.raise(7);
        edges.push(down, up, 9, false, Gap::None);
        edges.push(up, down, 10, false, Gap::None);
        edges.push(down, up, 11, false, Gap::None);
        let counts = |edges: &Edges| edges.recent().map(|edge| edge.n).collect::<Vec<Version>>();
        assert_eq!(counts(&edges), [0, 0, 7, 7, 8]);
        // Whoever begins before that sees it again.
        let mut again = edges.as_of(6);
        again.push(down, up, 7, false, Gap::None);
        assert_eq!(counts(&again), [0, 0, 1]);
    }

    fn any_states() -> impl Strategy<Value = Vec<Readiness>> {
        let state = (prop_oneof![Just(Status::True), Just(Status::False)], 0..12i64)
            .prop_map(|(status, second)| readiness(status, second));
        proptest::collection::vec(state, 1..40)
    }

    proptest! {
        /// However a pod flaps, no two edges share a status, a time and a count, also when there
        /// are more of them than are remembered.
        #[test]
        fn every_edge_has_a_key_of_its_own(states in any_states(), passed in 0..40u64) {
            let mut edges = Edges::default();
            let mut keys = BTreeSet::new();
            for (index, state) in states.iter().enumerate() {
                edges.push(Readiness::default(), *state, index as Version, false, Gap::None);
                let edge = edges.recent.last().copied().unwrap();
                prop_assert!(keys.insert((edge.to.status, edge.to.since, edge.n)));
                if (index as Version).is_multiple_of(7) {
                    edges.pass(passed);
                }
            }
            edges.pass(Version::MAX);
            prop_assert!(edges.passed.len() <= KEPT);
        }

        /// Whoever begins again at the checkpoint counts as the one before did, wherever the
        /// checkpoint was when the book was written.
        #[test]
        fn edges_after_the_checkpoint_are_counted_alike_again(
            states in any_states(), at_write in 0..40u64, later in 0..40u64, raised in 1..40u64,
        ) {
            let push = |edges: &mut Edges, index: usize| {
                let version = index as Version + 1;
                if version == raised {
                    edges.raise(version);
                }
                edges.push(Readiness::default(), states[index], version, false, Gap::None);
            };
            let mut written = Edges::default();
            (0..states.len()).for_each(|index| push(&mut written, index));
            let counts = |edges: &Edges, after: Version| -> Vec<(Version, Version)> {
                edges.recent().filter(|edge| edge.seen > after).map(|edge| (edge.seen, edge.n)).collect()
            };
            let checkpoint = at_write.max(later);
            let first_time = counts(&written, checkpoint);
            written.pass(at_write);
            let mut again = written.as_of(checkpoint);
            (checkpoint as usize..states.len()).for_each(|index| push(&mut again, index));
            prop_assert_eq!(counts(&again, checkpoint), first_time);
        }
    }
}
