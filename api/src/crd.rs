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
