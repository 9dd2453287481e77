//! From what was seen of a pod to the transition that starts a run, or none.
//!
//! An edge that the operator sees counts, whatever its clock stamps say. Only for pods in the
//! first list under a new ExtendedJob do the stamps decide: kubelets' clocks run apart from the
//! API server's.

use std::fmt;

use extendedjob_api::{Triggers, When};
use jiff::Timestamp;

use crate::{
    pod::{Edge, Pod, Position, Readiness, Status},
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

    /// The transitions of a pod in the first list under an ExtendedJob created at `since`.
    ///
    /// An edge counts when it, or the pod, is at or after the ExtendedJob; both stamps have whole
    /// seconds, and equal counts, so that one manifest with both works.
    #[must_use]
    pub fn at_first_sight(&self, pod: &Pod, since: Timestamp) -> Vec<Transition> {
        let recent = |stamp: Option<Timestamp>| stamp.is_some_and(|stamp| stamp >= since);
        self.among(pod, |edge| recent(pod.created) || recent(edge.to.since))
    }

    /// The transitions of a pod that were seen after `position`, for a watcher that has to make up
    /// for a gap.
    #[must_use]
    pub fn after(&self, position: Position, pod: &Pod) -> Vec<Transition> {
        self.among(pod, |edge| edge.seen > position)
    }

    /// The remembered edges of a pod that are of our kind, and pass.
    fn among(&self, pod: &Pod, passes: impl Fn(&Edge) -> bool) -> Vec<Transition> {
        if !self.concerns(pod) {
            return vec![];
        }
        pod.edges.iter().filter(|edge| passes(edge)).filter_map(|edge| self.transition(edge)).collect()
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
        if earlier == after.ready {
            return None;
        }
        self.transition(after.edges.last()?)
    }

    /// What an edge is to this trigger. True with another time is one `ready`: the dip between was
    /// not published.
    fn transition(&self, edge: &Edge) -> Option<Transition> {
        let counts = match self.when {
            When::Ready => edge.to.is_ready(),
        };
        let Edge { to: Readiness { status, since }, n, .. } = *edge;
        counts.then_some(Transition { when: self.when, status, time: since, n })
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
            assert_eq!(ready().at_first_sight(&pod.first_seen(0), at(10)).len() == 1, expected, "{name}");
        }
    }

    #[test]
    fn a_pod_that_was_ready_and_ended_before_we_looked_is_not_missed() {
        let ready_once = pod().ready(at(11)).first_seen(1);
        let ended = pod().not_ready(Status::False, at(12)).following(&ready_once, 2);
        assert_eq!(ready().at_first_sight(&ended, at(10)).len(), 1);
        assert_eq!(ready().at_first_sight(&ended, at(12)), []);
    }

    #[test]
    fn a_watcher_that_was_away_makes_up_for_what_it_missed() {
        let before = pod().ready(at(1)).first_seen(1);
        let dip = pod().not_ready(Status::False, at(2)).following(&before, 2);
        let after = pod().ready(at(1)).following(&dip, 3);
        let keys: Vec<_> = ready().after(1, &after).iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["ready/True/2023-11-14T22:13:21Z/1"]);
        assert_eq!(ready().after(3, &after), []);
    }

    #[test]
    fn a_seen_edge_counts_whatever_its_stamps_say() {
        let before = pod().first_seen(0);
        let after = pod().ready(at(-1000)).following(&before, 1);
        assert!(ready().between(Some(&before), &after).is_some());
    }

    #[test]
    fn updates_of_a_ready_pod_start_nothing() {
        let before = pod().ready(at(1)).first_seen(0);
        let after = pod().ready(at(1)).labelled("a", "b").following(&before, 1);
        assert_eq!(ready().between(Some(&before), &after), None);
    }

    #[test]
    fn ready_with_another_time_is_one_ready() {
        let before = pod().ready(at(1)).first_seen(0);
        let after = pod().ready(at(2)).following(&before, 1);
        let key = ready().between(Some(&before), &after).map(|transition| transition.to_string());
        assert_eq!(key.as_deref(), Some("ready/True/2023-11-14T22:13:22Z/0"));
    }

    #[test]
    fn a_pod_that_appears_ready_while_we_watch_counts() {
        assert!(ready().between(None, &pod().ready(at(1)).first_seen(0)).is_some());
    }

    #[test]
    fn gaining_or_losing_labels_is_no_transition() {
        let trigger = ready_of("tier", "cache");
        let plain = pod().ready(at(1)).first_seen(0);
        let labelled = pod().ready(at(1)).labelled("tier", "cache").following(&plain, 1);
        assert_eq!(trigger.between(Some(&plain), &labelled), None);
        assert_eq!(trigger.between(Some(&labelled), &plain), None);
    }

    #[test]
    fn pods_of_our_own_jobs_trigger_nothing() {
        let ours = pod().ours().ready(at(20)).first_seen(5);
        assert_eq!(ready().at_first_sight(&ours, at(10)), []);
        assert_eq!(ready().after(0, &ours), []);
        assert_eq!(ready().between(None, &ours), None);
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
                    Some(before) => seen.following(before, 1),
                    None => seen.first_seen(0),
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
