//! What the user is shown: the whole status, derived anew from all that is known.
//!
//! Derived, not edited step by step: whatever was missed or seen twice, the next status is right.

use extendedjob_api::{ExtendedJobStatus, OutputResult, OutputStatus, RunResult, RunStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    conditions,
    view::{Outcome, RunState, Stage, View, count},
};

/// How many runs the status names.
pub const RUNS: usize = 10;

/// How many outputs it names of each.
const OUTPUTS: usize = 20;

/// The status to show at `now`. Equal to `declared.status` when there is nothing new to say.
#[must_use]
pub fn derive(view: View<'_>, now: Timestamp) -> ExtendedJobStatus {
    let (counts, record) = (count(view.runs), view.record);
    let runs = newest(view);
    ExtendedJobStatus {
        observed_generation: Some(view.declared.generation),
        mode: view.declared.mode(),
        active: i32::try_from(counts.active).unwrap_or(i32::MAX),
        pending: i32::try_from(record.pending).unwrap_or(i32::MAX),
        succeeded: view.gone.succeeded + counts.succeeded,
        failed: view.gone.failed + counts.failed,
        run_number: record.requests.number,
        completed_run_number: record.requests.completed,
        last_handled_run_at: record.requests.handled.clone(),
        watched_pods: record.watched,
        merged: record.absorbed,
        config_revision: record.revision,
        ledger: record.ledger.clone(),
        conditions: conditions::derive(view, runs.first(), now),
        last_run: runs.first().cloned(),
        runs,
    }
}

/// The runs that were started last, the newest first; those of requests by their numbers, and of those of one second
/// the one whose name is last. One whose Job has gone since stays as it was told.
fn newest(view: View<'_>) -> Vec<RunStatus> {
    let told = &view.declared.status.runs;
    let known = view.runs.iter().map(|(job, run)| (run.number, run.created, job));
    let gone = told.iter().filter(|told| !view.runs.contains_key(&told.job));
    let gone = gone.map(|told| (told.number, told.start_time.as_ref().map(|time| time.0), &told.job));
    let mut all: Vec<_> = known.chain(gone).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let told = |job: &str| told.iter().find(|told| told.job == job);
    let newest = all.into_iter().take(RUNS).filter_map(|(_, _, job)| match view.runs.get(job) {
        Some(run) => Some(run_status(view, job, run, told(job))),
        None => told(job).cloned(),
    });
    newest.collect()
}

fn run_status(view: View<'_>, job: &str, run: &RunState, told: Option<&RunStatus>) -> RunStatus {
    let (result, completion) = match &run.stage {
        Stage::Ended { time, failure } => {
            (if failure.is_none() { RunResult::Succeeded } else { RunResult::Failed }, *time)
        }
        Stage::Replaced { time } => (RunResult::Replaced, Some(*time)),
        Stage::Deleted => (RunResult::Deleted, None),
        Stage::Active => (RunResult::Running, None),
    };
    // What an earlier operator has told of it is not asked for again.
    let containers = if run.containers.is_empty() {
        told.map(|told| told.containers.clone()).unwrap_or_default()
    } else {
        run.containers.clone()
    };
    RunStatus {
        job: job.to_owned(),
        number: run.number,
        cause: run.cause.clone(),
        start_time: run.created.map(Time),
        completion_time: completion.map(Time),
        result: Some(result),
        attempts: i32::try_from(run.attempts).unwrap_or(i32::MAX),
        containers,
        outputs: match &run.output {
            Some(outcome) => outputs(outcome),
            None => told.map(|told| told.outputs.clone()).unwrap_or_default(),
        },
        output_settled: run.output_settled,
        streams: view.declared.spec.output.is_some().then_some(run.streams),
    }
}

/// Those that went wrong first, and no more than a status can hold: an Indexed Job may have thousands.
fn outputs(outcome: &Outcome) -> Vec<OutputStatus> {
    let is_written = |output: &&OutputStatus| output.result == OutputResult::Written;
    let (written, others): (Vec<_>, Vec<_>) = outcome.outputs().partition(is_written);
    others.into_iter().chain(written).take(OUTPUTS).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use extendedjob_api::{
        Cause, CauseType,
        conditions::{self, reasons},
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    use super::*;
    use crate::{
        declared::Declared,
        fixtures::{at, declared},
        job::Failure,
        view::{Gone, Record, Requests, Settled, Template, Trouble},
    };

    fn run(second: i64, stage: Stage) -> RunState {
        let cause = Cause { r#type: CauseType::Ready, pod: Some("pod1".into()), object: None, time: None };
        RunState::new(cause, Some(at(second)), stage)
    }

    fn succeeded(second: i64) -> RunState {
        run(second, Stage::Ended { time: Some(at(second + 1)), failure: None })
    }

    fn failed(second: i64) -> RunState {
        let failure = Failure { reason: "BackoffLimitExceeded".into(), message: "too often".into() };
        run(second, Stage::Ended { time: Some(at(second + 1)), failure: Some(failure) })
    }

    fn outcome(trouble: Option<Trouble>) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.take_in("pod", Settled { trouble, ..Settled::default() });
        outcome
    }

    fn waiting(reason: &'static str) -> Record {
        let trouble = Some(Trouble { reason, message: "no room".into() });
        Record { pending: 1, trouble, ..Record::default() }
    }

    fn runs(runs: &[(&str, RunState)]) -> BTreeMap<String, RunState> {
        runs.iter().map(|(job, run)| ((*job).to_owned(), run.clone())).collect()
    }

    fn once() -> Declared {
        let spec = serde_json::from_str(r#"{"run": "once", "template": {}}"#).unwrap();
        Declared { spec, ..declared() }
    }

    fn with_output() -> Declared {
        let spec =
            r#"{"triggers": {"when": "ready"}, "output": {"stdout": {"configRef": "c"}}, "template": {}}"#;
        Declared { spec: serde_json::from_str(spec).unwrap(), ..declared() }
    }

    fn derived(
        declared: &Declared,
        template: &Template,
        runs: &BTreeMap<String, RunState>,
    ) -> ExtendedJobStatus {
        derive(view(declared, template, runs, &Record::default()), at(100))
    }

    fn view<'a>(
        declared: &'a Declared,
        template: &'a Template,
        runs: &'a BTreeMap<String, RunState>,
        record: &'a Record,
    ) -> View<'a> {
        View { declared, problem: None, template, runs, gone: Gone::default(), record }
    }

    /// The conditions as `Type=Status/Reason`.
    fn words(status: &ExtendedJobStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
    }

    fn condition<'a>(status: &'a ExtendedJobStatus, r#type: &str) -> &'a Condition {
        status.conditions.iter().find(|condition| condition.type_ == r#type).unwrap()
    }

    #[test]
    fn conditions_are_set_from_the_first() {
        assert_eq!(
            words(&derived(&declared(), &Template::Valid, &runs(&[]))),
            [
                "Ready=True/Watching",
                "Reconciling=False/UpToDate",
                "Stalled=False/NotStalled",
                "Complete=False/NoRun",
                "Failed=False/NoRun"
            ]
        );
    }

    #[test]
    fn ready_tells_what_stands_in_the_way() {
        let (none, job) = (Record::default(), |run| runs(&[("job", run)]));
        let wrong = Template::Invalid("spec.x".into());
        let quota = waiting(reasons::QUOTA_EXCEEDED);
        let taken = waiting(reasons::JOB_NAME_TAKEN);
        let valid = Template::Valid;
        let table = [
            (once(), &valid, job(succeeded(1)), &none, "True/Succeeded", "False/NotStalled"),
            (once(), &valid, job(failed(1)), &none, "False/JobFailed", "False/NotStalled"),
            (once(), &valid, job(run(1, Stage::Deleted)), &none, "False/Deleted", "False/NotStalled"),
            (
                once(),
                &valid,
                job(run(1, Stage::Replaced { time: at(2) })),
                &none,
                "True/Replaced",
                "False/NotStalled",
            ),
            (declared(), &valid, job(failed(1)), &none, "True/Watching", "False/NotStalled"),
            (declared(), &valid, runs(&[]), &quota, "False/QuotaExceeded", "False/NotStalled"),
            (declared(), &valid, runs(&[]), &taken, "False/JobNameTaken", "True/JobNameTaken"),
            (declared(), &wrong, runs(&[]), &quota, "False/InvalidTemplate", "True/InvalidTemplate"),
        ];
        for (declared, template, runs, record, ready, stalled) in table {
            let words = words(&derive(view(&declared, template, &runs, record), at(100)));
            assert!(words.contains(&format!("Ready={ready}")), "{ready} in {words:?}");
            assert!(words.contains(&format!("Stalled={stalled}")), "{stalled} in {words:?}");
        }
    }

    #[test]
    fn complete_and_failed_are_about_the_last_run() {
        let last = |states: &[(&str, RunState)]| {
            let status = derived(&declared(), &Template::Valid, &runs(states));
            let holds = |r#type| condition(&status, r#type).status == "True";
            (holds(conditions::COMPLETE), holds(conditions::FAILED))
        };
        assert_eq!(last(&[("a", failed(1)), ("b", succeeded(2))]), (true, false));
        assert_eq!(last(&[("a", failed(2)), ("b", succeeded(1))]), (false, true));
        assert_eq!(last(&[("a", failed(1)), ("b", run(2, Stage::Active))]), (false, false));
        assert_eq!(last(&[("a", run(2, Stage::Deleted))]), (false, true));
        assert_eq!(
            last(&[("a", succeeded(1)), ("b", run(2, Stage::Replaced { time: at(3) }))]),
            (false, false)
        );
    }

    #[test]
    fn what_starts_again_is_not_complete() {
        let known = runs(&[("a", succeeded(1))]);
        let requests = Requests { number: 1, completed: 1, starts_again: true, ..Requests::default() };
        let record = Record { pending: 1, requests, ..Record::default() };
        let status = derive(view(&once(), &Template::Valid, &known, &record), at(100));
        assert_eq!(condition(&status, conditions::COMPLETE).status, "False");
        assert_eq!(words(&status)[0], "Ready=True/Running");
    }

    #[test]
    fn the_outcome_is_told_when_the_output_was_tried() {
        let due = RunState { output_is_due: true, ..succeeded(1) };
        let status = derived(&with_output(), &Template::Valid, &runs(&[("a", due)]));
        assert_eq!(condition(&status, conditions::COMPLETE).status, "False");
    }

    #[test]
    fn a_one_off_that_is_over_is_ready_also_when_suspended() {
        let mut declared = once();
        declared.spec.suspend = true;
        let known = runs(&[("a", succeeded(1))]);
        for (completed, ready) in [(1, "Ready=True/Succeeded"), (0, "Ready=False/Suspended")] {
            let requests = Requests { number: 1, completed, ..Requests::default() };
            let record = Record { requests, ..Record::default() };
            let words = words(&derive(view(&declared, &Template::Valid, &known, &record), at(100)));
            assert_eq!(words[0], ready);
        }
    }

    #[test]
    fn runs_are_counted_also_when_their_jobs_are_gone() {
        let mut declared = declared();
        declared.status.succeeded = 5;
        let present = runs(&[("a", succeeded(1)), ("b", failed(2)), ("c", run(3, Stage::Active))]);
        let gone = Gone::beyond(&declared.status, &present);
        let record = Record::default();
        let view = View { gone, ..view(&declared, &Template::Valid, &present, &record) };
        let status = derive(view, at(100));
        assert_eq!((status.active, status.succeeded, status.failed), (1, 5, 1));
    }

    #[test]
    fn a_told_run_whose_job_is_gone_stays() {
        let mut declared = once();
        declared.status = derived(&declared, &Template::Valid, &runs(&[("a", succeeded(1))]));
        let later = derived(&declared, &Template::Valid, &runs(&[]));
        assert_eq!(later.last_run.unwrap().result, Some(RunResult::Succeeded));
    }

    #[test]
    fn the_newest_runs_are_told_the_newest_first() {
        let mut declared = declared();
        let names: Vec<String> = (0..25).map(|second| format!("job-{second:02}")).collect();
        let some = |seconds: std::ops::Range<usize>| -> BTreeMap<String, RunState> {
            seconds.map(|second| (names[second].clone(), succeeded(second as i64))).collect()
        };
        declared.status = derived(&declared, &Template::Valid, &some(0..20));
        // The Jobs of the others are gone by now.
        let told = derived(&declared, &Template::Valid, &some(18..25)).runs;
        let told: Vec<&str> = told.iter().map(|run| run.job.as_str()).collect();
        let expected: Vec<&str> = names[15..25].iter().rev().map(String::as_str).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn complete_and_failed_wait_until_a_request_is_completed() {
        let known = runs(&[("a", succeeded(1))]);
        let outcome = |requests: Requests| {
            let record = Record { requests, ..Record::default() };
            let status = derive(view(&once(), &Template::Valid, &known, &record), at(100));
            let complete = condition(&status, conditions::COMPLETE);
            format!("{} {}", complete.status, complete.reason)
        };
        let requests = |number, completed, waits| Requests {
            number,
            completed,
            handled: None,
            waits,
            starts_again: false,
        };
        assert_eq!(outcome(requests(1, 1, false)), "True Succeeded");
        assert_eq!(outcome(requests(1, 0, false)), "False Running", "`run` is not back yet");
        assert_eq!(outcome(requests(1, 1, true)), "False Requested", "another one is asked for");
    }

    #[test]
    fn a_told_run_whose_job_is_gone_is_the_last_one_also_of_those_of_one_second() {
        let mut declared = with_output();
        let known = runs(&[("a", succeeded(1)), ("b", succeeded(1))]);
        declared.status = derived(&declared, &Template::Valid, &known);
        let later = derived(&declared, &Template::Valid, &runs(&[("a", succeeded(1))]));
        assert_eq!(later.runs, declared.status.runs);
    }

    #[test]
    fn nothing_new_makes_an_equal_status() {
        let mut declared = with_output();
        let known = runs(&[("a", succeeded(1)), ("b", failed(2))]);
        declared.status = derived(&declared, &Template::Valid, &known);
        let (gone, record) = (Gone::beyond(&declared.status, &known), Record::default());
        let view = View { gone, ..view(&declared, &Template::Valid, &known, &record) };
        assert_eq!(derive(view, at(999)), declared.status);
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change() {
        let mut declared = declared();
        declared.status = derived(&declared, &Template::Valid, &runs(&[]));
        let now = Timestamp::new(at(200).as_second(), 999).unwrap();
        let known = runs(&[("a", succeeded(1))]);
        let later = derive(view(&declared, &Template::Valid, &known, &Record::default()), now);
        assert_eq!(condition(&later, conditions::READY).last_transition_time.0, at(100));
        assert_eq!(condition(&later, conditions::COMPLETE).last_transition_time.0, at(200));
    }

    #[test]
    fn output_is_told_for_the_last_run() {
        let settled = |trouble| Some(outcome(trouble));
        let key_exists = Trouble { reason: reasons::KEY_EXISTS, message: String::new() };
        let deleted = derived(&with_output(), &Template::Valid, &runs(&[("a", run(1, Stage::Deleted))]));
        assert!(words(&deleted).contains(&"OutputWritten=False/OutputLost".to_owned()));
        let table = [
            (None, "OutputWritten=Unknown/OutputPending"),
            (settled(None), "OutputWritten=True/NothingToWrite"),
            (settled(Some(key_exists)), "OutputWritten=False/KeyExists"),
        ];
        let active = RunState { output: settled(None), ..run(1, Stage::Active) };
        let told = words(&derived(&with_output(), &Template::Valid, &runs(&[("a", active)])));
        let pending = "OutputWritten=Unknown/OutputPending".to_owned();
        assert!(told.contains(&pending), "another attempt may come: {told:?}");
        for (output, expected) in table {
            let known = runs(&[("a", RunState { output, ..succeeded(1) })]);
            let words = words(&derived(&with_output(), &Template::Valid, &known));
            assert!(words.contains(&expected.to_owned()), "{expected} in {words:?}");
        }
    }

    #[test]
    fn ready_tells_of_output_that_was_not_written() {
        let trouble = Trouble { reason: reasons::KEY_EXISTS, message: String::new() };
        let output = Some(outcome(Some(trouble)));
        let known = runs(&[("a", RunState { output, ..succeeded(1) })]);
        let status = derived(&with_output(), &Template::Valid, &known);
        let ready = condition(&status, conditions::READY);
        assert_eq!((ready.status.as_str(), ready.message.ends_with("KeyExists")), ("True", true));
    }

    #[test]
    fn runs_that_wait_are_counted_and_their_reason_is_told() {
        let known = runs(&[("a", run(1, Stage::Active))]);
        let told = |spec: &str, record: &Record| {
            let declared = Declared { spec: serde_json::from_str(spec).unwrap(), ..declared() };
            let status = derive(view(&declared, &Template::Valid, &known, record), at(100));
            assert_eq!(status.pending, 1);
            words(&status)[..2].to_vec()
        };
        let limited = r#"{"triggers": {"when": "created"}, "maxConcurrentRuns": 1, "template": {}}"#;
        let none = Record { pending: 1, ..Record::default() };
        assert_eq!(told(limited, &none), ["Ready=True/ConcurrencyLimit", "Reconciling=False/UpToDate"]);
        let suspended = r#"{"triggers": {"when": "created"}, "suspend": true, "template": {}}"#;
        assert_eq!(told(suspended, &none), ["Ready=False/Suspended", "Reconciling=False/UpToDate"]);
        let trouble = Some(Trouble { reason: reasons::TOO_MANY_RUNS, message: "pod p".into() });
        let braked = Record { trouble, ..none };
        assert_eq!(told(limited, &braked), ["Ready=False/TooManyRuns", "Reconciling=True/InProgress"]);
    }

    #[test]
    fn a_rebuilt_ledger_is_told_of_for_ever() {
        let mut declared = declared();
        let rebuilt = Some(Trouble { reason: reasons::LEDGER_LOST, message: "no Secret".into() });
        let record = Record { rebuilt, ..Record::default() };
        let told = |declared: &Declared, record: &Record| {
            let status = derive(view(declared, &Template::Valid, &runs(&[]), record), at(100));
            assert_eq!(words(&status).last().map(String::as_str), Some("LedgerRebuilt=True/LedgerLost"));
            status
        };
        declared.status = told(&declared, &record);
        told(&declared, &Record::default());
    }

    #[test]
    fn a_long_message_is_cut() {
        let template = Template::Invalid("é".repeat(5000));
        let status = derived(&declared(), &template, &runs(&[]));
        assert!(condition(&status, conditions::READY).message.len() <= crate::text::MESSAGE_MAX);
    }
}
