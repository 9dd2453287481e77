//! ConfigMaps and Secrets that pods use: watched by their metadata alone, their values read by name when they matter.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use extendedjob_api::TargetKind;
use extendedjob_decide::{fault::Class, references::Object};
use kube::core::params::GetParams;
use serde::Deserialize;

use super::{Cluster, Fault, requests, targets::resource, watch::Source};

/// Why a ConfigMap or Secret could not be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read {kind} {name}: {fault}")]
pub(crate) struct ConfigError {
    kind: TargetKind,
    /// `namespace/name`.
    name: String,
    #[source]
    fault: Fault,
}

/// A ConfigMap or Secret, as it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigObject {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Another one holds other values, maybe.
    pub(crate) version: String,
}

/// The watch on all objects of this kind.
pub(crate) fn source(kind: TargetKind) -> Source<ConfigObject> {
    Source { group: "api/v1", resource: resource(kind), label: None, metadata_only: true, decode }
}

#[derive(Deserialize)]
struct Wire {
    metadata: WireMeta,
}

/// Less than [`Meta`](super::meta::Meta): there may be thousands, with long annotations.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta {
    namespace: String,
    name: String,
    resource_version: String,
}

fn decode(json: &str) -> Result<ConfigObject, serde_json::Error> {
    let Wire { metadata: WireMeta { namespace, name, resource_version: version } } =
        serde_json::from_str(json)?;
    Ok(ConfigObject { namespace, name, version })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    binary_data: BTreeMap<String, String>,
}

/// What an object holds, by its keys. It is looked at, and let go: nothing keeps it.
pub(crate) type Values = BTreeMap<String, Vec<u8>>;

impl Cluster {
    /// What an object holds; `None` if there is none.
    pub(crate) async fn config(
        &self,
        object: &Object,
        namespace: &str,
    ) -> Result<Option<Values>, ConfigError> {
        let Object { kind, name } = object;
        let error = |fault| ConfigError { kind: *kind, name: format!("{namespace}/{name}"), fault };
        // Many may use one object, and each has read it by itself.
        let _turn = self.configs.acquire().await.ok();
        let request = requests("api/v1", namespace, resource(*kind)).get(name, &GetParams::default());
        let held: Held = match self.call(request).await {
            Ok(held) => held,
            Err(fault) if fault.class() == Class::NotFound => return Ok(None),
            Err(fault) => return Err(error(fault)),
        };
        Ok(Some(values(*kind, held)))
    }
}

fn values(kind: TargetKind, Held { data, binary_data }: Held) -> Values {
    // The API server stores no other text there than base64.
    let decoded = |text: String| BASE64.decode(text.as_bytes()).unwrap_or_default();
    let data = data.into_iter().map(|(key, text)| match kind {
        TargetKind::Secret => (key, decoded(text)),
        TargetKind::ConfigMap => (key, text.into_bytes()),
    });
    let binary = binary_data.into_iter().map(|(key, text)| (key, decoded(text)));
    data.chain(binary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: TargetKind, json: &str) -> Values {
        values(kind, serde_json::from_str(json).unwrap())
    }

    #[test]
    fn values_are_what_pods_see() {
        let map = r#"{"data": {"a": "text"}, "binaryData": {"b": "AAE="}}"#;
        let expected = [("a".to_owned(), b"text".to_vec()), ("b".to_owned(), vec![0, 1])];
        assert_eq!(of(TargetKind::ConfigMap, map), expected.into());
        let secret = r#"{"data": {"a": "AAE="}}"#;
        assert_eq!(of(TargetKind::Secret, secret), [("a".to_owned(), vec![0, 1])].into());
    }

    #[test]
    fn of_metadata_only_name_and_version_are_kept() {
        let json = r#"{"metadata": {"namespace": "ns", "name": "app", "resourceVersion": "7", "uid": "u",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}}"#;
        let expected = ConfigObject { namespace: "ns".into(), name: "app".into(), version: "7".into() };
        assert_eq!(decode(json).unwrap(), expected);
    }
}
