//! The cluster: what happens to pods and to an ExtendedJob, and what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use extendedjob_api::{ExtendedJobSpec, ExtendedJobStatus, When};
use extendedjob_decide::{
    book::{Book, Stored},
    checkpoint::Checkpoint,
    declared::Declared,
    ledger::Ledger,
    pod::{Pod, Readiness, Status, Version},
    run::Run,
    track::Written,
    transition::Baseline,
};
use jiff::Timestamp;

use crate::operator::Operator;

/// A moment, in seconds after a fixed one.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// What a pod is like after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub status: Status,
    /// The second of the lastTransitionTime.
    pub since: i64,
    pub labelled: bool,
    pub deleting: bool,
}

/// Its life: what it is like after each change, in order, and whether it ends.
#[derive(Clone, Debug)]
pub struct Life {
    pub created: i64,
    pub shapes: Vec<Shape>,
    pub ends: bool,
}

/// Created at second 0, and then like this; `(status, second)`.
pub fn life(states: &[(Status, i64)]) -> Life {
    let shape = |&(status, since)| Shape { status, since, labelled: true, deleting: false };
    Life { created: 0, shapes: states.iter().map(shape).collect(), ends: false }
}

impl Life {
    pub fn created(mut self, second: i64) -> Self {
        self.created = second;
        self
    }

    pub fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    /// The shapes of these numbers lack the label.
    pub fn unlabelled(mut self, shapes: &[usize]) -> Self {
        shapes.iter().for_each(|index| self.shapes[*index].labelled = false);
        self
    }

    /// The shapes from this number on have a deletionTimestamp.
    pub fn deleting(mut self, from: usize) -> Self {
        self.shapes[from..].iter_mut().for_each(|shape| shape.deleting = true);
        self
    }

    pub fn len(&self) -> usize {
        self.shapes.len() + usize::from(self.ends)
    }
}

/// A change of one pod: which, and the how manieth of its life.
pub type Change = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Job {
    pub finished: bool,
    /// The status tells its completion.
    pub recorded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept<T> {
    pub version: u32,
    pub content: Arc<T>,
}

/// A page of the book, as bytes and as what they say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub bytes: Vec<u8>,
    pub lines: Vec<Written>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Lease {
    pub term: u32,
    pub checkpoint: Option<Checkpoint>,
}

/// A write on its way. Who sent it may be gone by the time it lands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    pub term: u32,
    /// Someone waits for the answer.
    pub awaited: bool,
    pub write: Write,
    pub answer: Option<Answer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    Job(Run),
    Ledger { over: Option<u32>, ledger: Arc<Ledger> },
    Page { over: Option<u32>, page: Stored },
    Lease(Checkpoint),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Done,
    /// AlreadyExists, or the precondition did not hold.
    Conflict,
    /// Refused for now, such as by a quota.
    Refused,
}

/// What no operator knows, and the invariants are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// How often a Job of each name was made.
    pub made: BTreeMap<String, u32>,
    /// For which changes each run fired, the first one first.
    pub fired: BTreeMap<String, Vec<Version>>,
    /// The baselines that came to be stored, with the number of the spec they are for.
    pub baselines: Vec<(usize, Baseline)>,
    /// Jobs of runs that a stored ledger has named.
    pub promised: BTreeSet<String>,
    /// Changes that fell into a gap.
    pub excused: BTreeSet<Version>,
    /// What can be told across a gap: of each set one is to have its Job.
    pub wanted: BTreeSet<BTreeSet<Version>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct World {
    /// What has happened to pods: the entry at `version - 1`.
    pub log: Vec<Change>,
    /// The watch can't go on from before this.
    pub compacted: Version,
    /// Which of its specs the ExtendedJob has; 0: it was not created yet.
    pub spec: usize,
    /// Where pods were when each of them came into force.
    pub edits: Vec<Version>,
    /// `status.ledger` is set.
    pub based: bool,
    pub ledger: Option<Kept<Ledger>>,
    pub page: Option<Kept<Page>>,
    pub lease: Lease,
    pub jobs: BTreeMap<String, Job>,
    pub flights: Vec<Flight>,
    pub operator: Option<Operator>,
    pub spent: Spent,
    pub record: Record,
}

/// Faults that have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Spent {
    pub crashes: u32,
    pub falls: u32,
    pub refusals: u32,
    pub compactions: u32,
    pub relists: u32,
}

/// Specs of the ExtendedJob, in the order of its edits, with those of its creation first.
pub fn declared(when: When, suspend: bool, created: i64) -> Declared {
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
        spec,
        status: ExtendedJobStatus::default(),
    }
}

/// The name of the page's object is given by what it is; there is one page here.
pub fn page_of(page: &Stored) -> Page {
    let lines = Book::read(vec![page.clone()]).book.lines().cloned().collect();
    Page { bytes: page.bytes.clone(), lines }
}

impl World {
    /// Where pods are now.
    pub fn now(&self) -> Version {
        self.log.len() as Version
    }

    /// The last change of a pod up to a version, and where it was.
    pub fn change(&self, pod: usize, until: Version) -> Option<(usize, Version)> {
        let until = &self.log[..until as usize];
        let found = until.iter().enumerate().rfind(|(_, change)| change.0 == pod);
        found.map(|(index, change)| (change.1, index as Version + 1))
    }
}

pub fn uid(pod: usize) -> String {
    format!("pod-{pod}")
}

/// A pod as it is after a change of its life, seen at `version`. After its end: as it was last.
pub fn pod(lives: &[Life], (pod, change): Change, version: Version) -> Pod {
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
