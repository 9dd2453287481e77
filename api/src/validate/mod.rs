//! The rules of the schema in Rust, for an ExtendedJob that was stored under an older schema, and for what the schema
//! can't know.

mod output;

use std::collections::BTreeMap;

use crate::{
    ExtendedJobSpec, Operator, Requirement, Selector,
    rules::{
        LABEL_KEY_TEXT, LABEL_NAME_MAX, LABEL_PREFIX_MAX, LABEL_VALUE_MAX, LABEL_VALUE_TEXT, NO_RUN_POSSIBLE,
        NO_START, TWO_STARTS, VALUES_MISSING, VALUES_TOO_MANY,
    },
};

/// One thing that is wrong in a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Problem {
    /// The path of the field, such as `spec.output.stdout.secretRef`.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Says all that is wrong in the `spec` of an ExtendedJob in `namespace`, but for `template`: what is wrong there only
/// a dry run of the Job tells.
pub fn validate(spec: &ExtendedJobSpec, namespace: &str) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    match (&spec.triggers, &spec.run) {
        (Some(_), Some(_)) => problems.add("spec", TWO_STARTS),
        (None, None) => problems.add("spec", NO_START),
        _ => {}
    }
    if let Some(selector) = spec.triggers.as_ref().and_then(|triggers| triggers.selector.as_ref()) {
        problems.in_selector("spec.triggers.selector", selector);
    }
    if spec.max_concurrent_runs == Some(0) {
        problems.add("spec.maxConcurrentRuns", NO_RUN_POSSIBLE);
    }
    if let Some(output) = &spec.output {
        problems.in_output("spec.output", output, namespace);
        problems.in_keys("spec.output", spec);
    }
    if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    fn in_selector(&mut self, field: &str, selector: &Selector) {
        self.in_labels(&format!("{field}.matchLabels"), &selector.match_labels);
        for (index, requirement) in selector.match_expressions.iter().enumerate() {
            self.in_requirement(&format!("{field}.matchExpressions[{index}]"), requirement);
        }
    }

    fn in_labels(&mut self, field: &str, labels: &BTreeMap<String, String>) {
        self.in_keys_of(field, labels);
        for (key, _) in labels.iter().filter(|(_, value)| !is_label_value(value)) {
            self.add(format!("{field}[{key}]"), LABEL_VALUE_TEXT);
        }
    }

    fn in_keys_of(&mut self, field: &str, labels: &BTreeMap<String, String>) {
        for key in labels.keys().filter(|key| !is_label_key(key)) {
            self.add(field, format!("{key}: {LABEL_KEY_TEXT}"));
        }
    }

    fn in_requirement(&mut self, field: &str, requirement: &Requirement) {
        if !is_label_key(&requirement.key) {
            self.add(format!("{field}.key"), LABEL_KEY_TEXT);
        }
        let compares = matches!(requirement.operator, Operator::In | Operator::NotIn);
        match (compares, requirement.values.is_empty()) {
            (true, true) => self.add(format!("{field}.values"), VALUES_MISSING),
            (false, false) => self.add(format!("{field}.values"), VALUES_TOO_MANY),
            _ => {}
        }
        for (index, _) in requirement.values.iter().enumerate().filter(|(_, value)| !is_label_value(value)) {
            self.add(format!("{field}.values[{index}]"), LABEL_VALUE_TEXT);
        }
    }
}

/// Whether it has the form of a DNS label (RFC 1123), be it of any length: Kubernetes bounds the parts of most names only
/// as a whole.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    begins_ends_and_holds(text, inside, |byte| inside(byte) || byte == b'-')
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_fits = |prefix: &str| prefix.len() <= LABEL_PREFIX_MAX && prefix.split('.').all(is_dns_label);
    prefix.is_none_or(prefix_fits) && name.len() <= LABEL_NAME_MAX && is_qualified(name)
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || (value.len() <= LABEL_VALUE_MAX && is_qualified(value))
}

fn is_qualified(text: &str) -> bool {
    let ends = |byte: u8| byte.is_ascii_alphanumeric();
    begins_ends_and_holds(text, ends, |byte| ends(byte) || b"-_.".contains(&byte))
}

fn begins_ends_and_holds(text: &str, ends: impl Fn(u8) -> bool, holds: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| ends(*byte))
        && bytes.last().is_some_and(|byte| ends(*byte))
        && bytes.iter().all(|byte| holds(*byte))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use mangled::mangled;
    use proptest::{prop_assert, prop_assert_eq, proptest};
    use regex::Regex;
    use serde_json::{Value, json};

    use super::*;
    use crate::rules::{LABEL_KEY_FORM, LABEL_KEY_MAX, LABEL_VALUE_FORM};

    /// What is wrong in namespace `mine` with a spec of these fields and some template, as `field: message`.
    pub(super) fn problems(mut fields: Value) -> Vec<String> {
        if fields["template"].is_null() {
            fields["template"] = json!({});
        }
        let spec: ExtendedJobSpec = serde_json::from_str(&fields.to_string()).unwrap();
        validate(&spec, "mine").err().into_iter().flatten().map(|problem| problem.to_string()).collect()
    }

    pub(super) fn assert_only(fields: Value, field: &str, message: &str) {
        assert_eq!(problems(fields), [format!("{field}: {message}")]);
    }

    fn selecting(selector: Value) -> Value {
        json!({ "triggers": { "when": "ready", "selector": selector } })
    }

    #[test]
    fn what_is_right_has_no_problems() {
        for fields in [
            json!({ "run": "once" }),
            json!({ "triggers": { "when": "ready" } }),
            json!({ "triggers": { "when": "notready" } }),
            json!({ "triggers": { "when": "created" } }),
            json!({ "triggers": { "when": "deleted" } }),
            selecting(json!({})),
            selecting(json!({ "matchLabels": { "a": "", "example.com/b_C.d": "v-1" } })),
            selecting(json!({ "matchExpressions": [
                { "key": "a", "operator": "In", "values": ["b", ""] },
                { "key": "a", "operator": "DoesNotExist" },
            ] })),
        ] {
            assert_eq!(problems(fields.clone()), [""; 0], "{fields}");
        }
    }

    #[test]
    fn exactly_one_of_triggers_and_run_is_needed() {
        assert_only(json!({}), "spec", NO_START);
        assert_only(json!({ "run": "once", "triggers": { "when": "ready" } }), "spec", TWO_STARTS);
    }

    #[test]
    fn at_least_one_run_must_be_possible_and_no_finished_one_kept() {
        let once = |field: &str, value: u32| json!({ "run": "once", field: value });
        assert_only(once("maxConcurrentRuns", 0), "spec.maxConcurrentRuns", NO_RUN_POSSIBLE);
        for fields in [
            once("maxConcurrentRuns", 1),
            once("successfulRunsHistoryLimit", 0),
            once("failedRunsHistoryLimit", 0),
        ] {
            assert_eq!(problems(fields.clone()), [""; 0], "{fields}");
        }
    }

    #[test]
    fn a_selector_is_told_which_part_of_it_is_wrong() {
        let field = "spec.triggers.selector";
        let expression = |expression: Value| selecting(json!({ "matchExpressions": [expression] }));
        for (fields, part, message) in [
            (
                selecting(json!({ "matchLabels": { "-a": "b" } })),
                "matchLabels",
                format!("-a: {LABEL_KEY_TEXT}"),
            ),
            (
                selecting(json!({ "matchLabels": { "a": "b c" } })),
                "matchLabels[a]",
                LABEL_VALUE_TEXT.to_owned(),
            ),
            (
                expression(json!({ "key": "a/", "operator": "Exists" })),
                "matchExpressions[0].key",
                LABEL_KEY_TEXT.to_owned(),
            ),
            (
                expression(json!({ "key": "a", "operator": "NotIn", "values": ["b", "-"] })),
                "matchExpressions[0].values[1]",
                LABEL_VALUE_TEXT.to_owned(),
            ),
            (
                expression(json!({ "key": "a", "operator": "In" })),
                "matchExpressions[0].values",
                VALUES_MISSING.to_owned(),
            ),
            (
                expression(json!({ "key": "a", "operator": "Exists", "values": ["b"] })),
                "matchExpressions[0].values",
                VALUES_TOO_MANY.to_owned(),
            ),
        ] {
            assert_only(fields, &format!("{field}.{part}"), &message);
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let fields = json!({ "output": { "stdout": { "configRef": "A_b", "secretRef": "" } } });
        assert_eq!(problems(fields).len(), 5);
    }

    static LABEL_KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new(LABEL_KEY_FORM).unwrap());
    static LABEL_VALUE: LazyLock<Regex> = LazyLock::new(|| Regex::new(LABEL_VALUE_FORM).unwrap());

    proptest! {
        /// What an older schema has let in is judged, whatever it is: each problem names a field of the spec.
        #[test]
        fn no_spec_makes_it_panic(spec in mangled(whole_spec())) {
            if let Ok(spec) = serde_json::from_str::<ExtendedJobSpec>(&spec.to_string()) {
                for problem in validate(&spec, "ns").err().into_iter().flatten() {
                    prop_assert!(problem.field.starts_with("spec") && !problem.message.is_empty());
                }
            }
        }
    }

    fn whole_spec() -> Value {
        let expression = json!({ "key": "tier", "operator": "In", "values": ["cache"] });
        let stream = json!({ "configRef": "ns/out", "key": "{pod}.{container}.{stream}", "limit": "64Ki",
            "labels": { "a": "b" }, "annotations": { "c": "d" }, "overwrite": true });
        json!({
            "triggers": { "when": "ready", "selector": { "matchLabels": { "app": "web" }, "matchExpressions": [expression] } },
            "maxConcurrentRuns": 3, "suspend": false, "updateOnConfigChange": true,
            "output": { "stdout": stream, "stderr": { "secretRef": "other" } },
            "template": { "spec": { "template": { "spec": { "containers": [{ "name": "a" }, { "name": "b" }] } } } },
        })
    }

    // The schema has its forms as regular expressions, this file as code: they must agree.
    proptest! {
        #[test]
        fn label_keys_are_judged_as_in_the_schema(key in "[-./aB_ ]{0,8}|[ab]{0,5}[./]?[a]{60,66}") {
            let in_schema = LABEL_KEY.is_match(&key);
            prop_assert_eq!(is_label_key(&key), in_schema && key.len() <= LABEL_KEY_MAX);
        }

        #[test]
        fn label_values_are_judged_as_in_the_schema(value in "[-.aB_ ]{0,8}|[a]{60,66}") {
            let in_schema = LABEL_VALUE.is_match(&value);
            prop_assert_eq!(is_label_value(&value), in_schema && value.len() <= LABEL_VALUE_MAX);
        }
    }
}
