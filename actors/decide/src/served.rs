//! Whether the CustomResourceDefinition that the API server serves holds all that this version of the operator knows: what
//! it does not hold is dropped from what users write, and from status, without a word.

use std::collections::BTreeSet;

use serde_json::Value;

const KIND: &str = "ExtendedJob";
/// Below this stand the fields of native Jobs.
const NATIVE: &str = ".spec.template";

/// The fields and enum values of `own`, the schema that this operator was built with, that are not in `document`, the
/// OpenAPI v3 document of the API server for the group and version; `None` if the kind is not in that.
#[must_use]
pub fn missing(own: &Value, document: &Value) -> Option<Vec<String>> {
    let schemas = document["components"]["schemas"].as_object()?;
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] == KIND))
    };
    let served = schemas.values().find(is_it)?;
    Some(fields(own).difference(&fields(served)).cloned().collect())
}

/// Such as `.spec.run` and `.spec.run=once`.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for part in ["spec", "status"] {
        walk(&schema["properties"][part], format!(".{part}"), &mut all);
    }
    all
}

fn walk(schema: &Value, path: String, all: &mut BTreeSet<String>) {
    let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    all.extend(values.map(|value| format!("{path}={value}")));
    if path != NATIVE {
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            walk(below, format!("{path}.{name}"), all);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], format!("{path}[]"), all);
        }
    }
    all.insert(path);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of version 1, with what others add to it.
    fn schema(when: &[&str], more: Value) -> Value {
        let mut status = json!({ "runs": { "items": { "properties": { "job": {} } } } });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "properties": {
            "metadata": { "properties": { "uid": {} } },
            "spec": { "properties": { "when": { "enum": when }, "template": { "properties": { "spec": {} } } } },
            "status": { "properties": status },
        } })
    }

    fn document(mut schema: Value) -> Value {
        schema["x-kubernetes-group-version-kind"] = json!([{ "kind": "ExtendedJob" }]);
        let list = json!({ "x-kubernetes-group-version-kind": [{ "kind": "ExtendedJobList" }] });
        json!({ "components": { "schemas": { "x.ExtendedJob": schema, "x.ExtendedJobList": list } } })
    }

    #[test]
    fn what_an_older_definition_lacks_is_named() {
        let own = schema(&["ready", "created"], json!({ "merged": {} }));
        assert_eq!(missing(&own, &document(own.clone())), Some(vec![]));
        let older = schema(&["ready"], json!({}));
        let expected = [".spec.when=created", ".status.merged"].map(str::to_owned).to_vec();
        assert_eq!(missing(&own, &document(older)), Some(expected));
    }

    #[test]
    fn a_newer_definition_and_another_kubernetes_are_no_matter() {
        let own = schema(&["ready"], json!({}));
        let mut newer = schema(&["ready", "created"], json!({ "merged": {} }));
        newer["properties"]["spec"]["properties"]["template"] = json!({});
        assert_eq!(missing(&own, &document(newer)), Some(vec![]));
    }

    #[test]
    fn of_a_kind_that_is_not_served_nothing_is_said() {
        assert_eq!(missing(&schema(&[], json!({})), &json!({ "components": { "schemas": {} } })), None);
    }
}
