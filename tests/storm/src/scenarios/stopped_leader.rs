//! A leader stands still in the middle of a burst, another one takes over when the Lease has run out, and then
//! the first one goes on as if no time had passed.

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::pods::IN_SELECTOR;
use futures::try_join;

use crate::stage::Stage;

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    stage.operators.start()?;
    stage.declare("ready", triggered("ready")).await?;
    let pods = stage.namespace.create_pods("stopped", stage.load.pods(), IN_SELECTOR).await?;
    stage.expected.one("ready", &pods);
    let (before, others) = pods.split_at(pods.len() / 3);
    let (meanwhile, after) = others.split_at(others.len() / 2);

    let Stage { namespace, jobs, operators, .. } = &mut *stage;
    let former = operators.leader().await?;
    let stop = async {
        jobs.until("half of the first Jobs", |seen| seen.runs.len() >= before.len() / 2).await?;
        operators.freeze(&former)
    };
    try_join!(namespace.turn_ready(before, 0), stop)?;
    namespace.turn_ready(meanwhile, 0).await?;
    operators.leader_other_than(&former).await?;
    operators.thaw(&former)?;
    namespace.turn_ready(after, 0).await?;
    stage.settle().await
}
