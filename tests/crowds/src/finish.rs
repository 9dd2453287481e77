//! Ends Jobs in the place of the Job controller, which does nothing about parked ones.

use anyhow::Result;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::patience::{answered, done_or};

/// Ends a Job with success.
pub async fn finish(namespace: &Namespace, name: &str) -> Result<()> {
    let jobs = namespace.api::<Job>();
    let Some(job) = answered("read a Job", || jobs.get_opt(name)).await? else { return Ok(()) };
    end(namespace, name, &json!(job.metadata.creation_timestamp)).await
}

/// The same of one that was created at this time: one of the API server's own, so that no clock is asked.
pub async fn end(namespace: &Namespace, name: &str, time: &Value) -> Result<()> {
    let jobs = namespace.api::<Job>();
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
