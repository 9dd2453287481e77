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
    /// What starts a run: the transition of a triggered job (`ready`, `notready`, `created`, `deleted`), `once`,
    /// or `errand`.
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
    /// How many requests for runs were accepted so far, of a one-off or an errand: its creation, each `now`, each
    /// new value of the annotation `fissile.cloudfoundry.org/run-requested-at`.
    pub run_number: i64,
    /// Up to which request all runs are over, and `run` was set back to `manually` where it stood at `now`.
    pub completed_run_number: i64,
    /// The value of the annotation `fissile.cloudfoundry.org/run-requested-at` that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_run_at: Option<String>,
    /// How many pods the selector of a triggered job matches; told up to a minute late.
    pub watched_pods: i64,
    /// How many transitions were absorbed by a later one of the same pod, while that pod had too many runs.
    pub merged: i64,
    /// How many changes of ConfigMaps and Secrets that the pods use were counted, also where no run started again for one;
    /// those that come together are one.
    pub config_revision: i64,
    /// The Secret in which the operator keeps what must outlive it: runs that wait, from when on pods count, and hashes
    /// of the ConfigMaps and Secrets that the pods use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// The run that was started last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunStatus>,
    /// The runs that were started last, at most 10, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunStatus>,
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
    /// Someone who asks for it.
    Errand,
}

/// One run: one Job, with all its attempts.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The name of the Job.
    pub job: String,
    /// Which request it answers, of a one-off or an errand.
    #[serde(default, skip_serializing_if = "is_no_number")]
    pub number: i64,
    /// Why it was started.
    pub cause: Cause,
    /// When the Job was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the Job ended, with success or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// How far it is: `Running`, `Succeeded`, `Failed`, `Replaced` (a ConfigMap or Secret that its pods use has changed, and
    /// another run takes its place), or `Deleted` (someone deleted the Job).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RunResult")]
    pub result: Option<RunResult>,
    /// How many pods the Job has used up, with success or without.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: i32,
    /// How the containers of the pod that ended last have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerEnd>,
    /// What became of its output, key by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputStatus>,
    /// Nothing of its output is still to be written: all of it is where it belongs, or was given up. Not told where
    /// no output is asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub output_settled: bool,
    /// How stdout and stderr are told apart: `Kubelet`, by the log files on the node; `Wrapped`, within the pod; `Api`, by
    /// the API server; `Merged`: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Streams")]
    pub streams: Option<Streams>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_no_number(number: &i64) -> bool {
    *number == 0
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// How a container has ended.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ContainerEnd {
    /// The container's name.
    pub name: String,
    /// The exit code of its program.
    pub exit_code: i32,
    /// The kubelet's word for it, such as `Completed`, `Error` or `OOMKilled`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Why a run was started.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// What happened to the pod (`Ready`, `NotReady`, `Created`, `Deleted`); `Once`: the ExtendedJob was
    /// created; `Manual`: someone has asked for it; `ConfigChanged`: what an earlier run of the same cause used has
    /// changed.
    pub r#type: CauseType,
    /// The name of the pod, in triggered jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The ConfigMaps and Secrets that have changed, such as `ConfigMap/app, Secret/db`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
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
    /// Someone has asked for it.
    Manual,
    /// A ConfigMap or Secret that its pods use has changed.
    ConfigChanged,
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
    /// Another run took its place, because a ConfigMap or Secret that its pods use has changed.
    Replaced,
    /// Someone deleted the Job before it ended.
    Deleted,
}

impl RunResult {
    /// Its name, as in the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Replaced => "Replaced",
            Self::Deleted => "Deleted",
        }
    }
}

/// What became of one stream of one container.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// The stream: `stdout`, `stderr`, or `log` where they could not be told apart.
    pub stream: Stream,
    /// The object it goes to, such as `Secret default/foosecret`.
    pub target: String,
    /// The key in that object, such as `pi.stdout`; `*` where each field of a JSON object became a key.
    pub key: String,
    /// How many bytes the container printed.
    pub bytes_seen: i64,
    /// How many of them were kept: the newest part that fits.
    pub bytes_kept: i64,
    /// The log may have been rotated by the kubelet before it was read: something may be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub possibly_rotated: bool,
    /// The two streams could not be told apart: it holds both.
    #[serde(default, skip_serializing_if = "is_false")]
    pub merged: bool,
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
    /// Standard error.
    Stderr,
    /// The log of the container, in which both stand.
    Log,
}

impl Stream {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log => "log",
        }
    }
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

/// How stdout and stderr are told apart.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Streams {
    /// They are not: the log holds both.
    #[default]
    Merged,
    /// On the node: the log file of a container says of each line which stream it is, and the kubelet hands it out.
    Kubelet,
    /// In the pod: what a container writes to standard error goes through a pipe to a sidecar, and stands in its log.
    Wrapped,
    /// By the API server, asked for one stream of a log (feature gate PodLogsQuerySplitStreams).
    Api,
}

impl Streams {
    /// Its name, as in status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Merged => "Merged",
            Self::Kubelet => "Kubelet",
            Self::Wrapped => "Wrapped",
            Self::Api => "Api",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Merged, Self::Kubelet, Self::Wrapped, Self::Api]
            .into_iter()
            .find(|streams| streams.name() == name)
    }
}
