//! Whether an attempt's output is written, over what, and in which form.
//!
//! Read, decide, patch: what stands here is the middle. Each key of a target bears an annotation
//! that says whose output it is, so that a write done twice is done once, and a later output is
//! never replaced by an earlier one.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use extendedjob_api::{TargetKind, names};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::tail::Kept;

/// What the API server lets the values of a ConfigMap or Secret hold together.
const OBJECT_MAX: usize = 1024 * 1024;
/// Left free, so that other writers of the object are not locked out by ours.
const RESERVE: usize = 32 * 1024;
/// How many bytes of one log are written at most.
pub const MOST: usize = OBJECT_MAX - RESERVE;
/// The longest name of an annotation behind its prefix.
const ANNOTATION_NAME_MAX: usize = 63;

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
    /// What the target says of this attempt once `kept` is written.
    #[must_use]
    pub fn record(&self, kept: &Kept) -> Record {
        Record {
            extended_job: self.extended_job.clone(),
            job: self.job.clone(),
            run: self.run.clone(),
            attempt: self.attempt.clone(),
            result: if self.succeeded { AttemptResult::Succeeded } else { AttemptResult::Failed },
            ended: self.ended,
            bytes_seen: kept.seen,
            bytes_kept: kept.bytes.len() as u64,
            possibly_rotated: false,
            streams: "Merged".to_owned(),
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
    fn order(&self) -> (Timestamp, &str, &str) {
        (self.ended, &self.job, &self.attempt)
    }
}

/// A target as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// The version to give as precondition of the write.
    pub resource_version: String,
    /// The API server refuses every change.
    pub immutable: bool,
    /// Size in bytes of each key's value.
    pub sizes: BTreeMap<String, usize>,
    /// The annotations of ours, by their whole names.
    pub records: BTreeMap<String, String>,
}

impl Present {
    /// Whose output a key holds; `None` where the annotation is missing or no longer readable.
    #[must_use]
    pub fn record(&self, key: &str) -> Option<Record> {
        serde_json::from_str(self.records.get(&annotation(key))?).ok()
    }
}

/// What to do about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Read the log and write it.
    Write,
    /// This very attempt stands there: a write before a crash.
    Done(Record),
    /// The output of an attempt that ended later stands there.
    Superseded,
    /// The key is there and stays; who wrote it, if that was an ExtendedJob.
    KeyExists(Option<Record>),
    /// The object can't be changed by anyone.
    Immutable,
}

/// Decides about one key of a target; `None` for a target that does not exist yet.
#[must_use]
pub fn judge(present: Option<&Present>, key: &str, attempt: &Attempt, overwrite: bool) -> Verdict {
    let Some(present) = present else { return Verdict::Write };
    if !present.sizes.contains_key(key) {
        return if present.immutable { Verdict::Immutable } else { Verdict::Write };
    }
    let record = present.record(key);
    if let Some(record) = &record {
        if record.order() == attempt.order() {
            return Verdict::Done(record.clone());
        }
        // What an attempt that nobody saw has left is that of some attempt of its Job.
        if attempt.attempt.is_empty() && record.job == attempt.job {
            return Verdict::Done(record.clone());
        }
        if (overwrite || record.job == attempt.job) && record.order() > attempt.order() {
            return Verdict::Superseded;
        }
    }
    // Without `overwrite` a Job's success still replaces what its own failed attempt left, or
    // `writeOnFailure` would keep the failure's output for ever.
    let repairs = attempt.succeeded
        && record
            .as_ref()
            .is_some_and(|record| record.job == attempt.job && record.result == AttemptResult::Failed);
    match (overwrite || repairs, present.immutable) {
        (false, _) => Verdict::KeyExists(record),
        (true, true) => Verdict::Immutable,
        (true, false) => Verdict::Write,
    }
}

/// How many bytes each of `keys`, which are about to be written, may have beside what else the
/// target holds; `None` when it is full.
#[must_use]
pub fn room(present: Option<&Present>, keys: &[String]) -> Option<usize> {
    let others = present.map_or(0, |present| {
        present.sizes.iter().filter(|(key, _)| !keys.contains(key)).map(|(_, size)| size).sum()
    });
    let room = MOST.checked_sub(others)? / keys.len().max(1);
    (room > 0).then_some(room)
}

/// The key of a container's standard output.
#[must_use]
pub fn key(container: &str) -> String {
    format!("{container}.stdout")
}

/// The name of the annotation that says whose output a key holds: the key itself, or a hash where
/// that is too long for one.
#[must_use]
pub fn annotation(key: &str) -> String {
    if key.len() <= ANNOTATION_NAME_MAX && key.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return format!("{}{key}", names::OUTPUT_ANNOTATION_PREFIX);
    }
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(key)[..16]);
    format!("{}{hash}", names::OUTPUT_ANNOTATION_PREFIX)
}

/// The part of the target that a write sets: values and annotations, for a create or a merge
/// patch.
#[must_use]
pub fn body(kind: TargetKind, writes: &[(String, Kept, Record)]) -> Value {
    let (mut text, mut binary, mut annotations) = (Map::new(), Map::new(), Map::new());
    for (key, kept, record) in writes {
        annotations.insert(annotation(key), Value::String(json!(record).to_string()));
        let plain = std::str::from_utf8(&kept.bytes).ok().filter(|plain| is_compact(plain));
        match (kind, plain) {
            (TargetKind::Secret, _) => {
                text.insert(key.clone(), Value::String(BASE64.encode(&kept.bytes)));
            }
            // A key never stands in both: the null takes it out of the other part.
            (TargetKind::ConfigMap, Some(plain)) => {
                text.insert(key.clone(), Value::String(plain.to_owned()));
                binary.insert(key.clone(), Value::Null);
            }
            (TargetKind::ConfigMap, None) => {
                binary.insert(key.clone(), Value::String(BASE64.encode(&kept.bytes)));
                text.insert(key.clone(), Value::Null);
            }
        }
    }
    let mut body = json!({ "metadata": { "annotations": annotations }, "data": text });
    if kind == TargetKind::ConfigMap {
        body["binaryData"] = Value::Object(binary);
    }
    body
}

/// Whether JSON escaping at most doubles the text. A mebibyte of control characters would be six
/// in JSON, over the API server's limit for a request.
fn is_compact(text: &str) -> bool {
    let escaped: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum();
    escaped <= 2 * text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    fn attempt(job: &str, second: i64) -> Attempt {
        Attempt {
            extended_job: "ns/ejob1".into(),
            job: job.into(),
            run: "once/1".into(),
            attempt: "pod".into(),
            succeeded: true,
            ended: at(second),
        }
    }

    fn kept(text: &str) -> Kept {
        Kept { bytes: text.into(), seen: text.len() as u64 }
    }

    /// A target in which `attempt` wrote the key `k`.
    fn written_by(attempt: &Attempt) -> Present {
        Present {
            sizes: [("k".to_owned(), 1)].into(),
            records: [(annotation("k"), json!(attempt.record(&kept("x"))).to_string())].into(),
            ..Present::default()
        }
    }

    #[test]
    fn a_missing_target_or_key_is_written() {
        assert_eq!(judge(None, "k", &attempt("a", 1), false), Verdict::Write);
        assert_eq!(judge(Some(&Present::default()), "k", &attempt("a", 1), false), Verdict::Write);
    }

    #[test]
    fn a_write_done_twice_is_done_once() {
        for overwrite in [false, true] {
            let verdict = judge(Some(&written_by(&attempt("a", 1))), "k", &attempt("a", 1), overwrite);
            assert!(matches!(verdict, Verdict::Done(_)), "{verdict:?}");
        }
    }

    #[test]
    fn an_existing_key_is_left_alone_without_overwrite() {
        let stranger = Present { sizes: [("k".to_owned(), 1)].into(), ..Present::default() };
        assert_eq!(judge(Some(&stranger), "k", &attempt("a", 1), false), Verdict::KeyExists(None));
        let verdict = judge(Some(&written_by(&attempt("b", 1))), "k", &attempt("a", 2), false);
        assert!(matches!(verdict, Verdict::KeyExists(Some(record)) if record.job == "b"));
    }

    #[test]
    fn with_overwrite_the_later_attempt_stands() {
        let present = written_by(&attempt("b", 5));
        assert_eq!(judge(Some(&present), "k", &attempt("a", 6), true), Verdict::Write);
        assert_eq!(judge(Some(&present), "k", &attempt("a", 4), true), Verdict::Superseded);
        // In one second the Job's name decides, the same way each time.
        assert_eq!(judge(Some(&present), "k", &attempt("a", 5), true), Verdict::Superseded);
        assert_eq!(judge(Some(&present), "k", &attempt("c", 5), true), Verdict::Write);
    }

    #[test]
    fn a_success_replaces_what_a_failed_attempt_of_the_same_job_wrote() {
        let failed = Attempt { succeeded: false, ..attempt("a", 1) };
        let success = Attempt { attempt: "pod2".into(), ..attempt("a", 2) };
        assert_eq!(judge(Some(&written_by(&failed)), "k", &success, false), Verdict::Write);
        let others = judge(Some(&written_by(&failed)), "k", &attempt("b", 2), false);
        assert!(matches!(others, Verdict::KeyExists(Some(_))));
    }

    #[test]
    fn an_immutable_target_is_never_written() {
        let mut present = written_by(&attempt("a", 1));
        present.immutable = true;
        assert_eq!(judge(Some(&present), "k", &attempt("a", 2), true), Verdict::Immutable);
        assert_eq!(judge(Some(&present), "other", &attempt("a", 2), false), Verdict::Immutable);
    }

    #[test]
    fn room_is_what_others_leave_shared_equally() {
        let keys = ["a".to_owned(), "b".to_owned()];
        assert_eq!(room(None, &keys), Some((OBJECT_MAX - RESERVE) / 2));
        let present = Present {
            sizes: [("other".to_owned(), 100_000), ("a".to_owned(), 500_000)].into(),
            ..Present::default()
        };
        assert_eq!(room(Some(&present), &keys), Some((OBJECT_MAX - RESERVE - 100_000) / 2));
        let full = Present { sizes: [("other".to_owned(), OBJECT_MAX)].into(), ..Present::default() };
        assert_eq!(room(Some(&full), &keys), None);
    }

    #[test]
    fn a_key_never_stands_in_data_and_binary_data() {
        let record = attempt("a", 1).record(&kept("x"));
        let writes = |bytes: &[u8]| {
            let kept = Kept { bytes: bytes.to_vec(), seen: bytes.len() as u64 };
            body(TargetKind::ConfigMap, &[("k".to_owned(), kept, record.clone())])
        };
        let table: [(&[u8], bool); 5] = [
            (b"text\n", true),
            (b"", true),
            ("é\n".as_bytes(), true),
            (&[0xff, 0xfe], false),
            (&[27; 9], false),
        ];
        for (bytes, is_text) in table {
            let body = writes(bytes);
            assert_eq!(body["data"]["k"].is_string(), is_text, "{bytes:?}");
            assert_eq!(body["binaryData"]["k"].is_string(), !is_text, "{bytes:?}");
        }
        let secret = body(TargetKind::Secret, &[("k".to_owned(), kept("hi"), record.clone())]);
        assert_eq!(secret["data"]["k"], "aGk=");
        assert_eq!(secret.get("binaryData"), None);
    }

    #[test]
    fn every_key_has_an_annotation_name_that_the_api_server_takes() {
        assert_eq!(annotation("pi.stdout"), "output.fissile.cloudfoundry.org/pi.stdout");
        let long = annotation(&"k".repeat(64));
        assert_eq!(long.len() - names::OUTPUT_ANNOTATION_PREFIX.len(), 32);
        assert_ne!(long, annotation(&"k".repeat(65)));
    }
}
