//! The ExtendedJobs of a scenario.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::names::{GROUP, KIND, VERSION};
use crate::namespace::Namespace;
use crate::patience::{answered, done_or, until};
use crate::pods::IN_SELECTOR;

/// ExtendedJobs that are declared at a time.
const AT_A_TIME: usize = 16;
/// The newest runs, as many as a status tells of one by one.
const RUNS_TOLD: u64 = 10;

/// The spec of one that waits for pods. Its Jobs are parked: they start no pod, and end when they are told to.
pub fn triggered(when: &str) -> Value {
    triggered_by(when, IN_SELECTOR)
}

/// The same of one that waits for pods with this label.
pub fn triggered_by(when: &str, label: &str) -> Value {
    let selector = json!({"matchLabels": {"app": label}});
    json!({"triggers": {"when": when, "selector": selector}, "template": parked()})
}

/// The spec of one that runs once.
pub fn once() -> Value {
    json!({"run": "once", "template": parked()})
}

/// The spec of one that someone has asked for, and that keeps no Job.
pub fn errand() -> Value {
    json!({"run": "now", "successfulRunsHistoryLimit": 0, "template": parked()})
}

/// The spec of one that runs once, and again when this ConfigMap changes.
pub fn following(config_map: &str) -> Value {
    restarting(json!([{"configMapRef": {"name": config_map}}]))
}

/// The same of a Secret.
pub fn following_secret(secret: &str) -> Value {
    restarting(json!([{"secretRef": {"name": secret}}]))
}

fn restarting(used: Value) -> Value {
    let mut template = parked();
    template["spec"]["template"]["spec"]["containers"][0]["envFrom"] = used;
    json!({"run": "once", "updateOnConfigChange": true, "template": template})
}

/// The same spec, but its Jobs run this command.
pub fn running(mut spec: Value, command: Value) -> Value {
    let job = &mut spec["template"]["spec"];
    job["suspend"] = json!(false);
    job["template"]["spec"]["containers"][0]["command"] = command;
    spec
}

/// A Job's template that starts no pod.
pub fn parked() -> Value {
    let containers = json!([{"name": "main", "image": "busybox"}]);
    json!({"spec": {
        "suspend": true,
        "template": {"spec": {"restartPolicy": "Never", "containers": containers}},
    }})
}

impl Namespace {
    /// Those in the namespace.
    pub fn extended_jobs(&self) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, KIND));
        Api::namespaced_with(self.client().clone(), &self.name, &kind)
    }

    /// Creates one, and waits until an operator acts on it.
    pub async fn declare(&self, name: &str, spec: Value) -> Result<()> {
        self.create_extended_job(name, spec).await?;
        self.until(name, "Ready=True", |seen| {
            let mut conditions = seen["status"]["conditions"].as_array().into_iter().flatten();
            seen["status"]["observedGeneration"] == 1
                && conditions.any(|found| found["type"] == "Ready" && found["status"] == "True")
        })
        .await
    }

    /// The same of many, several at a time.
    pub async fn declare_all(&self, declared: impl IntoIterator<Item = (String, Value)>) -> Result<()> {
        let declared =
            declared.into_iter().map(async |(name, spec): (String, Value)| self.declare(&name, spec).await);
        stream::iter(declared).buffer_unordered(AT_A_TIME).try_collect().await
    }

    /// Creates one, whoever acts on it.
    pub async fn create_extended_job(&self, name: &str, spec: Value) -> Result<()> {
        let manifest = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": KIND,
            "metadata": {"name": name},
            "spec": spec,
        });
        let object: DynamicObject = serde_json::from_value(manifest).context("an ExtendedJob's manifest")?;
        let (extended_jobs, params) = (self.extended_jobs(), PostParams::default());
        answered(&format!("create the ExtendedJob {name}"), || extended_jobs.create(&params, &object))
            .await
            .map(drop)
    }

    /// Deletes one, and waits until it is gone; its Jobs may stay a little longer.
    pub async fn delete_extended_job(&self, name: &str) -> Result<()> {
        let (extended_jobs, params) = (self.extended_jobs(), DeleteParams::default());
        done_or("delete an ExtendedJob", 404, || extended_jobs.delete(name, &params)).await?;
        until("the end of an ExtendedJob", async || {
            let left = answered("read an ExtendedJob", || extended_jobs.get_opt(name)).await?;
            Ok(left.is_none().then_some(()))
        })
        .await
    }

    /// Waits until none of its runs waits to be started.
    pub async fn until_nothing_is_pending(&self, name: &str) -> Result<()> {
        self.until(name, "no pending run", |seen| seen["status"]["pending"].as_u64().unwrap_or(0) == 0).await
    }

    /// Waits until so many runs have succeeded, and the output of the last of them is stored.
    pub async fn until_written(&self, name: &str, runs: usize) -> Result<()> {
        self.until(name, &format!("the output of {runs} runs"), |seen| {
            seen["status"]["succeeded"] == runs && is_written(&seen["status"]["lastRun"])
        })
        .await
    }

    /// Waits until so many requests are completed, `run` is back, and the output of the last run is stored; gives its Job.
    pub async fn until_completed_and_written(&self, name: &str, requests: u64) -> Result<String> {
        self.until_completed(name, requests).await?;
        self.find(name, "the output of the last run", |seen| {
            let run = &seen["status"]["lastRun"];
            run["job"].as_str().filter(|_| is_written(run)).map(str::to_owned)
        })
        .await
    }

    /// What the container `main` wrote to stdout, as it is stored in this ConfigMap.
    pub async fn stored_output(&self, config_map: &str) -> Result<String> {
        let config_maps = self.api::<ConfigMap>();
        let stored = answered("read the output", || config_maps.get(config_map)).await?;
        let text = stored.data.and_then(|mut data| data.remove("main.stdout"));
        text.with_context(|| format!("no output in the ConfigMap {config_map}"))
    }

    /// Waits until a run is under way after so many changes of configuration.
    pub async fn until_revision(&self, name: &str, revision: u64) -> Result<()> {
        self.until(name, &format!("a run of config revision {revision}"), |seen| {
            let status = &seen["status"];
            let runs = status["runs"].as_array().map_or(0, Vec::len);
            status["configRevision"] == revision
                && runs as u64 == RUNS_TOLD.min(revision + 1)
                && status["lastRun"]["result"] == "Running"
        })
        .await
    }

    /// Asks for a run of an errand.
    pub async fn set_to_now(&self, name: &str) -> Result<()> {
        let (extended_jobs, params) = (self.extended_jobs(), PatchParams::default());
        let patch = Patch::Merge(json!({"spec": {"run": "now"}}));
        answered("set run to now", || extended_jobs.patch(name, &params, &patch)).await.map(drop)
    }

    /// Waits until so many requests are completed, and `run` is back.
    pub async fn until_completed(&self, name: &str, requests: u64) -> Result<()> {
        self.until(name, "a completed request", |seen| {
            seen["status"]["completedRunNumber"] == requests && seen["spec"]["run"] == "manually"
        })
        .await
    }

    async fn until(&self, name: &str, wanted: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        self.find(name, wanted, |seen| is_so(seen).then_some(())).await
    }

    /// Waits until this is found in what one of them says.
    async fn find<T>(&self, name: &str, wanted: &str, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let extended_jobs = self.extended_jobs();
        until(&format!("{wanted} of the ExtendedJob {name}"), async || {
            let seen = answered("read an ExtendedJob", || extended_jobs.get(name)).await?;
            Ok(look(&seen.data))
        })
        .await
    }
}

/// Whether all that a run printed is where it belongs.
fn is_written(run: &Value) -> bool {
    let outputs = run["outputs"].as_array();
    outputs.is_some_and(|all| !all.is_empty() && all.iter().all(|output| output["result"] == "Written"))
}
