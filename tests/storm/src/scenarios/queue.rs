//! Runs wait behind a limit, the operator dies, and pods that wait are gone when the next one starts. Finished
//! Jobs are cleaned up meanwhile, and stay done.

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::jobs_seen::Seen;
use crowds::pods::{IN_SELECTOR, Pod};
use serde_json::json;

use crate::finish::finish_as_they_come;
use crate::stage::Stage;

const ONE_AT_A_TIME: &str = "one-at-a-time";
const CLEANED_UP: &str = "cleaned-up";

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    let mut one_at_a_time = triggered("ready");
    one_at_a_time["maxConcurrentRuns"] = json!(1);
    stage.declare(ONE_AT_A_TIME, one_at_a_time).await?;
    let mut cleaned_up = triggered("ready");
    cleaned_up["successfulRunsHistoryLimit"] = json!(0);
    stage.declare(CLEANED_UP, cleaned_up).await?;

    let pods = stage.namespace.create_pods("queue", stage.load.pods() / 2, IN_SELECTOR).await?;
    stage.expected.one(ONE_AT_A_TIME, &pods);
    stage.expected.one(CLEANED_UP, &pods);
    let finishing =
        finish_as_they_come(stage.namespace.clone(), stage.jobs.receiver(), ONE_AT_A_TIME, |_| true);
    tokio::select! {
        broken = finishing => match broken? {},
        played = disturb(stage, &pods) => played,
    }
}

async fn disturb(stage: &mut Stage<'_>, pods: &[Pod]) -> Result<()> {
    stage.namespace.turn_ready(pods, 0).await?;
    let some = pods.len() / 4;
    let started = |seen: &Seen| of(seen, ONE_AT_A_TIME).0 >= some && of(seen, CLEANED_UP).0 >= some;
    stage.jobs.until("a quarter of the Jobs", started).await?;
    stage.operators.kill_leader().await?;
    // The last fifth: most of these pods still wait.
    stage.namespace.delete_pods(pods.split_at(pods.len() - pods.len() / 5).1).await?;
    stage.operators.start()?;

    stage.until_all_jobs().await?;
    let all_gone = |seen: &Seen| of(seen, CLEANED_UP).1 >= pods.len();
    stage.jobs.until("the finished Jobs to be cleaned up", all_gone).await?;
    stage.settle().await
}

/// How many Jobs of the ExtendedJob there were, and how many of them are gone.
fn of(seen: &Seen, extended_job: &str) -> (usize, usize) {
    let runs = || seen.runs.values().filter(|run| run.extended_job == extended_job);
    (runs().count(), runs().filter(|run| run.is_gone).count())
}
