//! Someone deletes what runs are about, in the middle of them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crowds::extended_jobs::triggered;
use crowds::jobs_seen::JobsSeen;
use crowds::namespace::Namespace;
use crowds::patience::until;
use crowds::pods::IN_SELECTOR;
use tokio::time::sleep;

use super::writer::{self, WRITER};
use crate::stage::Stage;

/// How long there is no definition.
const UNDEFINED: Duration = Duration::from_secs(15);
/// The garbage collector of pods waits for 40 seconds whether the node comes back, and looks each 20.
const LONGER_THAN_THE_NODE: Duration = Duration::from_secs(80);

/// The ExtendedJob, which is made anew under its name at once.
pub(super) async fn of_extended_job(stage: &mut Stage<'_>) -> Result<()> {
    begins_anew(stage, async |stage| stage.namespace.delete_extended_job("ready").await).await
}

/// The definition, and with it all ExtendedJobs and their Jobs; and it comes back.
pub(super) async fn of_definition(stage: &mut Stage<'_>) -> Result<()> {
    let deletion = async |stage: &Stage<'_>| {
        let definition = stage.target.definition().await?;
        let deleted = stage.target.delete_definition().await;
        // As long as someone takes to notice: the operator does so, too.
        sleep(UNDEFINED).await;
        // Whatever came of it, others rely on the definition.
        stage.target.define_again(definition).await?;
        deleted
    };
    begins_anew(stage, deletion).await
}

/// An ExtendedJob goes, and another one of its name comes. What happened before that is none of its business.
async fn begins_anew(
    stage: &mut Stage<'_>,
    deletion: impl AsyncFnOnce(&Stage<'_>) -> Result<()>,
) -> Result<()> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("again", stage.load.pods(), IN_SELECTOR).await?;
    let (before, after) = pods.split_at(pods.len() / 2);
    stage.expected.one("ready", &pods);
    // Longer ago than either of the two: to the second one it is a state, and no transition.
    stage.namespace.turn_ready_long_ago(before).await?;
    stage.jobs.until("the first Jobs", |seen| seen.runs.len() >= before.len()).await?;
    deletion(stage).await?;
    let begin = Instant::now();
    // A pod that was created in the same second as the other one would count as created since then.
    stage.namespace.until_the_next_second().await?;
    stage.namespace.declare("ready", triggered("ready")).await?;
    stage.namespace.turn_ready(after, 0).await?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(begin.elapsed());
    stage.settle().await
}

/// A namespace with runs that wait and runs that go on; others are not held up.
pub(super) async fn of_namespace(stage: &mut Stage<'_>) -> Result<()> {
    let going = Namespace::create(&stage.target.client, "going").await?;
    let played = of_this_namespace(stage, &going).await;
    if going.is_there().await? {
        going.abandon().await?;
    }
    played
}

async fn of_this_namespace(stage: &mut Stage<'_>, going: &Namespace) -> Result<()> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("stays", stage.load.pods(), IN_SELECTOR).await?;
    let mut waiting = triggered("ready");
    waiting["maxConcurrentRuns"] = 1.into();
    going.declare("all", triggered("ready")).await?;
    going.declare("one", waiting).await?;
    let jobs = JobsSeen::follow(going).await?;
    let gone = going.create_pods("goes", stage.load.pods(), IN_SELECTOR).await?;
    going.turn_ready(&gone, 0).await?;
    jobs.until("half of the Jobs that go", |seen| seen.runs.len() >= gone.len() / 2).await?;
    writer::begin(stage).await?;
    going.delete().await?;
    let begin = Instant::now();
    stage.expected.one("ready", &pods);
    stage.namespace.turn_ready(&pods, 0).await?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(begin.elapsed());
    writer::until_all_is_written(stage).await?;
    until("the end of the namespace", async || Ok((!going.is_there().await?).then_some(()))).await?;
    stage.settle().await
}

/// The node on which the pod of a run prints. Another attempt is made when there is a node again; pods without a node are
/// none of its business.
pub(super) async fn of_node(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("nodeless", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    writer::begin_for(stage, LONGER_THAN_THE_NODE).await?;
    let printing = stage.namespace.until_a_pod_runs_of(WRITER).await?;
    stage.target.delete_node().await?;
    let gone = async {
        stage.namespace.turn_ready(&pods, 0).await?;
        stage.namespace.until_it_is_gone(&printing).await
    };
    let gone = gone.await;
    // Whatever came of it, others rely on the node.
    stage.target.bring_node_back().await?;
    gone?;
    let begin = Instant::now();
    let again = stage.namespace.until_a_pod_runs_of(WRITER).await?;
    ensure!(again != printing, "the first attempt outlived its node");
    stage.recovered = Some(begin.elapsed());
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}
