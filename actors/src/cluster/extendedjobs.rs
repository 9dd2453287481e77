//! ExtendedJobs: watched, their status patched, and an errand's `run` set back. Nothing else of them is ever
//! written.

use extendedjob_api::{ExtendedJobSpec, ExtendedJobStatus, Run, names};
use extendedjob_decide::{declared::Declared, fault::Class, served::Document};
use jiff::Timestamp;
use kube::{api::Patch, core::Request};
use serde::{Deserialize, de::Error as _};
use serde_json::{Value, json, value::RawValue};

use super::{Cluster, Failpoint, Fault, meta::Meta, patching, requests, watch::Source};

const GROUP: &str = "apis/fissile.cloudfoundry.org/v1alpha1";
const RESOURCE: &str = "extendedjobs";

/// Why something could not be done with an ExtendedJob.
#[derive(Debug, thiserror::Error)]
pub enum ExtendedJobError {
    /// Writing its status.
    #[error("can't write the status of ExtendedJob {name}: {source}")]
    Status {
        /// `namespace/name`.
        name: String,
        /// Why.
        source: Fault,
    },
    /// Setting `run` back.
    #[error("can't set run of ExtendedJob {name} back to manually: {source}")]
    Reset {
        /// `namespace/name`.
        name: String,
        /// Why.
        source: Fault,
    },
    /// Reading their schema.
    #[error("can't read the schema of ExtendedJobs that the API server serves: {0}")]
    Schema(#[source] Fault),
}

impl ExtendedJobError {
    /// The failed call.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Status { source, .. } | Self::Reset { source, .. } | Self::Schema(source) => source,
        }
    }
}

/// The watch on all ExtendedJobs.
pub(crate) const SOURCE: Source<Declared> =
    Source { group: GROUP, resource: RESOURCE, label: None, metadata_only: false, decode };

#[derive(Deserialize)]
struct Wire {
    metadata: Meta,
    spec: ExtendedJobSpec,
    #[serde(default)]
    status: ExtendedJobStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patched {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Managers {
    metadata: ManagedFields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFields {
    #[serde(default)]
    managed_fields: Vec<Managed>,
}

/// Slim `ManagedFieldsEntry`: which manager has set what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(default)]
    fields_v1: Value,
}

/// The field manager that has set `spec.run`; the last one, if several have
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>).
fn run_manager(json: &str) -> Result<Option<String>, serde_json::Error> {
    let Managers { metadata: ManagedFields { managed_fields } } = serde_json::from_str(json)?;
    let owns = |entry: &Managed| !entry.fields_v1["f:spec"]["f:run"].is_null();
    let last = managed_fields.into_iter().filter(owns).max_by_key(|entry| entry.time);
    Ok(last.map(|entry| entry.manager))
}

fn decode(json: &str) -> Result<Declared, serde_json::Error> {
    let Wire { mut metadata, spec, status } = serde_json::from_str(json)?;
    let created = metadata
        .creation_timestamp
        .ok_or_else(|| serde_json::Error::custom("metadata.creationTimestamp is missing"))?;
    Ok(Declared {
        created,
        uid: metadata.uid,
        name: metadata.name,
        namespace: metadata.namespace,
        resource_version: metadata.resource_version,
        generation: metadata.generation,
        deleting: metadata.deletion_timestamp.is_some(),
        requested_at: metadata.annotations.remove(names::RUN_REQUESTED_AT).filter(|at| !at.is_empty()),
        reset: metadata.annotations.get(names::RESET).and_then(|number| number.parse().ok()),
        run_manager: if spec.run == Some(Run::Now) { run_manager(json)? } else { None },
        spec,
        status,
    })
}

impl Cluster {
    /// Which fields of ExtendedJobs this operator knows, and the API server drops; `None` if it knows no ExtendedJobs
    /// (yet). Each account may read that.
    pub(crate) async fn dropped_fields(&self) -> Result<Option<Vec<String>>, ExtendedJobError> {
        let request = http::Request::get(format!("/openapi/v3/{GROUP}")).body(vec![]);
        let document: Document =
            match self.call(request.map_err(kube::core::request::Error::BuildRequest)).await {
                Err(fault) if fault.class() == Class::NotFound => return Ok(None),
                document => document.map_err(ExtendedJobError::Schema)?,
            };
        Ok(document.missing())
    }

    /// Sets `run` back to `manually` after the run for the request `number`, provided that nobody has changed the
    /// object since; says what it is like then.
    pub(crate) async fn reset_run(
        &self,
        declared: &Declared,
        number: i64,
    ) -> Result<Declared, ExtendedJobError> {
        let error = |source| ExtendedJobError::Reset { name: full_name(declared), source };
        let patch = json!({
            "metadata": {
                "resourceVersion": declared.resource_version,
                "uid": declared.uid,
                "annotations": { names::RESET: number.to_string() },
            },
            "spec": { "run": Run::Manually },
        });
        let request = declared_requests(declared).patch(&declared.name, &patching(), &Patch::Merge(&patch));
        let reset: Box<RawValue> = self.write(Failpoint::Reset, request).await.map_err(error)?;
        decode(reset.get()).map_err(|source| error(Fault::Undecodable(source)))
    }

    /// Makes the status of `declared` the given one, provided that nobody has changed the object
    /// since; says its new version.
    pub async fn write_status(
        &self,
        declared: &Declared,
        status: &ExtendedJobStatus,
    ) -> Result<String, ExtendedJobError> {
        let patch = json!({
            "metadata": { "resourceVersion": declared.resource_version, "uid": declared.uid },
            "status": merge_patch(&json!(declared.status), &json!(status)),
        });
        let request = declared_requests(declared).patch_subresource(
            "status",
            &declared.name,
            &patching(),
            &Patch::Merge(&patch),
        );
        let patched: Patched = self
            .write(Failpoint::Status, request)
            .await
            .map_err(|source| ExtendedJobError::Status { name: full_name(declared), source })?;
        Ok(patched.metadata.resource_version)
    }
}

fn declared_requests(declared: &Declared) -> Request {
    requests(GROUP, &declared.namespace, RESOURCE)
}

fn full_name(declared: &Declared) -> String {
    format!("{}/{}", declared.namespace, declared.name)
}

/// The JSON merge patch (RFC 7386) that turns `from` into `to`: what is gone becomes null.
fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), merge_patch(from.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(gone.chain(changed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_set_now_is_known_from_the_managed_fields() {
        let object = json!({
            "metadata": { "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [
                { "manager": "kubectl-create", "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": { "f:run": {} } } },
                { "manager": "flux", "time": "2026-01-02T00:00:00Z", "fieldsV1": { "f:spec": { "f:run": {} } } },
                { "manager": "other", "time": "2026-01-03T00:00:00Z", "fieldsV1": { "f:spec": { "f:suspend": {} } } },
            ] },
            "spec": { "run": "now", "template": {} },
        });
        assert_eq!(decode(&object.to_string()).unwrap().run_manager.as_deref(), Some("flux"));
    }

    #[test]
    fn a_merge_patch_holds_what_differs_and_nulls_what_is_gone() {
        let from = json!({ "same": 1, "gone": 2, "inner": { "gone": 1, "same": 2 }, "list": [1] });
        let to = json!({ "same": 1, "inner": { "same": 2, "new": {} }, "list": [1, 2] });
        let expected = json!({ "gone": null, "inner": { "gone": null, "new": {} }, "list": [1, 2] });
        assert_eq!(merge_patch(&from, &to), expected);
    }
}
