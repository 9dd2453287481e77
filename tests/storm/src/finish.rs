//! Ends Jobs in the place of the Job controller, which does nothing about parked ones.

use std::collections::BTreeSet;
use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::watch;

use crowds::jobs_seen::{Run, Seen};
use crowds::namespace::Namespace;
use crowds::patience::{answered, done_or};

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

/// Ends a Job with success.
pub(crate) async fn finish(namespace: &Namespace, name: &str) -> Result<()> {
    let jobs = namespace.api::<Job>();
    let Some(job) = answered("read a Job", || jobs.get_opt(name)).await? else { return Ok(()) };
    // One of the API server's own times: no clock is asked.
    let time = json!(job.metadata.creation_timestamp);
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time, "reason": "CompletionsReached"});
    let patch = Patch::Merge(json!({"status": {
        "startTime": time,
        "completionTime": time,
        "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    }}));
    let params = PatchParams::default();
    // Not found: gone since.
    done_or(&format!("finish the Job {name}"), 404, || jobs.patch_status(name, &params, &patch)).await
}
