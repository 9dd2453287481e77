//! The API reference of the book, made from the CustomResourceDefinition: a table for each object in `spec` and
//! `status`. What is below `spec.template` is the native Job's, and stands in the reference of Kubernetes.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// The native Job template.
const TEMPLATE: &str = "spec.template";

/// The page, as Markdown, for a CRD as YAML.
pub(crate) fn of_crd(yaml: &str) -> Result<String> {
    let crd: Value = serde_saphyr::from_str(yaml).context("read the CRD")?;
    let (names, version) = (&crd["spec"]["names"], &crd["spec"]["versions"][0]);
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the CRD lacks a name");
    let (kind, group, name) = (text(&names["kind"])?, text(&crd["spec"]["group"])?, text(&version["name"])?);
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut page = Page::default();
    let short: Vec<String> = names["shortNames"].as_array().into_iter().flatten().map(plain).collect();
    write!(
        page.text,
        "<!-- Generated from deploy/crd.yaml by `cargo xtask gen`: edit the comments in api/src, not this. -->\n\n\
         # API reference\n\n\
         `apiVersion: {group}/{name}`, `kind: {kind}`, short name `{}`. {}\n\n\
         The fields are those of the schema in `deploy/crd.yaml`, in alphabetical order. `kubectl explain ejob.spec` shows \
         the same, and what is below `template` besides.\n",
        short.join("`, `"),
        one_line(schema),
    )?;
    for part in ["spec", "status"] {
        page.object(part, &schema["properties"][part])?;
    }
    Ok(page.text)
}

/// What was written so far.
#[derive(Default)]
struct Page {
    text: String,
    /// The objects that have a table, with their fields.
    told: Vec<(String, Value)>,
}

impl Page {
    /// A heading, what the object is, a table of its fields, and then the objects within it.
    fn object(&mut self, path: &str, schema: &Value) -> Result<()> {
        let fields = fields(schema).with_context(|| format!("{path} has no fields"))?;
        write!(self.text, "\n## {path}\n\n{}\n\n", one_line(schema))?;
        if let Some((same, _)) = self.told.iter().find(|(_, told)| *told == schema["properties"]) {
            writeln!(self.text, "Its fields are those of [{same}](#{}).", anchor(same))?;
            return Ok(());
        }
        self.told.push((path.to_owned(), schema["properties"].clone()));
        self.text.push_str("| field | type | default | description |\n| --- | --- | --- | --- |\n");
        let required = schema["required"].as_array();
        let mut within = Vec::new();
        for (name, field) in fields {
            let is_required = required.is_some_and(|required| required.contains(&Value::from(name.as_str())));
            let default = match field.get("default") {
                Some(default) => format!("`{}`", plain(default)),
                None if is_required => "required".to_owned(),
                None => String::new(),
            };
            let object = within_of(path, name, field);
            let kind = kind(field, object.as_ref().map(|(path, _)| path.as_str()));
            writeln!(
                self.text,
                "| `{name}` | {kind} | {default} | {} |",
                one_line(field).replace('|', "\\|")
            )?;
            within.extend(object);
        }
        within.into_iter().try_for_each(|(path, schema)| self.object(&path, schema))
    }
}

fn fields(schema: &Value) -> Option<&Map<String, Value>> {
    schema["properties"].as_object().filter(|fields| !fields.is_empty())
}

/// The object that a field holds, or each of its items, if it has a table of its own.
fn within_of<'a>(path: &str, name: &str, field: &'a Value) -> Option<(String, &'a Value)> {
    let path = format!("{path}.{name}");
    if path == TEMPLATE {
        return None;
    }
    let items = &field["items"];
    let object = fields(field).map(|_| (path.clone(), field));
    object.or_else(|| fields(items).map(|_| (format!("{path}[]"), items)))
}

/// What a field may hold, in words.
fn kind(field: &Value, object: Option<&str>) -> String {
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
        return values.join(", ");
    }
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    let linked = |word: &str| object.map_or(word.to_owned(), |path| format!("[{word}](#{})", anchor(path)));
    match (field["type"].as_str().unwrap_or_default(), field["format"].as_str()) {
        ("array", _) if object.is_some() => format!("list of {}", linked("objects")),
        ("array", _) => format!("list of {}s", kind(&field["items"], None)),
        ("object", _) if field.get("additionalProperties").is_some() => {
            format!("map of {}s", kind(&field["additionalProperties"], None))
        }
        ("object", _) => linked("object"),
        ("string", Some("date-time")) => "time".to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

/// What a heading can be linked to by.
fn anchor(path: &str) -> String {
    path.to_lowercase().replace(['.', '[', ']'], "")
}

/// A value as it is written in YAML.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The description of a schema.
fn one_line(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The page for a schema of `spec`.
    fn page(spec: &Value) -> String {
        let schema = json!({ "description": "A thing.", "properties": {
            "spec": spec, "status": { "properties": { "phase": { "type": "string" } } },
        }});
        let version = json!({ "name": "v1", "schema": { "openAPIV3Schema": schema } });
        let names = json!({ "kind": "Thing", "shortNames": ["th"] });
        let crd = json!({ "spec": { "group": "example.com", "names": names, "versions": [version] } });
        of_crd(&crd.to_string()).expect("JSON is YAML")
    }

    #[test]
    fn a_field_is_told_with_type_default_and_description_in_one_line() {
        let page = page(&json!({ "required": ["name"], "properties": {
            "name": { "type": "string", "description": "One\n  or | two." },
            "size": { "type": "integer", "format": "int32", "default": 10 },
            "mode": { "type": "string", "enum": ["a", "b"], "default": "a" },
            "limit": { "x-kubernetes-int-or-string": true },
            "since": { "type": "string", "format": "date-time" },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "tags": { "type": "array", "items": { "type": "string" } },
        }}));
        for line in [
            "| `name` | string | required | One or \\| two. |",
            "| `size` | integer | `10` |  |",
            "| `mode` | `a`, `b` | `a` |  |",
            "| `limit` | integer or string |  |  |",
            "| `since` | time |  |  |",
            "| `labels` | map of strings |  |  |",
            "| `tags` | list of strings |  |  |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in:\n{page}");
        }
    }

    #[test]
    fn an_object_within_another_has_a_table_that_the_field_leads_to() {
        let inner = json!({ "type": "object", "properties": { "x": { "type": "string" } } });
        let list = json!({ "type": "array", "items": { "properties": { "y": { "type": "string" } } } });
        let page = page(&json!({ "properties": { "oneThing": inner, "many": list } }));
        assert!(page.contains("| `oneThing` | [object](#speconething) |"), "{page}");
        assert!(page.contains("| `many` | list of [objects](#specmany) |"), "{page}");
        assert!(page.contains("\n## spec.oneThing\n") && page.contains("\n## spec.many[]\n"), "{page}");
    }

    #[test]
    fn objects_with_the_same_fields_have_one_table() {
        let inner = |what: &str| json!({ "description": what, "properties": { "x": { "type": "string" } } });
        let page = page(&json!({ "properties": { "a": inner("First."), "b": inner("Second.") } }));
        assert_eq!(page.matches("| `x` |").count(), 1, "{page}");
        assert!(
            page.contains("## spec.b\n\nSecond.\n\nIts fields are those of [spec.a](#speca).\n"),
            "{page}"
        );
    }

    #[test]
    fn nothing_below_the_template_is_told() {
        let template = json!({ "type": "object", "properties": { "spec": { "properties": { "z": {} } } } });
        let page = page(&json!({ "properties": { "template": template } }));
        assert!(page.contains("| `template` | object |") && !page.contains("## spec.template"), "{page}");
    }
}
