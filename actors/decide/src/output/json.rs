//! Output that is one flat JSON object: each field becomes a key.

use std::{collections::HashSet, fmt};

use extendedjob_api::is_key;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A field of the object.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value: the text of a string, or the JSON of anything else.
    pub value: String,
    /// Where its value stands.
    pub place: Place,
}

/// A place in a text, from 1 on, the column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// Which byte of it.
    pub column: usize,
}

/// Why output is not one flat JSON object. It tells where, and nothing of what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFlat {
    /// Nothing, or blanks.
    #[error("it is empty")]
    Empty,
    /// Not an object, or none that ends, or with something behind it.
    #[error("it is no JSON object, as {0} shows")]
    NoObject(Place),
    /// A value with parts.
    #[error("the value at {0} is an object or a list, and only flat ones can be kept")]
    Nested(Place),
    /// A name that no key of a ConfigMap or Secret can have.
    #[error(
        "the field whose value is at {0} has a name that can be no key: letters, digits, '-', '_' and '.' can"
    )]
    Name(Place),
    /// A name that was there before.
    #[error("the field whose value is at {0} has the name of an earlier one")]
    Twice(Place),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

impl Place {
    fn at(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Self { line, column: offset - line_start + 1 }
    }
}

/// The fields in their order.
pub fn fields(text: &[u8]) -> Result<Vec<Field>, NotFlat> {
    if text.trim_ascii().is_empty() {
        return Err(NotFlat::Empty);
    }
    let plain =
        std::str::from_utf8(text).map_err(|error| NotFlat::NoObject(Place::at(text, error.valid_up_to())))?;
    let Object(found) = serde_json::from_str(plain)
        .map_err(|error| NotFlat::NoObject(Place { line: error.line(), column: error.column() }))?;
    let mut names = HashSet::new();
    let mut fields = vec![];
    for (name, value) in found {
        // The value is a part of the text.
        let place = Place::at(text, value.get().as_ptr() as usize - plain.as_ptr() as usize);
        if value.get().starts_with(['{', '[']) {
            return Err(NotFlat::Nested(place));
        }
        if !is_key(&name) {
            return Err(NotFlat::Name(place));
        }
        if !names.insert(name.clone()) {
            return Err(NotFlat::Twice(place));
        }
        let text = serde_json::from_str::<String>(value.get());
        let value = text.unwrap_or_else(|_| value.get().to_owned());
        fields.push(Field { name, value, place });
    }
    Ok(fields)
}

/// An object as its fields, also those whose name comes twice.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = vec![];
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, NotFlat> {
        Ok(fields(text.as_bytes())?.into_iter().map(|field| (field.name, field.value)).collect())
    }

    fn at(line: usize, column: usize) -> Place {
        Place { line, column }
    }

    #[test]
    fn each_field_is_a_key_and_what_is_no_string_its_json() {
        let text =
            r#"{"a": "x\ny é", "b": 12345678901234567890.10, "c": true, "d": null, "e": "", "f": "{"}"#;
        let expected = [
            ("a", "x\ny é"),
            ("b", "12345678901234567890.10"),
            ("c", "true"),
            ("d", "null"),
            ("e", ""),
            ("f", "{"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs(text).unwrap(), expected);
        assert_eq!(pairs(" {}\n"), Ok(vec![]));
    }

    #[test]
    fn anything_else_is_told_by_its_place() {
        for (text, expected) in [
            ("", NotFlat::Empty),
            (" \n\t", NotFlat::Empty),
            ("[1]", NotFlat::NoObject(at(1, 0))),
            ("\"secret\"", NotFlat::NoObject(at(1, 8))),
            ("{\"a\": \n secret}", NotFlat::NoObject(at(2, 2))),
            ("{\"a\": 1}\n{\"b\": 2}", NotFlat::NoObject(at(2, 1))),
            ("{\"a\": 1", NotFlat::NoObject(at(1, 7))),
            ("{\"a\":\n {\"b\": 1}}", NotFlat::Nested(at(2, 2))),
            ("{\"a\": [1]}", NotFlat::Nested(at(1, 7))),
            ("{\"a/b\": 1}", NotFlat::Name(at(1, 9))),
            ("{\"\": 1}", NotFlat::Name(at(1, 6))),
            ("{\"a\": 1, \"a\": 2}", NotFlat::Twice(at(1, 15))),
        ] {
            assert_eq!(pairs(text), Err(expected), "{text}");
            assert!(!expected.to_string().contains("secret"));
        }
        assert_eq!(fields(b"{\"a\": \"\xff\"}"), Err(NotFlat::NoObject(at(1, 8))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _told = fields(&text);
        }
    }
}
