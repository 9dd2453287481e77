//! The native Job that an ExtendedJob starts, carried as the user wrote it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A `batch/v1` JobTemplateSpec as raw JSON.
///
/// It is never decoded into types and encoded again: a field that is newer than the types of this program
/// would be lost on the way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobTemplate(Box<RawValue>);

impl JobTemplate {
    /// The JSON text, as the API server sent it.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// What of it matters to the keys of its output.
    pub fn shape(&self) -> Shape {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(self.get()) else { return Shape::default() };
        let spec = wire.spec.unwrap_or_default();
        let pod = spec.template.unwrap_or_default().spec.unwrap_or_default();
        Shape {
            containers: pod.containers.map_or(0, |containers| containers.len()),
            is_indexed: spec.completion_mode.as_deref() == Some("Indexed"),
        }
    }
}

/// What of a Job matters to the keys of its output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// How many containers its pods have, init containers not counted.
    pub containers: usize,
    /// Its pods are numbered.
    pub is_indexed: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    spec: Option<WireJob<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireJob<'a> {
    completion_mode: Option<String>,
    #[serde(borrow)]
    template: Option<WirePod<'a>>,
}

#[derive(Default, Deserialize)]
struct WirePod<'a> {
    #[serde(borrow)]
    spec: Option<WirePodSpec<'a>>,
}

#[derive(Default, Deserialize)]
struct WirePodSpec<'a> {
    #[serde(borrow)]
    containers: Option<Vec<&'a RawValue>>,
}

/// Says only how long it is: a template may hold what belongs into no log.
impl fmt::Debug for JobTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobTemplate({} bytes)", self.get().len())
    }
}

impl JsonSchema for JobTemplate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        crate::template_schema::job_template()
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};

    use crate::ExtendedJob;

    /// With a field that no type knows, a number that no float holds, and an order of its own.
    const TEMPLATE: &str = r#"{"spec":{"z":1,"a":{"newer":[true,null]},"n":12345678901234567890.10}}"#;

    fn object() -> String {
        format!(
            r#"{{"apiVersion":"fissile.cloudfoundry.org/v1alpha1","kind":"ExtendedJob","metadata":{{"name":"x"}},"spec":{{"run":"once","template":{TEMPLATE}}}}}"#
        )
    }

    #[test]
    fn the_template_stays_as_it_came_through_get_list_and_watch() {
        let got: ExtendedJob = serde_json::from_str(&object()).unwrap();
        assert_eq!(got.spec.template.get(), TEMPLATE);

        let list = format!(r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{}]}}"#, object());
        let list: ObjectList<ExtendedJob> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.items[0].spec.template.get(), TEMPLATE);

        let event = format!(r#"{{"type":"ADDED","object":{}}}"#, object());
        match serde_json::from_str(&event).unwrap() {
            WatchEvent::<ExtendedJob>::Added(added) => assert_eq!(added.spec.template.get(), TEMPLATE),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_template_is_written_as_it_came() {
        let got: ExtendedJob = serde_json::from_str(&object()).unwrap();
        assert!(serde_json::to_string(&got).unwrap().contains(TEMPLATE));
    }

    #[test]
    fn debug_output_holds_nothing_of_the_template() {
        let got: ExtendedJob = serde_json::from_str(&object()).unwrap();
        let debug = format!("{:?}", got.spec.template);
        assert_eq!(debug, format!("JobTemplate({} bytes)", TEMPLATE.len()));
    }
}
