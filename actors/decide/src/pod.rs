//! What is known of a pod: the few facts that decide, small enough to keep for 10,000 pods.

use jiff::Timestamp;

use crate::selector::Labels;

/// How many of a pod's last readiness edges are remembered, equal ones counted as one.
///
/// They tell apart two edges with one status and time: after a node outage the kubelet writes its
/// cached `True` back with the *old* time.
const EDGES_KEPT: usize = 8;

/// The status of a pod's Ready condition; a pod without one is `Absent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Ready.
    True,
    /// Not ready.
    False,
    /// Nobody knows, as after a node outage.
    Unknown,
    /// The pod has no Ready condition (yet).
    #[default]
    Absent,
}

impl Status {
    /// The word that stands in transition keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
            Self::Absent => "Absent",
        }
    }
}

/// The Ready condition: its status and its lastTransitionTime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The condition's status.
    pub status: Status,
    /// The condition's lastTransitionTime. It comes from some kubelet's clock: compare it for
    /// equality only, except at first sight.
    pub since: Option<Timestamp>,
}

impl Readiness {
    /// Whether the pod is ready.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self.status == Status::True
    }
}

/// A pod, slimmed to what decides about it and what its Jobs are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// The object's UID, which tells a pod from a later one of the same name.
    pub uid: String,
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's labels.
    pub labels: Labels,
    /// When the API server created it, in whole seconds.
    pub created: Option<Timestamp>,
    /// The pod's address, once it has one.
    pub ip: Option<String>,
    /// The node that it was scheduled to.
    pub node: Option<String>,
    /// Its Ready condition.
    pub ready: Readiness,
    /// Made by a Job of ours: it bears our label and its controller is a Job. Such pods trigger
    /// nothing, or an ExtendedJob would feed itself for ever.
    pub ours: bool,
    /// The last edges that differ, oldest first; the last one led to `ready`.
    pub edges: Vec<Edge>,
}

/// A change of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it led to.
    pub to: Readiness,
    /// How many edges of this pod to the same status and time came before.
    pub n: u32,
    /// The position in what the operator saw of all pods, see [`Position`].
    pub seen: Position,
}

/// Counts what the operator has seen of pods since its start, so that "before" and "after" can be
/// told without any clock.
pub type Position = u64;

impl Pod {
    /// This pod as seen for the first time: its present readiness is its only known edge.
    #[must_use]
    pub fn first_seen(mut self, seen: Position) -> Self {
        self.edges = vec![Edge { to: self.ready, n: 0, seen }];
        self
    }

    /// This pod as a later observation of `before`: the edges go on.
    #[must_use]
    pub fn following(mut self, before: &Self, seen: Position) -> Self {
        self.edges.clone_from(&before.edges);
        if self.ready != before.ready {
            // The newest of equal edges says how many there were; the others may go.
            let alike = self.edges.iter().position(|edge| edge.to == self.ready);
            let n = alike.map_or(0, |index| self.edges.remove(index).n + 1);
            let surplus = (self.edges.len() + 1).saturating_sub(EDGES_KEPT);
            self.edges.drain(..surplus);
            self.edges.push(Edge { to: self.ready, n, seen });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, pod};

    #[test]
    fn an_update_that_leaves_readiness_alone_is_no_edge() {
        let first = pod().ready(at(1)).first_seen(0);
        let later = pod().ready(at(1)).labelled("a", "b").following(&first, 1);
        assert_eq!(later.edges.len(), 1);
    }

    #[test]
    fn a_cached_true_written_back_is_counted_apart() {
        let first = pod().ready(at(1)).first_seen(0);
        let lost = pod().not_ready(Status::Unknown, at(2)).following(&first, 1);
        let back = pod().ready(at(1)).following(&lost, 2);
        let count = |pod: &Pod| pod.edges.last().map(|edge| edge.n);
        assert_eq!((count(&first), count(&back)), (Some(0), Some(1)));
    }

    #[test]
    fn only_the_last_edges_are_kept() {
        let mut known = pod().ready(at(0)).first_seen(0);
        for second in 1..100 {
            known = pod().ready(at(second)).following(&known, 1);
        }
        assert_eq!(known.edges.len(), EDGES_KEPT);
        assert_eq!(known.edges.last().map(|edge| edge.to), Some(known.ready));
    }
}
