//! The types of conditions in an ExtendedJob's status, and their reasons.

/// Does what it was asked for: it waits for its trigger, runs, or has run with success.
pub const READY: &str = "Ready";
/// The operator is still acting on the newest spec.
pub const RECONCILING: &str = "Reconciling";
/// The operator can't go on without someone changing something.
pub const STALLED: &str = "Stalled";
/// The last run has succeeded; False while one is under way.
pub const COMPLETE: &str = "Complete";
/// The last run has failed; False while one is under way.
pub const FAILED: &str = "Failed";
/// The output of the last run is where it was asked to be.
pub const OUTPUT_WRITTEN: &str = "OutputWritten";
/// What the operator had on record, a ledger or the book of a namespace's pods, was lost or unreadable; it goes on
/// from the pods and Jobs that are there.
pub const LEDGER_REBUILT: &str = "LedgerRebuilt";

/// Why a condition is what it is: the `reason`, a word for programs. The message beside it is for people.
pub mod reasons {
    /// Ready: a triggered job waits for pods.
    pub const WATCHING: &str = "Watching";
    /// Ready: an errand waits to be asked for.
    pub const IDLE: &str = "Idle";
    /// Ready, Complete, Failed: a run is under way.
    pub const RUNNING: &str = "Running";
    /// Complete, Failed: a run was asked for, and waits to be started.
    pub const REQUESTED: &str = "Requested";
    /// Ready, Complete: the run has succeeded.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Ready, Failed: the Job has failed for good. The message holds the Job's own reason.
    pub const JOB_FAILED: &str = "JobFailed";
    /// Ready, Failed: someone deleted the Job before it ended. It is not made anew.
    pub const DELETED: &str = "Deleted";
    /// Complete, Failed: no run has been started yet.
    pub const NO_RUN: &str = "NoRun";
    /// Reconciling: the newest spec has been taken up.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// Reconciling: a spec is being taken up, or a step that failed is tried again.
    pub const IN_PROGRESS: &str = "InProgress";
    /// Stalled: nothing stands in the way.
    pub const NOT_STALLED: &str = "NotStalled";
    /// Ready, Stalled: the spec breaks a rule of the schema; it was stored before the schema had that rule.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Ready, Stalled: output is to go to a namespace that the operator is not for.
    pub const TARGET_NOT_SERVED: &str = "TargetNotServed";
    /// Ready, Stalled: the API server refuses the template as a Job. The message is the API server's.
    pub const INVALID_TEMPLATE: &str = "InvalidTemplate";
    /// Ready, Stalled: a Job of the name that the run needs is there, and is not ours.
    pub const JOB_NAME_TAKEN: &str = "JobNameTaken";
    /// Ready: a quota of the namespace leaves no room for the Job; it is tried again.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// Ready: the API server refused the Job for another reason, such as an admission webhook; it is tried
    /// again.
    pub const JOB_REFUSED: &str = "JobRefused";
    /// Ready: `suspend` is true.
    pub const SUSPENDED: &str = "Suspended";
    /// Ready: as many runs as `maxConcurrentRuns` allows are under way; the others wait. Nothing is wrong.
    pub const CONCURRENCY_LIMIT: &str = "ConcurrencyLimit";
    /// Ready: a brake is open, because one pod, or all together, or whoever asks for an errand, asked for too many
    /// runs; the others wait.
    pub const TOO_MANY_RUNS: &str = "TooManyRuns";
    /// Ready: an errand's run is over, and the operator can't set `run` back to `manually`; it is tried again.
    pub const RESET_REFUSED: &str = "ResetRefused";
    /// Event: a triggered ExtendedJob was asked for a run, which only one-offs and errands can be.
    pub const REQUEST_IGNORED: &str = "RequestIgnored";
    /// Ready: the ledger can't be written, such as in an outage or for a quota; it is tried again, and runs that
    /// need it wait.
    pub const LEDGER_NOT_WRITTEN: &str = "LedgerNotWritten";
    /// LedgerRebuilt: the ledger or the book was not there.
    pub const LEDGER_LOST: &str = "LedgerLost";
    /// LedgerRebuilt: the ledger or the book could not be read: corrupt, or of a newer version.
    pub const LEDGER_UNREADABLE: &str = "LedgerUnreadable";
    /// Event: a Job came late, for a run that is over and has had its Job; it is deleted.
    pub const STRAY_JOB: &str = "StrayJob";
    /// OutputWritten: all of it is in its target.
    pub const WRITTEN: &str = "Written";
    /// OutputWritten: the last run has ended without output that was to be written.
    pub const NOTHING_TO_WRITE: &str = "NothingToWrite";
    /// OutputWritten: the run has not ended, or its output is being read.
    pub const OUTPUT_PENDING: &str = "OutputPending";
    /// OutputWritten: the key was there, and `overwrite` is false. The message says who wrote it.
    pub const KEY_EXISTS: &str = "KeyExists";
    /// OutputWritten: the namespace of the target does not exist; it is tried again.
    pub const TARGET_NAMESPACE_MISSING: &str = "TargetNamespaceMissing";
    /// OutputWritten: the target is immutable.
    pub const TARGET_IMMUTABLE: &str = "TargetImmutable";
    /// OutputWritten: the output does not fit into the target beside what is there.
    pub const TARGET_FULL: &str = "TargetFull";
    /// OutputWritten: the operator may not write the target, or the API server refuses it.
    pub const TARGET_REFUSED: &str = "TargetRefused";
    /// OutputWritten: the write failed, such as in an outage; it is tried again.
    pub const WRITE_FAILED: &str = "WriteFailed";
    /// Ready: a ConfigMap or Secret that the template needs, or a key of one, is missing. The message says which.
    pub const CONFIG_MISSING: &str = "ConfigMissing";
    /// Ready: what the pods use of ConfigMaps and Secrets can't be read; it is tried again. The message says why.
    pub const CONFIG_UNKNOWN: &str = "ConfigUnknown";
    /// Event: a ConfigMap or Secret that the pods use has changed, and runs start again.
    pub const CONFIG_CHANGED: &str = "ConfigChanged";
    /// Ready: what the pods use changes so often that runs don't start again for now.
    pub const TOO_MANY_RESTARTS: &str = "TooManyRestarts";
    /// Ready: the last run was replaced, because what its pods use has changed; the one in its place waits until they are
    /// gone.
    pub const REPLACED: &str = "Replaced";
    /// Ready: the image of what takes stdout and stderr apart in a pod can't be pulled.
    pub const WRAPPER_IMAGE_UNAVAILABLE: &str = "WrapperImageUnavailable";
    /// Ready, Stalled: stdout and stderr are to go to different objects, and can't be told apart.
    pub const STREAMS_NOT_SEPARABLE: &str = "StreamsNotSeparable";
    /// OutputWritten: the way in which stdout and stderr are told apart has failed for a run. The message names the node.
    pub const STREAMS_NOT_SEPARATED: &str = "StreamsNotSeparated";
    /// OutputWritten: a key with its placeholders filled is longer than a key may be.
    pub const KEY_TOO_LONG: &str = "KeyTooLong";
    /// OutputWritten: `format` is `json`, and the output is not one flat JSON object.
    pub const OUTPUT_NOT_JSON: &str = "OutputNotJson";
    /// OutputWritten: the write has failed for so long that it is given up. The message says why it failed.
    pub const OUTPUT_GIVEN_UP: &str = "OutputGivenUp";
    /// Event: of an output only the newest part was kept.
    pub const OUTPUT_CUT: &str = "OutputCut";
    /// Event, of both: the output of one ExtendedJob was replaced by that of another.
    pub const OUTPUT_REPLACED: &str = "OutputReplaced";
    /// OutputWritten: the pod was removed before its output was read.
    pub const OUTPUT_LOST: &str = "OutputLost";
}
