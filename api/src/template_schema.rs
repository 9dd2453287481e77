//! The schema of `template`: the native Job template, fit to stand inside a CustomResourceDefinition.
//!
//! It starts from the schema that k8s-openapi has for JobTemplateSpec, and
//! - puts every named type where it is used, because a CRD has no definitions;
//! - drops the descriptions: with them the CRD would not fit into the annotation that a client-side
//!   `kubectl apply` writes (256 KiB);
//! - takes quantities as they come, see [`QUANTITY`];
//! - drops and requires a few fields, see [`native_types`].

use k8s_openapi::api::batch::v1::JobTemplateSpec;
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Value, json};

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const POD_TEMPLATE: &str = "io.k8s.api.core.v1.PodTemplateSpec";
const POD: &str = "io.k8s.api.core.v1.PodSpec";

/// Fields that are described as required, and yet a Job without them is accepted: their zero value is valid.
const OPTIONAL_AFTER_ALL: [(&str, &str); 7] = [
    ("io.k8s.api.batch.v1.PodFailurePolicy", "rules"),
    ("io.k8s.api.core.v1.HTTPHeader", "value"),
    ("io.k8s.api.core.v1.ISCSIVolumeSource", "lun"),
    ("io.k8s.api.core.v1.LocalObjectReference", "name"),
    ("io.k8s.api.core.v1.PreferredSchedulingTerm", "preference"),
    ("io.k8s.api.core.v1.SleepAction", "seconds"),
    ("io.k8s.api.core.v1.Sysctl", "value"),
];

/// The schema of a Job template.
pub(crate) fn job_template() -> Schema {
    let mut generator = SchemaSettings::default().into_generator();
    let root = generator.subschema_for::<JobTemplateSpec>();
    let mut definitions = Value::Object(generator.take_definitions(false));
    native_types(&mut definitions);

    let mut schema = inlined(root.as_value(), &definitions);
    // As in a CronJob only labels and annotations are used. A name is what people write all the same, and an
    // empty creationTimestamp what kubectl prints; anything else would be accepted and ignored.
    keep_only(&mut schema["properties"]["metadata"], &["annotations", "creationTimestamp", "labels", "name"]);
    schema["required"] = json!(["spec"]);
    Schema::try_from(schema).unwrap_or_default()
}

/// Where the native types differ from what k8s-openapi says of them.
fn native_types(definitions: &mut Value) {
    // A Job takes `cpu: 500m`, `cpu: 1` and `cpu: 0.5`. The last is no "int or string", and structural
    // schemas have no other way to allow several types.
    definitions[QUANTITY] = json!({ "x-kubernetes-preserve-unknown-fields": true });
    // Written by the API server alone, and schemaless inside.
    remove_property(&mut definitions[OBJECT_META], "managedFields");
    for (definition, property) in OPTIONAL_AFTER_ALL {
        if let Some(required) = definitions[definition]["required"].as_array_mut() {
            required.retain(|name| name != property);
        }
    }
    // Optional by type and yet refused by every Job without them; the API server of the ExtendedJob can say so
    // at once.
    definitions[POD_TEMPLATE]["required"] = json!(["spec"]);
    definitions[POD]["required"] = json!(["containers", "restartPolicy"]);
    definitions[POD]["properties"]["containers"]["minItems"] = json!(1);
    definitions[POD]["properties"]["restartPolicy"]["enum"] = json!(["Never", "OnFailure"]);
}

/// The schema with every reference replaced by what it refers to, and without descriptions.
fn inlined(schema: &Value, definitions: &Value) -> Value {
    match schema {
        Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
            Some(reference) => inlined(definition(reference, definitions), definitions),
            None => fields
                .iter()
                .filter(|(key, value)| !is_description(key, value))
                .map(|(key, value)| (key.clone(), inlined(value, definitions)))
                .collect(),
        },
        Value::Array(items) => items.iter().map(|item| inlined(item, definitions)).collect(),
        scalar => scalar.clone(),
    }
}

/// What `#/$defs/<name>` refers to.
fn definition<'a>(reference: &str, definitions: &'a Value) -> &'a Value {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    &definitions[name]
}

fn keep_only(schema: &mut Value, properties: &[&str]) {
    if let Some(all) = schema["properties"].as_object_mut() {
        all.retain(|name, _| properties.contains(&name.as_str()));
    }
}

fn remove_property(schema: &mut Value, property: &str) {
    if let Some(all) = schema["properties"].as_object_mut() {
        all.remove(property);
    }
}

/// A property may be called `description` too, but then its value is a schema.
fn is_description(key: &str, value: &Value) -> bool {
    key == "description" && value.is_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_has_these_names_in_k8s_openapi() {
        let mut generator = SchemaSettings::default().into_generator();
        generator.subschema_for::<JobTemplateSpec>();
        let definitions = Value::Object(generator.take_definitions(false));
        for name in [QUANTITY, OBJECT_META, POD_TEMPLATE, POD] {
            assert!(definitions[name].is_object(), "{name}");
        }
        assert!(definitions[OBJECT_META]["properties"]["managedFields"].is_object());
        for (name, property) in OPTIONAL_AFTER_ALL {
            let required = definitions[name]["required"].as_array().unwrap();
            assert!(required.contains(&json!(property)), "{name}.{property} is optional anyway");
        }
    }

    #[test]
    fn a_property_called_description_is_no_description() {
        let schema = json!({
            "description": "dropped",
            "properties": { "description": { "type": "string", "description": "dropped" } },
        });
        let expected = json!({ "properties": { "description": { "type": "string" } } });
        assert_eq!(inlined(&schema, &Value::Null), expected);
    }
}
