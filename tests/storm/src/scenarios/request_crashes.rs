//! The operator crashes at each of the writes by which an errand is run, set back and told of. The next one repeats no
//! run, and swallows no request.

use anyhow::Result;
use crowds::extended_jobs::errand;

use super::crash_points::crashes;
use crate::finish::finish_as_they_come;
use crate::stage::Stage;

/// The first status accepts the request, the next ones tell of the run and of its completion.
const WRITES: [(&str, u32); 5] = [("status", 1), ("status", 2), ("job", 1), ("reset", 1), ("cleanup", 1)];

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    for (write, moment, number) in crashes(WRITES, stage.load.is_short()) {
        crash_at(stage, write, moment, number).await?;
    }
    Ok(())
}

async fn crash_at(stage: &mut Stage<'_>, write: &str, moment: &str, number: u32) -> Result<()> {
    let name = format!("{write}-{moment}-{number}");
    let failpoint = format!("{write}:{moment}:{number}");
    stage.operators.start_to_crash(&failpoint)?;
    let finishing = finish_as_they_come(stage.namespace.clone(), stage.jobs.receiver(), &name, |_| true);
    let crashing = async {
        stage.expected.without_pod(2, &name);
        stage.namespace.create_extended_job(&name, errand()).await?;
        stage.operators.crashed(&failpoint).await?;
        stage.operators.start()?;
        stage.namespace.until_completed(&name, 1).await?;
        stage.namespace.set_to_now(&name).await?;
        stage.namespace.until_completed(&name, 2).await?;
        stage.operators.kill_all().await
    };
    tokio::select! {
        broken = finishing => match broken? {},
        crashed = crashing => crashed,
    }?;
    stage.jobs.catch_up_with(&stage.namespace, &format!("mark-{name}")).await
}
