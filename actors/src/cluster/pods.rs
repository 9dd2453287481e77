//! Pods: watched slim, in all namespaces or in one; listed whole only for one finished Job.

use std::{net::IpAddr, sync::Arc};

use extendedjob_api::names;
use extendedjob_decide::{
    attempts::{Container, Ended, JobPod, Node, Phase},
    edges::Edges,
    job::Job,
    pod::{Pod, Readiness, Status, Version},
    wrap,
};
use jiff::Timestamp;
use kube::{api::ListParams, core::Request};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

use super::{
    Cluster, Fault,
    meta::{Condition, Meta},
    requests,
    watch::Source,
};

/// The annotation by which a pod of an Indexed Job says which completion it is for
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>).
const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Why pods could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// All pods, or those of a namespace.
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
pub(crate) const SOURCE: Source<WatchedPod> =
    Source { group: "api/v1", resource: "pods", label: None, metadata_only: false, decode };

/// A pod, and if a Job of ours made it, what it tells of that Job's attempts.
pub(crate) struct WatchedPod {
    pub(crate) pod: Pod,
    pub(crate) own: Option<Arc<JobPod>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire<'a> {
    metadata: Meta,
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(borrow)]
    status: PodStatus<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    node_name: Option<String>,
    restart_policy: String,
    /// Raw, as the statuses below: they matter only in pods of Jobs of ours.
    #[serde(borrow)]
    containers: Option<&'a RawValue>,
    #[serde(borrow)]
    init_containers: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus<'a> {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    conditions: Vec<Condition>,
    #[serde(borrow)]
    container_statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    init_container_statuses: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    restart_count: u32,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Waiting>,
    running: Option<Running>,
    terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

impl Waiting {
    /// Why the container's image can't be pulled, if it can't.
    fn image_trouble(self) -> Option<String> {
        const WORDS: [&str; 6] = [
            "ErrImage",
            "ImagePull",
            "InvalidImage",
            "ImageInspect",
            "RegistryUnavailable",
            "SignatureValidation",
        ];
        let is_about_it = WORDS.iter().any(|it| self.reason.starts_with(it));
        is_about_it.then(|| format!("{}: {}", self.reason, self.message))
    }

    /// Whether the container is not just on its way: so the kubelet calls what it can't pull or create, and what comes
    /// after an init container that has not ended well.
    fn is_barred(&self) -> bool {
        const WORDS: [&str; 5] = ["Err", "ImagePull", "InvalidImage", "CreateContainer", "PodInitializing"];
        WORDS.iter().any(|it| self.reason.starts_with(it))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    reason: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

fn decode(json: &str) -> Result<WatchedPod, serde_json::Error> {
    let wire: Wire<'_> = serde_json::from_str(json)?;
    let own = own(&wire)?;
    let Wire { metadata, spec, status } = wire;
    let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
    let pod = Pod {
        ready: ready.map_or_else(Readiness::default, readiness),
        deleting: metadata.deletion_timestamp.is_some(),
        version: metadata.resource_version.parse().map_err(|_| {
            serde_json::Error::custom("metadata.resourceVersion is no number, as Kubernetes promises it is")
        })?,
        ours: own.is_some(),
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
    };
    Ok(WatchedPod { pod, own: own.map(Arc::new) })
}

/// What a pod tells of the attempts of the Job that made it; `None` unless that is one of ours.
fn own(Wire { metadata, spec, status }: &Wire<'_>) -> Result<Option<JobPod>, serde_json::Error> {
    let ours = metadata.labels.contains_key(names::EXTENDEDJOB_LABEL);
    let Some(job) = metadata.controller("batch", "Job").filter(|_| ours) else {
        return Ok(None);
    };
    let mut drains = containers(spec.init_containers, status.init_container_statuses)?;
    drains.retain(|container| wrap::is_drain(&container.name));
    let added: Vec<ContainerStatus> = parse(status.init_container_statuses)?;
    let added = added.into_iter().filter(|status| wrap::is_ours(&status.name));
    let image_trouble = added.filter_map(|status| status.state.waiting?.image_trouble()).next();
    Ok(Some(JobPod {
        uid: metadata.uid.clone(),
        name: metadata.name.clone(),
        job: job.uid.clone(),
        index: metadata.annotations.get(COMPLETION_INDEX).and_then(|index| index.parse().ok()),
        created: metadata.creation_timestamp,
        node: node(spec.node_name.as_ref(), status.host_ip.as_ref()),
        phase: match status.phase.as_str() {
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            _ => Phase::Open,
        },
        restarts: spec.restart_policy == "OnFailure",
        containers: containers(spec.containers, status.container_statuses)?,
        drains,
        image_trouble,
    }))
}

/// What is no address stands in no address of a file.
fn node(name: Option<&String>, address: Option<&String>) -> Option<Node> {
    let address = address.filter(|address| address.parse::<IpAddr>().is_ok());
    name.zip(address).map(|(name, address)| Node { name: name.clone(), address: address.clone() })
}

fn containers(
    declared: Option<&RawValue>,
    statuses: Option<&RawValue>,
) -> Result<Vec<Container>, serde_json::Error> {
    let declared: Vec<Named> = parse(declared)?;
    let mut statuses: Vec<ContainerStatus> = parse(statuses)?;
    let containers = declared.into_iter().map(|Named { name }| {
        let status = statuses.iter_mut().find(|status| status.name == name);
        let ContainerStatus { restart_count, state, last_state, .. } =
            status.map(std::mem::take).unwrap_or_default();
        Container {
            name,
            restarts: restart_count,
            runs: state.running.is_some(),
            began: state.running.and_then(|running| running.started_at),
            barred: state.waiting.is_some_and(|waiting| waiting.is_barred()),
            ended: state.terminated.map(ended),
            before: last_state.terminated.map(ended),
        }
    });
    Ok(containers.collect())
}

fn parse<T: DeserializeOwned>(list: Option<&RawValue>) -> Result<Vec<T>, serde_json::Error> {
    list.map_or(Ok(vec![]), |list| serde_json::from_str(list.get()))
}

fn ended(Terminated { exit_code, reason, started_at, finished_at }: Terminated) -> Ended {
    Ended { exit_code, reason, began: started_at, at: finished_at }
}

fn readiness(condition: &Condition) -> Readiness {
    let status = match condition.status.as_str() {
        "True" => Status::True,
        "False" => Status::False,
        _ => Status::Unknown,
    };
    Readiness { status, since: condition.last_transition_time }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Head {
    metadata: Meta,
}

impl Cluster {
    /// Where pods are now.
    pub(crate) async fn pods_version(&self) -> Result<Version, PodError> {
        let request = Request::new(SOURCE.path(&self.scope)).list(&ListParams::default().limit(1));
        let head: Head = self.call(request).await.map_err(PodError::Version)?;
        head.metadata.resource_version.parse().map_err(|_| PodError::NoNumber(head.metadata.resource_version))
    }

    /// All pods of a namespace as they are now; what can't be understood is left out.
    pub(crate) async fn pods_in(&self, namespace: &str) -> Result<Vec<Arc<Pod>>, PodError> {
        let request = requests("api/v1", namespace, "pods").list(&ListParams::default());
        let list: List = self.call(request).await.map_err(PodError::Version)?;
        let pods = list.items.iter().filter_map(|item| decode(item.get()).ok());
        Ok(pods.map(|watched| Arc::new(watched.pod)).collect())
    }

    /// The pod of a Job of ours that has this name.
    pub(super) async fn job_pod(&self, namespace: &str, name: &str) -> Result<Option<Arc<JobPod>>, Fault> {
        // Not by `get`, for which a right of its own would be needed.
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let list: List = self.call(requests("api/v1", namespace, "pods").list(&params)).await?;
        let pod = list.items.first().map(|item| decode(item.get())).transpose();
        Ok(pod.map_err(Fault::Undecodable)?.and_then(|pod| pod.own))
    }

    /// The pods of `job` that are there now.
    pub async fn job_pods(&self, job: &Job) -> Result<Vec<Arc<JobPod>>, PodError> {
        let selector = format!("batch.kubernetes.io/controller-uid={}", job.uid);
        let params = ListParams::default().labels(&selector);
        let name = || format!("{}/{}", job.namespace, job.name);
        let list: List = self
            .call(requests("api/v1", &job.namespace, "pods").list(&params))
            .await
            .map_err(|source| PodError::List { job: name(), source })?;
        let decoded = list.items.iter().map(|item| decode(item.get()));
        let pods: Result<Vec<WatchedPod>, _> = decoded.collect();
        let pods = pods.map_err(|error| PodError::List { job: name(), source: Fault::Undecodable(error) })?;
        Ok(pods.into_iter().filter_map(|pod| pod.own).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_of_a_job_of_ours_is_known_by_label_and_controller() {
        let pod = |label: &str, version: &str, kind: &str| {
            let owner =
                format!(r#"{{"apiVersion": "{version}", "kind": "{kind}", "uid": "u", "controller": true}}"#);
            let json = format!(
                r#"{{"metadata": {{"name": "p", "resourceVersion": "1", "labels": {{"{label}": "x"}},
                   "ownerReferences": [{owner}]}}}}"#
            );
            decode(&json).unwrap().pod.ours
        };
        assert!(pod(names::EXTENDEDJOB_LABEL, "batch/v1", "Job"));
        assert!(!pod(names::EXTENDEDJOB_LABEL, "apps/v1", "ReplicaSet"));
        assert!(!pod(names::EXTENDEDJOB_LABEL, "example.com/v1", "Job"), "of another group");
        assert!(!pod("app", "batch/v1", "Job"));
    }

    #[test]
    fn a_new_pod_has_no_readiness() {
        let pod =
            decode(r#"{"metadata": {"name": "p", "resourceVersion": "7"}, "spec": {"containers": []}}"#)
                .unwrap()
                .pod;
        assert_eq!((pod.ready.status, pod.version), (Status::Absent, 7));
    }

    #[test]
    fn an_image_of_ours_that_can_not_be_pulled_is_told_in_the_words_of_the_kubelet() {
        let trouble = |container: &str, reason: &str| {
            let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "uid": "job", "controller": true});
            let labels = json!({"fissile.cloudfoundry.org/extendedjob": "x"});
            let waiting = json!({"reason": reason, "message": "Back-off pulling image"});
            let pod = json!({
                "metadata": {"name": "p", "resourceVersion": "7", "labels": labels, "ownerReferences": [owner]},
                "status": {"initContainerStatuses": [{"name": container, "state": {"waiting": waiting}}]},
            });
            decode(&pod.to_string()).unwrap().own.unwrap().image_trouble.clone()
        };
        let told = trouble("extendedjob-prepare", "ImagePullBackOff");
        assert_eq!(told.as_deref(), Some("ImagePullBackOff: Back-off pulling image"));
        assert_eq!(trouble("extendedjob-prepare", "PodInitializing"), None);
        assert_eq!(trouble("their-own", "ImagePullBackOff"), None);
    }

    #[test]
    fn a_pod_tells_of_each_container_how_it_is_doing() {
        let json = r#"{"metadata": {"name": "p", "uid": "u", "resourceVersion": "7",
            "labels": {"fissile.cloudfoundry.org/extendedjob": "x"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "3"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "uid": "job", "controller": true}]},
            "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "a"}, {"name": "b"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "b", "restartCount": 2,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}}"#;
        let pod = decode(json).unwrap().own.unwrap();
        assert_eq!(
            (pod.job.as_str(), pod.index, pod.restarts, pod.phase),
            ("job", Some(3), true, Phase::Open)
        );
        let [a, b] = &pod.containers[..] else { panic!("{pod:?}") };
        assert_eq!((a.name.as_str(), a.runs, &a.ended), ("a", false, &None));
        assert_eq!((b.restarts, b.runs, b.before.as_ref().unwrap().exit_code), (2, true, 3));
    }
}
