//! What is known of a Job of ours, and how it ended.

use jiff::Timestamp;

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
    /// How it ended, if it has.
    pub end: Option<End>,
    /// Nothing of its output is still to be written, see [`extendedjob_api::names::OUTPUT_SETTLED`].
    pub settled: bool,
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
