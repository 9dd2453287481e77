//! That no field of a Job template is overlooked, now or in a later version of Kubernetes: all in its schema that has to
//! do with a ConfigMap or Secret, by its name, its type or its description, is listed here, with whether it is heeded. The
//! schema comes with k8s-openapi, so that a new version of it with new fields lets these tests fail.

use std::collections::{BTreeMap, BTreeSet};

use extendedjob_api::TargetKind;
use k8s_openapi::api::batch::v1::JobTemplateSpec;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::{Object, references};

const POD: &str = "spec.template.spec.";

/// All lists of containers.
const CONTAINERS: [&str; 3] = ["containers[].", "ephemeralContainers[].", "initContainers[]."];

/// Of each container, with why it is not heeded; nothing where it is.
const OF_A_CONTAINER: [(&str, &str); 4] = [
    ("env[].valueFrom.configMapKeyRef", ""),
    ("env[].valueFrom.secretKeyRef", ""),
    ("envFrom[].configMapRef", ""),
    ("envFrom[].secretRef", ""),
];

/// Of the pod, likewise.
const OF_A_POD: [(&str, &str); 20] = [
    ("imagePullSecrets[]", "decides whether an image can be pulled, not what runs; pods start without"),
    ("securityContext.fsGroupChangePolicy", "only speaks of such volumes"),
    ("volumes[].azureFile.secretName", ""),
    ("volumes[].cephfs.secretFile", "a path on the node"),
    ("volumes[].cephfs.secretRef", ""),
    ("volumes[].cinder.secretRef", ""),
    ("volumes[].configMap", ""),
    ("volumes[].csi.nodePublishSecretRef", ""),
    // Of the core group it may be a claim, and nothing else (KEP-1495).
    ("volumes[].ephemeral.volumeClaimTemplate.spec.dataSource", "never a ConfigMap or Secret"),
    ("volumes[].ephemeral.volumeClaimTemplate.spec.dataSourceRef", "never a ConfigMap or Secret"),
    ("volumes[].flexVolume.secretRef", ""),
    ("volumes[].image.reference", "only speaks of imagePullSecrets"),
    ("volumes[].iscsi.secretRef", ""),
    ("volumes[].projected", "only speaks of its sources"),
    ("volumes[].projected.sources[].configMap", ""),
    ("volumes[].projected.sources[].secret", ""),
    ("volumes[].rbd.secretRef", ""),
    ("volumes[].scaleIO.secretRef", ""),
    ("volumes[].secret", ""),
    ("volumes[].storageos.secretRef", ""),
];

/// The fields of the types by which ConfigMaps and Secrets are referred to. Of these `name`, `secretName`, `key`,
/// `items` and `optional` are read: all that say what is used. The others say where it goes.
const FIELDS: [(&str, &[&str]); 12] = [
    ("ConfigMapEnvSource", &["name", "optional"]),
    ("ConfigMapKeySelector", &["key", "name", "optional"]),
    ("ConfigMapProjection", &["items", "name", "optional"]),
    ("ConfigMapVolumeSource", &["defaultMode", "defaultUser", "items", "name", "optional"]),
    ("KeyToPath", &["key", "mode", "path", "user"]),
    ("LocalObjectReference", &["name"]),
    ("SecretEnvSource", &["name", "optional"]),
    ("SecretKeySelector", &["key", "name", "optional"]),
    ("SecretProjection", &["items", "name", "optional"]),
    ("SecretVolumeSource", &["defaultMode", "defaultUser", "items", "optional", "secretName"]),
    ("TypedLocalObjectReference", &["apiGroup", "kind", "name"]),
    ("TypedObjectReference", &["apiGroup", "kind", "name", "namespace"]),
];

/// All that has to do with a ConfigMap or Secret in the schema.
#[derive(Default)]
struct Found {
    paths: BTreeSet<String>,
    /// Of the types of those paths.
    fields: BTreeMap<String, BTreeSet<String>>,
}

fn mentions(text: &str) -> bool {
    let text = text.to_lowercase().replace(' ', "");
    text.contains("secret") || text.contains("configmap")
}

/// A type that refers to an object, which may be one of ours.
fn refers(of_type: &str) -> bool {
    mentions(of_type) || of_type.ends_with("ObjectReference")
}

impl Found {
    fn walk(&mut self, schema: &Value, types: &Value, path: &str) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let (item, suffix) = match property {
                Value::Object(fields) if fields.contains_key("items") => (&property["items"], "[]"),
                Value::Object(fields) if fields.contains_key("additionalProperties") => {
                    (&property["additionalProperties"], "{}")
                }
                _ => (property, ""),
            };
            let path = format!("{path}{name}{suffix}");
            let (of_type, schema) = resolved(item, types);
            let description = property["description"].as_str().unwrap_or_default();
            if mentions(name) || refers(of_type) || mentions(description) {
                self.paths.insert(path.clone());
            }
            if refers(of_type) {
                self.collect_fields(item, types);
            } else {
                self.walk(schema, types, &format!("{path}."));
            }
        }
    }

    fn collect_fields(&mut self, schema: &Value, types: &Value) {
        let (of_type, schema) = resolved(schema, types);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.fields.entry(of_type.to_owned()).or_default().insert(name.clone());
            self.collect_fields(
                if property["items"].is_object() { &property["items"] } else { property },
                types,
            );
        }
    }
}

/// The name of a type without its group, and its schema.
fn resolved<'a>(schema: &'a Value, types: &'a Value) -> (&'a str, &'a Value) {
    let Some(reference) = schema["$ref"].as_str() else { return ("", schema) };
    let name = reference.strip_prefix("#/$defs/").unwrap();
    assert!(types[name].is_object(), "there is no type {name}");
    (name.rsplit('.').next().unwrap(), &types[name])
}

fn found() -> Found {
    let schema = SchemaGenerator::default().into_root_schema_for::<JobTemplateSpec>().to_value();
    let mut found = Found::default();
    found.walk(&schema, &schema["$defs"], "");
    found
}

/// Each path with why it is not heeded, where it isn't.
fn listed() -> BTreeMap<String, &'static str> {
    let of_containers = CONTAINERS.iter().flat_map(|containers| {
        OF_A_CONTAINER.iter().map(move |(path, why_not)| (format!("{POD}{containers}{path}"), *why_not))
    });
    let of_pods = OF_A_POD.iter().map(|(path, why_not)| (format!("{POD}{path}"), *why_not));
    of_containers.chain(of_pods).collect()
}

/// A template with this one value in it.
fn template_with(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, step| match step.strip_suffix("[]") {
        Some(step) => json!({ step: [value] }),
        None => json!({ step: value }),
    })
}

#[test]
fn each_field_that_has_to_do_with_a_config_map_or_secret_is_listed() {
    assert_eq!(found().paths, listed().into_keys().collect());
}

#[test]
fn each_field_of_the_references_is_listed() {
    let owned = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
    let listed = FIELDS.iter().map(|(of_type, fields)| ((*of_type).to_owned(), owned(fields))).collect();
    assert_eq!(found().fields, listed);
}

#[test]
fn each_listed_field_is_heeded_unless_it_says_why_not() {
    for (path, why_not) in listed() {
        let value = if path.ends_with(".secretName") {
            json!("used")
        } else {
            json!({ "name": "used", "secretName": "used", "key": "a" })
        };
        let kind = if path.contains("configMap") { TargetKind::ConfigMap } else { TargetKind::Secret };
        let expected =
            if why_not.is_empty() { vec![Object { kind, name: "used".to_owned() }] } else { vec![] };
        let found: Vec<_> = references(&template_with(&path, value)).into_keys().collect();
        assert_eq!(found, expected, "{path}");
    }
}
