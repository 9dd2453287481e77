//! Configuration that runs depend on: what of it is on record, and which runs start again when it changes.
//!
//! ```text
//! a digest differs ──(ledger: revision n + 1, digests, the runs that start again)──► their old Jobs go
//!        ──(an old Job is gone)──► its run starts, under revision n + 1
//! ```
//!
//! Job names include the revision, so that a change back to what was is a change like any other.

use std::collections::{BTreeMap, BTreeSet};

use extendedjob_api::When;
use serde::{Deserialize, Serialize};

use crate::{
    pod::Pod,
    references::{Digest, Object},
    run::{Reason, Run},
    transition::{Transition, Trigger},
};

/// What the pods use, by object; what is missing is not in it.
pub type Digests = BTreeMap<Object, Digest>;

/// What an ExtendedJob's ledger holds of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// How often a change has started runs again.
    pub revision: u64,
    /// What the pods use; `None` as long as changes of it are of no interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
    /// The last transition that counted of each pod that is there, by the pod's UID. It is kept only while changes
    /// are of interest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, Transition>,
}

impl Config {
    /// Whether runs start under the same revision, with the same to compare with.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        self.revision == other.revision && self.digests == other.digests
    }

    /// Without what is said by the runs that start again, too: with thousands of pods it would not fit twice.
    pub(crate) fn but_for(&self, pending: &[Run]) -> Self {
        let mut config = self.clone();
        for (pod, transition) in counted_by(pending) {
            if config.counted.get(&pod.uid) == Some(transition) {
                config.counted.remove(&pod.uid);
            }
        }
        config
    }

    /// With what these runs say.
    pub(crate) fn with(mut self, pending: &[Run]) -> Self {
        let is_of_interest = self.digests.is_some();
        for (pod, transition) in counted_by(pending).filter(|_| is_of_interest) {
            self.counted.entry(pod.uid.clone()).or_insert_with(|| transition.clone());
        }
        self
    }

    /// Which objects have changed, if they are so now.
    ///
    /// What only one of the two knows was added to the template or taken out of it, and has not changed.
    #[must_use]
    pub fn changed(&self, now: &Digests) -> BTreeSet<Object> {
        let before = self.digests.iter().flatten();
        let differs = |(object, before): &(&Object, &Digest)| {
            now.get(object).is_some_and(|now| now.differs_from(before))
        };
        before.filter(differs).map(|(object, _)| object.clone()).collect()
    }
}

/// Pods that have counted, for their runs start again.
fn counted_by(pending: &[Run]) -> impl Iterator<Item = (&Pod, &Transition)> {
    pending.iter().filter_map(|run| match &run.reason {
        Reason::Pod { pod, transition } if !run.changed.is_empty() && transition.when != When::Deleted => {
            Some((&**pod, transition))
        }
        _ => None,
    })
}

/// Whether a pod is in the state that a transition of this trigger leads to, so that what was done for it is to be done
/// again.
#[must_use]
pub fn holds(trigger: &Trigger, pod: &Pod) -> bool {
    let is_so = match trigger.when {
        When::Created => !pod.deleting,
        When::Ready => pod.ready.is_ready(),
        When::NotReady => !pod.ready.is_ready() && !pod.deleting,
        When::Deleted => false,
    };
    is_so && trigger.concerns(pod)
}

/// Objects in few words, for people.
#[must_use]
pub fn listed(objects: &BTreeSet<Object>) -> String {
    let named: Vec<String> = objects.iter().take(NAMED).map(ToString::to_string).collect();
    let named = named.join(", ");
    match objects.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// How many objects a sentence, or an annotation, names.
const NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use extendedjob_api::TargetKind;

    use super::*;
    use crate::{
        fixtures::{at, on_caches, pod},
        pod::Status,
        references::{Need, Part, Reference},
    };

    fn object(name: &str) -> Object {
        Object { kind: TargetKind::ConfigMap, name: name.into() }
    }

    fn digests<const N: usize>(held: [(&str, &str); N]) -> Digests {
        let digest = |(name, value): (&str, &str)| {
            let reference = Reference { object: object(name), parts: [(Part::Whole, Need::Optional)].into() };
            let values = [("key".to_owned(), value.as_bytes().to_vec())].into();
            (object(name), Digest::of(&reference, Some(&values)).unwrap())
        };
        held.into_iter().map(digest).collect()
    }

    #[test]
    fn what_only_one_side_knows_has_not_changed() {
        let config = |digests| Config { digests, ..Config::default() };
        let before = config(Some(digests([("a", "1"), ("b", "1")])));
        for (now, expected) in [
            (digests([("a", "1"), ("b", "1")]), &[][..]),
            (digests([("a", "2"), ("b", "1")]), &["a"]),
            (digests([("a", "2"), ("b", "2")]), &["a", "b"]),
            (digests([("b", "1"), ("c", "1")]), &[]),
            (digests([]), &[]),
        ] {
            let expected: BTreeSet<Object> = expected.iter().copied().map(object).collect();
            assert_eq!(before.changed(&now), expected, "{now:?}");
        }
        assert!(config(None).changed(&digests([("a", "1")])).is_empty());
    }

    #[test]
    fn a_pod_is_run_for_again_if_it_is_as_its_transition_left_it() {
        let cache = || pod().labelled("tier", "cache");
        let deleted = |pod: Pod| Pod { deleting: true, ..pod };
        let pods = [
            ("ready", cache().ready(at(1))),
            ("not ready", cache().not_ready(Status::False, at(1))),
            ("unknown", cache()),
            ("ready, deleted", deleted(cache().ready(at(1)))),
            ("not ready, deleted", deleted(cache().not_ready(Status::False, at(1)))),
        ];
        for (when, holding) in [
            (When::Created, &["ready", "not ready", "unknown"][..]),
            (When::Ready, &["ready", "ready, deleted"]),
            (When::NotReady, &["not ready", "unknown"]),
            (When::Deleted, &[]),
        ] {
            let trigger = on_caches(when);
            let held = pods.iter().filter(|(_, pod)| holds(&trigger, pod)).map(|(name, _)| *name);
            assert_eq!(held.collect::<Vec<_>>(), holding, "{when:?}");
            assert!(
                pods.iter().all(|(_, pod)| !holds(&trigger, &Pod { labels: pod_labels(), ..pod.clone() }))
            );
        }
    }

    fn pod_labels() -> crate::selector::Labels {
        [("tier".to_owned(), "web".to_owned())].into()
    }

    #[test]
    fn of_many_objects_some_are_named_and_the_rest_counted() {
        let objects = |count| (0..count).map(|n| object(&format!("{n}"))).collect::<BTreeSet<_>>();
        assert_eq!(listed(&objects(2)), "ConfigMap/0, ConfigMap/1");
        assert!(listed(&objects(10)).ends_with("ConfigMap/7 and 2 more"));
    }
}
