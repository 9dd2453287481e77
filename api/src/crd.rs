//! The CustomResourceDefinition that a cluster is given.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::ExtendedJob;

/// The CustomResourceDefinition of ExtendedJob. It depends on nothing but this crate.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = ExtendedJob::crd();
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(columns());
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            adapt(schema);
        }
    }
    crd
}

/// What `kubectl get ejob` shows beside the name.
fn columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Mode", "string", ".status.mode"),
        column("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
        column("Active", "integer", ".status.active"),
        column("Succeeded", "integer", ".status.succeeded"),
        column("Failed", "integer", ".status.failed"),
        column("Last Run", "date", ".status.lastRun.startTime"),
        column("Result", "string", ".status.lastRun.result"),
        column("Age", "date", ".metadata.creationTimestamp"),
        wide(column("Last Pod", "string", ".status.lastRun.cause.pod")),
        wide(column("Message", "string", r#".status.conditions[?(@.type=="Ready")].message"#)),
    ]
}

fn column(name: &str, type_: &str, json_path: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: json_path.to_owned(),
        ..Default::default()
    }
}

/// Shown by `kubectl get ejob -o wide` only.
fn wide(column: CustomResourceColumnDefinition) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition { priority: Some(1), ..column }
}

/// Fits what the types yield to what an API server and its users expect, in `schema` and all below.
fn adapt(schema: &mut JSONSchemaProps) {
    // The API server drops a null where nullable is not set: `run: null` counts as not set, as in native
    // objects.
    schema.nullable = None;
    // The lines of a comment in the source are no lines for a reader of `kubectl explain`.
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));

    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(adapt);
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        adapt(values);
        // Except in a map: to drop `disk: null` from a nodeSelector would let the pods run anywhere. It stays,
        // and is for the Job's own API to read.
        values.nullable = Some(true);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        adapt(items);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn schema() -> Value {
        let crd = serde_json::to_value(crd()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    fn template() -> Value {
        schema()["properties"]["spec"]["properties"]["template"].clone()
    }

    /// The spec without `template`.
    fn own_spec() -> Value {
        let mut spec = schema()["properties"]["spec"].clone();
        spec["properties"].as_object_mut().unwrap().remove("template").unwrap();
        spec
    }

    /// This schema and all below, each with its path.
    fn nodes(schema: &Value) -> Vec<(String, &Value)> {
        let mut all = vec![(String::new(), schema)];
        let mut add = |step: &str, below| {
            all.extend(nodes(below).into_iter().map(|(path, node)| (format!("{step}{path}"), node)));
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            add(&format!(".{name}"), property);
        }
        for (keyword, step) in [("additionalProperties", "{}"), ("items", "[]")] {
            if schema[keyword].is_object() {
                add(step, &schema[keyword]);
            }
        }
        all
    }

    fn paths(schema: &Value, holds: impl Fn(&Value) -> bool) -> Vec<String> {
        nodes(schema).into_iter().filter(|(_, node)| holds(node)).map(|(path, _)| path).collect()
    }

    fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
        let found = nodes(schema).into_iter().find(|(candidate, _)| candidate == path);
        found.unwrap_or_else(|| panic!("no {path}")).1
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn all_that_rules_can_walk_is_bounded() {
        let unbounded = |node: &Value| match node["type"].as_str() {
            Some("string") => node["maxLength"].is_null() && node["enum"].is_null(),
            Some("array") => node["maxItems"].is_null(),
            Some("object") => node["additionalProperties"].is_object() && node["maxProperties"].is_null(),
            _ => false,
        };
        assert_eq!(paths(&own_spec(), unbounded), NONE);
    }

    #[test]
    fn no_rule_walks_the_template() {
        assert_eq!(paths(&template(), |node| !node["x-kubernetes-validations"].is_null()), NONE);
        let looked_at =
            ["size(self.template.spec.template.spec.containers)", "self.template.spec.completionMode"];
        for (path, node) in nodes(&schema()) {
            for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let text = rule["rule"].as_str().unwrap();
                let rest = looked_at.iter().fold(text.to_owned(), |text, part| text.replace(part, ""));
                assert!(!rest.contains("template"), "{path}: {rule}");
            }
        }
    }

    #[test]
    fn every_rule_has_a_message() {
        for (path, node) in nodes(&schema()) {
            for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(
                    rule["message"].is_string() || rule["messageExpression"].is_string(),
                    "{path}: {rule}"
                );
            }
        }
    }

    #[test]
    fn every_field_outside_the_template_is_described() {
        let mut schema = schema();
        schema["properties"]["spec"] = own_spec();
        let undescribed = paths(&schema, |node| !node["description"].is_string());
        // What a map or a list is about is told at its name.
        let expected = [
            ".spec.output.stderr.annotations{}",
            ".spec.output.stderr.labels{}",
            ".spec.output.stdout.annotations{}",
            ".spec.output.stdout.labels{}",
            ".spec.triggers.selector.matchExpressions[].values[]",
            ".spec.triggers.selector.matchLabels{}",
        ];
        assert_eq!(undescribed, expected);
    }

    #[test]
    fn a_fields_own_description_is_shown_where_its_type_has_one_too() {
        let described = |path: &str| at(&schema(), path)["description"].as_str().unwrap().to_owned();
        assert!(described(".spec.run").starts_with("Makes this a one-off"));
        assert!(described(".status.lastRun.result").starts_with("How far it is"));
    }

    #[test]
    fn there_is_no_description_below_template() {
        let below = paths(&template(), |node| node["description"].is_string());
        assert_eq!(below, [""], "the one of the template itself");
    }

    #[test]
    fn a_client_side_apply_has_room_in_its_annotation() {
        let bytes = serde_json::to_vec(&crd()).unwrap().len();
        assert!(bytes < 128 * 1024, "{bytes}: more than half of what an object's annotations may hold");
    }

    #[test]
    fn the_schema_is_structural() {
        let untyped = |node: &Value| {
            node["type"].is_null()
                && node["x-kubernetes-int-or-string"].is_null()
                && node["x-kubernetes-preserve-unknown-fields"].is_null()
        };
        assert_eq!(paths(&schema(), untyped), NONE);
        let text = schema().to_string();
        for keyword in ["$ref", "allOf", "anyOf", "oneOf", "components"] {
            assert!(!text.contains(&format!("{keyword:?}:")), "{keyword}");
        }
    }

    #[test]
    fn a_quantity_takes_any_scalar_and_nothing_else_is_left_open() {
        let open = paths(&template(), |node| node["x-kubernetes-preserve-unknown-fields"] == true);
        let quantities = ["limits{}", "requests{}", "overhead{}", ".divisor", ".sizeLimit"];
        assert!(!open.is_empty());
        for path in open {
            assert!(quantities.iter().any(|quantity| path.ends_with(quantity)), "{path}");
        }
        let ports = paths(&template(), |node| node["x-kubernetes-int-or-string"] == true);
        assert!(ports.iter().all(|path| path.ends_with(".port")), "{ports:?}");
    }

    #[test]
    fn what_every_job_needs_is_required_at_once() {
        let template = template();
        assert_eq!(template["required"], serde_json::json!(["spec"]));
        assert_eq!(at(&template, ".spec.template")["required"], serde_json::json!(["spec"]));
        let pod = at(&template, ".spec.template.spec");
        assert_eq!(pod["required"], serde_json::json!(["containers", "restartPolicy"]));
        assert_eq!(pod["properties"]["restartPolicy"]["enum"], serde_json::json!(["Never", "OnFailure"]));
    }

    #[test]
    fn integers_are_of_the_kinds_that_native_types_have() {
        let foreign = |node: &Value| {
            node["type"] == "integer" && node["format"] != "int32" && node["format"] != "int64"
        };
        assert_eq!(paths(&schema(), foreign), NONE);
    }

    #[test]
    fn what_is_left_out_has_a_default_that_can_be_seen() {
        let default = |field: &str| at(&own_spec(), field)["default"].clone();
        assert_eq!(default(".suspend"), false);
        assert_eq!(default(".successfulRunsHistoryLimit"), 10);
        assert_eq!(default(".failedRunsHistoryLimit"), 10);
        assert_eq!(default(".maxConcurrentRuns"), Value::Null, "any number");
    }

    #[test]
    fn the_values_of_an_enum_are_those_that_users_write() {
        let schema = schema();
        let values = |path: &str| at(&schema, path)["enum"].clone();
        let transitions = serde_json::json!(["ready", "notready", "created", "deleted"]);
        assert_eq!(values(".spec.triggers.when"), transitions);
        for transition in transitions.as_array().unwrap() {
            assert!(values(".status.mode").as_array().unwrap().contains(transition), "{transition}");
        }
    }

    #[test]
    fn of_the_templates_metadata_there_is_only_what_is_used_or_harmless() {
        let template = template();
        let names = at(&template, ".metadata")["properties"].as_object().unwrap().keys().cloned();
        assert_eq!(names.collect::<Vec<_>>(), ["annotations", "creationTimestamp", "labels", "name"]);
        let pod = at(&template, ".spec.template.metadata")["properties"].as_object().unwrap();
        assert!(pod.contains_key("labels") && !pod.contains_key("managedFields"));
    }

    #[test]
    fn null_means_absent_except_in_maps() {
        let nullable = paths(&schema(), |node| node["nullable"] == true);
        assert!(nullable.contains(&".spec.triggers.selector.matchLabels{}".to_owned()));
        assert!(nullable.iter().all(|path| path.ends_with("{}")), "{nullable:?}");
    }

    #[test]
    fn columns_come_in_the_order_in_which_they_are_read() {
        let crd = crd();
        let columns = crd.spec.versions[0].additional_printer_columns.as_ref().unwrap();
        let names = |wide: bool| -> Vec<&str> {
            let shown = columns.iter().filter(|column| column.priority.is_some() == wide);
            shown.map(|column| column.name.as_str()).collect()
        };
        assert_eq!(
            names(false),
            ["Mode", "Ready", "Active", "Succeeded", "Failed", "Last Run", "Result", "Age"]
        );
        assert_eq!(names(true), ["Last Pod", "Message"]);
    }

    #[test]
    fn conditions_are_a_map_by_type() {
        let schema = schema();
        let conditions = at(&schema, ".status.conditions");
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]));
    }
}
