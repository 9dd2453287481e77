//! Events on ExtendedJobs: what happened, for whoever runs `kubectl describe`.

use extendedjob_api::names;
use extendedjob_decide::{declared::Declared, text::shorten};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder as KubeRecorder, Reporter},
};
use tracing::warn;

/// Publishes Events; equal ones are counted in one.
#[derive(Clone)]
pub(crate) struct Recorder(KubeRecorder);

/// Whether an Event asks for someone's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    Normal,
    /// Something is not as the user asked.
    Warning,
}

impl Recorder {
    pub(crate) fn new(client: &Client) -> Self {
        let reporter = Reporter {
            controller: names::FIELD_MANAGER.to_owned(),
            instance: std::env::var("HOSTNAME").ok(),
        };
        Self(KubeRecorder::new(client.clone(), reporter))
    }
}

impl super::Cluster {
    /// Publishes an Event. One that can't be published is only logged: the status says what
    /// matters.
    pub async fn publish(&self, declared: &Declared, severity: Severity, reason: &str, note: String) {
        let event = Event {
            type_: match severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: reason.to_owned(),
            note: Some(shorten(note)),
            action: "Run".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(format!("{}/v1alpha1", names::GROUP)),
            kind: Some("ExtendedJob".to_owned()),
            name: Some(declared.name.clone()),
            namespace: Some(declared.namespace.clone()),
            uid: Some(declared.uid.clone()),
            ..ObjectReference::default()
        };
        if self.term.number().is_none() {
            return;
        }
        if let Err(error) = self.events.0.publish(&event, &about).await {
            let (namespace, name) = (&declared.namespace, &declared.name);
            warn!(%namespace, %name, reason, %error, "can't publish an Event");
        }
    }
}
