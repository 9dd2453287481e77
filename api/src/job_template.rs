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
