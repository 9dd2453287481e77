//! From what was seen of a pod to the transition that starts a run, or none.
//!
//! An edge that the operator sees counts, whatever its clock stamps say. Only for pods in the
//! first list under a new ExtendedJob do the stamps decide: kubelets' clocks run apart from the
//! API server's.

use std::fmt;

use extendedjob_api::{Triggers, When};
use jiff::Timestamp;

use crate::{
    pod::{Pod, Readiness, Status},
    selector::Selector,
};

/// What an ExtendedJob waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The kind of transition.
    pub when: When,
    /// The pods concerned.
    pub selector: Selector,
}

impl Trigger {
    /// Compiles the trigger that the user declared.
    #[must_use]
    pub fn new(declared: &Triggers) -> Self {
        Self { when: declared.when, selector: Selector::new(declared.selector.as_ref()) }
    }

    /// Whether this trigger is about the pod at all.
    fn concerns(&self, pod: &Pod) -> bool {
        !pod.ours && self.selector.matches(&pod.labels)
    }

    /// The transition of a pod in the first list under an ExtendedJob created at `since`.
    ///
    /// Counts when the pod, or its readiness, is at or after the ExtendedJob; both stamps have
    /// whole seconds, and equal counts, so that one manifest with both works.
    #[must_use]
    pub fn at_first_sight(&self, pod: &Pod, since: Timestamp) -> Option<Transition> {
        if !self.concerns(pod) {
            return None;
        }
        let recent = |stamp: Option<Timestamp>| stamp.is_some_and(|stamp| stamp >= since);
        match self.when {
            When::Ready => (pod.ready.is_ready() && (recent(pod.created) || recent(pod.ready.since)))
                .then(|| Transition::to_present(self.when, pod)),
        }
    }

    /// The transition from `before` to `after`, two successive observations of one pod; no
    /// `before` means that the pod appeared while we watched.
    ///
    /// A pod that only now bears the selector's labels enters with its present state: gaining
    /// labels is no transition.
    #[must_use]
    pub fn between(&self, before: Option<&Pod>, after: &Pod) -> Option<Transition> {
        if !self.concerns(after) || before.is_some_and(|before| !self.concerns(before)) {
            return None;
        }
        let earlier = before.map_or(Readiness::default(), |before| before.ready);
        match self.when {
            // True with another time is one `ready`: the dip between was not published.
            When::Ready => (after.ready.is_ready() && earlier != after.ready)
                .then(|| Transition::to_present(self.when, after)),
        }
    }
}

/// One transition of one pod. Its text form is the key by which it is known for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The kind of transition.
    pub when: When,
    /// The Ready status that it led to.
    pub status: Status,
    /// The condition's lastTransitionTime.
    pub time: Option<Timestamp>,
    /// How many edges of this pod with this status and time came before.
    pub n: u32,
}

impl Transition {
    fn to_present(when: When, pod: &Pod) -> Self {
        Self { when, status: pod.ready.status, time: pod.ready.since, n: pod.earlier_like_present() }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Ready => "ready",
        };
        write!(f, "{when}/{}/", self.status.as_str())?;
        match self.time {
            Some(time) => write!(f, "{time}/{}", self.n),
            None => write!(f, "-/{}", self.n),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{at, pod};

    fn ready() -> Trigger {
        Trigger { when: When::Ready, selector: Selector::default() }
    }

    fn ready_of(key: &str, value: &str) -> Trigger {
        let selector = extendedjob_api::Selector {
            match_labels: [(key.to_owned(), value.to_owned())].into(),
            match_expressions: vec![],
        };
        Trigger { when: When::Ready, selector: Selector::new(Some(&selector)) }
    }

    #[test]
    fn stamps_decide_at_first_sight() {
        let table = [
            ("ready long before", pod().created(at(0)).ready(at(5)), false),
            ("turned ready in the very second", pod().created(at(0)).ready(at(10)), true),
            ("turned ready later", pod().created(at(0)).ready(at(11)), true),
            ("created in the same second, kubelet clock behind", pod().created(at(10)).ready(at(5)), true),
            ("not ready", pod().created(at(20)), false),
        ];
        for (name, pod, expected) in table {
            assert_eq!(ready().at_first_sight(&pod, at(10)).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn a_seen_edge_counts_whatever_its_stamps_say() {
        let before = pod().first_seen();
        let after = pod().ready(at(-1000)).following(&before);
        assert!(ready().between(Some(&before), &after).is_some());
    }

    #[test]
    fn updates_of_a_ready_pod_start_nothing() {
        let before = pod().ready(at(1)).first_seen();
        let after = pod().ready(at(1)).labelled("a", "b").following(&before);
        assert_eq!(ready().between(Some(&before), &after), None);
    }

    #[test]
    fn ready_with_another_time_is_one_ready() {
        let before = pod().ready(at(1)).first_seen();
        let after = pod().ready(at(2)).following(&before);
        let key = ready().between(Some(&before), &after).map(|transition| transition.to_string());
        assert_eq!(key.as_deref(), Some("ready/True/2023-11-14T22:13:22Z/0"));
    }

    #[test]
    fn a_pod_that_appears_ready_while_we_watch_counts() {
        assert!(ready().between(None, &pod().ready(at(1)).first_seen()).is_some());
    }

    #[test]
    fn gaining_or_losing_labels_is_no_transition() {
        let trigger = ready_of("tier", "cache");
        let plain = pod().ready(at(1)).first_seen();
        let labelled = pod().ready(at(1)).labelled("tier", "cache").following(&plain);
        assert_eq!(trigger.between(Some(&plain), &labelled), None);
        assert_eq!(trigger.between(Some(&labelled), &plain), None);
    }

    #[test]
    fn pods_of_our_own_jobs_trigger_nothing() {
        assert_eq!(ready().at_first_sight(&pod().ours().ready(at(20)), at(10)), None);
        assert_eq!(ready().between(None, &pod().ours().ready(at(20))), None);
    }

    fn any_readiness() -> impl Strategy<Value = Readiness> {
        (prop_oneof![Just(Status::True), Just(Status::False)], 0..2i64)
            .prop_map(|(status, second)| Readiness { status, since: Some(at(second)) })
    }

    proptest! {
        /// However a pod flaps, each edge to ready has one key, and no two share one, also
        /// when there are more edges than a pod's memory holds.
        #[test]
        fn every_ready_edge_has_a_key_of_its_own(states in proptest::collection::vec(any_readiness(), 1..30)) {
            let mut keys = BTreeSet::new();
            let mut edges = 0;
            let mut known: Option<Pod> = None;
            for state in states {
                let mut seen = pod();
                seen.ready = state;
                let seen = match &known {
                    Some(before) => seen.following(before),
                    None => seen.first_seen(),
                };
                let earlier = known.as_ref().map_or(Readiness::default(), |before| before.ready);
                if state.is_ready() && state != earlier {
                    edges += 1;
                }
                keys.extend(ready().between(known.as_ref(), &seen).map(|transition| transition.to_string()));
                known = Some(seen);
            }
            prop_assert_eq!(keys.len(), edges);
        }
    }
}
