//! What the operator reports: the `status` of an ExtendedJob.
//!
//! The comments on fields are what `kubectl explain ejob.status` prints. No byte of output, and of a
//! Secret's values, ever stands here. (For `with` on optional enums see `spec`.)

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the ExtendedJob is doing.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtendedJobStatus {
    /// The `metadata.generation` of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What starts a run: the transition of a triggered job (`ready`, `notready`, `created`, `deleted`), or
    /// `once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Mode")]
    pub mode: Option<Mode>,
    /// How many runs are under way.
    pub active: i32,
    /// How many runs wait for their turn: for a run under way to end, for room in a quota, for a correction.
    pub pending: i32,
    /// How many runs have succeeded so far, also those whose Jobs are gone.
    pub succeeded: i64,
    /// How many runs have failed so far, also those whose Jobs are gone.
    pub failed: i64,
    /// How many transitions were absorbed by a later one of the same pod, while that pod had too many runs.
    pub merged: i64,
    /// The Secret in which the operator keeps what must outlive it: runs that wait, and from when on pods count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// The run that was started last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunStatus>,
    /// `Ready`, `Reconciling` and `Stalled` say whether the ExtendedJob does what it was asked for;
    /// `Complete` and `Failed` are about the last run; `OutputWritten` about its output; `LedgerRebuilt` is there
    /// if the operator's memory was lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"],
    ))]
    pub conditions: Vec<Condition>,
}

/// What starts a run.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A pod that turns ready.
    Ready,
    /// A pod that is no longer ready.
    NotReady,
    /// A pod that appears.
    Created,
    /// A pod that is gone.
    Deleted,
    /// The creation of the ExtendedJob.
    Once,
}

/// One run: one Job, with all its attempts.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The name of the Job.
    pub job: String,
    /// Why it was started.
    pub cause: Cause,
    /// When the Job was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the Job ended, with success or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// How far it is: `Running`, `Succeeded`, `Failed`, or `Deleted` (someone deleted the Job).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RunResult")]
    pub result: Option<RunResult>,
    /// What became of its output, key by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputStatus>,
    /// How stdout and stderr were told apart: `Merged` means that they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Streams")]
    pub streams: Option<Streams>,
}

/// Why a run was started.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What happened to the pod (`Ready`, `NotReady`, `Created`, `Deleted`), or `Once`: the ExtendedJob was
    /// created.
    pub r#type: CauseType,
    /// The name of the pod, in triggered jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// When it happened, by the pod's or the ExtendedJob's own stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// The kinds of cause.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseType {
    /// A pod turned ready.
    Ready,
    /// A pod was no longer ready.
    NotReady,
    /// A pod appeared.
    Created,
    /// A pod was gone.
    Deleted,
    /// The ExtendedJob was created.
    Once,
}

/// How far a run is.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunResult {
    /// The Job has not ended.
    Running,
    /// The Job is complete.
    Succeeded,
    /// The Job has failed for good.
    Failed,
    /// Someone deleted the Job before it ended.
    Deleted,
}

/// What became of one stream of one container.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// The stream: `stdout`.
    pub stream: Stream,
    /// The object it goes to, such as `Secret default/foosecret`.
    pub target: String,
    /// The key in that object, such as `pi.stdout`.
    pub key: String,
    /// How many bytes the container printed.
    pub bytes_seen: i64,
    /// How many of them were kept: the newest part that fits.
    pub bytes_kept: i64,
    /// `Written`; `KeyExists`: the key was there, and `overwrite` is false; `Failed`: it could not be
    /// written, the condition `OutputWritten` says why; `Lost`: the pod was removed before it was read.
    pub result: OutputResult,
}

/// A stream of a container.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
}

/// What became of an output.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputResult {
    /// It is in the target.
    Written,
    /// The key was there, and may not be overwritten.
    KeyExists,
    /// It could not be written.
    Failed,
    /// The pod was removed before it was read.
    Lost,
}

/// How stdout and stderr were told apart.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// They were not: the log holds both.
    Merged,
}
