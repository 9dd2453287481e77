//! The names of all fields, and their values where these are named: by them an operator tells whether a cluster's definition
//! is of its version.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// Those of this version, a line each. Written down, because to make the definition anew takes some mebibytes.
pub const OWN: &str = include_str!("fields.txt");

/// Below this stand the fields of native Jobs.
const NATIVE: &str = ".spec.template";

/// A schema, as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Schema {
    r#enum: Vec<Value>,
    properties: BTreeMap<String, Schema>,
    items: Option<Box<Schema>>,
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Vec<GroupVersionKind>,
}

#[derive(Debug, Deserialize)]
struct GroupVersionKind {
    kind: String,
}

impl Schema {
    /// Whether it is the one of this kind.
    #[must_use]
    pub fn is_of(&self, kind: &str) -> bool {
        self.kinds.iter().any(|it| it.kind == kind)
    }

    /// Such as `.spec.run` and `.spec.run=once`.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for part in ["spec", "status"] {
            if let Some(schema) = self.properties.get(part) {
                schema.walk(format!(".{part}"), &mut all);
            }
        }
        all
    }

    fn walk(&self, path: String, all: &mut BTreeSet<String>) {
        let values = self.r#enum.iter().filter_map(Value::as_str);
        all.extend(values.map(|value| format!("{path}={value}")));
        if path != NATIVE {
            for (name, below) in &self.properties {
                below.walk(format!("{path}.{name}"), all);
            }
            if let Some(items) = &self.items {
                items.walk(format!("{path}[]"), all);
            }
        }
        all.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn those_of_this_version_are_those_of_its_definition() {
        let crd = crate::crd();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap();
        let fields = Schema::deserialize(json!(schema.open_api_v3_schema)).unwrap().fields();
        assert!(OWN.lines().eq(fields.iter().map(String::as_str)), "run `cargo xtask gen`");
    }
}
