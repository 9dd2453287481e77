//! The rules of `spec.output`.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    LABEL_KEY_TEXT, SELECTOR_ENTRIES_MAX, forbidden, is_label_key, labels, missing, quoted, told_of_first,
};
use crate::OUTPUT_KEY_MAX;

pub(crate) const KEY_FORM: &str = "^([-._a-zA-Z0-9]|[{](pod|container|stream|index)[}])+$";
pub(crate) const LIMIT_FORM: &str = "^[1-9][0-9]{0,9}(k|M|Ki|Mi)?$";

/// The longest value of an annotation for a target: 64 of them leave half of what an object may bear.
const ANNOTATION_VALUE_MAX: usize = 2048;

pub(crate) const NO_STREAM: &str = "no stream is named: set stdout, stderr or both, or leave output out";
pub(crate) const NO_REFERENCE: &str = "nothing says where the stream goes: set configRef (a ConfigMap) or \
    secretRef (a Secret)";
pub(crate) const TWO_REFERENCES: &str = "configRef and secretRef exclude each other: keep configRef for a \
    ConfigMap, or secretRef for a Secret";
pub(crate) const STREAMS_DISAGREE: &str = "stdout and stderr go to one object, and must agree on overwrite, \
    writeOnFailure, limit, versioned, labels and annotations";
pub(crate) const STREAMS_COLLIDE: &str = "stdout and stderr go to one object, and have the same key there: name \
    another one, or put {stream} into it";
pub(crate) const MERGED_APART: &str = "separate: false takes the log as it is, with both streams in it, which can't \
    go to two objects: name the same object for both, or leave separate out";
pub(crate) const MERGED_JSON: &str = "format: json needs standard output apart from standard error: leave out \
    separate: false, or format";
pub(crate) const STDERR_JSON: &str = "standard error is no JSON object: leave format out; json is for stdout";
pub(crate) const JSON_WITH_KEY: &str = "with format: json each field of the output is a key of its own: leave out \
    key, or format";
pub(crate) const VERSIONED_OVERWRITE: &str = "versioned makes a new object for each run, and overwrites none: leave \
    out overwrite, or versioned";
pub(crate) const VERSIONED_NAME: &str = "the name of a versioned object has a number behind it: it may have at most \
    240 characters";
pub(crate) const VERSIONED_NAME_MAX: usize = 240;
pub(crate) const KEY_FORM_TEXT: &str = "a key consists of at most 253 letters, digits, '-', '_', '.' and the \
    placeholders {pod}, {container}, {stream} and {index}, and does not begin with '..'";
pub(crate) const LIMIT_FORM_TEXT: &str =
    "a limit is a whole number of bytes above 0, such as 65536, 500k, 64Ki or 1Mi";
pub(crate) const RESERVED: &str = ": this one is the operator's own; leave it out";
pub(crate) const POD_IN_KEY: &str = "{pod} is the affected pod of a triggered job, and there are no triggers: leave it \
    out of the key";
pub(crate) const CONTAINER_NOT_IN_KEY: &str = "there are several containers, whose keys must differ: put {container} \
    into the key";
pub(crate) const INDEX_IN_KEY: &str = "{index} is the completion index of an Indexed Job: set completionMode: Indexed \
    in the template, or leave it out of the key";

const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// For the spec: what the key of a stream may hold depends on what starts the Job, and on the Job.
///
/// (No `.?` and `orValue` here: the API server does not see the limit of what they yield, and fears the worst.)
pub(super) fn keys_by_job() -> Vec<Rule> {
    let rules = STREAMS.map(|stream| {
        let (of, key) = (format!("self.output.{stream}"), format!("self.output.{stream}.key"));
        let path = format!(".output.{stream}.key");
        let unnamed = format!("!has(self.output) || !has({of}) || !has({key})");
        let several = "size(self.template.spec.template.spec.containers) > 1";
        let mode = "self.template.spec.completionMode";
        let holds = |placeholder: &str| format!("{key}.contains('{placeholder}')");
        [
            forbidden(format!("{unnamed} || has(self.triggers) || !{}", holds("{pod}")), POD_IN_KEY),
            missing(format!("{unnamed} || !({several}) || {}", holds("{container}")), CONTAINER_NOT_IN_KEY),
            forbidden(
                format!("{unnamed} || !{} || (has({mode}) && {mode} == 'Indexed')", holds("{index}")),
                INDEX_IN_KEY,
            ),
        ]
        .map(|rule| rule.field_path(path.as_str()))
    });
    rules.into_iter().flatten().collect()
}

/// For `output`: an empty one would be accepted and do nothing, and two streams may share an object or not.
/// (Whether a bare name means the same object as one with its namespace, only the operator knows.)
pub(crate) fn output() -> [Rule; 6] {
    let both = "has(self.stdout) && has(self.stderr)";
    let set = ["overwrite", "writeOnFailure", "versioned"].map(|field| same(field, Presence::Always));
    let optional = ["limit", "labels", "annotations"].map(|field| same(field, Presence::Optional));
    let agree = [set, optional].concat().join(" && ");
    let one_object = ["configRef", "secretRef"].map(|field| same(field, Presence::Optional)).join(" && ");
    let key = |stream: &str| {
        let usual = "'{container}.{stream}'";
        format!("(has(self.{stream}.key) ? self.{stream}.key : {usual}).replace('{{stream}}', '{stream}')")
    };
    let (stdout, stderr) = (reference("self.stdout"), reference("self.stderr"));
    let maybe_one_object = format!(
        "has(self.stdout.secretRef) == has(self.stderr.secretRef) && ({stdout} == {stderr} \
         || {stdout}.endsWith('/' + {stderr}) || {stderr}.endsWith('/' + {stdout}))"
    );
    [
        missing("has(self.stdout) || has(self.stderr)", NO_STREAM),
        forbidden(format!("!({both}) || !({one_object}) || ({agree})"), STREAMS_DISAGREE),
        forbidden(
            format!("!({both}) || !({one_object}) || {} != {}", key("stdout"), key("stderr")),
            STREAMS_COLLIDE,
        ),
        forbidden(format!("self.separate || !({both}) || ({maybe_one_object})"), MERGED_APART),
        forbidden("self.separate || !has(self.stdout) || self.stdout.format != 'json'", MERGED_JSON),
        forbidden("!has(self.stderr) || self.stderr.format != 'json'", STDERR_JSON)
            .field_path(".stderr.format"),
    ]
}

/// Whether a field is there without being written.
#[derive(Clone, Copy)]
enum Presence {
    Always,
    Optional,
}

/// That a field is the same for both streams.
fn same(field: &str, presence: Presence) -> String {
    let (stdout, stderr) = (format!("self.stdout.{field}"), format!("self.stderr.{field}"));
    match presence {
        Presence::Always => format!("{stdout} == {stderr}"),
        Presence::Optional => {
            format!("has({stdout}) == has({stderr}) && (!has({stdout}) || {stdout} == {stderr})")
        }
    }
}

/// The reference of a stream, whichever it has.
fn reference(stream: &str) -> String {
    let (config_ref, secret_ref) = (format!("{stream}.configRef"), format!("{stream}.secretRef"));
    format!("(has({config_ref}) ? {config_ref} : has({secret_ref}) ? {secret_ref} : '')")
}

/// For one stream: exactly one target, and nothing that excludes something else.
pub(crate) fn stream() -> [Rule; 5] {
    let name = reference("self");
    let length = format!("{name}.size() - {name}.indexOf('/') - 1");
    [
        missing("has(self.configRef) || has(self.secretRef)", NO_REFERENCE),
        forbidden("!has(self.configRef) || !has(self.secretRef)", TWO_REFERENCES),
        forbidden("self.format != 'json' || !has(self.key)", JSON_WITH_KEY),
        forbidden("!self.versioned || !self.overwrite", VERSIONED_OVERWRITE),
        forbidden(format!("!self.versioned || {length} <= {VERSIONED_NAME_MAX}"), VERSIONED_NAME),
    ]
}

/// A key with placeholders.
pub(crate) fn output_key(_: &mut SchemaGenerator) -> Schema {
    let right = format!("self.matches('{KEY_FORM}') && self != '.' && !self.startsWith('..')");
    json_schema!({
        "type": "string",
        "maxLength": OUTPUT_KEY_MAX,
        "x-kubernetes-validations": [Rule::new(right).message(KEY_FORM_TEXT)],
    })
}

/// A number of bytes.
pub(crate) fn limit(_: &mut SchemaGenerator) -> Schema {
    let right = format!("type(self) == int ? self > 0 : self.matches('{LIMIT_FORM}')");
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 12,
        "x-kubernetes-validations": [Rule::new(right).message(LIMIT_FORM_TEXT)],
    })
}

/// Labels of a target.
pub(crate) fn target_labels(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = labels(generator);
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(|rules| rules.as_array_mut()) {
        rules.push(serde_json::json!(not_reserved()));
    }
    schema
}

/// Annotations of a target.
pub(crate) fn target_annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": SELECTOR_ENTRIES_MAX,
        "additionalProperties": { "type": "string", "maxLength": ANNOTATION_VALUE_MAX },
        "x-kubernetes-validations": [
            told_of_first(&is_label_key("key"), &format!(": {LABEL_KEY_TEXT}")),
            not_reserved(),
        ],
    })
}

fn not_reserved() -> Rule {
    let own = [quoted("fissile.cloudfoundry.org/"), quoted("app.kubernetes.io/managed-by")];
    let [group, manager] = own;
    told_of_first(&format!("!key.contains({group}) && key != {manager}"), RESERVED)
}

/// Whether the operator keeps this label or annotation for itself.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.contains("fissile.cloudfoundry.org/") || key == "app.kubernetes.io/managed-by"
}
