//! Jobs: watched slim by our label, created as raw JSON.

use std::sync::Arc;

use extendedjob_api::{Streams, names};
use extendedjob_decide::{
    fault::Class,
    job::{End, Failure, Job, PodFacts},
};
use kube::{
    api::{DeleteParams, Patch, PostParams, Preconditions, PropagationPolicy},
    core::params::GetParams,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};
use tokio::time::timeout;

use super::{
    Cluster, Failpoint, Fault, REQUEST_TIMEOUT, creating, holding,
    meta::{Condition, Meta},
    patching, requests,
    watch::Source,
    with_query,
};

const GROUP: &str = "apis/batch/v1";
const RESOURCE: &str = "jobs";

/// Why something could not be done with a Job. The first field of each is `namespace/name`.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Creating it.
    #[error("can't create Job {0}: {1}")]
    Create(String, #[source] Fault),
    /// Trying whether it could be created.
    #[error("can't try out Job {0}: {1}")]
    DryRun(String, #[source] Fault),
    /// Reading it.
    #[error("can't read Job {0}: {1}")]
    Get(String, #[source] Fault),
    /// Noting something on it.
    #[error("can't annotate Job {0}: {1}")]
    Note(String, #[source] Fault),
    /// Deleting it, or having it deleted.
    #[error("can't clean up Job {0}: {1}")]
    CleanUp(String, #[source] Fault),
}

impl JobError {
    /// The failed call.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Create(_, fault)
            | Self::DryRun(_, fault)
            | Self::Get(_, fault)
            | Self::Note(_, fault)
            | Self::CleanUp(_, fault) => fault,
        }
    }
}

/// The watch on the Jobs that bear our label.
pub(crate) const SOURCE: Source<Job> = Source {
    group: GROUP,
    resource: RESOURCE,
    label: Some(names::EXTENDEDJOB_LABEL),
    metadata_only: false,
    decode,
};

#[derive(Deserialize)]
struct Wire {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    template: PodTemplate,
    ttl_seconds_after_finished: Option<u32>,
    completion_mode: String,
    completions: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobStatus {
    succeeded: u32,
    failed: u32,
    completed_indexes: String,
    conditions: Vec<Condition>,
}

fn decode(json: &str) -> Result<Job, serde_json::Error> {
    let Wire { mut metadata, spec, status } = serde_json::from_str(json)?;
    let owner = metadata.controller(names::GROUP, "ExtendedJob").map(|owner| owner.uid.clone());
    let end = status.conditions.iter().find_map(end);
    let mut note = |name: &str| metadata.annotations.remove(name).filter(|text| !text.is_empty());
    let labels = note(names::AFFECTED_POD_LABELS).and_then(|labels| serde_json::from_str(&labels).ok());
    let (ip, node) = (note(names::AFFECTED_POD_IP), note(names::AFFECTED_POD_NODE));
    let is_under_way = end.is_none();
    let pod = labels.filter(|_| is_under_way).map(|labels| Arc::new(PodFacts { labels, ip, node }));
    Ok(Job {
        owner,
        pod,
        revision: note(names::CONFIG_REVISION).and_then(|it| it.parse().ok()).unwrap_or_default(),
        changed: note(names::CHANGED_CONFIG),
        key: metadata.annotations.remove(names::TRANSITION),
        pod_uid: metadata.annotations.remove(names::AFFECTED_POD_UID),
        pod_name: metadata.annotations.remove(names::AFFECTED_POD_NAME),
        uid: metadata.uid,
        name: metadata.name,
        namespace: metadata.namespace,
        created: metadata.creation_timestamp,
        term: metadata.annotations.remove(names::TERM).and_then(|term| term.parse().ok()),
        ttl: spec.ttl_seconds_after_finished,
        deleting: metadata.deletion_timestamp.is_some(),
        containers: spec.template.spec.containers.into_iter().map(|container| container.name).collect(),
        indexes: spec.completions.filter(|_| spec.completion_mode == "Indexed"),
        pods_ended: usize::try_from(status.succeeded + status.failed).unwrap_or_default(),
        attempts: (status.succeeded + status.failed).max(1),
        succeeded: usize::try_from(status.succeeded).unwrap_or_default(),
        completed: status.completed_indexes,
        end,
        streams: metadata
            .annotations
            .get(names::STREAMS)
            .and_then(|it| Streams::named(it))
            .unwrap_or_default(),
        settled: metadata.annotations.contains_key(names::OUTPUT_SETTLED),
    })
}

/// A Job has ended when one of these two conditions holds
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup>);
/// SuccessCriteriaMet and FailureTarget only announce it.
fn end(condition: &Condition) -> Option<End> {
    let failure = match (condition.r#type.as_str(), condition.status.as_str()) {
        ("Complete", "True") => None,
        ("Failed", "True") => {
            Some(Failure { reason: condition.reason.clone(), message: condition.message.clone() })
        }
        _ => return None,
    };
    Some(End { time: condition.last_transition_time, failure })
}

/// When the pods of a Job go that is deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pods {
    /// Before it: it is gone when none of them runs any more.
    First,
    /// When it is gone.
    Later,
}

pub(crate) fn full_name(job: &Job) -> String {
    format!("{}/{}", job.namespace, job.name)
}

impl Cluster {
    /// Creates the Job, as one of this term; waits for its turn when many are being created.
    pub(crate) async fn create_job(&self, namespace: &str, name: &str, job: Value) -> Result<Job, JobError> {
        let error = |fault| JobError::Create(format!("{namespace}/{name}"), fault);
        let _turn = self.creates_in_flight.acquire().await.map_err(|_| error(Fault::NotLeading))?;
        let request = self.creation(namespace, job, false).map_err(error)?;
        self.rush.note();
        let create = self.creates.begin(format!("{namespace}/{name}"));
        let created: Result<Box<RawValue>, Fault> = self.write(Failpoint::Job, Ok(request)).await;
        let was_sent = !matches!(created, Err(Fault::NotLeading));
        if !(was_sent && created.as_ref().is_err_and(|fault| fault.class() == Class::Transient)) {
            create.answered();
        }
        let created = created.map_err(error)?;
        decode(created.get()).map_err(|source| error(Fault::Undecodable(source)))
    }

    /// Asks whether the Job could be created.
    pub(crate) async fn try_job(&self, namespace: &str, name: &str, job: Value) -> Result<(), JobError> {
        let error = |fault| JobError::DryRun(format!("{namespace}/{name}"), fault);
        let request = self.creation(namespace, job, true).map_err(error)?;
        let asked = async {
            let turn = Arc::clone(&self.tries).acquire_owned().await.ok();
            holding(turn, self.call::<IgnoredAny>(Ok(request))).await
        };
        // Nobody's runs wait longer for the templates of others than for an answer about their own.
        let answer = timeout(REQUEST_TIMEOUT, asked).await;
        answer.unwrap_or(Err(Fault::NoAnswer(REQUEST_TIMEOUT))).map(drop).map_err(error)
    }

    /// The request that creates a Job, or only tries whether it could be. Fields that the API server
    /// does not know are refused, not dropped.
    fn creation(
        &self,
        namespace: &str,
        mut job: Value,
        dry_run: bool,
    ) -> Result<http::Request<Vec<u8>>, Fault> {
        // The fence is on the API server's side: it refuses a Job whose term has passed when it
        // arrives.
        let term = self.term.number().ok_or(Fault::NotLeading)?;
        job["metadata"]["annotations"][names::TERM] = json!(term.to_string());
        let params = PostParams { dry_run, ..creating() };
        let request = requests(GROUP, namespace, RESOURCE)
            .create(&params, job.to_string().into_bytes())
            .map_err(Fault::request)?;
        with_query(request, "fieldValidation=Strict")
    }

    /// Notes on the Job that nothing of its output is still to be written.
    pub(crate) async fn note_settled(&self, job: &Job) -> Result<(), JobError> {
        let note = json!({ "metadata": { "annotations": { names::OUTPUT_SETTLED: "true" } } });
        let noted = self.patch_job(Failpoint::Note, job, note).await;
        noted.map_err(|fault| JobError::Note(full_name(job), fault))
    }

    /// Lets Kubernetes delete the ended Job when so many seconds have passed since its end.
    pub(crate) async fn set_ttl(&self, job: &Job, seconds: u32) -> Result<(), JobError> {
        let ttl = json!({ "spec": { "ttlSecondsAfterFinished": seconds } });
        let set = self.patch_job(Failpoint::Cleanup, job, ttl).await;
        set.map_err(|fault| JobError::CleanUp(full_name(job), fault))
    }

    async fn patch_job(&self, point: Failpoint, job: &Job, mut patch: Value) -> Result<(), Fault> {
        patch["metadata"]["uid"] = json!(job.uid);
        let request =
            requests(GROUP, &job.namespace, RESOURCE).patch(&job.name, &patching(), &Patch::Merge(&patch));
        self.write::<IgnoredAny>(point, request).await.map(|_| ())
    }

    /// Deletes the Job with its pods, in its turn when many are deleted.
    pub(crate) async fn delete_job(&self, job: &Job, pods: Pods) -> Result<(), JobError> {
        let _turn = self.deletes.acquire().await.ok();
        let propagation_policy = match pods {
            Pods::First => PropagationPolicy::Foreground,
            Pods::Later => PropagationPolicy::Background,
        };
        let params = DeleteParams {
            propagation_policy: Some(propagation_policy),
            preconditions: Some(Preconditions { uid: Some(job.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = requests(GROUP, &job.namespace, RESOURCE).delete(&job.name, &params);
        let deleted = self.write::<IgnoredAny>(Failpoint::Cleanup, request).await;
        deleted.map(|_| ()).map_err(|fault| JobError::CleanUp(full_name(job), fault))
    }

    /// The Job as it is now.
    pub async fn job(&self, namespace: &str, name: &str) -> Result<Job, JobError> {
        let error = |fault| JobError::Get(format!("{namespace}/{name}"), fault);
        let job: Box<RawValue> = self
            .call(requests(GROUP, namespace, RESOURCE).get(name, &GetParams::default()))
            .await
            .map_err(error)?;
        decode(job.get()).map_err(|source| error(Fault::Undecodable(source)))
    }
}

#[cfg(test)]
mod tests {
    use actix::System;
    use futures::{FutureExt as _, future::join_all};
    use tokio::time::{Instant, pause};

    use super::*;
    use crate::{
        cluster::TRIES_IN_FLIGHT,
        stand_in::{Asked, Reply, StandIn},
    };

    #[test]
    fn a_job_is_tried_out_though_others_are_not_answered() {
        System::new().block_on(async {
            pause();
            let mut api = StandIn::answering(|_| Reply::Never);
            let cluster = api.cluster();
            cluster.term().hold(1, Instant::now() + 2 * REQUEST_TIMEOUT);
            let tries = 3 * TRIES_IN_FLIGHT;
            let trying = join_all((0..tries).map(|_| cluster.try_job("ns", "job", json!({})))).map(drop);
            timeout(REQUEST_TIMEOUT / 2, trying).await.unwrap_err();
            assert_eq!(api.count(Asked::is_dry_run), tries);
        });
    }

    fn with_condition(condition: &str) -> Job {
        decode(&format!(r#"{{"metadata": {{"name": "j"}}, "status": {{"conditions": [{condition}]}}}}"#))
            .unwrap()
    }

    #[test]
    fn only_complete_and_failed_end_a_job() {
        for (condition, ended) in [
            (r#"{"type": "Complete", "status": "True"}"#, true),
            (r#"{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}"#, true),
            (r#"{"type": "Failed", "status": "False"}"#, false),
            (r#"{"type": "FailureTarget", "status": "True"}"#, false),
            (r#"{"type": "SuccessCriteriaMet", "status": "True"}"#, false),
            (r#"{"type": "Suspended", "status": "True"}"#, false),
        ] {
            assert_eq!(with_condition(condition).end.is_some(), ended, "{condition}");
        }
    }

    #[test]
    fn the_owner_is_the_controlling_extended_job() {
        let owner = |version: &str| {
            let job = json!({ "metadata": { "name": "j", "ownerReferences": [
                { "apiVersion": version, "kind": "ExtendedJob", "uid": "a" },
                { "apiVersion": version, "kind": "ExtendedJob", "uid": "b", "controller": true },
            ] } });
            decode(&job.to_string()).unwrap().owner
        };
        assert_eq!(owner("fissile.cloudfoundry.org/v1alpha1").as_deref(), Some("b"));
        // The admission policy looks at our group alone.
        assert_eq!(owner("example.com/v1"), None);
    }
}
