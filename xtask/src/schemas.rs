//! JSON schemas of Kubernetes' own resources, for kubeconform: made from the API description in the source of the
//! Kubernetes that the tests run on, as the collections that it takes by default are out of reach without a network.
//!
//! They are strict: a field that the API does not know is an error, where the description alone would let it pass.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use local_cluster::KUBERNETES_MODULE;
use serde_json::{Map, Value, json};

use crate::{go, process};

/// The API description, within the source of Kubernetes.
const DESCRIPTION: &str = "api/openapi-spec/swagger.json";

/// The file with all types, to which those of single resources point.
const TYPES: &str = "types.json";

/// Writes them to a folder, and says where kubeconform is to look.
pub(crate) fn write() -> Result<String> {
    let path = go::source("k8s.io/kubernetes", KUBERNETES_MODULE)?.join(DESCRIPTION);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut description: Value =
        serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
    let types = description["definitions"].as_object_mut().context("the API description has no types")?;
    let folder = process::project().join("target/schemas");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (file, schema) in schemas(std::mem::take(types)) {
        write_one(&folder.join(file), &schema)?;
    }
    // Kubeconform fills in what `file_of` says.
    Ok(folder.join("{{.ResourceKind}}{{.KindSuffix}}.json").display().to_string())
}

fn write_one(path: &Path, schema: &Value) -> Result<()> {
    fs::write(path, schema.to_string()).with_context(|| format!("write {}", path.display()))
}

/// A file for each resource, and one with all types.
fn schemas(mut types: Map<String, Value>) -> Vec<(String, Value)> {
    let mut files = Vec::new();
    for (name, schema) in &mut types {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            files.push((file_of(kind), json!({ "$ref": format!("{TYPES}#/definitions/{name}") })));
        }
        make_strict(name, schema);
    }
    files.push((TYPES.to_owned(), json!({ "definitions": types })));
    files
}

/// The name by which kubeconform asks for a kind: `deployment-apps-v1.json`, `pod-v1.json`.
fn file_of(kind: &Value) -> String {
    let word = |key: &str| kind[key].as_str().unwrap_or_default().to_lowercase();
    let group = word("group");
    let of_group = group.split('.').next().filter(|group| !group.is_empty());
    let of_group = of_group.map(|group| format!("-{group}")).unwrap_or_default();
    format!("{}{of_group}-{}.json", word("kind"), word("version"))
}

/// Lets no unknown field pass, and takes what clients may write in more than one way.
fn make_strict(name: &str, schema: &mut Value) {
    if let Some(both) = match name {
        name if name.ends_with(".IntOrString") => Some(json!(["integer", "string"])),
        name if name.ends_with(".Quantity") => Some(json!(["number", "string"])),
        _ => None,
    } {
        *schema = json!({ "type": both });
    } else if schema.get("properties").is_some() {
        schema["additionalProperties"] = json!(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(types: Value) -> Map<String, Value> {
        let Value::Object(types) = types else { panic!("types are an object") };
        schemas(types).into_iter().collect()
    }

    #[test]
    fn a_resource_is_found_by_kind_group_and_version() {
        let role = json!([{"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "Role"}]);
        let pod = json!([{"group": "", "version": "v1", "kind": "Pod"}]);
        let files = made(json!({
            "rbac.Role": { "x-kubernetes-group-version-kind": role },
            "core.Pod": { "x-kubernetes-group-version-kind": pod },
        }));
        assert_eq!(files["role-rbac-v1.json"], json!({ "$ref": "types.json#/definitions/rbac.Role" }));
        assert_eq!(files["pod-v1.json"], json!({ "$ref": "types.json#/definitions/core.Pod" }));
    }

    #[test]
    fn unknown_fields_are_errors_where_fields_are_described() {
        let files = made(json!({
            "v1.Port": { "properties": { "number": {} } },
            "v1.JSON": { "description": "anything" },
        }));
        assert_eq!(files[TYPES]["definitions"]["v1.Port"]["additionalProperties"], json!(false));
        assert_eq!(files[TYPES]["definitions"]["v1.JSON"].get("additionalProperties"), None);
    }

    #[test]
    fn quantities_and_ports_are_numbers_or_text() {
        let files = made(json!({
            "resource.Quantity": { "type": "string" },
            "intstr.IntOrString": { "type": "string", "format": "int-or-string" },
        }));
        let types = &files[TYPES]["definitions"];
        assert_eq!(types["resource.Quantity"], json!({ "type": ["number", "string"] }));
        assert_eq!(types["intstr.IntOrString"], json!({ "type": ["integer", "string"] }));
    }
}
