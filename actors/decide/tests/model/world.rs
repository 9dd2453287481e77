//! The cluster: what happens to pods and to an ExtendedJob, and what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    sync::Arc,
};

use extendedjob_api::{ExtendedJobSpec, ExtendedJobStatus, When};
use extendedjob_decide::{
    book::Stored,
    checkpoint::Checkpoint,
    declared::Declared,
    ledger::Ledger,
    pod::{Pod, Readiness, Status, Version},
    run::Run,
    track::Written,
    transition::Baseline,
};
use jiff::Timestamp;

use crate::{explorer::fingerprint, operator::Operator};

/// A moment, in seconds after a fixed one.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// What a pod is like after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) status: Status,
    /// The second of the lastTransitionTime.
    pub(crate) since: i64,
    pub(crate) labelled: bool,
    pub(crate) deleting: bool,
}

/// Its life: what it is like after each change, in order, and whether it ends.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) created: i64,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) ends: bool,
}

/// Created at second 0, and then like this; `(status, second)`.
pub(crate) fn life(states: &[(Status, i64)]) -> Life {
    let shape = |&(status, since)| Shape { status, since, labelled: true, deleting: false };
    Life { created: 0, shapes: states.iter().map(shape).collect(), ends: false }
}

impl Life {
    pub(crate) fn created(mut self, second: i64) -> Self {
        self.created = second;
        self
    }

    pub(crate) fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    /// The shapes of these numbers lack the label.
    pub(crate) fn unlabelled(mut self, shapes: &[usize]) -> Self {
        shapes.iter().for_each(|index| self.shapes[*index].labelled = false);
        self
    }

    /// The shapes from this number on have a deletionTimestamp.
    pub(crate) fn deleting(mut self, from: usize) -> Self {
        self.shapes[from..].iter_mut().for_each(|shape| shape.deleting = true);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.shapes.len() + usize::from(self.ends)
    }
}

/// The version of the first change. Before it pods are at a version too, and 0 is none.
pub(crate) const FIRST: Version = 2;

/// The version of what has not happened.
pub(crate) const NEVER: Version = 0;

/// A change of one pod: which, and the how manieth of its life.
pub(crate) type Change = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Job {
    pub(crate) finished: bool,
    /// The status tells its completion.
    pub(crate) recorded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept<T> {
    pub(crate) version: u32,
    pub(crate) content: Arc<T>,
}

/// A page of the book, as bytes and as what they say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: Vec<Written>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Lease {
    pub(crate) term: u32,
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// A write on its way. Who sent it may be gone by the time it lands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) term: u32,
    /// Someone waits for the answer.
    pub(crate) awaited: bool,
    pub(crate) write: Write,
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Job(Run),
    Ledger { over: Option<u32>, spec: usize, ledger: Arc<Ledger> },
    Page { over: Option<u32>, page: Stored },
    Lease(Checkpoint),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    /// AlreadyExists, or the precondition did not hold.
    Conflict,
    /// Refused for now, such as by a quota.
    Refused,
}

/// What no operator knows, and the invariants are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Record {
    /// How often a Job of each name was made.
    pub(crate) made: BTreeMap<String, u32>,
    /// For which changes each run fired, the first one first.
    pub(crate) fired: BTreeMap<String, Vec<Version>>,
    /// The baselines that came to be stored, with the number of the spec they are for.
    pub(crate) baselines: Vec<(usize, Baseline)>,
    /// All that some operator went by.
    pub(crate) known: Vec<(usize, Baseline)>,
    /// Jobs of runs that a stored ledger has named.
    pub(crate) promised: BTreeSet<String>,
    /// What some operator saw at first of a new ExtendedJob: of each set one is to have its Job.
    pub(crate) sighted: BTreeSet<BTreeSet<Version>>,
    /// Changes that fell into a gap.
    pub(crate) excused: BTreeSet<Version>,
    /// What can be told across a gap: of each set one is to have its Job.
    pub(crate) wanted: BTreeSet<BTreeSet<Version>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct World {
    /// What has happened to pods, from version [`FIRST`] on.
    pub(crate) log: Vec<Change>,
    /// The watch can't go on from before this.
    pub(crate) compacted: Version,
    /// Which of its specs the ExtendedJob has; 0: it was not created yet.
    pub(crate) spec: usize,
    /// Where pods were when each of them came into force.
    pub(crate) edits: Vec<Version>,
    /// `status.ledger` is set.
    pub(crate) based: bool,
    pub(crate) ledger: Option<Kept<Ledger>>,
    pub(crate) page: Option<Kept<Page>>,
    pub(crate) lease: Lease,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) operator: Option<Operator>,
    pub(crate) spent: Spent,
    pub(crate) record: Record,
}

/// Faults that have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Spent {
    pub(crate) crashes: u32,
    pub(crate) falls: u32,
    pub(crate) refusals: u32,
    pub(crate) compactions: u32,
    pub(crate) losses: u32,
    pub(crate) timeouts: u32,
    pub(crate) memories: u32,
}

/// Specs of the ExtendedJob, in the order of its edits, with those of its creation first.
pub(crate) fn declared(when: When, suspend: bool, created: i64) -> Declared {
    let when = serde_json::json!(when);
    let spec = serde_json::json!({
        "triggers": { "when": when, "selector": { "matchLabels": { "tier": "cache" } } },
        "suspend": suspend,
        "template": {},
    });
    let spec: ExtendedJobSpec = serde_json::from_str(&spec.to_string()).unwrap();
    Declared {
        uid: "ejob".into(),
        name: "ejob".into(),
        namespace: "ns".into(),
        resource_version: "1".into(),
        generation: 1,
        created: at(created),
        deleting: false,
        requested_at: None,
        reset: None,
        run_manager: None,
        spec,
        status: ExtendedJobStatus::default(),
    }
}

/// The resourceVersion of an object with this content. Nothing but a change of the content is told by
/// it, so that states which differ in how often something was written are one.
pub(crate) fn stamp(content: &impl Hash) -> u32 {
    fingerprint(content) as u32
}

impl Flight {
    /// Writes on their way are in no order; this puts the same ones into the same.
    pub(crate) fn place(&self) -> (bool, u32, u8, &str) {
        let (kind, job) = match &self.write {
            Write::Job(run) => (0, run.job.as_str()),
            Write::Ledger { .. } => (1, ""),
            Write::Page { .. } => (2, ""),
            Write::Lease(_) => (3, ""),
        };
        (self.awaited, self.term, kind, job)
    }
}

impl Record {
    /// An operator goes by this baseline.
    pub(crate) fn note_known(&mut self, spec: usize, baseline: Baseline) {
        if !self.known.contains(&(spec, baseline)) {
            self.known.push((spec, baseline));
        }
    }
}

impl World {
    /// Where pods are now.
    pub(crate) fn now(&self) -> Version {
        FIRST - 1 + self.log.len() as Version
    }

    /// What happened at a version.
    pub(crate) fn at(&self, version: Version) -> Change {
        self.log[(version - FIRST) as usize]
    }

    /// All that has happened up to a version, and where, the last first.
    pub(crate) fn until(&self, version: Version) -> impl Iterator<Item = (Change, Version)> {
        (FIRST..=version).rev().map(|version| (self.at(version), version))
    }

    /// The last change of a pod up to a version, and where it was.
    pub(crate) fn change(&self, pod: usize, until: Version) -> Option<(usize, Version)> {
        self.until(until).find(|(change, _)| change.0 == pod).map(|(change, version)| (change.1, version))
    }
}

pub(crate) fn uid(pod: usize) -> String {
    format!("pod-{pod}")
}

/// A pod as it is after a change of its life, seen at `version`. After its end: as it was last.
pub(crate) fn pod(lives: &[Life], (pod, change): Change, version: Version) -> Pod {
    let life = &lives[pod];
    let Shape { status, since, labelled, deleting } = life.shapes[change.min(life.shapes.len() - 1)];
    let label = labelled.then(|| ("tier".to_owned(), "cache".to_owned()));
    Pod {
        uid: uid(pod),
        name: uid(pod),
        namespace: "ns".into(),
        labels: label.into_iter().collect(),
        created: Some(at(life.created)),
        ready: Readiness { status, since: (status != Status::Absent).then(|| at(since)) },
        deleting,
        version,
        ..Pod::default()
    }
}
