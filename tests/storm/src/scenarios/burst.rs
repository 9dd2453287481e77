//! All pods become ready at once: each gets one Job, whoever dies meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::jobs_seen::JobsSeen;
use crowds::pods::{IN_SELECTOR, Pod};
use futures::try_join;

use crate::stage::Stage;

/// Longer than a Lease lasts.
const WITHOUT_ETCD: Duration = Duration::from_secs(20);

/// Nobody dies.
pub(super) async fn undisturbed(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    stage.namespace.turn_ready(&pods, 0).await?;
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
    try_join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death))?;
    stage.settle().await
}

/// The API server dies and comes back; the operator lives through it.
pub(super) async fn with_a_killed_api_server(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let death = target.kill_and_restart_api_server();
    try_join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death))?;
    stage.settle().await
}

/// etcd dies, and comes back after a while; the operator lives through it.
pub(super) async fn without_etcd(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let death = async {
        target.kill_etcd_for(WITHOUT_ETCD).await?;
        Ok(Instant::now())
    };
    let ((), back) = try_join!(namespace.turn_ready(&pods, 0), halfway(jobs, &pods, death))?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(back.elapsed());
    stage.settle().await
}

/// Lets something happen when half of the Jobs are there.
async fn halfway<T>(jobs: &JobsSeen, pods: &[Pod], happening: impl Future<Output = Result<T>>) -> Result<T> {
    jobs.until("half of the Jobs", |seen| seen.runs.len() >= pods.len() / 2).await?;
    happening.await
}

/// The pods, not yet ready, and an ExtendedJob that waits for them.
async fn crowd(stage: &mut Stage<'_>) -> Result<Vec<Pod>> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("burst", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    Ok(pods)
}
