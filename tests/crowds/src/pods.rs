//! Pods that no node runs: their readiness is what the scenario writes into their status.

use std::future::Future;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::patience::{answered, asked, done_or};

/// Requests in flight: enough for a burst, and few enough that two cores get to their answers.
const IN_FLIGHT: usize = 24;

/// The label `app` of pods that the ExtendedJobs are about.
pub const IN_SELECTOR: &str = "web";
/// That of others.
pub const OUT_OF_SELECTOR: &str = "other";

/// A pod that was created.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Namespace {
    /// Creates pods, named by what they are for.
    pub async fn create_pods(&self, purpose: &str, count: usize, label: &str) -> Result<Vec<Pod>> {
        let created =
            stream::iter(0..count).map(|number| self.create_pod(format!("{purpose}-{number}"), label));
        created.buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// The same, each with a label of its own.
    pub async fn create_pods_labelled(
        &self,
        purpose: &str,
        count: usize,
        label: impl Fn(usize) -> String,
    ) -> Result<Vec<Pod>> {
        let created = (0..count).map(async |number| {
            let label = label(number);
            self.create_pod(format!("{purpose}-{number}"), &label).await
        });
        stream::iter(created).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// Creates one pod.
    pub async fn create_pod(&self, name: String, label: &str) -> Result<Pod> {
        let manifest = json!({
            "metadata": {"name": name, "labels": {"app": label}},
            "spec": {
                "schedulerName": "nobody",
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "busybox"}],
            },
        });
        let pod: PodObject = serde_json::from_value(manifest).context("a pod's manifest")?;
        let (pods, params) = (self.api::<PodObject>(), PostParams::default());
        let what = format!("create the pod {name}");
        let created = match asked(&what, || pods.create(&params, &pod)).await? {
            Ok(created) => created,
            // By a request before this one, whose answer was lost.
            Err(status) if status.code == 409 => answered("read a pod", || pods.get(&name)).await?,
            Err(status) => return Err(status).with_context(|| format!("cannot {what}")),
        };
        Ok(Pod { name, uid: created.metadata.uid.context("a pod without a UID")? })
    }

    /// These pods turn ready in this second, or are ready since then.
    pub async fn turn_ready(&self, pods: &[Pod], second: u8) -> Result<()> {
        self.set_ready(pods, "True", second).await
    }

    /// These pods are no longer ready, since this second.
    pub async fn turn_unready(&self, pods: &[Pod], second: u8) -> Result<()> {
        self.set_ready(pods, "False", second).await
    }

    /// Deletes these pods; they are gone at once.
    pub async fn delete_pods(&self, pods: &[Pod]) -> Result<()> {
        let (api, params) = (self.api::<PodObject>(), DeleteParams::default().grace_period(0));
        // Not found: by a request before this one.
        each(pods, async |pod| {
            done_or(&format!("delete the pod {}", pod.name), 404, || api.delete(&pod.name, &params)).await
        })
        .await
    }

    /// Puts another label on these pods.
    pub async fn relabel(&self, pods: &[Pod], label: &str) -> Result<()> {
        self.patch(pods, None, json!({"metadata": {"labels": {"app": label}}})).await
    }

    /// These pods turn ready now, and are said to be so since before there was anything else.
    pub async fn turn_ready_long_ago(&self, pods: &[Pod]) -> Result<()> {
        self.set_ready_since(pods, "True", "2020-01-01T00:00:00Z").await
    }

    async fn set_ready(&self, pods: &[Pod], status: &str, second: u8) -> Result<()> {
        // Later than the creation of anything else.
        self.set_ready_since(pods, status, &format!("2040-01-01T00:00:{second:02}Z")).await
    }

    async fn set_ready_since(&self, pods: &[Pod], status: &str, time: &str) -> Result<()> {
        let ready = json!({"type": "Ready", "status": status, "lastTransitionTime": time});
        let patch = json!({"status": {"phase": "Running", "conditions": [ready]}});
        self.patch(pods, Some("status"), patch).await
    }

    async fn patch(&self, pods: &[Pod], subresource: Option<&str>, patch: Value) -> Result<()> {
        let (api, params, patch) = (self.api::<PodObject>(), PatchParams::default(), Patch::Merge(patch));
        each(pods, async |pod| {
            let what = format!("patch the pod {}", pod.name);
            let patched = answered(&what, || async {
                match subresource {
                    None => api.patch(&pod.name, &params, &patch).await,
                    Some(part) => api.patch_subresource(part, &pod.name, &params, &patch).await,
                }
            });
            patched.await.map(drop)
        })
        .await
    }
}

/// Does something to each pod, to several at a time.
async fn each<'a, F>(pods: &'a [Pod], act: impl Fn(&'a Pod) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    stream::iter(pods).map(act).buffer_unordered(IN_FLIGHT).try_collect().await
}
