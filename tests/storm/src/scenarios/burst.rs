//! All pods become ready at once: each gets one Job, whoever dies meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::pods::{IN_SELECTOR, Pod};
use futures::try_join;
use tokio::time::sleep;

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
    let burst = namespace.turn_ready(&pods, 0);
    let death = async {
        jobs.until("half of the Jobs", |seen| seen.runs.len() >= pods.len() / 2).await?;
        operators.kill_leader().await?;
        operators.start()
    };
    try_join!(burst, death)?;
    stage.settle().await
}

/// The API server dies and comes back; the operator lives through it.
pub(super) async fn with_a_killed_api_server(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let burst = namespace.turn_ready(&pods, 0);
    let death = async {
        jobs.until("half of the Jobs", |seen| seen.runs.len() >= pods.len() / 2).await?;
        target.kill_and_restart_api_server().await
    };
    try_join!(burst, death)?;
    stage.settle().await
}

/// etcd dies, and comes back after a while; the operator lives through it.
pub(super) async fn without_etcd(stage: &mut Stage<'_>) -> Result<()> {
    let pods = crowd(stage).await?;
    let Stage { namespace, jobs, target, .. } = &*stage;
    let burst = namespace.turn_ready(&pods, 0);
    let death = async {
        jobs.until("half of the Jobs", |seen| seen.runs.len() >= pods.len() / 2).await?;
        target.to_cluster(|cluster| cluster.stop_component("etcd")).await?;
        sleep(WITHOUT_ETCD).await;
        target.to_cluster(|cluster| cluster.start_component("etcd")).await?;
        anyhow::Ok(Instant::now())
    };
    let ((), back) = try_join!(burst, death)?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(back.elapsed());
    stage.settle().await
}

/// The pods, not yet ready, and an ExtendedJob that waits for them.
async fn crowd(stage: &mut Stage<'_>) -> Result<Vec<Pod>> {
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("burst", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    Ok(pods)
}
