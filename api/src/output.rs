//! Where the output of a Job's containers is kept: `spec.output`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OutputKey, Stream, Target, TargetKind, rules};

/// Where the output of the Job's containers is kept.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::output()))]
pub struct Output {
    /// If false, standard output and standard error are taken as they stand in the log of the container, which holds
    /// both; they can go to one object only. Default: true.
    #[serde(default = "separate")]
    pub separate: bool,
    /// Where standard output goes. Each container has a key of its own, `<container>.stdout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StreamOutput>,
    /// Where standard error goes. Each container has a key of its own, `<container>.stderr`. The same object as for
    /// stdout can be named, if all but `key` and `format` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<StreamOutput>,
}

fn separate() -> bool {
    true
}

impl Output {
    /// The streams that are kept, with where they go.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, &StreamOutput)> {
        let streams = [(Stream::Stdout, &self.stdout), (Stream::Stderr, &self.stderr)];
        streams.into_iter().filter_map(|(stream, output)| Some((stream, output.as_ref()?)))
    }
}

/// The ConfigMap or Secret for one stream, and when it is written. Set exactly one of `configRef` and
/// `secretRef`.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::stream()))]
pub struct StreamOutput {
    /// The ConfigMap to write, as `namespace/name`, or as a bare name in the ExtendedJob's namespace. It is
    /// created when missing, and stays when the ExtendedJob is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::reference")]
    pub config_ref: Option<String>,
    /// The Secret to write, as `namespace/name`, or as a bare name in the ExtendedJob's namespace. It is
    /// created when missing, and stays when the ExtendedJob is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::reference")]
    pub secret_ref: Option<String>,
    /// If true, every run replaces the output that is there. If false, a key that exists is left alone, but
    /// for the output of a failed attempt, which a later success of the same Job replaces. Default: false.
    #[serde(default)]
    pub overwrite: bool,
    /// If true, the output of failed attempts is written too. Default: false.
    #[serde(default)]
    pub write_on_failure: bool,
    /// Another key than `<container>.<stream>`. It may hold `{container}` (which it must if there are several),
    /// `{stream}`, `{pod}` (the affected pod, in triggered jobs), and `{index}` (in Indexed Jobs). Where both streams
    /// stand in one log, it has the key of stdout. Example: `{pod}.{container}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::output_key")]
    pub key: Option<String>,
    /// How many bytes of each container are kept at most, such as `64Ki`; the newest ones are. Default: an equal share
    /// of what fits into one object (1 MiB), or `64Ki` where `key` holds `{pod}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::limit")]
    pub limit: Option<IntOrString>,
    /// `text`: a container's output is one value. `json` (for stdout): it is one flat JSON object, of which each field
    /// becomes a key; values that are not strings are kept as their JSON text. Default: text.
    #[serde(default)]
    pub format: Format,
    /// If true, each run makes a new immutable object, `<name>-v1`, `<name>-v2` and so on, with the output of its last
    /// attempt. Default: false.
    #[serde(default)]
    pub versioned: bool,
    /// Labels for the object that is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::target_labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the object that is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::target_annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// What a stream holds.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text, or any bytes.
    #[default]
    Text,
    /// One flat JSON object.
    Json,
}

impl StreamOutput {
    /// The object that the stream goes to; `None` unless exactly one reference is given, in its right form.
    pub fn target(&self, own_namespace: &str) -> Option<Target> {
        match (self.config_ref.as_deref(), self.secret_ref.as_deref()) {
            (Some(reference), None) => Target::parse(TargetKind::ConfigMap, reference, own_namespace),
            (None, Some(reference)) => Target::parse(TargetKind::Secret, reference, own_namespace),
            _ => None,
        }
    }

    /// The key as the user wants it; `None` where that is left to the operator, or has not the right form.
    pub fn output_key(&self) -> Option<OutputKey> {
        OutputKey::parse(self.key.as_deref()?)
    }

    /// How many bytes of each container are kept at most; `None` where that is left to the operator, or has not the
    /// right form.
    pub fn limit_bytes(&self) -> Option<u64> {
        match self.limit.as_ref()? {
            IntOrString::Int(bytes) => u64::try_from(*bytes).ok().filter(|bytes| *bytes > 0),
            IntOrString::String(quantity) => bytes(quantity),
        }
    }

    /// Whether all is the same but for `key`, `format` and the object itself.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let terms = |it: &Self| (it.overwrite, it.write_on_failure, it.limit.clone(), it.versioned);
        terms(self) == terms(other) && self.labels == other.labels && self.annotations == other.annotations
    }
}

/// A quantity of bytes: a whole number with `k`, `M`, `Ki`, `Mi` or nothing behind it.
fn bytes(quantity: &str) -> Option<u64> {
    let digits = quantity.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &quantity[digits.len()..] {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        _ => return None,
    };
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|number| is_whole && *number > 0)?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_bytes_or_a_quantity() {
        let limit = |limit| StreamOutput { limit: Some(limit), ..StreamOutput::default() }.limit_bytes();
        assert_eq!(limit(IntOrString::Int(65_536)), Some(65_536));
        for (quantity, expected) in [
            ("1", Some(1)),
            ("500k", Some(500_000)),
            ("2M", Some(2_000_000)),
            ("64Ki", Some(65_536)),
            ("1Mi", Some(1 << 20)),
            ("0", None),
            ("", None),
            ("Ki", None),
            ("-1", None),
            ("+1", None),
            ("1.5Mi", None),
            ("1Gi", None),
            ("64 Ki", None),
        ] {
            assert_eq!(limit(IntOrString::String(quantity.into())), expected, "{quantity}");
        }
        assert_eq!(limit(IntOrString::Int(0)), None);
    }
}
