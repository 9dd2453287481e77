//! From what was seen of a pod to the transition that starts a run, or none.
//!
//! An edge that the operator sees counts, whatever its clock stamps say. Only for what was before
//! it learnt of an ExtendedJob do the stamps decide: kubelets' clocks run apart from the API
//! server's.

use std::{fmt, str::FromStr, sync::Arc};

use extendedjob_api::{Triggers, When};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    edges::Edge,
    pod::{Pod, Status, Version},
    selector::Selector,
};

/// What an ExtendedJob waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trigger {
    /// The kind of transition.
    pub when: When,
    /// The pods concerned.
    pub selector: Selector,
}

/// Something that happened to a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// The pod before; the same as `after` where only the pod's end or an old edge is told.
    pub before: Option<Arc<Pod>>,
    /// The pod after it; of one that is gone, the last that is known.
    pub after: Arc<Pod>,
    /// What happened.
    pub what: What,
    /// Where it was seen.
    pub seen: Version,
}

/// What happened to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// It appeared, with this readiness.
    Appeared(Edge),
    /// Its readiness changed.
    Turned(Edge),
    /// Only labels or facts changed.
    Altered,
    /// It is gone.
    Vanished,
}

/// From where on an ExtendedJob counts what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Baseline {
    /// What is seen after this counts.
    pub version: Version,
    /// What was before counts if its stamps are not before this, the creation of the ExtendedJob;
    /// without it, nothing of that counts: the trigger was edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Trigger {
    /// Compiles the trigger that the user declared.
    #[must_use]
    pub fn new(declared: &Triggers) -> Self {
        Self { when: declared.when, selector: Selector::new(declared.selector.as_ref()) }
    }

    /// Whether this trigger is about the pod at all.
    #[must_use]
    pub fn concerns(&self, pod: &Pod) -> bool {
        !pod.ours && self.selector.matches(&pod.labels)
    }

    /// The transition that counts in what happened, if any.
    #[must_use]
    pub fn counts(&self, moved: &Move, baseline: Baseline) -> Option<Transition> {
        let transition = self.transition(moved)?;
        if moved.seen > baseline.version {
            return Some(transition);
        }
        // As at first sight, which may have been before it was seen to move.
        transition.is_since(&moved.after, baseline.since).then_some(Transition { n: 0, ..transition })
    }

    /// The transition that a move is to this trigger.
    ///
    /// A pod that only now bears the selector's labels enters with its present state: gaining
    /// labels is no transition.
    fn transition(&self, Move { before, after, what, .. }: &Move) -> Option<Transition> {
        if !self.concerns(after) || before.as_ref().is_some_and(|before| !self.concerns(before)) {
            return None;
        }
        match (self.when, *what) {
            (When::Created, What::Appeared(_)) => Some(Transition::created(after)),
            // True with another time is one `ready`: the dip between was not published.
            (When::Ready, What::Appeared(edge) | What::Turned(edge)) if edge.to.is_ready() => {
                Some(Transition::of(When::Ready, edge))
            }
            (When::NotReady, What::Turned(edge)) if edge.lost => Some(Transition::of(When::NotReady, edge)),
            (When::Deleted, What::Vanished) => {
                Some(Transition { when: When::Deleted, status: Status::Absent, time: None, n: 0 })
            }
            _ => None,
        }
    }

    /// The transitions of a pod that was there, or had just gone, when the operator learnt of an
    /// ExtendedJob that was created at `since`.
    ///
    /// Stamps have whole seconds, and equal counts, so that one manifest with both works. Those alike
    /// are one: how many there were depends on who looks.
    #[must_use]
    pub fn at_first_sight(&self, pod: &Pod, since: Timestamp) -> Vec<Transition> {
        if !self.concerns(pod) {
            return vec![];
        }
        let all: Vec<Transition> = match self.when {
            When::Created => vec![Transition::created(pod)],
            When::Ready => {
                let ready = pod.edges.states().filter(|to| to.is_ready());
                let ready = ready.map(|to| Edge { to, n: 0, seen: 0, lost: false });
                ready.map(|edge| Transition::of(When::Ready, edge)).collect()
            }
            When::NotReady | When::Deleted => vec![],
        };
        all.into_iter().filter(|transition| transition.is_since(pod, Some(since))).collect()
    }
}

/// One transition of one pod. Its text form is the key by which it is known for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transition {
    /// The kind of transition.
    pub when: When,
    /// The Ready status that it led to; of no meaning where a pod appears or is gone.
    pub status: Status,
    /// The condition's lastTransitionTime, or the creation of a pod that appears.
    pub time: Option<Timestamp>,
    /// How many edges of this pod with this status and time came before, see
    /// [`Edges::raise`](crate::edges::Edges).
    pub n: Version,
}

impl Transition {
    fn of(when: When, edge: Edge) -> Self {
        Self { when, status: edge.to.status, time: edge.to.since, n: edge.n }
    }

    fn created(pod: &Pod) -> Self {
        Self { when: When::Created, status: Status::Absent, time: pod.created, n: 0 }
    }

    /// Whether its stamps say that it was not before `since`.
    fn is_since(&self, pod: &Pod, since: Option<Timestamp>) -> bool {
        let Some(since) = since else { return false };
        let recent = |stamp: Option<Timestamp>| stamp.is_some_and(|stamp| stamp >= since);
        match self.when {
            When::Created => recent(pod.created),
            When::Ready => recent(pod.created) || recent(self.time),
            When::NotReady | When::Deleted => false,
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Ready => write!(f, "ready/{}/", self.status.as_str())?,
            When::NotReady => write!(f, "notready/{}/", self.status.as_str())?,
            When::Created => f.write_str("created/-/")?,
            When::Deleted => f.write_str("deleted/-/")?,
        }
        match self.time {
            Some(time) => write!(f, "{time}/{}", self.n),
            None => write!(f, "-/{}", self.n),
        }
    }
}

impl FromStr for Transition {
    type Err = Unknown;

    fn from_str(key: &str) -> Result<Self, Unknown> {
        let parts: Vec<&str> = key.split('/').collect();
        let [when, status, time, n] = parts[..] else { return Err(Unknown) };
        let (when, status) = match (when, status) {
            ("created", "-") => (When::Created, Status::Absent),
            ("deleted", "-") => (When::Deleted, Status::Absent),
            ("ready", status) => (When::Ready, Status::named(status).ok_or(Unknown)?),
            ("notready", status) => (When::NotReady, Status::named(status).ok_or(Unknown)?),
            _ => return Err(Unknown),
        };
        let time = if time == "-" { None } else { Some(time.parse().map_err(|_| Unknown)?) };
        Ok(Self { when, status, time, n: n.parse().map_err(|_| Unknown)? })
    }
}

/// A text is not the key of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a transition")]
pub struct Unknown;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edges::Gap,
        fixtures::{at, on_caches, pod},
    };

    fn on(when: When) -> Trigger {
        Trigger { when, selector: Selector::default() }
    }

    /// All that is seen counts.
    const EVERYTHING: Baseline = Baseline { version: 0, since: None };

    fn appears(pod: Pod) -> Move {
        let after = Arc::new(Pod { version: 1, ..pod }.appearing());
        let edge = *after.edges.recent().last().unwrap();
        Move { before: None, after, what: What::Appeared(edge), seen: 1 }
    }

    fn turns(before: Pod, after: Pod) -> Move {
        let before = before.entering();
        let after = Pod { version: 2, ..after }.following(&before, Gap::None);
        let what = after.edges.recent().last().map_or(What::Altered, |edge| What::Turned(*edge));
        Move { before: Some(before.into()), after: after.into(), what, seen: 2 }
    }

    fn vanishes(pod: Pod) -> Move {
        let pod = Arc::new(pod.entering());
        Move { before: Some(Arc::clone(&pod)), after: pod, what: What::Vanished, seen: 3 }
    }

    fn keys(moved: &Move) -> Vec<String> {
        let kinds = [When::Created, When::Ready, When::NotReady, When::Deleted];
        let counted = kinds.into_iter().filter_map(|when| on(when).counts(moved, EVERYTHING));
        counted.map(|transition| transition.to_string()).collect()
    }

    #[test]
    fn each_kind_of_transition_is_told_by_what_happened() {
        let unready = |second| pod().not_ready(Status::False, at(second));
        let unknown = pod().not_ready(Status::Unknown, at(2));
        let (ready_1, ready_2) = ("ready/True/2023-11-14T22:13:21Z/0", "ready/True/2023-11-14T22:13:22Z/0");
        let lost = "notready/False/2023-11-14T22:13:22Z/0";
        let created = "created/-/2023-11-14T22:13:20Z/0";
        let table: [(&str, Move, &[&str]); 9] = [
            ("appears", appears(pod()), &[created]),
            ("appears ready", appears(pod().ready(at(1))), &[created, ready_1]),
            ("turns ready", turns(pod(), pod().ready(at(1))), &[ready_1]),
            ("ready at another time", turns(pod().ready(at(1)), pod().ready(at(2))), &[ready_2]),
            ("no longer ready", turns(pod().ready(at(1)), unready(2)), &[lost]),
            ("not ready and not known", turns(unready(1), unknown), &[]),
            ("not ready at another time", turns(unready(1), unready(2)), &[]),
            ("other labels", turns(pod().ready(at(1)), pod().ready(at(1)).labelled("a", "b")), &[]),
            ("is gone", vanishes(pod().ready(at(1))), &["deleted/-/-/0"]),
        ];
        for (name, moved, expected) in table {
            assert_eq!(keys(&moved), expected, "{name}");
        }
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_not_lost() {
        let deleting = Pod { deleting: true, ..pod().not_ready(Status::False, at(2)) };
        assert!(keys(&turns(pod().ready(at(1)), deleting)).is_empty());
    }

    #[test]
    fn gaining_or_losing_labels_is_no_transition() {
        let cache = || pod().labelled("tier", "cache");
        for when in [When::Ready, When::NotReady] {
            let trigger = on_caches(when);
            for (before, after) in [(pod(), cache().ready(at(1))), (cache().ready(at(1)), pod())] {
                assert_eq!(trigger.counts(&turns(before, after), EVERYTHING), None, "{when:?}");
            }
        }
        assert!(on_caches(When::Ready).counts(&turns(cache(), cache().ready(at(1))), EVERYTHING).is_some());
    }

    #[test]
    fn what_was_before_the_baseline_counts_by_its_stamps() {
        let moved = turns(pod(), pod().ready(at(10)));
        let counts = |baseline| on(When::Ready).counts(&moved, baseline).is_some();
        for (version, since, expected) in [
            (1, None, true),
            (2, None, false),
            (2, Some(at(10)), true),
            (2, Some(at(11)), false),
            (1, Some(at(11)), true),
        ] {
            assert_eq!(counts(Baseline { version, since }), expected, "{version} {since:?}");
        }
        let lost = turns(pod().ready(at(1)), pod().not_ready(Status::False, at(20)));
        let baseline = Baseline { version: 2, since: Some(at(0)) };
        assert_eq!(on(When::NotReady).counts(&lost, baseline), None);
        assert_eq!(on(When::Deleted).counts(&vanishes(pod()), Baseline { version: 3, ..baseline }), None);
    }

    #[test]
    fn stamps_decide_at_first_sight() {
        let old = || pod().created(at(0));
        let sees = |when, pod: Pod| on(when).at_first_sight(&pod.entering(), at(10)).len() == 1;
        assert!(!sees(When::Ready, old().ready(at(5))), "ready long before");
        assert!(sees(When::Ready, old().ready(at(10))), "ready in the very second");
        assert!(sees(When::Ready, pod().created(at(10)).ready(at(5))), "a kubelet whose clock is behind");
        assert!(!sees(When::Ready, pod().created(at(20))), "not ready");
        assert!(!sees(When::Created, old()), "created before");
        assert!(sees(When::Created, pod().created(at(10))), "created in the very second");
        for when in [When::NotReady, When::Deleted] {
            assert!(!sees(when, pod().created(at(20)).not_ready(Status::False, at(20))), "{when:?}");
        }
    }

    #[test]
    fn pods_of_our_own_jobs_trigger_nothing() {
        let ours = || pod().ours().created(at(20)).ready(at(20));
        for moved in [appears(ours()), turns(pod().ours(), ours()), vanishes(ours())] {
            assert!(keys(&moved).is_empty(), "{moved:?}");
        }
        assert_eq!(on(When::Ready).at_first_sight(&ours().entering(), at(10)), []);
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let time = Some(at(1));
        for transition in [
            Transition { when: When::Created, status: Status::Absent, time, n: 0 },
            Transition {
                when: When::Ready,
                status: Status::True,
                time: Some("2026-01-02T03:04:05.5Z".parse().unwrap()),
                n: 7,
            },
            Transition { when: When::NotReady, status: Status::Unknown, time: None, n: 1 },
            Transition { when: When::Deleted, status: Status::Absent, time: None, n: 0 },
        ] {
            assert_eq!(transition.to_string().parse(), Ok(transition));
        }
        for key in ["", "run/1", "ready/True/-", "ready/Ready/-/0", "ready/True/soon/0", "ready/True/-/x"] {
            assert_eq!(key.parse::<Transition>(), Err(Unknown), "{key}");
        }
    }
}
