//! What is known of a pod: the few facts that decide, small enough to keep for 10,000 pods.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    edges::{Edges, Gap},
    selector::Labels,
};

/// A resourceVersion of pods: where in all that ever happened to pods something happened.
///
/// The API server promises that those of one kind of object can be compared as numbers (KEP-5504).
pub type Version = u64;

/// The status of a pod's Ready condition; a pod without one is `Absent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// The one of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Unknown, Self::Absent]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// The Ready condition: its status and its lastTransitionTime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Made by a Job of ours: it bears our label and its controller is a Job. Such pods trigger
    /// nothing, or an ExtendedJob would feed itself for ever.
    pub ours: bool,
    /// Its resourceVersion.
    pub version: Version,
    /// Where it was seen to appear; `None` for one that was there before anyone watched.
    pub appeared: Option<Version>,
    /// The changes of its readiness; the last one led to `ready`.
    pub edges: Edges,
    /// The labels that it bore before, each with where others took their place, as far as the
    /// checkpoint had not passed that.
    pub earlier: Vec<(Version, Labels)>,
}

impl Pod {
    /// This pod, there before anyone watched: its present readiness is its only known edge.
    #[must_use]
    pub fn entering(mut self) -> Self {
        self.edges = Edges::before(self.ready);
        self
    }

    /// This pod, seen to appear.
    #[must_use]
    pub fn appearing(mut self) -> Self {
        self.appeared = Some(self.version);
        self.edges = Edges::default();
        self.edges.push(Readiness::default(), self.ready, self.version, self.deleting, Gap::None);
        self
    }

    /// This pod as a later observation of `before`: the edges go on.
    #[must_use]
    pub fn following(mut self, before: &Self, gap: Gap) -> Self {
        self.appeared = before.appeared;
        self.edges = before.edges.clone();
        self.earlier.clone_from(&before.earlier);
        if self.labels != before.labels {
            // Perhaps it is of concern only from now on.
            self.edges.raise(self.version);
            self.earlier.push((self.version, before.labels.clone()));
        }
        if self.ready != before.ready {
            self.edges.push(before.ready, self.ready, self.version, self.deleting, gap);
        }
        self
    }

    /// With the labels that it bore at `version`.
    #[must_use]
    pub fn labelled_as_at(self: &Arc<Self>, version: Version) -> Arc<Self> {
        match self.earlier.iter().find(|(until, _)| version < *until) {
            Some((_, labels)) => Arc::new(Self { labels: labels.clone(), ..Self::clone(self) }),
            None => Arc::clone(self),
        }
    }

    /// The checkpoint has come to `version`: what was before is only counted from now on.
    pub(crate) fn pass(&mut self, version: Version) {
        self.edges.pass(version);
        self.earlier.retain(|(until, _)| *until > version);
    }

    /// Whether nothing about it that anyone is told of has changed since `before`.
    #[must_use]
    pub fn is_as(&self, before: &Self) -> bool {
        self.ready == before.ready
            && self.labels == before.labels
            && self.ip == before.ip
            && self.node == before.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::pod;

    #[test]
    fn a_pod_bears_at_each_version_the_labels_of_then() {
        let labelled = |version, tier: &str| Pod { version, ..pod().labelled("tier", tier) };
        let first = labelled(1, "cache").appearing();
        let second = labelled(5, "store").following(&first, Gap::None);
        let mut third = labelled(8, "web").following(&second, Gap::None);
        let tier = |pod: &Arc<Pod>, version| pod.labelled_as_at(version).labels["tier"].clone();
        let tiers = |pod: Pod| [4, 5, 7, 8, 9].map(|version| tier(&Arc::new(pod.clone()), version));
        assert_eq!(tiers(third.clone()), ["cache", "store", "store", "web", "web"]);
        third.pass(5);
        assert_eq!(third.earlier.len(), 1, "what the checkpoint has passed is asked no more");
    }
}
