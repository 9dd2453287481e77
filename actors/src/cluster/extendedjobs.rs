//! ExtendedJobs: watched, and their status patched. Nothing else of them is ever written.

use extendedjob_api::{ExtendedJobSpec, ExtendedJobStatus};
use extendedjob_decide::declared::Declared;
use kube::api::Patch;
use serde::{Deserialize, de::Error as _};
use serde_json::{Value, json};

use super::{Cluster, Failpoint, Fault, meta::Meta, patching, requests, watch::Source};

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
}

impl ExtendedJobError {
    /// The failed call.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Status { source, .. } => source,
        }
    }
}

/// The watch on all ExtendedJobs.
pub(crate) const SOURCE: Source<Declared> =
    Source { path: "/apis/fissile.cloudfoundry.org/v1alpha1/extendedjobs", label: None, decode };

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

fn decode(json: &str) -> Result<Declared, serde_json::Error> {
    let Wire { metadata, spec, status } = serde_json::from_str(json)?;
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
        spec,
        status,
    })
}

impl Cluster {
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
        let request = requests("apis/fissile.cloudfoundry.org/v1alpha1", &declared.namespace, "extendedjobs")
            .patch_subresource("status", &declared.name, &patching(), &Patch::Merge(&patch));
        let patched: Patched = self.write(Failpoint::Status, request).await.map_err(|source| {
            ExtendedJobError::Status { name: format!("{}/{}", declared.namespace, declared.name), source }
        })?;
        Ok(patched.metadata.resource_version)
    }
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
    fn a_merge_patch_holds_what_differs_and_nulls_what_is_gone() {
        let from = json!({ "same": 1, "gone": 2, "inner": { "gone": 1, "same": 2 }, "list": [1] });
        let to = json!({ "same": 1, "inner": { "same": 2, "new": {} }, "list": [1, 2] });
        let expected = json!({ "gone": null, "inner": { "gone": null, "new": {} }, "list": [1, 2] });
        assert_eq!(merge_patch(&from, &to), expected);
    }
}
