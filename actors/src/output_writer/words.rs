//! What is said of an output: what became of it, what stood in its way, and what to do about that.

use std::{fmt::Display, time::Duration};

use extendedjob_api::{Format, OutputResult, OutputStatus, Streams, Target, conditions::reasons};
use extendedjob_decide::{
    fault::Class,
    output::{Attempt, Full, Piece, Place, Record},
    view::Trouble,
};

use super::{desk::Desk, fields::ALL};
use crate::cluster::{logs::LogError, targets::TargetError};

/// Why an order can't be fulfilled now.
pub(super) enum Obstacle {
    /// Someone else wrote the target in between: read and decide anew.
    Conflict,
    /// Said to the user.
    Trouble { trouble: Trouble, retry: Retry },
    /// The way in which streams are told apart has failed; it may be that it goes again if it is tried again.
    NotSeparated { trouble: Trouble, may_pass: bool },
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Not before the spec is another one.
    Never,
    /// It may pass. Others may have no such trouble.
    This,
    /// It may pass, and until then all orders for the target have it.
    All,
}

impl Desk {
    pub(super) fn written(&self, piece: &Piece, record: &Record) -> OutputStatus {
        OutputStatus {
            bytes_seen: i64::try_from(record.bytes_seen).unwrap_or(i64::MAX),
            bytes_kept: i64::try_from(record.bytes_kept).unwrap_or(i64::MAX),
            possibly_rotated: record.possibly_rotated,
            merged: record.streams == Streams::Merged.name(),
            ..self.told(piece, OutputResult::Written)
        }
    }

    pub(super) fn told(&self, piece: &Piece, result: OutputResult) -> OutputStatus {
        let (stream, target) = (piece.stream, self.target.to_string());
        // The names of a JSON object's fields are output, too.
        let key = if piece.format == Format::Json { ALL.to_owned() } else { piece.key.clone() };
        let (bytes_seen, bytes_kept, possibly_rotated) = (0, 0, false);
        let merged = piece.streams == Streams::Merged;
        OutputStatus { stream, target, key, bytes_seen, bytes_kept, possibly_rotated, merged, result }
    }
}

fn trouble(reason: &'static str, message: String) -> Trouble {
    Trouble { reason, message }
}

fn passing(reason: &'static str, message: String) -> Obstacle {
    Obstacle::Trouble { trouble: trouble(reason, message), retry: Retry::This }
}

fn lasting(reason: &'static str, message: String) -> Obstacle {
    Obstacle::Trouble { trouble: trouble(reason, message), retry: Retry::Never }
}

pub(super) fn key_exists(target: &Target, key: &str, attempt: &Attempt, record: Option<&Record>) -> Trouble {
    let writer = match record {
        Some(record) if record.job == attempt.job => {
            format!("an earlier attempt of the same Job ({})", record.attempt)
        }
        Some(record) => format!("ExtendedJob {} with Job {}", record.extended_job, record.job),
        None => "someone else".to_owned(),
    };
    let remedy = "set overwrite: true to replace it, or name another target";
    trouble(reasons::KEY_EXISTS, format!("{key} of {target} was written by {writer}; {remedy}"))
}

pub(super) fn key_too_long(key: &str) -> Trouble {
    let message =
        format!("the key {key} has {} characters, and at most 253 can be; name a shorter one", key.len());
    trouble(reasons::KEY_TOO_LONG, message)
}

pub(super) fn no_pod_left(job: &str) -> Trouble {
    trouble(reasons::OUTPUT_LOST, format!("no pod of Job {job} is left to read its output from"))
}

pub(super) fn log_gone(container: &str, pod: &str) -> Trouble {
    trouble(reasons::OUTPUT_LOST, format!("the log of container {container} of pod {pod} is gone"))
}

pub(super) fn contended(target: &Target) -> Trouble {
    trouble(reasons::WRITE_FAILED, format!("{target} is written by others all the time"))
}

pub(super) fn given_up(patience: Duration, last: &Trouble) -> Trouble {
    let minutes = patience.as_secs() / 60;
    let time = if minutes.is_multiple_of(60) {
        format!("{} hours", minutes / 60)
    } else {
        format!("{minutes} minutes")
    };
    let message = format!("given up after {time}: {}", last.message);
    trouble(reasons::OUTPUT_GIVEN_UP, message)
}

/// Where in the output of a container; nothing of what stands there.
pub(super) fn place(container: &str, place: Place) -> String {
    format!("the field at {place} of container {container}")
}

/// One of a container's fields, written before.
pub(super) fn some_field(container: &str) -> String {
    format!("a field of container {container}")
}

pub(super) fn not_json(container: &str, why: &str) -> Obstacle {
    let message = format!("the output of container {container} is to be one flat JSON object, but {why}");
    lasting(reasons::OUTPUT_NOT_JSON, message)
}

pub(super) fn collide(one: &str, other: &str) -> Obstacle {
    lasting(reasons::OUTPUT_NOT_JSON, format!("{one} and {other} have the same name"))
}

pub(super) fn immutable(target: &Target) -> Obstacle {
    let message = format!("{target} is immutable; name another target, or delete it");
    passing(reasons::TARGET_IMMUTABLE, message)
}

pub(super) fn full(target: &Target, full: Full) -> Obstacle {
    let what = match full {
        Full::Values => "no room left",
        Full::Annotations => "no room left for annotations, of which each key needs one",
    };
    let message = format!("{target} has {what}; name another target, or remove keys from it");
    passing(reasons::TARGET_FULL, message)
}

pub(super) fn not_kept(error: impl Display) -> Obstacle {
    passing(reasons::WRITE_FAILED, error.to_string())
}

pub(super) fn not_read(error: LogError) -> Obstacle {
    let may_pass = match &error {
        LogError::NotSeparated(..) => false,
        LogError::Files(error) => !matches!(error.class(), Class::NotFound | Class::Refused),
        _ => return passing(reasons::WRITE_FAILED, error.to_string()),
    };
    Obstacle::NotSeparated { trouble: trouble(reasons::STREAMS_NOT_SEPARATED, error.to_string()), may_pass }
}

pub(super) fn obstacle(error: TargetError) -> Obstacle {
    let (reason, retry) = match (&error, error.fault().class()) {
        (_, Class::Conflict | Class::AlreadyExists) => return Obstacle::Conflict,
        // Reading says that the object is missing; only creating it, that its namespace is.
        (TargetError::Create(..), Class::NotFound) => (reasons::TARGET_NAMESPACE_MISSING, Retry::All),
        // It was deleted after it was read.
        (TargetError::Write(..), Class::NotFound) => return Obstacle::Conflict,
        (_, Class::Refused | Class::Invalid | Class::Quota | Class::Terminating) => {
            (reasons::TARGET_REFUSED, Retry::This)
        }
        _ => (reasons::WRITE_FAILED, Retry::All),
    };
    Obstacle::Trouble { trouble: trouble(reason, error.to_string()), retry }
}
