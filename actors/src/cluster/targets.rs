//! ConfigMaps and Secrets that hold output: read by name, one key at a time written.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use extendedjob_api::{Target, TargetKind, names};
use extendedjob_decide::{
    fault::Class,
    output::{self, Present, Version},
};
use http::header::{ACCEPT, HeaderValue};
use kube::{
    api::Patch,
    core::params::{GetParams, ListParams},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Cluster, Failpoint, Fault, creating, meta::Meta, patching, requests};

const GROUP: &str = "api/v1";
/// Asks for an object without its data.
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// Why output could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Listing the objects that runs have made.
    #[error("can't list the versions of {0}: {1}")]
    List(Target, #[source] Fault),
    /// Reading the target.
    #[error("can't read {0}: {1}")]
    Read(Target, #[source] Fault),
    /// Creating the target.
    #[error("can't create {0}: {fault}", fault = .1.without_content())]
    Create(Target, #[source] Fault),
    /// Changing the target.
    #[error("can't write {0}: {fault}", fault = .1.without_content())]
    Write(Target, #[source] Fault),
}

impl TargetError {
    /// The failed call.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match self {
            Self::List(_, fault) | Self::Read(_, fault) | Self::Create(_, fault) | Self::Write(_, fault) => {
                fault
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    metadata: Meta,
    #[serde(default)]
    immutable: bool,
    #[serde(default, borrow)]
    data: BTreeMap<String, &'a RawValue>,
    #[serde(default)]
    binary_data: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct WireList {
    /// A list of metadata has null for none.
    items: Option<Vec<WireItem>>,
}

/// Metadata alone.
#[derive(Deserialize)]
struct WireItem {
    metadata: Meta,
}

impl Cluster {
    /// The objects that runs have made for `base`.
    pub(crate) async fn versions(&self, base: &Target) -> Result<Vec<Version>, TargetError> {
        let params = ListParams::default().labels(&output::selector(base));
        let request = requests(GROUP, &base.namespace, resource(base.kind)).list_metadata(&params);
        let list: WireList =
            self.call(request).await.map_err(|fault| TargetError::List(base.clone(), fault))?;
        let versions = list.items.into_iter().flatten().filter_map(|WireItem { metadata }| {
            let number = metadata.labels.get(names::OUTPUT_VERSION)?.parse().ok()?;
            // The label of a long name is shortened, and may be that of another.
            let is_of_base = output::version(base, number).name == metadata.name;
            is_of_base.then(|| Version { number, present: described(metadata) })
        });
        Ok(versions.collect())
    }

    /// What the target holds, but for the values; `None` where it does not exist.
    pub async fn target(&self, target: &Target) -> Result<Option<Present>, TargetError> {
        let request = requests(GROUP, &target.namespace, resource(target.kind))
            .get(&target.name, &GetParams::default());
        let answer: Box<RawValue> = match self.call(request).await {
            Ok(answer) => answer,
            Err(fault) if fault.class() == Class::NotFound => return Ok(None),
            Err(fault) => return Err(TargetError::Read(target.clone(), fault)),
        };
        match present(target.kind, answer.get()) {
            Ok(present) => Ok(Some(present)),
            Err(error) => Err(TargetError::Read(target.clone(), Fault::Undecodable(error))),
        }
    }

    /// Sets what `body` names in the target, provided that it is still as `present` says.
    pub async fn write_target(
        &self,
        target: &Target,
        present: Option<&Present>,
        mut body: Value,
    ) -> Result<Present, TargetError> {
        let requests = requests(GROUP, &target.namespace, resource(target.kind));
        let before = present.map(|present| present.sizes.clone()).unwrap_or_default();
        let sizes = before.into_iter().chain(sizes(target.kind, &body)).collect();
        let (mut request, error): (_, fn(Target, Fault) -> TargetError) = match present {
            Some(present) => {
                body["metadata"]["resourceVersion"] = json!(present.resource_version);
                (requests.patch(&target.name, &patching(), &Patch::Merge(&body)), TargetError::Write)
            }
            None => {
                without_nulls(&mut body);
                body["apiVersion"] = json!("v1");
                body["kind"] = json!(target.kind.to_string());
                body["metadata"]["name"] = json!(target.name);
                body["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!(names::FIELD_MANAGER);
                (requests.create(&creating(), body.to_string().into_bytes()), TargetError::Create)
            }
        };
        // A mebibyte, perhaps.
        drop(body);
        if let Ok(request) = &mut request {
            // What stands there now is known: it need not be told once more.
            request.headers_mut().insert(ACCEPT, METADATA);
        }
        let answer: WireItem =
            self.write(Failpoint::Output, request).await.map_err(|fault| error(target.clone(), fault))?;
        Ok(Present { sizes, ..described(answer.metadata) })
    }
}

pub(super) fn resource(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::ConfigMap => "configmaps",
        TargetKind::Secret => "secrets",
    }
}

pub(super) fn present(kind: TargetKind, json: &str) -> Result<Present, serde_json::Error> {
    let wire: Wire<'_> = serde_json::from_str(json)?;
    let mut sizes = BTreeMap::new();
    for (key, value) in wire.data {
        let value: String = serde_json::from_str(value.get())?;
        sizes.insert(key, if kind == TargetKind::Secret { decoded_length(&value) } else { value.len() });
    }
    for (key, value) in wire.binary_data {
        sizes.insert(key, decoded_length(&serde_json::from_str::<String>(value.get())?));
    }
    Ok(Present { immutable: wire.immutable, sizes, ..described(wire.metadata) })
}

/// The sizes of the values that a write sets.
fn sizes(kind: TargetKind, body: &Value) -> impl Iterator<Item = (String, usize)> {
    let of = |part: &str, size: fn(&str) -> usize| {
        let values = body[part].as_object().into_iter().flatten();
        let sized = values.filter_map(|(key, value)| Some((key.clone(), size(value.as_str()?))));
        sized.collect::<Vec<_>>()
    };
    let plain = if kind == TargetKind::Secret { decoded_length } else { str::len };
    of("data", plain).into_iter().chain(of("binaryData", decoded_length))
}

/// What metadata tell of a target.
fn described(metadata: Meta) -> Present {
    let Meta { resource_version, annotations, .. } = metadata;
    Present {
        resource_version,
        annotations: annotations.iter().map(|(name, value)| name.len() + value.len()).sum(),
        records: annotations
            .into_iter()
            .filter(|(name, _)| name.starts_with(names::OUTPUT_ANNOTATION_PREFIX))
            .collect(),
        ..Present::default()
    }
}

/// How many bytes a base64 value stands for.
fn decoded_length(value: &str) -> usize {
    BASE64.decode_len(value.len()).unwrap_or(value.len())
        - value.bytes().rev().take_while(|&b| b == b'=').count()
}

/// A merge patch says null for "take away"; in a new object there is nothing to take away.
fn without_nulls(body: &mut Value) {
    for part in ["data", "binaryData"] {
        if let Some(map) = body[part].as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_values() {
        let config_map = present(
            TargetKind::ConfigMap,
            r#"{"metadata": {"resourceVersion": "7"}, "data": {"a": "é\n"}, "binaryData": {"b": "AAE="}}"#,
        )
        .unwrap();
        assert_eq!(config_map.sizes, [("a".to_owned(), 3), ("b".to_owned(), 2)].into());
        let secret = present(TargetKind::Secret, r#"{"metadata": {}, "data": {"a": "aGVsbG8="}}"#).unwrap();
        assert_eq!(secret.sizes, [("a".to_owned(), 5)].into());
    }

    #[test]
    fn only_our_annotations_are_kept() {
        let json = r#"{"metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "output.fissile.cloudfoundry.org/c.stdout": "{}"}}}"#;
        let present = present(TargetKind::ConfigMap, json).unwrap();
        assert_eq!(present.records.len(), 1);
    }
}
