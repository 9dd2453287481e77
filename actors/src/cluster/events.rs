//! Events on ExtendedJobs: what happened, for whoever runs `kubectl describe`.

use std::sync::Arc;

use extendedjob_api::names;
use extendedjob_decide::{declared::Declared, fault::Class, references::Object, text::shorten};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder as KubeRecorder, Reporter},
};
use tokio::{sync::Semaphore, time::timeout};
use tracing::{debug, warn};

use super::{Fault, REQUEST_TIMEOUT};

const API_VERSION: &str = "fissile.cloudfoundry.org/v1alpha1";

/// Events in flight over the whole operator.
const IN_FLIGHT: usize = 4;

/// Publishes Events; those that repeat are counted in one.
#[derive(Clone)]
pub(crate) struct Recorder {
    recorder: KubeRecorder,
    turns: Arc<Semaphore>,
}

/// Whether an Event asks for someone's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// All is well.
    Normal,
    /// Something is not as the user asked.
    Warning,
}

/// What an Event is about besides the ExtendedJob.
#[derive(Clone, Debug)]
pub(crate) enum Related {
    /// A Job of it, by its name.
    Job(String),
    /// What its pods use.
    Config(Object),
}

impl Recorder {
    pub(crate) fn new(client: &Client) -> Self {
        let reporter = Reporter {
            controller: names::FIELD_MANAGER.to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        Self {
            recorder: KubeRecorder::new(client.clone(), reporter),
            turns: Arc::new(Semaphore::new(IN_FLIGHT)),
        }
    }
}

impl super::Cluster {
    /// Publishes an Event on an ExtendedJob, about something related or all in all. One that can't be
    /// published is only logged: the status says what matters.
    pub(crate) async fn publish(
        &self,
        declared: &Declared,
        severity: Severity,
        reason: &str,
        related: Option<Related>,
        note: String,
    ) {
        let related = related.map(|related| match related {
            Related::Job(job) => ("batch/v1", "Job".to_owned(), job),
            Related::Config(Object { kind, name }) => ("v1", kind.to_string(), name),
        });
        let event = Event {
            type_: match severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: reason.to_owned(),
            note: Some(shorten(note)),
            action: "Run".to_owned(),
            // Events that are alike in all but the note are counted in one, with the first note:
            // the Job keeps those of two runs apart.
            secondary: related
                .map(|(version, kind, name)| reference(version, &kind, &declared.namespace, name)),
        };
        let about = ObjectReference {
            uid: Some(declared.uid.clone()),
            ..reference(API_VERSION, "ExtendedJob", &declared.namespace, declared.name.clone())
        };
        if severity == Severity::Normal {
            self.rush.over().await;
        }
        let Ok(_turn) = self.events.turns.acquire().await else { return };
        if self.term.number().is_none() {
            return;
        }
        let published = timeout(REQUEST_TIMEOUT, self.events.recorder.publish(&event, &about)).await;
        let fault = match published {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Fault::from(error),
            Err(_) => Fault::NoAnswer(REQUEST_TIMEOUT),
        };
        let (namespace, name) = (&declared.namespace, &declared.name);
        match fault.class() {
            // Nobody will look for it there.
            Class::Terminating => debug!(%namespace, %name, reason, error = %fault, "no Event"),
            _ => warn!(%namespace, %name, reason, error = %fault, "can't publish an Event"),
        }
    }
}

fn reference(api_version: &str, kind: &str, namespace: &str, name: String) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name),
        ..ObjectReference::default()
    }
}
