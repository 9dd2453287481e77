//! The operator crashes at each of its writes: before it is sent, when it is done but nobody knows, and after its
//! answer. The next operator makes up for it.

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::jobs_seen::Run;
use serde_json::{Value, json};

use crate::finish::finish_as_they_come;
use crate::stage::Stage;

/// Pods for each crash: one whose run starts at once, and two that wait.
const PODS: usize = 3;
/// The writes, by the names that the operator gives them, and which of their kind. The first of a Lease is taking
/// it, the first ledger is the baseline, the second one the queue. A third status need not be: what happens in a quarter
/// of a second goes with one.
const WRITES: [(&str, u32); 13] = [
    ("lease", 1),
    ("lease", 3),
    ("fence", 1),
    ("ledger", 1),
    ("ledger", 2),
    ("page", 1),
    ("job", 1),
    ("job", 2),
    ("status", 1),
    ("status", 2),
    ("output", 1),
    (NOTE, 1),
    ("cleanup", 1),
];
/// Of a run that the status is too short to name the Job is noted that its output has settled.
const NOTE: &str = "note";
/// So many runs it does not name all of.
const MORE_THAN_NAMED: usize = 11;
/// The write for which containers have to say something.
const REALLY_RUN: &str = "output";
pub(super) const STAGES: [&str; 3] = ["before", "unanswered", "after"];

/// Each of these writes, with each moment at which to crash. A crash between a write and its answer holds what the others
/// hold; the long form has them all.
pub(super) fn crashes<const N: usize>(
    writes: [(&'static str, u32); N],
    is_short: bool,
) -> impl Iterator<Item = (&'static str, &'static str, u32)> {
    let moments = STAGES.into_iter().filter(move |moment| !is_short || *moment == "unanswered");
    writes
        .into_iter()
        .flat_map(move |(write, number)| moments.clone().map(move |moment| (write, moment, number)))
}

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let is_short = stage.load.is_short();
    for (write, moment, number) in crashes(WRITES, is_short).filter(|(.., number)| !is_short || *number < 3) {
        crash_at(stage, write, moment, number).await?;
    }
    stage.operators.start()?;
    stage.settle().await
}

async fn crash_at(stage: &mut Stage<'_>, write: &str, moment: &str, number: u32) -> Result<()> {
    let name = format!("{write}-{moment}-{number}");
    let failpoint = format!("{write}:{moment}:{number}");
    stage.operators.start_to_crash(&failpoint)?;
    let is_parked = |run: &Run| !run.extended_job.starts_with(REALLY_RUN);
    let finishing = finish_as_they_come(stage.namespace.clone(), stage.jobs.receiver(), &name, is_parked);
    let crashing = async {
        stage.namespace.create_extended_job(&name, of_pods(&name, write)).await?;
        let count = if write == NOTE { MORE_THAN_NAMED } else { PODS };
        let pods = stage.namespace.create_pods(&name, count, &name).await?;
        stage.expected.one(&name, &pods);
        stage.namespace.turn_ready(&pods, 0).await?;
        stage.operators.crashed(&failpoint).await?;
        stage.operators.start()?;
        stage.until_all_jobs().await?;
        stage.namespace.until_nothing_is_pending(&name).await?;
        stage.operators.kill_all().await
    };
    tokio::select! {
        broken = finishing => match broken? {},
        crashed = crashing => crashed,
    }
}

/// An ExtendedJob whose few runs need every kind of write.
fn of_pods(name: &str, write: &str) -> Value {
    let mut spec = triggered("ready");
    spec["triggers"]["selector"]["matchLabels"]["app"] = json!(name);
    spec["maxConcurrentRuns"] = json!(1);
    spec["successfulRunsHistoryLimit"] = json!(0);
    if write == NOTE {
        spec["successfulRunsHistoryLimit"] = json!(MORE_THAN_NAMED);
    }
    if write == REALLY_RUN || write == NOTE {
        spec["output"] = json!({"stdout": {"configRef": name, "overwrite": true}});
    }
    if write == REALLY_RUN {
        spec["template"]["spec"]["suspend"] = json!(false);
        spec["template"]["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["echo", "done"]);
    }
    spec
}
