//! The conditions of an ExtendedJob: what it does, what stands in its way, how its last run went.

use extendedjob_api::{
    Mode, Output, OutputResult, OutputStatus, RunResult, RunStatus,
    conditions::{self, reasons},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    declared::Declared,
    text::shorten,
    view::{RunState, Stage, Template, Trouble, View, cuts},
};

/// All conditions, in the order in which they are shown; see [`status::derive`](crate::status::derive).
pub(crate) fn derive(view: View<'_>, last_run: Option<&RunStatus>, now: Timestamp) -> Vec<Condition> {
    let hindrance = hindrance(view);
    let last = last_run.and_then(|told| view.runs.get(&told.job));
    let output = view.declared.spec.output.as_ref().and_then(|_| output_written(view, last_run, last));
    let mut all = vec![ready(view, hindrance.as_ref(), last_run, last).and_of(output.as_ref())];
    all.extend(progress(view, hindrance.as_ref()));
    all.extend(outcome(view, last_run, last));
    all.extend(output);
    all.extend(rebuilt(view));
    all.into_iter().map(|word| word.since(&view.declared.status.conditions, view.declared, now)).collect()
}

/// A condition before its time and generation are known.
struct Word {
    r#type: &'static str,
    status: String,
    reason: String,
    message: String,
}

fn word(r#type: &'static str, holds: bool, reason: &str, message: impl Into<String>) -> Word {
    let status = if holds { "True" } else { "False" };
    Word { r#type, status: status.into(), reason: reason.into(), message: message.into() }
}

impl Word {
    /// A Job's success does not depend on its output; but who looks at Ready alone is told.
    fn and_of(mut self, output: Option<&Self>) -> Self {
        if let Some(output) = output.filter(|output| output.status == "False") {
            self.message =
                format!("{}; the output of the last run was not written: {}", self.message, output.reason);
        }
        self
    }

    /// The whole condition; its time is that of the last change of status.
    fn since(self, told: &[Condition], declared: &Declared, now: Timestamp) -> Condition {
        let same = told.iter().find(|told| told.type_ == self.r#type && told.status == self.status);
        // Whole seconds, as the API server stores them: else an unchanged condition would differ.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Condition {
            type_: self.r#type.to_owned(),
            status: self.status,
            reason: self.reason,
            message: shorten(self.message),
            observed_generation: Some(declared.generation),
            last_transition_time: same.map_or(Time(now), |same| same.last_transition_time.clone()),
        }
    }
}

/// What keeps runs from starting, the gravest first.
fn hindrance(view: View<'_>) -> Option<Trouble> {
    if let Some(problem) = view.problem {
        return Some(problem.clone());
    }
    if let Template::Invalid(message) = view.template {
        return Some(Trouble { reason: reasons::INVALID_TEMPLATE, message: message.clone() });
    }
    let trouble = view.record.trouble.as_ref()?;
    let message = match view.record.pending {
        0 => trouble.message.clone(),
        pending => format!("{}: {}", wait(pending), trouble.message),
    };
    Some(Trouble { reason: trouble.reason, message })
}

/// Whether only a person can go on from here.
fn needs_someone(trouble: &Trouble) -> bool {
    matches!(
        trouble.reason,
        reasons::INVALID_SPEC
            | reasons::TARGET_NOT_SERVED
            | reasons::STREAMS_NOT_SEPARABLE
            | reasons::INVALID_TEMPLATE
            | reasons::JOB_NAME_TAKEN
    )
}

fn ready(
    view: View<'_>,
    hindrance: Option<&Trouble>,
    last_run: Option<&RunStatus>,
    last: Option<&RunState>,
) -> Word {
    let ready = |holds, reason, message: String| word(conditions::READY, holds, reason, message);
    if let Some(trouble) = hindrance {
        return ready(false, trouble.reason, trouble.message.clone());
    }
    let requests = &view.record.requests;
    let is_once = view.declared.mode() == Some(Mode::Once) && view.record.pending == 0;
    let is_over = is_once && requests.number > 0 && !requests.is_open();
    if view.declared.spec.suspend && !is_over {
        return ready(false, reasons::SUSPENDED, suspended(view));
    }
    let pending = view.record.pending;
    if let (Some(limit), 1..) = (view.declared.spec.max_concurrent_runs, pending) {
        let message = format!("{} for one under way to end (maxConcurrentRuns: {limit})", wait(pending));
        return ready(true, reasons::CONCURRENCY_LIMIT, message);
    }
    let pods = match view.declared.mode() {
        Some(Mode::Created) => Some("waits for pods that are created"),
        Some(Mode::Ready) => Some("waits for pods that turn ready"),
        Some(Mode::NotReady) => Some("waits for pods that are no longer ready"),
        Some(Mode::Deleted) => Some("waits for pods that are deleted"),
        Some(Mode::Once | Mode::Errand) | None => None,
    };
    if let Some(pods) = pods {
        return ready(true, reasons::WATCHING, pods.to_owned());
    }
    if view.record.requests.is_open() {
        let message = match last_run.and_then(|run| run.result) {
            Some(RunResult::Running) => "the Job is under way",
            Some(RunResult::Replaced) => REPLACED,
            _ => "the Job is about to be made",
        };
        return ready(true, reasons::RUNNING, message.to_owned());
    }
    if view.declared.mode() == Some(Mode::Errand) {
        return ready(true, reasons::IDLE, idle(last_run));
    }
    match last_run.and_then(|run| run.result) {
        None => ready(true, reasons::RUNNING, "the Job is about to be made".to_owned()),
        Some(RunResult::Running) => ready(true, reasons::RUNNING, "the Job is under way".to_owned()),
        Some(RunResult::Succeeded) => ready(true, reasons::SUCCEEDED, "the Job has succeeded".to_owned()),
        Some(RunResult::Failed) => ready(false, reasons::JOB_FAILED, failure_message(last)),
        Some(RunResult::Replaced) => ready(true, reasons::REPLACED, REPLACED.to_owned()),
        Some(RunResult::Deleted) => ready(false, reasons::DELETED, DELETED.to_owned()),
    }
}

fn idle(last_run: Option<&RunStatus>) -> String {
    let last = match last_run.and_then(|run| run.result) {
        Some(RunResult::Succeeded) => "; the last run has succeeded",
        Some(RunResult::Failed) => "; the last run has failed",
        Some(RunResult::Deleted) => "; the Job of the last run was deleted",
        Some(RunResult::Running | RunResult::Replaced) | None => "",
    };
    format!("set run to now, and a Job is started{last}")
}

fn suspended(view: View<'_>) -> String {
    match view.record.pending {
        0 => "suspend is true: no run is started".to_owned(),
        pending => format!("suspend is true: {} until it is false", wait(pending)),
    }
}

fn wait(runs: i64) -> String {
    if runs == 1 { "1 run waits".to_owned() } else { format!("{runs} runs wait") }
}

const REPLACED: &str =
    "what the pods use has changed: when the Job and its pods are gone, another one takes its place";

const DELETED: &str = "the Job was deleted before it ended; the run is not made again";

fn failure_message(run: Option<&RunState>) -> String {
    match run.map(|run| &run.stage) {
        Some(Stage::Ended { failure: Some(failure), .. }) => {
            format!("{}: {}", failure.reason, failure.message)
        }
        _ => "the Job has failed".to_owned(),
    }
}

/// Reconciling and Stalled, as kstatus reads them
/// (<https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>).
fn progress(view: View<'_>, hindrance: Option<&Trouble>) -> [Word; 2] {
    let reconciling = |holds, reason, message: &str| word(conditions::RECONCILING, holds, reason, message);
    let stalled = |holds, reason, message: &str| word(conditions::STALLED, holds, reason, message);
    match hindrance {
        Some(trouble) if needs_someone(trouble) => [
            reconciling(false, trouble.reason, "waits for a correction"),
            stalled(true, trouble.reason, &trouble.message),
        ],
        Some(trouble) => [
            reconciling(true, reasons::IN_PROGRESS, &trouble.message),
            stalled(false, reasons::NOT_STALLED, ""),
        ],
        None if *view.template == Template::Unchecked => [
            reconciling(true, reasons::IN_PROGRESS, "the template is being checked"),
            stalled(false, reasons::NOT_STALLED, ""),
        ],
        None => [reconciling(false, reasons::UP_TO_DATE, ""), stalled(false, reasons::NOT_STALLED, "")],
    }
}

/// Complete and Failed of the last run, both False while one is under way.
fn outcome(view: View<'_>, last_run: Option<&RunStatus>, last: Option<&RunState>) -> [Word; 2] {
    let both = |complete, failed, reason, message: &str| {
        [
            word(conditions::COMPLETE, complete, reason, message),
            word(conditions::FAILED, failed, reason, message),
        ]
    };
    let is_active = last.is_some_and(|run| run.stage == Stage::Active || run.output_is_due);
    if view.record.requests.waits && !is_active {
        return both(false, false, reasons::REQUESTED, "a run was asked for, and has not started yet");
    }
    if view.record.requests.is_open() || is_active {
        return both(false, false, reasons::RUNNING, "");
    }
    let Some(run) = last_run else { return both(false, false, reasons::NO_RUN, "") };
    match run.result {
        None | Some(RunResult::Running) => both(false, false, reasons::RUNNING, ""),
        Some(RunResult::Succeeded) => both(true, false, reasons::SUCCEEDED, ""),
        Some(RunResult::Failed) => both(false, true, reasons::JOB_FAILED, &failure_message(last)),
        Some(RunResult::Replaced) => both(false, false, reasons::REPLACED, REPLACED),
        Some(RunResult::Deleted) => both(false, true, reasons::DELETED, DELETED),
    }
}

/// The operator's memory was lost, now or under an operator before this one.
fn rebuilt(view: View<'_>) -> Option<Word> {
    let condition = |reason: &str, message: &str| Word {
        r#type: conditions::LEDGER_REBUILT,
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    if let Some(trouble) = &view.record.rebuilt {
        return Some(condition(trouble.reason, &trouble.message));
    }
    let told = &view.declared.status.conditions;
    let told = told.iter().find(|told| told.type_ == conditions::LEDGER_REBUILT)?;
    Some(condition(&told.reason, &told.message))
}

/// Whether the last run's output is where it was asked to be. Of a run that an earlier operator
/// told the end of, its words stay.
fn output_written(view: View<'_>, last_run: Option<&RunStatus>, last: Option<&RunState>) -> Option<Word> {
    let written = |status: &str, reason: &str, message: &str| Word {
        r#type: conditions::OUTPUT_WRITTEN,
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let run = last_run?;
    let is_written = |output: &OutputStatus| output.result == OutputResult::Written;
    let has_left = last.and_then(|run| run.output.as_ref()).is_some_and(|it| it.outputs().any(is_written));
    if run.result == Some(RunResult::Deleted) && !has_left {
        return Some(written(
            "False",
            reasons::OUTPUT_LOST,
            "the Job was deleted before its output was read",
        ));
    }
    let Some(outcome) = last.and_then(|run| run.output.as_ref()) else {
        let told = &view.declared.status;
        let same_run = told.runs.first().is_some_and(|told| told.job == run.job);
        let told = told.conditions.iter().find(|told| same_run && told.type_ == conditions::OUTPUT_WRITTEN);
        return Some(match told {
            Some(told) => written(&told.status, &told.reason, &told.message),
            None => written("Unknown", reasons::OUTPUT_PENDING, "the output has not been written yet"),
        });
    };
    // What earlier attempts have left unwritten is no trouble while another may come.
    let is_open = last.is_some_and(|run| run.stage == Stage::Active || run.output_is_due);
    if outcome.trouble().is_none() && is_open {
        return Some(written("Unknown", reasons::OUTPUT_PENDING, "not all output has been written yet"));
    }
    let mut streams = view.declared.spec.output.iter().flat_map(Output::streams);
    let writes_failures = streams.any(|(_, stream)| stream.write_on_failure);
    Some(match outcome.trouble() {
        Some(trouble) => written("False", trouble.reason, &trouble.message),
        None if outcome.outputs().any(|output| output.result == OutputResult::Written) => {
            let rotated = outcome.outputs().filter(|output| output.possibly_rotated);
            let rotated = rotated.map(|OutputStatus { key, .. }| {
                format!("of {key} something may be missing: its log may have been rotated before it was read")
            });
            // Who has asked for that knows it.
            let is_asked_for = view.declared.spec.output.as_ref().is_some_and(|output| !output.separate);
            let merged = outcome.outputs().filter(|output| output.merged && !is_asked_for);
            let both = merged.map(|OutputStatus { key, .. }| {
                format!("{key} holds stdout and stderr, which were not told apart")
            });
            let cut: Vec<String> = cuts(outcome.outputs()).chain(rotated).chain(both).collect();
            written("True", reasons::WRITTEN, &cut.join("; "))
        }
        None if run.result == Some(RunResult::Failed) && !writes_failures => {
            written("True", reasons::NOTHING_TO_WRITE, "the run failed, and writeOnFailure is false")
        }
        None => written(
            "True",
            reasons::NOTHING_TO_WRITE,
            "there is no output, or that of a later run is there already",
        ),
    })
}
