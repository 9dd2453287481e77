//! Pods that somebody else runs. Most need no kubelet: nobody schedules them, and the test itself says in their
//! status when they are ready, with the time it chooses.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Namespace, at, condition};

/// Keeps a deleted object there until it is let go.
pub(crate) const HOLD: &str = "extendedjob.test/hold";

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

    /// There until it is let go, also when it is deleted.
    pub fn held(mut self) -> Self {
        self.manifest["metadata"]["finalizers"] = json!([HOLD]);
        self
    }

    /// Run by a real kubelet. It is ready while the file /ready exists in it, as it does at first, and ends when
    /// the file /end does, with the exit code that this holds.
    pub fn on_a_node(mut self) -> Self {
        let spec = &mut self.manifest["spec"];
        spec["schedulerName"] = json!("default-scheduler");
        spec["restartPolicy"] = json!("Never");
        spec["terminationGracePeriodSeconds"] = json!(1);
        let script = "touch /ready; until test -e /end; do sleep 1; done; exit $(cat /end)";
        spec["containers"][0]["command"] = json!(["sh", "-c", script]);
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

    /// The name of a pod that a node runs, as soon as there is one.
    pub fn until_running(&self) -> Result<String> {
        self.kubectl.until(&["pods"], "a pod that runs", |pods| {
            let running = pods["items"].as_array()?.iter().find(|pod| pod["status"]["phase"] == "Running")?;
            running["metadata"]["name"].as_str().map(str::to_owned)
        })
    }

    /// The pod is ready since this time.
    pub fn turn_ready(&self, pod: &str, time: &str) -> Result<()> {
        self.set_ready(&[pod], "True", time)
    }

    /// The pod is not ready since this time.
    pub fn turn_unready(&self, pod: &str, time: &str) -> Result<()> {
        self.set_ready(&[pod], "False", time)
    }

    /// Nobody knows since this time whether the pod is ready.
    pub fn turn_unknown(&self, pod: &str, time: &str) -> Result<()> {
        self.set_ready(&[pod], "Unknown", time)
    }

    /// The pod has no Ready condition.
    pub fn turn_unsaid(&self, pod: &str) -> Result<()> {
        self.set_conditions(&[pod], json!([]))
    }

    /// These pods are ready since this time; one command, one update after the other.
    pub fn turn_all_ready(&self, pods: &[String], time: &str) -> Result<()> {
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        self.set_ready(&pods, "True", time)
    }

    fn set_ready(&self, pods: &[&str], status: &str, time: &str) -> Result<()> {
        self.set_conditions(pods, json!([ready(status, time)]))
    }

    fn set_conditions(&self, pods: &[&str], conditions: Value) -> Result<()> {
        let patch = json!({"status": {"phase": "Running", "conditions": conditions}});
        let patch = format!("--patch={patch}");
        let flags = ["--subresource=status", "--type=merge", &patch];
        self.kubectl.run(&[&["patch", "pod"], pods, &flags].concat()).map(drop)
    }

    /// The pod turns unready and ready again at each of these times. One command, so that it is quick.
    pub fn flap(&self, pod: &str, times: impl Iterator<Item = String>) -> Result<()> {
        let with = |status, time: &str| {
            let status = json!({"phase": "Running", "conditions": [ready(status, time)]});
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "status": status})
        };
        let updates = times.flat_map(|time| [with("False", &time), with("True", &time)]);
        let updates = json!({"apiVersion": "v1", "kind": "List", "items": updates.collect::<Vec<_>>()});
        let apply = ["apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename=-"];
        self.kubectl.run_with_input(&apply, &updates.to_string()).map(drop)
    }

    /// Waits until a kubelet has given the pod's Ready condition this status.
    pub fn ready_until(&self, pod: &str, status: &str) -> Result<()> {
        self.kubectl.until(&["pod", pod], &format!("Ready={status}"), |pod| {
            condition(pod, "Ready").filter(|ready| ready["status"] == status).map(drop)
        })
    }

    /// Runs a shell script in a pod that has a node.
    pub fn run_in(&self, pod: &str, script: &str) -> Result<()> {
        self.kubectl.run(&["exec", pod, "--", "sh", "-c", script]).map(drop)
    }

    /// Deletes a held pod: it has a deletionTimestamp then, and stays.
    pub fn mark_deleted(&self, pod: &str) -> Result<()> {
        self.kubectl.run(&["delete", "pod", pod, "--wait=false"]).map(drop)
    }

    /// Lets a held pod go.
    pub fn let_go(&self, pod: &str) -> Result<()> {
        self.patch(&format!("pod/{pod}"), &json!({"metadata": {"finalizers": null}}))
    }

    /// Waits until the pod is gone.
    pub fn until_gone(&self, pod: &str) -> Result<()> {
        self.kubectl.until(&["pod", pod], "no such pod", |seen| seen.is_null().then_some(()))
    }

    /// Labels a pod anew.
    pub fn relabel(&self, pod: &str, label: &str) -> Result<()> {
        self.kubectl.run(&["label", "--overwrite", "pod", pod, label]).map(drop)
    }
}

/// A Ready condition.
fn ready(status: &str, time: &str) -> Value {
    json!({"type": "Ready", "status": status, "lastTransitionTime": time})
}
