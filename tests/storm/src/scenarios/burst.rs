//! All pods become ready at once: each gets one Job, whoever dies meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::jobs_seen::JobsSeen;
use crowds::pods::{IN_SELECTOR, Pod};
use futures::{join, try_join};

use super::writer;
use crate::stage::Stage;

/// Longer than a Lease lasts.
const WITHOUT_ETCD: Duration = Duration::from_secs(20);

/// Nobody dies.
pub(super) async fn undisturbed(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    stage.namespace.turn_ready(&pods, 0).await?;
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}

/// The operator dies, and another one is started.
pub(super) async fn with_a_killed_operator(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, operators, .. } = &mut *stage;
    let death = async {
        operators.kill_leader().await?;
        operators.start()
    };
    let ((), back) = try_join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death))?;
    made_up_for(stage, back).await
}

/// The API server dies and comes back; the operator lives through it.
pub(super) async fn with_a_killed_api_server(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let death = target.kill_and_restart_api_server();
    let ((), back) = try_join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death))?;
    made_up_for(stage, back).await
}

/// etcd dies, and comes back after a while; the operator lives through it.
pub(super) async fn without_etcd(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let death = target.kill_etcd_for(WITHOUT_ETCD);
    // Whatever comes of the pods, others rely on etcd.
    let (ready, back) = join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death));
    ready?;
    made_up_for(stage, back?).await
}

/// Lets something happen when half of the Jobs are there, and says when it was over.
async fn halfway(
    jobs: &JobsSeen,
    pods: &[Pod],
    happening: impl Future<Output = Result<()>>,
) -> Result<Instant> {
    // The run that prints has one, too.
    jobs.until("half of the Jobs", |seen| seen.runs.len() > pods.len() / 2).await?;
    happening.await?;
    Ok(Instant::now())
}

/// What was to be done meanwhile is done.
async fn made_up_for(stage: &mut Stage<'_>, back: Instant) -> Result<()> {
    stage.until_all_jobs().await?;
    stage.recovered = Some(back.elapsed());
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}

/// The pods, not yet ready, an ExtendedJob that waits for them, and a run that prints.
async fn crowd(stage: &mut Stage<'_>) -> Result<Vec<Pod>> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("burst", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    writer::begin(stage).await?;
    Ok(pods)
}
