//! What is known of an ExtendedJob and its runs at one moment; the status is derived from it.

use std::collections::BTreeMap;

use extendedjob_api::{
    Cause, ContainerEnd, ExtendedJobStatus, OutputResult, OutputStatus, Streams,
    conditions::{RECONCILING, STALLED},
};
use jiff::Timestamp;

use crate::{
    declared::Declared,
    job::{End, Failure},
};

/// Something that stands in the way, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One of [`extendedjob_api::conditions::reasons`].
    pub reason: &'static str,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its Job is under way.
    Active,
    /// Its Job ended.
    Ended {
        /// When.
        time: Option<Timestamp>,
        /// `None`: with success.
        failure: Option<Failure>,
    },
    /// Another run takes its place, because what its pods use has changed.
    Replaced {
        /// Since when, in whole seconds.
        time: Timestamp,
    },
    /// Someone deleted its Job before it ended.
    Deleted,
}

impl Stage {
    /// The stage of a run whose Job ended.
    #[must_use]
    pub fn of(end: &End) -> Self {
        Self::Ended { time: end.time, failure: end.failure.clone() }
    }
}

/// What is known of one run that has its Job, or had it.
#[derive(Clone, Debug)]
pub struct RunState {
    /// Why it was started.
    pub cause: Cause,
    /// When its Job was created.
    pub created: Option<Timestamp>,
    /// How far it is.
    pub stage: Stage,
    /// The number of the request that it is for; 0 for a run that a pod has triggered.
    pub number: i64,
    /// See [`Run::root`](crate::run::Run::root); left out where that is the name of the Job.
    pub root: Option<String>,
    /// How many pods it has used up; 0 while it is under way.
    pub attempts: u32,
    /// How the containers of its last pod ended.
    pub containers: Vec<ContainerEnd>,
    /// How the streams of its containers are told apart.
    pub streams: Streams,
    /// The status has told of its end.
    pub told: bool,
    /// What became of its output; `None` while that is open.
    pub output: Option<Outcome>,
    /// Its output is about to be tried for the first time.
    pub output_is_due: bool,
    /// Nothing of its output is still to be written, by what is known beyond what its Job says.
    pub output_settled: bool,
}

impl RunState {
    /// Whether another run takes its place.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(self.stage, Stage::Replaced { .. })
    }

    /// What is known from the first; of nothing else has been heard yet.
    #[must_use]
    pub fn new(cause: Cause, created: Option<Timestamp>, stage: Stage) -> Self {
        let (number, root, attempts, containers) = (0, None, 0, vec![]);
        let (streams, told, output, output_is_due) = (Streams::default(), false, None, false);
        let output_settled = false;
        Self {
            cause,
            created,
            stage,
            number,
            root,
            attempts,
            containers,
            streams,
            told,
            output,
            output_is_due,
            output_settled,
        }
    }
}

/// What became of an attempt's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Key by key.
    pub outputs: Vec<OutputStatus>,
    /// Why not all of it is where it should be.
    pub trouble: Option<Trouble>,
    /// Outputs of other ExtendedJobs that it replaced.
    pub replaced: Vec<Replaced>,
}

/// An output that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Whose it was, `namespace/name`.
    pub extended_job: String,
    /// The Job that wrote it.
    pub job: String,
    /// What: the key, and of which object.
    pub what: String,
}

impl Settled {
    /// Says what became of a key, in the place of what was said of it before.
    pub fn tell(&mut self, output: OutputStatus) {
        put(&mut self.outputs, output);
    }

    /// What was said of a key is not so.
    pub fn take_back(&mut self, key: &str) {
        self.outputs.retain(|output| output.key != key);
    }

    /// Says what stands in the way, if it is the first such thing.
    pub fn stumble(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }

    /// Of which keys only the newest part was kept, in words.
    pub fn cuts(&self) -> impl Iterator<Item = String> {
        cuts(self.outputs.iter())
    }
}

/// Of which outputs only the newest part was kept, in words.
pub(crate) fn cuts<'a>(outputs: impl Iterator<Item = &'a OutputStatus>) -> impl Iterator<Item = String> {
    let cut = outputs.filter(|output| output.bytes_kept < output.bytes_seen);
    cut.map(|OutputStatus { key, bytes_kept, bytes_seen, .. }| {
        format!("of {key} only the newest {bytes_kept} of {bytes_seen} bytes are kept")
    })
}

fn is_same(one: &OutputStatus, other: &OutputStatus) -> bool {
    one.target == other.target && one.key == other.key
}

fn put(outputs: &mut Vec<OutputStatus>, output: OutputStatus) {
    match outputs.iter_mut().find(|told| is_same(told, &output)) {
        Some(told) => *told = output,
        None => outputs.push(output),
    }
}

/// What became of the output of all attempts of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Key by key, of the attempt that was told last of each.
    told: Vec<OutputStatus>,
    /// What could not be written at the last try, by the order: which keys it will fill, shows only when it can.
    unwritten: BTreeMap<String, Vec<OutputStatus>>,
    /// What stands in the way: by the key that it is about, or by the order if it is about none.
    troubles: BTreeMap<String, Trouble>,
}

impl Outcome {
    /// Takes in what became of an order for output, in the place of what was said of its last try.
    pub fn take_in(&mut self, order: &str, settled: Settled) {
        self.troubles.remove(order);
        self.unwritten.remove(order);
        let (failed, told): (Vec<_>, Vec<_>) =
            settled.outputs.into_iter().partition(|output| output.result == OutputResult::Failed);
        let bad = |output: &&OutputStatus| output.result != OutputResult::Written;
        let about = told.iter().find(bad).map_or(order, |output| &output.key).to_owned();
        for output in told {
            self.troubles.remove(&output.key);
            put(&mut self.told, output);
        }
        if !failed.is_empty() {
            self.unwritten.insert(order.to_owned(), failed);
        }
        self.troubles.extend(settled.trouble.map(|trouble| (about, trouble)));
    }

    /// An order will not be tried any more: another one was given in its place.
    pub fn let_go(&mut self, order: &str) {
        self.troubles.remove(order);
        self.unwritten.remove(order);
    }

    /// Key by key, of the attempt that was told last of each.
    pub fn outputs(&self) -> impl Iterator<Item = &OutputStatus> {
        let is_unwritten = |told: &&OutputStatus| {
            self.unwritten.values().flatten().any(|unwritten| is_same(unwritten, told))
        };
        self.told.iter().filter(move |told| !is_unwritten(told)).chain(self.unwritten.values().flatten())
    }

    /// Why not all of it is where it should be.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.troubles.values().next()
    }
}

/// What the API server says of the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Template {
    /// Not asked, or no answer yet.
    #[default]
    Unchecked,
    /// A Job can be made of it.
    Valid,
    /// It is wrong, in the API server's words.
    Invalid(String),
}

impl Template {
    /// What an earlier operator told of the present generation's template. A start with nothing
    /// changed asks nothing, unless the answer was not a good one.
    #[must_use]
    pub fn told(declared: &Declared) -> Self {
        let status = &declared.status;
        let told = |r#type: &str, value: &str| {
            status.conditions.iter().any(|condition| condition.type_ == r#type && condition.status == value)
        };
        let settled = told(RECONCILING, "False") && told(STALLED, "False");
        if settled && status.observed_generation == Some(declared.generation) {
            Self::Valid
        } else {
            Self::Unchecked
        }
    }
}

/// Ended runs whose Jobs are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many of them succeeded.
    pub succeeded: i64,
    /// How many of them failed.
    pub failed: i64,
}

impl Gone {
    /// What an earlier operator counted beyond the Jobs that are still there.
    #[must_use]
    pub fn beyond(status: &ExtendedJobStatus, runs: &BTreeMap<String, RunState>) -> Self {
        let present = count(runs);
        Self {
            succeeded: (status.succeeded - present.succeeded).max(0),
            failed: (status.failed - present.failed).max(0),
        }
    }
}

/// All that a status is derived from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The ExtendedJob.
    pub declared: &'a Declared,
    /// What is wrong with the spec.
    pub problem: Option<&'a Trouble>,
    /// The API server's word on the template.
    pub template: &'a Template,
    /// The runs, by the name of their Job.
    pub runs: &'a BTreeMap<String, RunState>,
    /// Ended runs whose Jobs are gone.
    pub gone: Gone,
    /// What is on record of it, and what keeps runs from starting.
    pub record: &'a Record,
}

/// What is on record of an ExtendedJob, and what keeps its runs from starting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The Secret that holds the ledger, once book and baseline are written.
    pub ledger: Option<String>,
    /// Runs that have no Job yet.
    pub pending: i64,
    /// Transitions that a later one absorbed.
    pub absorbed: i64,
    /// What stands in the way of runs that wait.
    pub trouble: Option<Trouble>,
    /// Why the ledger was made anew from what is there.
    pub rebuilt: Option<Trouble>,
    /// How many pods the trigger is about.
    pub watched: i64,
    /// How often a change of configuration has started runs again.
    pub revision: i64,
    /// The requests for runs that no pod triggers.
    pub requests: Requests,
}

/// How the requests of a one-off or an errand stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// How many have been accepted.
    pub number: i64,
    /// Up to which all is done.
    pub completed: i64,
    /// The value of the annotation that was answered last.
    pub handled: Option<String>,
    /// One waits to be accepted.
    pub waits: bool,
    /// The run of one that was accepted waits, perhaps for the second time.
    pub starts_again: bool,
}

impl Requests {
    /// Whether the outcome of the last run is not that of the last request.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.waits || self.starts_again || self.completed < self.number
    }
}

/// How many runs are how far.
pub(crate) struct Counts {
    pub(crate) active: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
}

pub(crate) fn count(runs: &BTreeMap<String, RunState>) -> Counts {
    let mut counts = Counts { active: 0, succeeded: 0, failed: 0 };
    for run in runs.values() {
        match &run.stage {
            Stage::Active => counts.active += 1,
            Stage::Ended { failure: None, .. } => counts.succeeded += 1,
            Stage::Ended { .. } | Stage::Deleted => counts.failed += 1,
            Stage::Replaced { .. } => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use extendedjob_api::Stream;

    use super::*;

    fn settled(key: &str, result: OutputResult) -> Settled {
        let (target, key) = ("ConfigMap ns/out".to_owned(), key.to_owned());
        let bad = result != OutputResult::Written;
        let trouble = bad.then(|| Trouble { reason: "Reason", message: key.clone() });
        let (stream, bytes_seen, bytes_kept) = (Stream::Stdout, 0, 0);
        let (possibly_rotated, merged) = (false, false);
        Settled {
            outputs: vec![OutputStatus {
                stream,
                target,
                key,
                bytes_seen,
                bytes_kept,
                possibly_rotated,
                merged,
                result,
            }],
            trouble,
            replaced: vec![],
        }
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_no_trouble() {
        let mut outcome = Outcome::default();
        outcome.take_in("p1 to a", settled("a", OutputResult::Failed));
        assert!(outcome.trouble().is_some());
        outcome.let_go("p1 to a");
        assert_eq!((outcome.trouble(), outcome.outputs().count()), (None, 0));
    }

    #[test]
    fn a_later_attempt_that_was_written_ends_the_trouble_of_its_key_and_of_no_other() {
        let mut outcome = Outcome::default();
        outcome.take_in("p1", settled("a", OutputResult::KeyExists));
        outcome.take_in("p2", settled("b", OutputResult::Lost));
        outcome.take_in("p3", settled("a", OutputResult::Written));
        assert_eq!(outcome.trouble().map(|trouble| trouble.message.as_str()), Some("b"));
        assert_eq!(outcome.outputs().count(), 2);
    }

    #[test]
    fn what_could_not_be_written_is_told_until_the_next_try_whatever_keys_that_fills() {
        let mut outcome = Outcome::default();
        outcome.take_in("p1", settled("a", OutputResult::Written));
        outcome.take_in("p2", settled("a", OutputResult::Failed));
        assert_eq!(outcome.outputs().map(|output| output.result).collect::<Vec<_>>(), [OutputResult::Failed]);
        outcome.take_in("p2", settled("*", OutputResult::Written));
        assert_eq!(outcome.trouble(), None);
        assert!(outcome.outputs().all(|output| output.result == OutputResult::Written));
    }

    #[test]
    fn trouble_with_the_target_ends_when_that_attempt_is_written() {
        let mut outcome = Outcome::default();
        let trouble = Trouble { reason: "Reason", message: "no namespace".into() };
        outcome.take_in("p1", Settled { trouble: Some(trouble), ..Settled::default() });
        outcome.take_in("p2", settled("b", OutputResult::Written));
        assert!(outcome.trouble().is_some());
        outcome.take_in("p1", settled("a", OutputResult::Written));
        assert_eq!(outcome.trouble(), None);
    }
}
