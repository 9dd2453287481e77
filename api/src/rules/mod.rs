//! The rules that a spec must keep, as the API server checks them.
//!
//! A wrong spec is refused when it is applied, with a message that says what to write instead. What JSON
//! schema can't say, or says badly ("should match '^[a-z…'"), is CEL. The API server estimates the cost of
//! CEL from the limits stated beside it, so everything a rule walks is bounded, and of `template`, which is not, a
//! rule looks at single fields only. `validate` checks the same in Rust and shares limits and texts.

mod output;

use kube::core::{Message, Reason, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) use self::output::*;

pub(crate) const NAME_MAX: usize = 253;
pub(crate) const NAMESPACE_MAX: usize = 63;
pub(crate) const REFERENCE_MAX: usize = NAMESPACE_MAX + 1 + NAME_MAX;
pub(crate) const LABEL_PREFIX_MAX: usize = 253;
pub(crate) const LABEL_NAME_MAX: usize = 63;
pub(crate) const LABEL_KEY_MAX: usize = LABEL_PREFIX_MAX + 1 + LABEL_NAME_MAX;
pub(crate) const LABEL_VALUE_MAX: usize = 63;
pub(crate) const SELECTOR_ENTRIES_MAX: usize = 64;

/// A namespace is one DNS label, the name of a ConfigMap or Secret several with dots between them.
pub(crate) const REFERENCE_FORM: &str =
    "^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
pub(crate) const LABEL_KEY_FORM: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
pub(crate) const LABEL_VALUE_FORM: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

pub(crate) const NO_START: &str = "nothing says when to start the Job: set triggers (a Job for each pod that \
    changes), run: once (one Job, now) or run: manually (one Job each time that it is set to now)";
pub(crate) const TWO_STARTS: &str = "triggers and run exclude each other: keep triggers for a Job for each pod \
    that changes, or run for a Job that no pod triggers";
const KIND_CHANGED: &str = "triggers can't be exchanged for run, nor run for triggers: delete the ExtendedJob \
    and create it anew (output that was stored stays)";
const ONCE_CHANGED: &str = "once can't be exchanged for manually or now, nor they for once: delete the ExtendedJob \
    and create it anew (output that was stored stays)";
pub(crate) const NO_RUN_POSSIBLE: &str = "at least one run at a time must be possible: write 1 or more, leave it \
    out for any number of runs, or set suspend: true for none";
pub(crate) const CAPITALS: &str = "capitals are not allowed in the names of objects and namespaces: write ";
pub(crate) const REFERENCE_FORM_TEXT: &str = "write 'namespace/name', or a bare name for the ExtendedJob's own \
    namespace; names consist of lower-case letters, digits, '-' and (not in a namespace) '.', and begin and end \
    with a letter or digit";
pub(crate) const NAMESPACE_LENGTH: &str = "the namespace has more than 63 characters";
pub(crate) const NAME_LENGTH: &str = "the name has more than 253 characters";
pub(crate) const LABEL_KEY_TEXT: &str = "a label key is a name of at most 63 letters, digits, '-', '_' and '.', \
    that begins and ends with a letter or digit; before it may stand a DNS name in lower case and '/', such as \
    in app.kubernetes.io/name";
pub(crate) const LABEL_VALUE_TEXT: &str = "a label value consists of at most 63 letters, digits, '-', '_' and \
    '.', and begins and ends with a letter or digit";
/// Not a case for `validate`: a null does not get as far as our types.
const LABEL_VALUE_MISSING: &str = "the label has no value: write one, or '' for the empty value";
pub(crate) const VALUES_MISSING: &str = "the operators In and NotIn compare with values: name at least one";
pub(crate) const VALUES_TOO_MANY: &str = "the operators Exists and DoesNotExist ask for the key alone: remove \
    the values, or use In or NotIn";

/// For the spec: what starts the Job, and that it stays so; and what its output is called.
pub(crate) fn spec() -> Vec<Rule> {
    start().into_iter().chain(output::keys_by_job()).collect()
}

fn start() -> [Rule; 4] {
    [
        missing("has(self.triggers) || has(self.run)", NO_START),
        forbidden("!has(self.triggers) || !has(self.run)", TWO_STARTS),
        forbidden("has(self.triggers) == has(oldSelf.triggers)", KIND_CHANGED),
        forbidden(
            "!has(self.run) || !has(oldSelf.run) || (self.run == 'once') == (oldSelf.run == 'once')",
            ONCE_CHANGED,
        ),
    ]
}

/// How many runs may be under way at a time. Not `minimum`, whose message knows no remedy.
pub(crate) fn max_concurrent_runs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer",
        "format": "int32",
        "x-kubernetes-validations": [Rule::new("self >= 1").message(NO_RUN_POSSIBLE)],
    })
}

/// How many finished Jobs are kept.
pub(crate) fn history_limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0 })
}

/// For an expression of a selector: values where they are compared with, and only there.
pub(crate) fn values_by_operator() -> [Rule; 2] {
    let compares = "self.operator in ['In', 'NotIn']";
    let values = "has(self.values) && size(self.values) > 0";
    [
        missing(format!("!({compares}) || ({values})"), VALUES_MISSING).field_path(".values"),
        forbidden(format!("{compares} || !({values})"), VALUES_TOO_MANY).field_path(".values"),
    ]
}

/// A reference to a ConfigMap or Secret. One mistake is answered by one message: the form is looked at as if
/// the capitals were small.
pub(crate) fn reference(_: &mut SchemaGenerator) -> Schema {
    let capitals = format!("{} + self.lowerAscii()", quoted(CAPITALS));
    json_schema!({
        "type": "string",
        "maxLength": REFERENCE_MAX,
        "x-kubernetes-validations": [
            Rule::new("self == self.lowerAscii()").message(Message::Expression(capitals)),
            Rule::new(format!("self.lowerAscii().matches('{REFERENCE_FORM}')")).message(REFERENCE_FORM_TEXT),
            Rule::new(format!("self.indexOf('/') <= {NAMESPACE_MAX}")).message(NAMESPACE_LENGTH),
            Rule::new(format!("self.size() - self.indexOf('/') - 1 <= {NAME_MAX}")).message(NAME_LENGTH),
        ],
    })
}

/// The key of a label.
pub(crate) fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": LABEL_KEY_MAX,
        "x-kubernetes-validations": [Rule::new(is_label_key("self")).message(LABEL_KEY_TEXT)],
    })
}

/// Labels with their values.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": SELECTOR_ENTRIES_MAX,
        "additionalProperties": label_value(),
        "x-kubernetes-validations": [
            told_of_first(&is_label_key("key"), &format!(": {LABEL_KEY_TEXT}")),
            // By its type the value is never null, in the API server it may be all the same.
            told_of_first("dyn(self[key]) != null", &format!(": {LABEL_VALUE_MISSING}")),
        ],
    })
}

/// The values of one expression.
pub(crate) fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": SELECTOR_ENTRIES_MAX,
        "items": label_value(),
    })
}

fn label_value() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": LABEL_VALUE_MAX,
        "x-kubernetes-validations": [
            Rule::new(format!("self.matches('{LABEL_VALUE_FORM}')")).message(LABEL_VALUE_TEXT),
        ],
    })
}

fn is_label_key(key: &str) -> String {
    let short = format!("size({key}) <= {LABEL_KEY_MAX} && {key}.indexOf('/') <= {LABEL_PREFIX_MAX}");
    format!("{short} && {key}.matches('{LABEL_KEY_FORM}')")
}

/// A rule for each key of a map. Its message names the first key that is wrong, because the path ends at the map;
/// joining all of them would cost more than the API server allows, as keys have no stated limit.
fn told_of_first(right: &str, message: &str) -> Rule {
    let first = format!("self.filter(key, !({right}))[0] + {}", quoted(message));
    Rule::new(format!("self.all(key, {right})")).message(Message::Expression(first))
}

/// A rule whose breach the API server calls "Required value".
fn missing(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueRequired)
}

/// A rule whose breach the API server calls "Forbidden".
fn forbidden(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueForbidden)
}

/// A text as a CEL string.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
