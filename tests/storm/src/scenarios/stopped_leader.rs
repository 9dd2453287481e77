//! A leader stands still in the middle of a burst, another one takes over when the Lease has run out, and then
//! the first one goes on as if no time had passed: at once, or when the other one has led for long.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;
use futures::try_join;
use tokio::time::sleep_until;

use super::writer;
use crate::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);

/// As soon as another one leads.
pub(super) async fn until_another_leads(stage: &mut Stage<'_>) -> Result<()> {
    stopped_for(stage, Duration::ZERO).await
}

/// For longer than that takes.
pub(super) async fn for_a_minute(stage: &mut Stage<'_>) -> Result<()> {
    stopped_for(stage, MINUTE).await
}

async fn stopped_for(stage: &mut Stage<'_>, time: Duration) -> Result<()> {
    stage.operators.start()?;
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("stopped", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    writer::begin(stage).await?;
    let (before, others) = pods.split_at(pods.len() / 3);
    let (meanwhile, after) = others.split_at(others.len() / 2);

    let Stage { namespace, jobs, operators, .. } = &mut *stage;
    let former = operators.leader().await?;
    let stop = async {
        jobs.until("half of the first Jobs", |seen| seen.runs.len() > before.len() / 2).await?;
        operators.freeze(&former)?;
        Ok(Instant::now())
    };
    let ((), stopped) = try_join!(namespace.turn_ready(before, 0), stop)?;
    namespace.turn_ready(meanwhile, 0).await?;
    operators.leader_other_than(&former).await?;
    sleep_until((stopped + time).into()).await;
    operators.thaw(&former)?;
    let begin = Instant::now();
    namespace.turn_ready(after, 0).await?;
    stage.until_all_jobs().await?;
    stage.recovered = Some(begin.elapsed());
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}
