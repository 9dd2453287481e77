//! Whether the CustomResourceDefinition that the API server serves holds all that this version of the operator knows: what
//! it does not hold is dropped from what users write, and from status, without a word.

use std::collections::BTreeMap;

use extendedjob_api::fields::{OWN, Schema};
use serde::Deserialize;

const KIND: &str = "ExtendedJob";

/// The API server's OpenAPI v3 document for our group and version, as far as it matters.
#[derive(Debug, Deserialize)]
pub struct Document {
    components: Components,
}

#[derive(Debug, Deserialize)]
struct Components {
    schemas: BTreeMap<String, Schema>,
}

impl Document {
    /// The fields and enum values that this version knows and that are not in the document; `None` if the kind is not.
    #[must_use]
    pub fn missing(&self) -> Option<Vec<String>> {
        self.lacking(OWN.lines())
    }

    fn lacking<'a>(&self, own: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
        let is_it = |schema: &&Schema| schema.is_of(KIND);
        let served = self.components.schemas.values().find(is_it)?.fields();
        Some(own.filter(|field| !served.contains(*field)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    fn lacking(own: &Value, document: Value) -> Option<Vec<String>> {
        let own = Schema::deserialize(own).unwrap().fields();
        Document::deserialize(document).unwrap().lacking(own.iter().map(String::as_str))
    }

    #[test]
    fn what_an_older_definition_lacks_is_named() {
        let own = schema(&["ready", "created"], json!({ "merged": {} }));
        assert_eq!(lacking(&own, document(own.clone())), Some(vec![]));
        let older = schema(&["ready"], json!({}));
        let expected = [".spec.when=created", ".status.merged"].map(str::to_owned).to_vec();
        assert_eq!(lacking(&own, document(older)), Some(expected));
    }

    #[test]
    fn a_newer_definition_and_another_kubernetes_are_no_matter() {
        let own = schema(&["ready"], json!({}));
        let mut newer = schema(&["ready", "created"], json!({ "merged": {} }));
        newer["properties"]["spec"]["properties"]["template"] = json!({});
        assert_eq!(lacking(&own, document(newer)), Some(vec![]));
    }

    #[test]
    fn of_a_kind_that_is_not_served_nothing_is_said() {
        assert_eq!(lacking(&schema(&[], json!({})), json!({ "components": { "schemas": {} } })), None);
    }
}
