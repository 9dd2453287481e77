//! Whose output it is.

use extendedjob_api::Streams;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::tail::Kept;

/// One try of a Job to do its work, now over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The ExtendedJob, `namespace/name`.
    pub extended_job: String,
    /// The Job's name.
    pub job: String,
    /// The key of the run.
    pub run: String,
    /// Which try of the Job it was: its pod, and for a run of a container that too.
    pub attempt: String,
    /// Whether it did its work.
    pub succeeded: bool,
    /// When it ended.
    pub ended: Timestamp,
    /// How the streams of its containers are told apart.
    pub streams: Streams,
}

/// The annotation on a target that says whose output a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The ExtendedJob, `namespace/name`.
    pub extended_job: String,
    /// The Job's name.
    pub job: String,
    /// The key of the run.
    pub run: String,
    /// Which try of the Job it was: its pod, and for a run of a container that too.
    pub attempt: String,
    /// The container that wrote it.
    #[serde(default)]
    pub container: String,
    /// `Succeeded` or `Failed`.
    pub result: AttemptResult,
    /// When the attempt ended.
    pub ended: Timestamp,
    /// How long the stream was.
    pub bytes_seen: u64,
    /// How much of it is here; less than `bytesSeen` where it was cut.
    pub bytes_kept: u64,
    /// The log was not followed to its end, and may have been rotated before it was read: the beginning may be missing,
    /// or something within it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub possibly_rotated: bool,
    /// How stdout and stderr were told apart: `Merged` means that they were not.
    pub streams: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptResult {
    /// It did its work.
    Succeeded,
    /// It did not.
    Failed,
}

impl Attempt {
    /// What the target says of this attempt once `kept` is written, which is what was kept of `container`'s log.
    #[must_use]
    pub fn record(&self, container: &str, kept: &Kept, possibly_rotated: bool) -> Record {
        Record {
            extended_job: self.extended_job.clone(),
            job: self.job.clone(),
            run: self.run.clone(),
            attempt: self.attempt.clone(),
            container: container.to_owned(),
            result: if self.succeeded { AttemptResult::Succeeded } else { AttemptResult::Failed },
            ended: self.ended,
            bytes_seen: kept.seen,
            bytes_kept: kept.bytes.len() as u64,
            possibly_rotated,
            streams: self.streams.name().to_owned(),
        }
    }

    /// All attempts have one order, in which a later one replaces an earlier one; the Job's name
    /// and then the attempt's decides between two that ended in one second.
    #[must_use]
    pub fn order(&self) -> (Timestamp, &str, &str) {
        (self.ended, &self.job, &self.attempt)
    }
}

impl Record {
    pub(super) fn order(&self) -> (Timestamp, &str, &str) {
        (self.ended, &self.job, &self.attempt)
    }

    /// Whether it is about that attempt, whose end may have been noticed at another time.
    #[must_use]
    pub fn is_of(&self, attempt: &Attempt) -> bool {
        self.job == attempt.job && self.attempt == attempt.attempt
    }
}
