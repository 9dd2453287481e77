//! The form in which output is stored.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use extendedjob_api::{TargetKind, names::output_annotation};
use serde_json::{Map, Value, json};

use super::{Record, Wish};

/// One key to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// Its value.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub record: Record,
}

/// The annotations that say whose the values are, by their names.
pub(super) fn annotations(writes: &[Write]) -> BTreeMap<String, String> {
    writes.iter().map(|write| (output_annotation(&write.key), json!(write.record).to_string())).collect()
}

/// The part of the target that a write sets: values, labels and annotations, for a create or a merge patch.
#[must_use]
pub fn body(wish: &Wish, writes: Vec<Write>) -> Value {
    let kind = wish.target.kind;
    let mut annotations = annotations(&writes);
    let (mut text, mut binary) = (Map::new(), Map::new());
    for Write { key, bytes, .. } in writes {
        match kind {
            TargetKind::Secret => {
                text.insert(key, Value::String(BASE64.encode(&bytes)));
            }
            // A key never stands in both: the null takes it out of the other part.
            TargetKind::ConfigMap => match plain(bytes) {
                Ok(plain) => {
                    text.insert(key.clone(), Value::String(plain));
                    binary.insert(key, Value::Null);
                }
                Err(bytes) => {
                    binary.insert(key.clone(), Value::String(BASE64.encode(&bytes)));
                    text.insert(key, Value::Null);
                }
            },
        }
    }
    annotations.extend(wish.annotations.clone());
    let metadata = json!({ "annotations": annotations, "labels": wish.labels });
    let mut body = json!({ "metadata": metadata, "data": text });
    if kind == TargetKind::ConfigMap {
        body["binaryData"] = Value::Object(binary);
    }
    body
}

/// The text that these bytes are, if it is one to be stored as text; else the bytes.
fn plain(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    match String::from_utf8(bytes) {
        Ok(text) if is_compact(&text) => Ok(text),
        Ok(text) => Err(text.into_bytes()),
        Err(error) => Err(error.into_bytes()),
    }
}

/// Whether JSON escaping at most doubles the text. A mebibyte of control characters would be six
/// in JSON, over the API server's limit for a request.
fn is_compact(text: &str) -> bool {
    let escaped: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum();
    escaped <= 2 * text.len()
}

#[cfg(test)]
mod tests {
    use super::{
        super::present::tests::{attempt, kept},
        *,
    };
    use crate::output::wish::tests::wish_to;

    fn stored(kind: &str, bytes: &[u8]) -> Value {
        let record = attempt("a", 1).record("c", &kept(bytes), false);
        body(
            &wish_to(json!({ kind: "out" })),
            vec![Write { key: "k".to_owned(), bytes: bytes.to_vec(), record }],
        )
    }

    #[test]
    fn a_key_never_stands_in_data_and_binary_data() {
        let table: [(&[u8], bool); 5] = [
            (b"text\n", true),
            (b"", true),
            ("é\n".as_bytes(), true),
            (&[0xff, 0xfe], false),
            (&[27; 9], false),
        ];
        for (bytes, is_text) in table {
            let body = stored("configRef", bytes);
            assert_eq!(body["data"]["k"].is_string(), is_text, "{bytes:?}");
            assert_eq!(body["binaryData"]["k"].is_string(), !is_text, "{bytes:?}");
        }
        let secret = stored("secretRef", b"hi");
        assert_eq!(secret["data"]["k"], "aGk=");
        assert_eq!(secret.get("binaryData"), None);
    }

    #[test]
    fn what_the_user_wants_on_the_object_is_set_beside_what_is_ours() {
        let wish =
            wish_to(json!({ "configRef": "out", "labels": { "l": "1" }, "annotations": { "a": "2" } }));
        let record = attempt("a", 1).record("c", &kept(b""), false);
        let metadata = &body(&wish, vec![Write { key: "k".to_owned(), bytes: vec![], record }])["metadata"];
        assert_eq!(metadata["labels"], json!({ "l": "1" }));
        assert_eq!(metadata["annotations"]["a"], "2");
        assert!(metadata["annotations"]["output.fissile.cloudfoundry.org/k"].is_string());
    }
}
