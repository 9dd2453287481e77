//! Pods become ready one after the other, and one leader after the other is killed.

use std::time::Duration;

use anyhow::Result;
use futures::try_join;
use tokio::time::interval;

use crate::extended_jobs::triggered;
use crate::pods::IN_SELECTOR;
use crate::stage::Stage;

/// From one killing to the next.
const REIGN: Duration = Duration::from_secs(5);

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("leaders", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);

    let Stage { namespace, operators, load, .. } = &mut *stage;
    let time = load.time();
    let mut pace = interval(time / u32::try_from(pods.len())?);
    let load = async {
        for pod in &pods {
            pace.tick().await;
            namespace.turn_ready(std::slice::from_ref(pod), 0).await?;
        }
        Ok(())
    };
    let mut reigns = interval(REIGN);
    let deaths = async {
        // The first tick comes at once.
        reigns.tick().await;
        for _ in 0..time.as_secs() / REIGN.as_secs() {
            reigns.tick().await;
            operators.kill_leader().await?;
            operators.start()?;
        }
        anyhow::Ok(())
    };
    try_join!(load, deaths)?;
    stage.settle().await
}
