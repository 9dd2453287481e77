//! Reading what kubectl shows.

use serde_json::Value;

/// The object's name, or nothing.
pub fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// The object's UID, or nothing.
pub fn uid(object: &Value) -> &str {
    text(&object["metadata"]["uid"])
}

/// When the object was created, or nothing.
pub fn created(object: &Value) -> &str {
    text(&object["metadata"]["creationTimestamp"])
}

/// A label's value, or nothing.
pub fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    text(&object["metadata"]["labels"][key])
}

/// An annotation's value, or nothing.
pub fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    text(&object["metadata"]["annotations"][key])
}

/// A string, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The owner reference of the object's controller.
pub fn controller(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

/// The condition of this type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}
