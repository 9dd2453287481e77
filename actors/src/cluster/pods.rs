//! Pods: watched slim, in all namespaces; listed whole only for one finished Job.

use extendedjob_api::{ContainerEnd, names};
use extendedjob_decide::{
    edges::Edges,
    job::Job,
    pod::{Pod, Readiness, Status, Version},
};
use jiff::Timestamp;
use kube::{api::ListParams, core::Request};
use serde::{Deserialize, de::Error as _};

use super::{
    Cluster, Fault,
    meta::{Condition, Meta},
    requests,
    watch::Source,
};

/// Why pods could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// Where pods are.
    #[error("can't list pods: {0}")]
    Version(#[source] Fault),
    /// That is no number, as Kubernetes promises it is.
    #[error("the resourceVersion of a list of pods is no number: {0}")]
    NoNumber(String),
    /// The pods of a Job.
    #[error("can't list the pods of Job {job}: {source}")]
    List {
        /// `namespace/name`.
        job: String,
        /// Why.
        source: Fault,
    },
}

/// The watch on all pods.
pub(crate) const SOURCE: Source<Pod> = Source { path: "/api/v1/pods", label: None, decode };

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    metadata: Meta,
    spec: Spec,
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    state: ContainerState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    reason: String,
    finished_at: Option<Timestamp>,
}

fn decode(json: &str) -> Result<Pod, serde_json::Error> {
    let Wire { metadata, spec, status } = serde_json::from_str(json)?;
    let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
    Ok(Pod {
        ready: ready.map_or_else(Readiness::default, readiness),
        deleting: metadata.deletion_timestamp.is_some(),
        version: metadata.resource_version.parse().map_err(|_| {
            serde_json::Error::custom("metadata.resourceVersion is no number, as Kubernetes promises it is")
        })?,
        ours: metadata.labels.contains_key(names::EXTENDEDJOB_LABEL)
            && metadata.controller().is_some_and(|owner| owner.kind == "Job"),
        created: metadata.creation_timestamp,
        uid: metadata.uid,
        name: metadata.name,
        namespace: metadata.namespace,
        labels: metadata.labels,
        ip: status.pod_ip,
        node: spec.node_name,
        appeared: None,
        edges: Edges::default(),
        earlier: Vec::new(),
    })
}

fn readiness(condition: &Condition) -> Readiness {
    let status = match condition.status.as_str() {
        "True" => Status::True,
        "False" => Status::False,
        _ => Status::Unknown,
    };
    Readiness { status, since: condition.last_transition_time }
}

/// A pod of a Job of ours that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedPod {
    /// The pod's name.
    pub name: String,
    /// Whether all its containers did their work.
    pub succeeded: bool,
    /// When its last container ended, or if that is not known when it was created.
    pub ended: Option<Timestamp>,
    /// How its containers ended.
    pub containers: Vec<ContainerEnd>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Wire>,
}

#[derive(Deserialize)]
struct Head {
    metadata: Meta,
}

impl Cluster {
    /// Where pods are now.
    pub(crate) async fn pods_version(&self) -> Result<Version, PodError> {
        let request = Request::new("/api/v1/pods").list(&ListParams::default().limit(1));
        let head: Head = self.call(request).await.map_err(PodError::Version)?;
        head.metadata.resource_version.parse().map_err(|_| PodError::NoNumber(head.metadata.resource_version))
    }

    /// The pods of `job` that have ended, the last one last.
    pub async fn ended_pods(&self, job: &Job) -> Result<Vec<EndedPod>, PodError> {
        let selector = format!("batch.kubernetes.io/controller-uid={}", job.uid);
        let params = ListParams::default().labels(&selector);
        let list: List = self
            .call(requests("api/v1", &job.namespace, "pods").list(&params))
            .await
            .map_err(|source| PodError::List { job: format!("{}/{}", job.namespace, job.name), source })?;
        let mut pods: Vec<EndedPod> = list.items.into_iter().filter_map(ended_pod).collect();
        pods.sort_by_key(|pod| pod.ended);
        Ok(pods)
    }
}

fn ended_pod(pod: Wire) -> Option<EndedPod> {
    let succeeded = match pod.status.phase.as_str() {
        "Succeeded" => true,
        "Failed" => false,
        _ => return None,
    };
    let containers = pod.status.container_statuses;
    let finished = |container: &ContainerStatus| container.state.terminated.as_ref()?.finished_at;
    let ended = containers.iter().filter_map(finished).max().or(pod.metadata.creation_timestamp);
    let containers = containers.into_iter().filter_map(|ContainerStatus { name, state }| {
        let Terminated { exit_code, reason, .. } = state.terminated?;
        Some(ContainerEnd { name, exit_code, reason })
    });
    Some(EndedPod { name: pod.metadata.name, succeeded, ended, containers: containers.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_a_job_of_ours_is_known_by_label_and_controller() {
        let pod = |label: &str, kind: &str| {
            let json = format!(
                r#"{{"metadata": {{"name": "p", "resourceVersion": "1", "labels": {{"{label}": "x"}},
                   "ownerReferences": [{{"kind": "{kind}", "uid": "u", "controller": true}}]}}}}"#
            );
            decode(&json).unwrap().ours
        };
        assert!(pod(names::EXTENDEDJOB_LABEL, "Job"));
        assert!(!pod(names::EXTENDEDJOB_LABEL, "ReplicaSet"));
        assert!(!pod("app", "Job"));
    }

    #[test]
    fn a_new_pod_has_no_readiness() {
        let pod =
            decode(r#"{"metadata": {"name": "p", "resourceVersion": "7"}, "spec": {"containers": []}}"#)
                .unwrap();
        assert_eq!((pod.ready.status, pod.version), (Status::Absent, 7));
    }
}
