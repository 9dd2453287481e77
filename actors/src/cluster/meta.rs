//! The parts of an object's metadata that are used, so that the rest costs neither time nor memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// Slim `ObjectMeta`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) creation_timestamp: Option<Timestamp>,
    pub(super) deletion_timestamp: Option<Timestamp>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) owner_references: Vec<Owner>,
}

/// Slim `OwnerReference`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Owner {
    api_version: String,
    pub(super) kind: String,
    pub(super) uid: String,
    pub(super) controller: bool,
}

impl Meta {
    /// The owner that controls the object, if it is of this kind. The group counts: whoever may claim to be of a kind
    /// of the same name in another group can claim nothing of ours.
    pub(super) fn controller(&self, group: &str, kind: &str) -> Option<&Owner> {
        let controller = self.owner_references.iter().find(|owner| owner.controller)?;
        let (of, _) = controller.api_version.split_once('/')?;
        (of == group && controller.kind == kind).then_some(controller)
    }
}

/// Slim `Condition` of a pod or Job.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    pub(super) r#type: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_transition_time: Option<Timestamp>,
}
