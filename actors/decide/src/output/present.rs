//! What a target holds already, and what that means for an output.

use std::collections::BTreeMap;

use extendedjob_api::names::output_annotation;

use super::{Attempt, AttemptResult, Record};

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
    /// Size in bytes of all annotations together, names and values.
    pub annotations: usize,
}

impl Present {
    /// Whose output a key holds; `None` where the annotation is missing or no longer readable.
    #[must_use]
    pub fn record(&self, key: &str) -> Option<Record> {
        serde_json::from_str(self.records.get(&output_annotation(key))?).ok()
    }

    /// Whose outputs it holds.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.records.values().filter_map(|record| serde_json::from_str(record).ok())
    }
}

/// What to do about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Read the log and write it; whose output it replaces.
    Write(Option<Record>),
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
    let Some(present) = present else { return Verdict::Write(None) };
    if !present.sizes.contains_key(key) {
        return if present.immutable { Verdict::Immutable } else { Verdict::Write(None) };
    }
    let record = present.record(key);
    if let Some(record) = &record {
        // A success may have been taken for a failure, while its pod could not be seen.
        let fits = !attempt.succeeded || record.result == AttemptResult::Succeeded;
        // What an attempt that nobody saw has left is that of some attempt of its Job.
        let is_unseen = attempt.attempt.is_empty() && record.job == attempt.job;
        let is_same = record.is_of(attempt);
        if fits && (is_same || is_unseen) {
            return Verdict::Done(record.clone());
        }
        if !is_same
            && !is_unseen
            && (overwrite || record.job == attempt.job)
            && record.order() > attempt.order()
        {
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
        (true, false) => Verdict::Write(record),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use extendedjob_api::Streams;
    use serde_json::json;

    use super::*;
    use crate::{fixtures::at, tail::Kept};

    pub(in super::super) fn attempt(job: &str, second: i64) -> Attempt {
        Attempt {
            extended_job: "ns/ejob1".into(),
            job: job.into(),
            run: "once/1".into(),
            attempt: "pod".into(),
            succeeded: true,
            ended: at(second),
            streams: Streams::Merged,
        }
    }

    pub(in super::super) fn kept(bytes: &[u8]) -> Kept {
        Kept { bytes: bytes.into(), seen: bytes.len() as u64 }
    }

    /// A target in which `attempt` wrote the key `k`.
    fn written_by(attempt: &Attempt) -> Present {
        Present {
            sizes: [("k".to_owned(), 1)].into(),
            records: [(output_annotation("k"), json!(attempt.record("c", &kept(b"x"), false)).to_string())]
                .into(),
            ..Present::default()
        }
    }

    #[test]
    fn a_missing_target_or_key_is_written() {
        assert_eq!(judge(None, "k", &attempt("a", 1), false), Verdict::Write(None));
        assert_eq!(judge(Some(&Present::default()), "k", &attempt("a", 1), false), Verdict::Write(None));
    }

    #[test]
    fn a_write_done_twice_is_done_once() {
        for overwrite in [false, true] {
            let verdict = judge(Some(&written_by(&attempt("a", 1))), "k", &attempt("a", 1), overwrite);
            assert!(matches!(verdict, Verdict::Done(_)), "{verdict:?}");
        }
    }

    #[test]
    fn an_attempt_is_the_same_whenever_its_end_was_noticed() {
        let present = written_by(&attempt("a", 5));
        for second in [1, 9] {
            assert!(matches!(judge(Some(&present), "k", &attempt("a", second), true), Verdict::Done(_)));
        }
        // What was taken for a failure, because its pod could not be seen, was none.
        let failed = written_by(&Attempt { succeeded: false, ..attempt("a", 5) });
        assert!(matches!(judge(Some(&failed), "k", &attempt("a", 1), false), Verdict::Write(_)));
    }

    #[test]
    fn a_failure_is_not_what_a_success_that_nobody_saw_has_left() {
        let unseen = Attempt { attempt: String::new(), ..attempt("a", 9) };
        assert!(matches!(judge(Some(&written_by(&attempt("a", 5))), "k", &unseen, false), Verdict::Done(_)));
        let failed = written_by(&Attempt { succeeded: false, ..attempt("a", 5) });
        assert!(matches!(judge(Some(&failed), "k", &unseen, false), Verdict::Write(_)));
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
        let verdict = judge(Some(&present), "k", &attempt("a", 6), true);
        assert!(matches!(verdict, Verdict::Write(Some(replaced)) if replaced.job == "b"));
        assert_eq!(judge(Some(&present), "k", &attempt("a", 4), true), Verdict::Superseded);
        // In one second the Job's name decides, the same way each time.
        assert_eq!(judge(Some(&present), "k", &attempt("a", 5), true), Verdict::Superseded);
        assert!(matches!(judge(Some(&present), "k", &attempt("c", 5), true), Verdict::Write(_)));
    }

    #[test]
    fn a_success_replaces_what_a_failed_attempt_of_the_same_job_wrote() {
        let failed = Attempt { succeeded: false, ..attempt("a", 1) };
        let success = Attempt { attempt: "pod2".into(), ..attempt("a", 2) };
        assert!(matches!(judge(Some(&written_by(&failed)), "k", &success, false), Verdict::Write(_)));
        let others = judge(Some(&written_by(&failed)), "k", &attempt("b", 2), false);
        assert!(matches!(others, Verdict::KeyExists(Some(_))));
    }

    #[test]
    fn an_immutable_target_is_never_written() {
        let mut present = written_by(&attempt("a", 1));
        present.immutable = true;
        assert_eq!(judge(Some(&present), "k", &attempt("b", 2), true), Verdict::Immutable);
        assert_eq!(judge(Some(&present), "other", &attempt("a", 2), false), Verdict::Immutable);
    }
}
