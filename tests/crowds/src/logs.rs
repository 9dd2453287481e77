//! Containers that print, many at a time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::extended_jobs::once;
use crate::namespace::Namespace;
use crate::patience::{answered, until_within};

/// Hundreds of containers take their time to start.
const START: Duration = Duration::from_secs(240);

/// So many of them.
#[derive(Clone, Copy)]
pub struct Logs {
    /// Pods of one Job.
    pub pods: usize,
    /// In each.
    pub containers: usize,
}

impl Logs {
    /// How many logs that is.
    #[must_use]
    pub fn count(self) -> usize {
        self.pods * self.containers
    }

    /// The spec of one that runs once; its containers print a line each five seconds until so long from now, and at last
    /// `end`.
    #[must_use]
    pub fn printed_for(self, time: Duration) -> Value {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + time;
        let script = format!(
            "while [ $(date +%s) -lt {} ]; do echo line; sleep 5; done; echo end; sleep 5",
            end.as_secs()
        );
        let containers = (0..self.containers).map(|number| container(&format!("c{number}"), &script));
        printing(containers.collect(), self.pods)
    }
}

/// A container that runs this.
#[must_use]
pub fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox", "command": ["sh", "-c", script]})
}

/// The spec of one that runs once, in so many pods, and whose output is stored.
#[must_use]
pub fn printing(containers: Value, pods: usize) -> Value {
    let mut spec = once();
    let job = &mut spec["template"]["spec"];
    job["suspend"] = json!(false);
    job["completionMode"] = json!("Indexed");
    job["completions"] = json!(pods);
    job["parallelism"] = json!(pods);
    job["template"]["spec"]["containers"] = containers;
    spec["output"] = json!({"stdout": {"configRef": "logs"}});
    spec
}

impl Namespace {
    /// Waits until so many containers run.
    pub async fn until_containers_run(&self, count: usize) -> Result<()> {
        let (pods, all) = (self.api::<Pod>(), ListParams::default());
        until_within(START, &format!("{count} containers that run"), async || {
            let pods = answered("list the pods", || pods.list(&all)).await?;
            let statuses = pods.items.into_iter().filter_map(|pod| pod.status?.container_statuses).flatten();
            let running =
                statuses.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
            Ok((running.count() == count).then_some(()))
        })
        .await
    }
}
