//! What may go wrong with the machine that an operator runs on.

use std::fs;

use anyhow::{Context, Result, ensure};
use crowds::clock::Clock;
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;

use super::writer;
use crate::stage::Stage;

/// How far the clock is put off, in seconds.
const HOUR: i64 = 60 * 60;
/// Runs that wait for a brake each time: they are to start within seconds, whatever the clock says.
const BRAKED: usize = 10;
/// The operator lets so many start at once, and then one a second.
const BRAKE: [&str; 4] = ["--burst", "10", "--period", "1"];
const AT_ONCE: usize = 10;

/// Its clock is set forward by two hours, and back by one. (Never behind the machine's: the certificates of a cluster that was
/// just made would not be valid yet.)
pub(super) async fn clock_is_set(stage: &mut Stage<'_>) -> Result<()> {
    let clock = Clock::new(stage.target, stage.load.dynamic_operator()?)?;
    stage.operators.go_by(&clock);
    stage.operators.tell(&BRAKE);
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    writer::begin(stage).await?;
    let crowd = AT_ONCE + BRAKED;
    let pods = stage.namespace.create_pods("pod", 3 * crowd, IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    for (pods, ahead) in pods.chunks(crowd).zip([0, 2 * HOUR, HOUR]) {
        stage.namespace.turn_ready(pods, 0).await?;
        clock.put_off(ahead)?;
        stage.operators.until_clock_is_off(ahead).await?;
    }
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}

/// There is no room for the logs that it follows.
pub(super) async fn disk_is_full(stage: &mut Stage<'_>) -> Result<()> {
    let folder = stage.target.folder.join("full");
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    stage.operators.fill_disk_at(&folder);
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    ensure!(stage.operators.leading_process().await?.has_full_disk_at(&folder), "the disk is not full");
    writer::begin(stage).await?;
    let pods = stage.namespace.create_pods("pod", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    stage.namespace.turn_ready(&pods, 0).await?;
    writer::until_all_is_written(stage).await?;
    stage.settle().await
}
