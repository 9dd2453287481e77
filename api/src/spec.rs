//! What a user asks for: the `spec` of an ExtendedJob.
//!
//! The comments on fields are what `kubectl explain ejob.spec` prints. (An optional enum is declared to the
//! schema `with` its bare type: otherwise the comment of the enum would take the place of the field's.)

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ExtendedJobStatus, JobTemplate, Output, rules};

/// What starts the Job, the Job itself, and where its output goes. Set exactly one of `triggers` (a Job for
/// each pod that changes) and `run` (a Job that is not tied to a pod).
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Debug, Clone)]
#[kube(
    group = "fissile.cloudfoundry.org",
    version = "v1alpha1",
    kind = "ExtendedJob",
    plural = "extendedjobs",
    shortname = "ejob",
    namespaced,
    status = "ExtendedJobStatus",
    doc = "Runs a native Job when something interesting happens to a pod, once, or when asked to, \
        and keeps what it printed in a ConfigMap or Secret."
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct ExtendedJobSpec {
    /// Makes this a triggered job: one Job is started for each pod that goes through the named transition.
    /// Can't be combined with `run`, and can't be added or removed by an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Triggers>,
    /// Makes this a one-off (`once`: one Job is started when the ExtendedJob is created) or an errand
    /// (`manually`: set it to `now`, and one Job is started; when it is over, the operator sets it back to
    /// `manually`). Can't be combined with `triggers`, and an edit can't make one of these three kinds another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Run")]
    pub run: Option<Run>,
    /// If true, no new run is started; runs under way go on. Pod transitions seen meanwhile are not made up for
    /// later. A one-off or a request for an errand waits, and starts when this is false again. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// If true, runs start again when a ConfigMap or Secret that the template uses changes, down to the keys used: a run
    /// under way is replaced, a one-off runs again, and so does a triggered job for each pod that it ran for and that is
    /// still as it was then (ready, not ready, there). An errand that is not running is left alone. Default: false.
    #[serde(default)]
    pub update_on_config_change: bool,
    /// How many runs may be under way at a time; without it, any number. Runs over it wait in order, also when
    /// their pods are gone by the time they start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::max_concurrent_runs")]
    pub max_concurrent_runs: Option<u32>,
    /// How many Jobs of runs that succeeded are kept; those that started before them are deleted, once all about them is on
    /// record. Default: 10.
    #[serde(default = "history_limit")]
    #[schemars(schema_with = "rules::history_limit")]
    pub successful_runs_history_limit: u32,
    /// How many Jobs of runs that failed are kept; those that started before them are deleted, once all about them is on
    /// record. Default: 10.
    #[serde(default = "history_limit")]
    #[schemars(schema_with = "rules::history_limit")]
    pub failed_runs_history_limit: u32,
    /// Where to keep what the Job's containers print. Without it nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// The native Job to start, as in the `jobTemplate` of a CronJob. Its labels and annotations reach the
    /// Job, those of `spec.template.metadata` its pods; a `name` is allowed and ignored.
    pub template: JobTemplate,
}

/// Enough to look back at, and no burden on the API server.
fn history_limit() -> u32 {
    10
}

/// Which pod transitions start a Job.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Triggers {
    /// The transition. `created`: a pod appears. `ready`: its Ready condition turns True. `notready`: Ready
    /// turns from True to anything else, on a pod that is not being deleted. `deleted`: the pod is gone.
    pub when: When,
    /// Which pods of the namespace are meant; without it, all of them. Labels and expressions must all match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// The transition of a pod that starts a Job.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The pod's Ready condition turns True.
    Ready,
    /// The pod's Ready condition is no longer True, and the pod is not being deleted.
    NotReady,
    /// The pod appears.
    Created,
    /// The pod is gone.
    Deleted,
}

/// A label selector, as in a Deployment. What is empty matches everything.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels the pod must have, each with this very value. Example: `component: redis`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on the pod's labels. Example: `{key: tier, operator: In, values: [cache, store]}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::SELECTOR_ENTRIES_MAX))]
    pub match_expressions: Vec<Requirement>,
}

/// A condition on one label.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::values_by_operator()))]
pub struct Requirement {
    /// The label's key.
    #[schemars(schema_with = "rules::label_key")]
    pub key: String,
    /// `In` and `NotIn` compare with `values` (a pod without the label passes `NotIn`); `Exists` and
    /// `DoesNotExist` ask for the key alone.
    pub operator: Operator,
    /// One or more values for `In` and `NotIn`, none for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rules::label_values")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// When a Job that no pod triggers is started.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Run {
    /// Once, when the ExtendedJob is created.
    Once,
    /// When someone asks for it.
    Manually,
    /// Someone has asked for it.
    Now,
}
