//! An operator starts where nothing has changed since the last one: it writes nothing but its Lease.

use anyhow::{Result, ensure};
use crowds::extended_jobs::{once, triggered};
use crowds::finish::finish;
use crowds::jobs_seen::JobsSeen;
use crowds::namespace::Namespace;
use crowds::pods::IN_SELECTOR;

use crate::audit::Audit;
use crate::stage::Stage;

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let elsewhere = Namespace::create(&stage.target.client, "idle-restart-elsewhere").await?;
    let played = restart(stage, &elsewhere).await;
    elsewhere.abandon().await?;
    played
}

async fn restart(stage: &mut Stage<'_>, elsewhere: &Namespace) -> Result<()> {
    let mut audit = Audit::begin(stage.target, &stage.namespace)?;
    some_runs(stage).await?;
    stage.settle().await?;
    audit.until_idle().await?;

    stage.operators.kill_all().await?;
    // All that the dead one wrote is answered, so it is in the log.
    drop(audit.writes()?);
    stage.operators.start()?;
    stage.operators.leader().await?;
    let jobs_elsewhere = JobsSeen::follow(elsewhere).await?;
    elsewhere.declare("sentinel", once()).await?;
    jobs_elsewhere.until("the sentinel's Job", |seen| !seen.runs.is_empty()).await?;
    let writes = audit.writes()?;
    ensure!(writes.is_empty(), "nothing had changed, but the operator wrote: {}", writes.join("; "));
    stage.settle().await
}

/// Some Jobs that are finished, and some that are not.
async fn some_runs(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    stage.namespace.declare("once", once()).await?;
    stage.expected.without_pod(1, "once");
    let pods = stage.namespace.create_pods("idle", stage.load.pods() / 4, IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    stage.namespace.turn_ready(&pods, 0).await?;
    stage.until_all_jobs().await?;
    let jobs: Vec<String> = stage.jobs.look(|seen| seen.runs.values().map(|run| run.job.clone()).collect());
    for job in jobs.split_at(jobs.len() / 2).0 {
        finish(&stage.namespace, job).await?;
    }
    Ok(())
}
