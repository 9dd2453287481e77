//! Pods become ready one after the other, and one leader after the other ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;
use futures::try_join;
use tokio::time::interval;

use crate::stage::Stage;

/// From one end to the next.
const REIGN: Duration = Duration::from_secs(5);

/// Each is killed, and its Lease taken from it.
pub(super) async fn killed(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, End::Killed).await
}

/// Each is asked to stop, as by an upgrade, and another one stands by.
pub(super) async fn asked_to_stop(stage: &mut Stage<'_>) -> Result<()> {
    play(stage, End::Asked).await
}

#[derive(Clone, Copy)]
enum End {
    Killed,
    Asked,
}

async fn play(stage: &mut Stage<'_>, end: End) -> Result<()> {
    stage.operators.start()?;
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("leaders", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);

    let Stage { namespace, operators, load, .. } = &mut *stage;
    let time = load.time();
    let mut pace = interval(time / u32::try_from(pods.len())?);
    let mut ready = BTreeMap::new();
    let load = async {
        for pod in &pods {
            pace.tick().await;
            namespace.turn_ready(std::slice::from_ref(pod), 0).await?;
            ready.insert(pod.uid.clone(), Instant::now());
        }
        Ok(())
    };
    let mut reigns = interval(REIGN);
    let changes = time.as_secs() / REIGN.as_secs();
    let ends = async {
        // The first tick comes at once.
        reigns.tick().await;
        for _ in 0..changes {
            reigns.tick().await;
            match end {
                End::Killed => operators.kill_leader().await?,
                End::Asked => operators.stop_leader().await?,
            }
            operators.start()?;
        }
        anyhow::Ok(())
    };
    try_join!(load, ends)?;
    stage.settle().await?;
    let mut waits: Vec<Duration> = stage.jobs.look(|seen| {
        let wait = |(uid, run): (_, Instant)| Some(run.saturating_duration_since(*ready.get(uid)?));
        seen.runs.values().filter_map(|run| wait((&run.pod_uid, run.seen?))).collect()
    });
    waits.sort();
    if let (Some(longest), Some(half)) = (waits.last(), waits.get(waits.len() / 2)) {
        println!(
            "    {changes} changes of leader; a ready pod waited {half:.1?} for its Job, {longest:.1?} at most"
        );
    }
    Ok(())
}
