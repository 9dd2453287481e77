//! Which Jobs of ended runs go, and how.

use extendedjob_api::ExtendedJobSpec;
use jiff::Timestamp;
use serde::Deserialize;

/// The Job of an ended run.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub job: &'a str,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether with success.
    pub succeeded: bool,
    /// The status tells of its end, and nothing of its output is still to be written.
    pub recorded: bool,
    /// Neither the status nor the Job itself says that its output has settled.
    pub unnoted: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// Its `ttlSecondsAfterFinished`.
    pub ttl: Option<u32>,
}

/// What to do with a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Delete it.
    Delete,
    /// Give it the template's TTL: Kubernetes deletes it when that is over.
    SetTtl(u32),
    /// Note on it that nothing of its output is still to be written.
    Note,
}

/// The template's `ttlSecondsAfterFinished`, which the Job is not created with.
#[must_use]
pub fn ttl(spec: &ExtendedJobSpec) -> Option<u32> {
    #[derive(Deserialize)]
    struct Template {
        spec: Spec,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        ttl_seconds_after_finished: Option<u32>,
    }
    let template: Template = serde_json::from_str(spec.template.get()).ok()?;
    template.spec.ttl_seconds_after_finished
}

/// What is to be done about the Jobs of ended runs, as soon as nothing else stands in the way: those
/// beyond the history limits go, those that started first, and the others are given what they lack: the note and the TTL.
/// One whose place may soon be taken by a run that has just begun waits for its note.
#[must_use]
pub fn plan<'a>(
    over: impl IntoIterator<Item = Candidate<'a>>,
    just_begun: usize,
    spec: &ExtendedJobSpec,
    ttl: Option<u32>,
) -> Vec<(String, Action)> {
    let (mut succeeded, mut failed): (Vec<_>, Vec<_>) =
        over.into_iter().filter(|candidate| !candidate.deleting).partition(|candidate| candidate.succeeded);
    let mut planned = vec![];
    for (jobs, limit) in
        [(&mut succeeded, spec.successful_runs_history_limit), (&mut failed, spec.failed_runs_history_limit)]
    {
        jobs.sort_by_key(|candidate| std::cmp::Reverse((candidate.created, candidate.job)));
        for (index, candidate) in jobs.iter().enumerate().filter(|(_, candidate)| candidate.recorded) {
            let action = match ttl {
                _ if index >= limit as usize => Action::Delete,
                _ if candidate.unnoted && index + just_begun >= limit as usize => continue,
                _ if candidate.unnoted => Action::Note,
                Some(seconds) if candidate.ttl != Some(seconds) => Action::SetTtl(seconds),
                _ => continue,
            };
            planned.push((candidate.job.to_owned(), action));
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, declared};

    fn candidate(job: &str, second: i64) -> Candidate<'_> {
        let created = Some(at(second));
        Candidate {
            job,
            created,
            succeeded: true,
            recorded: true,
            unnoted: false,
            deleting: false,
            ttl: None,
        }
    }

    fn spec(successful: u32, failed: u32) -> ExtendedJobSpec {
        let mut spec = declared().spec;
        spec.successful_runs_history_limit = successful;
        spec.failed_runs_history_limit = failed;
        spec
    }

    fn deletes(jobs: &[&str]) -> Vec<(String, Action)> {
        jobs.iter().map(|job| ((*job).to_owned(), Action::Delete)).collect()
    }

    #[test]
    fn the_newest_are_kept_by_their_result() {
        let jobs = [
            candidate("old", 1),
            Candidate { succeeded: false, ..candidate("failed", 0) },
            candidate("new", 3),
            candidate("middle", 2),
        ];
        assert_eq!(plan(jobs.clone(), 0, &spec(1, 1), None), deletes(&["middle", "old"]));
        assert_eq!(plan(jobs.clone(), 0, &spec(3, 0), None), deletes(&["failed"]));
        assert_eq!(plan(jobs, 0, &spec(0, 0), None), deletes(&["new", "middle", "old", "failed"]));
    }

    #[test]
    fn what_is_not_on_record_stays_and_counts() {
        let open = Candidate { recorded: false, ..candidate("open", 1) };
        assert_eq!(plan([open.clone(), candidate("old", 0)], 0, &spec(1, 1), None), deletes(&["old"]));
        assert_eq!(plan([open], 0, &spec(0, 0), Some(0)), []);
        let going = Candidate { deleting: true, ..candidate("going", 1) };
        assert_eq!(plan([going, candidate("old", 0)], 0, &spec(1, 1), None), []);
    }

    #[test]
    fn the_note_comes_before_the_ttl_and_never_to_what_goes_or_is_not_on_record() {
        let unnoted = |job, second| Candidate { unnoted: true, ..candidate(job, second) };
        let note = |job: &str| (job.to_owned(), Action::Note);
        assert_eq!(plan([unnoted("kept", 1)], 0, &spec(1, 1), Some(9)), [note("kept")]);
        assert_eq!(
            plan([unnoted("kept", 1), unnoted("old", 0)], 0, &spec(1, 1), None),
            [note("kept"), deletes(&["old"])[0].clone()]
        );
        let open = Candidate { recorded: false, ..unnoted("open", 1) };
        assert_eq!(plan([open], 0, &spec(1, 1), None), []);
        // When the run ends that has just begun, the older one goes.
        assert_eq!(plan([unnoted("kept", 1), unnoted("goes", 0)], 1, &spec(2, 2), Some(9)), [note("kept")]);
    }

    #[test]
    fn the_ttl_is_given_once_to_what_is_kept() {
        let given = Candidate { ttl: Some(5), ..candidate("given", 2) };
        let planned = plan([candidate("a", 3), given, candidate("old", 1)], 0, &spec(2, 2), Some(5));
        assert_eq!(planned, [("a".to_owned(), Action::SetTtl(5)), ("old".to_owned(), Action::Delete)]);
    }

    #[test]
    fn the_ttl_is_the_templates() {
        let spec = |template: &str| {
            serde_json::from_str(&format!(r#"{{"run": "once", "template": {template}}}"#)).unwrap()
        };
        assert_eq!(ttl(&spec(r#"{"spec": {"ttlSecondsAfterFinished": 0}}"#)), Some(0));
        assert_eq!(ttl(&spec(r#"{"spec": {}}"#)), None);
    }
}
