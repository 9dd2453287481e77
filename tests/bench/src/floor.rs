//! The floor: the barest program that makes one Job per pod that turns ready. It remembers nothing beyond a restart, looks at
//! nothing but readiness, and tells nobody. What an operator takes more than that is the price of its promises.

use std::collections::HashSet;

use anyhow::{Context, Result};
use crowds::extended_jobs::parked;
use crowds::namespace::Namespace;
use crowds::target::Target;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::PostParams;
use kube::core::{PartialObjectMeta, Request};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::arrivals::FLOOR_POD_UID;
use crate::lines::{self, Event};

/// Jobs that are asked for at a time.
const IN_FLIGHT: usize = 16;

/// Runs until it is dropped.
pub(crate) struct Floor(JoinHandle<()>);

/// What decides of a pod.
#[derive(Deserialize)]
struct Readiness {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        self.conditions.iter().any(|it| it.r#type == "Ready" && it.status == "True")
    }
}

impl Floor {
    /// Starts it in a namespace where no pod is ready yet, with connections of its own.
    /// It has an account with rights that the API server has to look up, as the operator has.
    pub(crate) async fn start(target: &Target, namespace: &Namespace) -> Result<Self> {
        let client = target.connect_as_account(namespace, "admin").await?;
        let namespace = namespace.name.clone();
        let events = lines::watch::<Pod, Readiness>(&client, &namespace).await?;
        let mut known = HashSet::new();
        let turned_ready = events.try_filter_map(move |Event { kind, object }| {
            let is_new = kind != "DELETED" && object.status.is_ready();
            let uid = object.metadata.uid;
            std::future::ready(Ok((is_new && known.insert(uid.clone())).then_some(uid)))
        });
        let work = async move {
            let jobs = Request::new(Job::url_path(&(), Some(&namespace)));
            let made = turned_ready.map(async |uid: Result<String>| {
                let request = jobs.create(&PostParams::default(), job(&uid?))?;
                client.request::<PartialObjectMeta<Job>>(request).await.map(drop).context("make a Job")
            });
            made.buffer_unordered(IN_FLIGHT).try_for_each(async |()| Ok(())).await
        };
        Ok(Self(tokio::spawn(async move {
            if let Err(error) = work.await {
                eprintln!("the floor gave way: {error:#}");
            }
        })))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The Job that the operator's ExtendedJobs make, but for what the operator adds.
fn job(pod_uid: &str) -> Vec<u8> {
    let mut job = parked();
    job["metadata"] = json!({"name": format!("floor-{pod_uid}"), "annotations": {FLOOR_POD_UID: pod_uid}});
    job["apiVersion"] = json!("batch/v1");
    job["kind"] = json!("Job");
    job.to_string().into_bytes()
}
