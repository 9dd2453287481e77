//! The rules of `spec.output`.

use super::{Problems, is_dns_label};
use crate::{
    ExtendedJobSpec, Format, Origin, Output, OutputKey, Placeholder, Stream, StreamOutput,
    rules::{
        CAPITALS, CONTAINER_NOT_IN_KEY, INDEX_IN_KEY, JSON_WITH_KEY, KEY_FORM_TEXT, LIMIT_FORM_TEXT,
        MERGED_APART, MERGED_JSON, NAME_LENGTH, NAME_MAX, NAMESPACE_LENGTH, NAMESPACE_MAX, NO_REFERENCE,
        NO_STREAM, POD_IN_KEY, REFERENCE_FORM_TEXT, RESERVED, STDERR_JSON, STREAMS_COLLIDE, STREAMS_DISAGREE,
        TWO_REFERENCES, VERSIONED_NAME, VERSIONED_NAME_MAX, VERSIONED_OVERWRITE, is_reserved,
    },
};

impl Problems {
    pub(super) fn in_output(&mut self, field: &str, output: &Output, namespace: &str) {
        if output.streams().next().is_none() {
            self.add(field, NO_STREAM);
        }
        for (name, stream) in output.streams() {
            self.in_stream(&format!("{field}.{}", name.name()), stream);
        }
        if output.stderr.as_ref().is_some_and(|stderr| stderr.format == Format::Json) {
            self.add(format!("{field}.stderr.format"), STDERR_JSON);
        }
        let json = output.stdout.as_ref().is_some_and(|stdout| stdout.format == Format::Json);
        if !output.separate && json {
            self.add(field, MERGED_JSON);
        }
        if let (Some(stdout), Some(stderr)) = (&output.stdout, &output.stderr) {
            self.in_both(field, output.separate, stdout, stderr, namespace);
        }
    }

    fn in_both(
        &mut self,
        field: &str,
        separate: bool,
        stdout: &StreamOutput,
        stderr: &StreamOutput,
        namespace: &str,
    ) {
        let (target, other) = (stdout.target(namespace), stderr.target(namespace));
        if target.is_none() || other.is_none() {
            return;
        }
        if target != other {
            if !separate {
                self.add(field, MERGED_APART);
            }
            return;
        }
        if !stdout.agrees_with(stderr) {
            self.add(field, STREAMS_DISAGREE);
        }
        let key = |it: &StreamOutput, stream| {
            let key = it.key.as_deref().map_or_else(|| Some(OutputKey::usual(false)), OutputKey::parse)?;
            // What else differs from one output to the next is the same for both streams.
            Some(key.fill(Origin { pod: "{pod}", container: "{container}", stream, index: None }))
        };
        let stdout_key = key(stdout, Stream::Stdout);
        if stdout_key.is_some() && stdout_key == key(stderr, Stream::Stderr) {
            self.add(field, STREAMS_COLLIDE);
        }
    }

    /// What a key may hold depends on what starts the Job, and on the Job.
    pub(super) fn in_keys(&mut self, field: &str, spec: &ExtendedJobSpec) {
        for (stream, output) in spec.output.iter().flat_map(Output::streams) {
            let Some(key) = output.output_key() else { continue };
            let field = format!("{field}.{}.key", stream.name());
            let shape = spec.template.shape();
            if spec.triggers.is_none() && key.holds(Placeholder::Pod) {
                self.add(field.as_str(), POD_IN_KEY);
            }
            if shape.containers > 1 && !key.holds(Placeholder::Container) {
                self.add(field.as_str(), CONTAINER_NOT_IN_KEY);
            }
            if !shape.is_indexed && key.holds(Placeholder::Index) {
                self.add(field, INDEX_IN_KEY);
            }
        }
    }

    fn in_stream(&mut self, field: &str, stream: &StreamOutput) {
        match (&stream.config_ref, &stream.secret_ref) {
            (Some(_), Some(_)) => self.add(field, TWO_REFERENCES),
            (None, None) => self.add(field, NO_REFERENCE),
            _ => {}
        }
        for (name, reference) in [("configRef", &stream.config_ref), ("secretRef", &stream.secret_ref)] {
            let Some(reference) = reference else { continue };
            self.in_reference(&format!("{field}.{name}"), reference);
            let name = reference.rsplit('/').next().unwrap_or_default();
            if stream.versioned && name.len() > VERSIONED_NAME_MAX {
                self.add(field, VERSIONED_NAME);
            }
        }
        if stream.key.is_some() && stream.output_key().is_none() {
            self.add(format!("{field}.key"), KEY_FORM_TEXT);
        }
        if stream.limit.is_some() && stream.limit_bytes().is_none() {
            self.add(format!("{field}.limit"), LIMIT_FORM_TEXT);
        }
        if stream.format == Format::Json && stream.key.is_some() {
            self.add(field, JSON_WITH_KEY);
        }
        if stream.versioned && stream.overwrite {
            self.add(field, VERSIONED_OVERWRITE);
        }
        self.in_labels(&format!("{field}.labels"), &stream.labels);
        self.in_keys_of(&format!("{field}.annotations"), &stream.annotations);
        for (name, map) in [("labels", &stream.labels), ("annotations", &stream.annotations)] {
            for key in map.keys().filter(|key| is_reserved(key)) {
                self.add(format!("{field}.{name}"), format!("{key}{RESERVED}"));
            }
        }
    }

    fn in_reference(&mut self, field: &str, reference: &str) {
        let lower = reference.to_ascii_lowercase();
        if lower != reference {
            self.add(field, format!("{CAPITALS}{lower}"));
        }
        let (namespace, name) = match lower.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, lower.as_str()),
        };
        if !namespace.is_none_or(is_dns_label) || !name.split('.').all(is_dns_label) {
            self.add(field, REFERENCE_FORM_TEXT);
        }
        if namespace.is_some_and(|namespace| namespace.len() > NAMESPACE_MAX) {
            self.add(field, NAMESPACE_LENGTH);
        }
        if name.len() > NAME_MAX {
            self.add(field, NAME_LENGTH);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::{prop_assert_eq, proptest};
    use regex::Regex;
    use serde_json::{Value, json};

    use super::super::tests::{assert_only, problems};
    use super::*;
    use crate::rules::{KEY_FORM, LABEL_KEY_TEXT, LABEL_VALUE_TEXT, REFERENCE_FORM};

    fn writing(stdout: Value) -> Value {
        json!({ "run": "once", "output": { "stdout": stdout } })
    }

    fn both(stdout: Value, stderr: Value) -> Value {
        json!({ "run": "once", "output": { "stdout": stdout, "stderr": stderr } })
    }

    #[test]
    fn what_is_right_has_no_problems() {
        let to = |name: &str| json!({ "configRef": name });
        for fields in [
            writing(json!({ "configRef": "foo" })),
            writing(json!({ "secretRef": "my-namespace/foo.bar-1" })),
            json!({ "run": "once", "output": { "stderr": to("foo") } }),
            both(to("foo"), to("foo")),
            both(to("foo"), json!({ "secretRef": "foo", "overwrite": true })),
            both(
                json!({ "configRef": "a", "key": "all.{stream}" }),
                json!({ "configRef": "a", "key": "all.{stream}" }),
            ),
            json!({ "run": "once", "output": { "separate": false, "stdout": to("a"), "stderr": to("mine/a") } }),
            writing(
                json!({ "configRef": "a", "limit": "64Ki", "labels": { "a": "b" }, "annotations": { "a/b": "é" } }),
            ),
            writing(json!({ "configRef": "a", "format": "json" })),
            writing(json!({ "configRef": "a", "versioned": true })),
        ] {
            assert_eq!(problems(fields.clone()), [""; 0], "{fields}");
        }
    }

    #[test]
    fn exactly_one_target_is_needed_for_a_stream() {
        assert_only(json!({ "run": "once", "output": {} }), "spec.output", NO_STREAM);
        assert_only(writing(json!({})), "spec.output.stdout", NO_REFERENCE);
        let two = json!({ "configRef": "a", "secretRef": "b" });
        assert_only(writing(two), "spec.output.stdout", TWO_REFERENCES);
    }

    #[test]
    fn a_reference_is_told_what_is_wrong_with_it() {
        let field = "spec.output.stdout.secretRef";
        for (reference, message) in [
            ("mynamespace/fooSecret", format!("{CAPITALS}mynamespace/foosecret")),
            ("a/b/c", REFERENCE_FORM_TEXT.to_owned()),
            ("my.namespace/foo", REFERENCE_FORM_TEXT.to_owned()),
            (&format!("{}/foo", "n".repeat(64)), NAMESPACE_LENGTH.to_owned()),
            (&"n".repeat(254), NAME_LENGTH.to_owned()),
        ] {
            assert_only(writing(json!({ "secretRef": reference })), field, &message);
        }
    }

    #[test]
    fn two_streams_of_one_object_agree_and_have_two_keys() {
        let to = |name: &str, more: Value| {
            let mut stream = json!({ "configRef": name });
            stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            stream
        };
        let plain = || to("a", json!({}));
        for more in [
            json!({ "overwrite": true }),
            json!({ "writeOnFailure": true }),
            json!({ "limit": "1Ki" }),
            json!({ "versioned": true }),
            json!({ "labels": { "a": "b" } }),
            json!({ "annotations": { "a": "b" } }),
        ] {
            // A bare name means the own namespace.
            assert_only(both(plain(), to("mine/a", more.clone())), "spec.output", STREAMS_DISAGREE);
            assert_eq!(problems(both(plain(), to("other/a", more))), [""; 0]);
        }
        let key = |key: &str| to("a", json!({ "key": key }));
        for (stdout, stderr) in [
            (key("all"), key("all")),
            (key("x.{stream}"), key("x.stdout")),
            (plain(), key("{container}.stdout")),
        ] {
            assert_only(both(stdout, stderr), "spec.output", STREAMS_COLLIDE);
        }
    }

    #[test]
    fn a_merged_log_goes_to_one_object_and_is_no_json() {
        let merged = |stdout: Value, stderr: Value| json!({ "run": "once", "output": { "separate": false, "stdout": stdout, "stderr": stderr } });
        let to = |name: &str| json!({ "configRef": name });
        assert_only(merged(to("a"), to("b")), "spec.output", MERGED_APART);
        assert_only(merged(to("a"), json!({ "secretRef": "a" })), "spec.output", MERGED_APART);
        let json = json!({ "configRef": "a", "format": "json" });
        let alone = json!({ "run": "once", "output": { "separate": false, "stdout": json } });
        assert_only(alone, "spec.output", MERGED_JSON);
    }

    #[test]
    fn what_excludes_each_other_is_told() {
        let stdout = "spec.output.stdout";
        assert_only(
            writing(json!({ "configRef": "a", "format": "json", "key": "b" })),
            stdout,
            JSON_WITH_KEY,
        );
        let both = json!({ "configRef": "a", "versioned": true, "overwrite": true });
        assert_only(writing(both), stdout, VERSIONED_OVERWRITE);
        let long = json!({ "configRef": "n".repeat(241), "versioned": true });
        assert_only(writing(long), stdout, VERSIONED_NAME);
        let stderr = json!({ "run": "once", "output": { "stderr": { "configRef": "a", "format": "json" } } });
        assert_only(stderr, "spec.output.stderr.format", STDERR_JSON);
    }

    #[test]
    fn keys_limits_labels_and_annotations_have_their_forms() {
        let with = |field: &str, value: Value| writing(json!({ "configRef": "a", field: value }));
        assert_only(with("key", json!("a/b")), "spec.output.stdout.key", KEY_FORM_TEXT);
        assert_only(with("limit", json!("1.5Mi")), "spec.output.stdout.limit", LIMIT_FORM_TEXT);
        let labels = "spec.output.stdout.labels";
        assert_only(with("labels", json!({ "-a": "b" })), labels, &format!("-a: {LABEL_KEY_TEXT}"));
        assert_only(with("labels", json!({ "a": "b c" })), &format!("{labels}[a]"), LABEL_VALUE_TEXT);
        for key in [
            "app.kubernetes.io/managed-by",
            "fissile.cloudfoundry.org/a",
            "output.fissile.cloudfoundry.org/a",
        ] {
            for field in ["labels", "annotations"] {
                let message = format!("{key}{RESERVED}");
                assert_only(
                    with(field, json!({ key: "b" })),
                    &format!("spec.output.stdout.{field}"),
                    &message,
                );
            }
        }
    }

    #[test]
    fn what_a_key_holds_must_differ_where_outputs_do_and_exist() {
        let of = |template: Value, key: &str| {
            let mut fields = writing(json!({ "configRef": "a", "key": key }));
            fields["template"] = template;
            fields
        };
        let containers = |count: usize| json!({ "spec": { "template": { "spec": { "containers": vec![json!({}); count] } } } });
        let field = "spec.output.stdout.key";
        assert_only(of(containers(1), "{pod}"), field, POD_IN_KEY);
        assert_only(of(containers(2), "all"), field, CONTAINER_NOT_IN_KEY);
        assert_only(of(containers(1), "{index}"), field, INDEX_IN_KEY);
        assert_eq!(problems(of(containers(2), "{container}")), [""; 0]);
        let mut indexed = containers(1);
        indexed["spec"]["completionMode"] = json!("Indexed");
        assert_eq!(problems(of(indexed, "{index}")), [""; 0]);
    }

    static REFERENCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(REFERENCE_FORM).unwrap());
    static KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new(KEY_FORM).unwrap());

    // The schema has its forms as regular expressions, this crate as code: they must agree.
    proptest! {
        #[test]
        fn references_are_judged_as_in_the_schema(reference in "[-./ab_]{0,8}") {
            let in_schema = REFERENCE.is_match(&reference);
            prop_assert_eq!(problems(writing(json!({ "configRef": reference }))).is_empty(), in_schema);
        }

        #[test]
        fn keys_are_judged_as_in_the_schema(key in r"([-._a/]|\{stream\}|\{container\}|\{a\}|[{}]){0,6}") {
            let in_schema = KEY.is_match(&key) && key != "." && !key.starts_with("..");
            prop_assert_eq!(problems(writing(json!({ "configRef": "a", "key": key }))).is_empty(), in_schema);
        }
    }
}
