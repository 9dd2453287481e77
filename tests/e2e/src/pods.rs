//! Pods that somebody else runs. Most need no kubelet: nobody schedules them, and the test itself says in their
//! status when they are ready, with the time it chooses.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Namespace, at};

/// A pod to be created.
#[derive(Clone, Debug)]
pub struct Pod {
    name: String,
    manifest: Value,
    ready_since: Option<String>,
}

/// A pod that no node runs.
pub fn pod(name: &str) -> Pod {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {}},
        "spec": {
            "schedulerName": "nobody",
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1000"]}],
        },
    });
    Pod { name: name.to_owned(), manifest, ready_since: None }
}

impl Pod {
    /// With this label.
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.manifest["metadata"]["labels"][key] = json!(value);
        self
    }

    /// Ready as soon as it is there, by the first of the chosen times.
    pub fn ready(self) -> Self {
        self.ready_at(&at(0))
    }

    /// Ready as soon as it is there, by this time.
    pub fn ready_at(mut self, time: &str) -> Self {
        self.ready_since = Some(time.to_owned());
        self
    }

    /// Run by a real kubelet, and ready while the file /ready exists in it, as it does at first.
    pub fn on_a_node(mut self) -> Self {
        let spec = &mut self.manifest["spec"];
        spec["schedulerName"] = json!("default-scheduler");
        spec["containers"][0]["command"] = json!(["sh", "-c", "touch /ready; sleep 1000"]);
        spec["containers"][0]["readinessProbe"] = json!({
            "exec": {"command": ["test", "-e", "/ready"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        });
        self
    }
}

impl From<Pod> for Value {
    fn from(pod: Pod) -> Self {
        pod.manifest
    }
}

impl Namespace {
    /// Creates the pod, and makes it ready if it is to be.
    pub fn start(&self, pod: Pod) -> Result<()> {
        let (name, ready_since) = (pod.name.clone(), pod.ready_since.clone());
        self.create(pod)?;
        ready_since.map_or(Ok(()), |time| self.turn_ready(&name, &time))
    }

    /// The pod is ready since this time.
    pub fn turn_ready(&self, pod: &str, time: &str) -> Result<()> {
        self.set_ready(&[pod], "True", time)
    }

    /// The pod is not ready since this time.
    pub fn turn_unready(&self, pod: &str, time: &str) -> Result<()> {
        self.set_ready(&[pod], "False", time)
    }

    /// These pods are ready since this time; one command, one update after the other.
    pub fn turn_all_ready(&self, pods: &[String], time: &str) -> Result<()> {
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        self.set_ready(&pods, "True", time)
    }

    fn set_ready(&self, pods: &[&str], status: &str, time: &str) -> Result<()> {
        let ready = json!({"type": "Ready", "status": status, "lastTransitionTime": time});
        let patch = json!({"status": {"phase": "Running", "conditions": [ready]}});
        let patch = format!("--patch={patch}");
        let flags = ["--subresource=status", "--type=merge", &patch];
        self.kubectl.run(&[&["patch", "pod"], pods, &flags].concat()).map(drop)
    }

    /// Labels a pod anew.
    pub fn relabel(&self, pod: &str, label: &str) -> Result<()> {
        self.kubectl.run(&["label", "--overwrite", "pod", pod, label]).map(drop)
    }
}
