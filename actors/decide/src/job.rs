//! What is known of a Job of ours, and how it ended.

use std::sync::Arc;

use extendedjob_api::Streams;
use jiff::Timestamp;

use crate::{boundary::Boundary, selector::Labels};

/// A Job of ours, slimmed to what decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The object's UID.
    pub uid: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace.
    pub namespace: String,
    /// UID of the ExtendedJob that controls it.
    pub owner: Option<String>,
    /// The key of its run, see [`extendedjob_api::names::TRANSITION`].
    pub key: Option<String>,
    /// UID of the affected pod.
    pub pod_uid: Option<String>,
    /// Name of the affected pod.
    pub pod_name: Option<String>,
    /// What else it was told of that pod, as long as it is under way.
    pub pod: Option<Arc<PodFacts>>,
    /// The config revision under which it was made.
    pub revision: u64,
    /// The ConfigMaps and Secrets whose change it was made for, see [`extendedjob_api::names::CHANGED_CONFIG`].
    pub changed: Option<String>,
    /// When the API server created it.
    pub created: Option<Timestamp>,
    /// The term of the operator that created it.
    pub term: Option<i64>,
    /// Its `ttlSecondsAfterFinished`.
    pub ttl: Option<u32>,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// The names of its containers, whose output is kept; init containers' is not.
    pub containers: Vec<String>,
    /// How many completion indexes it has, if it is an Indexed one.
    pub indexes: Option<u32>,
    /// How often it was tried so far, at least 1.
    pub attempts: u32,
    /// How many of its pods have ended, as far as the Job controller has counted them.
    pub pods_ended: usize,
    /// How many of its pods have done their work.
    pub succeeded: usize,
    /// Which of its completion indexes are done, such as `1,3-5`.
    pub completed: String,
    /// How it ended, if it has.
    pub end: Option<End>,
    /// How the streams of its containers are told apart.
    pub streams: Streams,
    /// Nothing of its output is still to be written, see [`extendedjob_api::names::OUTPUT_SETTLED`].
    pub settled: bool,
}

impl Job {
    /// What marks where the runs of its containers begin.
    #[must_use]
    pub fn boundary(&self) -> Boundary {
        Boundary::of(self.owner.as_deref().unwrap_or_default(), &self.name)
    }

    /// The completion indexes that are done, if it is an Indexed Job.
    pub fn completed(&self) -> impl Iterator<Item = u32> {
        let ranges = self.completed.split(',').filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        });
        ranges.flatten().filter(|_| self.indexes.is_some())
    }
}

/// What a Job is told of its pod, beyond name and UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The pod's labels.
    pub labels: Labels,
    /// The pod's address, if it had one.
    pub ip: Option<String>,
    /// The node that it was on.
    pub node: Option<String>,
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When: the lastTransitionTime of the condition that says so.
    pub time: Option<Timestamp>,
    /// `None`: it succeeded.
    pub failure: Option<Failure>,
}

/// Why a Job failed, in the Job controller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Such as `BackoffLimitExceeded`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_as_the_job_controller_writes_them() {
        let job = |completed: &str| Job { indexes: Some(9), completed: completed.into(), ..Job::default() };
        assert_eq!(job("1,3-5,7").completed().collect::<Vec<_>>(), [1, 3, 4, 5, 7]);
        assert_eq!(job("").completed().count(), 0);
    }
}
