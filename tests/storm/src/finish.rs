//! Ends Jobs in the place of the Job controller, as they come.

use std::collections::BTreeSet;
use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use crowds::finish::finish;
use crowds::jobs_seen::{Run, Seen};
use crowds::namespace::Namespace;
use tokio::sync::watch;

/// Ends each parked Job as it appears, for ever. Fails when two of an ExtendedJob that is to run `one_at_a_time` are
/// there unfinished.
pub(crate) async fn finish_as_they_come(
    namespace: Namespace,
    mut seen: watch::Receiver<Seen>,
    one_at_a_time: &str,
    is_parked: impl Fn(&Run) -> bool,
) -> Result<Infallible> {
    let mut finished = BTreeSet::new();
    loop {
        let is_new =
            |(uid, run): &(&String, &Run)| !run.is_gone && !finished.contains(*uid) && is_parked(run);
        let new: Vec<(String, Run)> = {
            let seen = seen.borrow_and_update();
            seen.runs.iter().filter(is_new).map(|(uid, run)| (uid.clone(), run.clone())).collect()
        };
        let together = new.iter().filter(|(_, run)| run.extended_job == one_at_a_time).count();
        ensure!(together <= 1, "{together} Jobs of {one_at_a_time} at a time");
        for (uid, run) in new {
            // Before it is, so that its successor is not taken for its companion.
            finished.insert(uid);
            finish(&namespace, &run.job).await?;
        }
        seen.changed().await.context("the Jobs are no longer followed")?;
    }
}
