//! Objects that are not as they should be, for property tests: good ones, in which a few parts are taken away, or replaced by
//! what nobody expects there.
//!
//! Whoever may write to a cluster may write such things: where the schema leaves a part open, with an API server of another
//! version, or into a Secret of the operator's.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// At most so many parts of an object are touched.
const TOUCHED: usize = 4;

/// What happens to a part.
#[derive(Clone, Debug)]
enum Harm {
    Taken,
    Replaced(Value),
}

/// `good` with some harm done to it.
pub fn mangled(good: Value) -> impl Strategy<Value = Value> {
    let harms = prop::collection::vec((any::<Index>(), harm()), 1..=TOUCHED);
    harms.prop_map(move |harms| {
        harms.into_iter().fold(good.clone(), |value, (at, harm)| harmed(value, at, harm))
    })
}

/// The same as text, which may end too soon.
pub fn mangled_text(good: Value) -> impl Strategy<Value = String> {
    let cut = prop_oneof![9 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (mangled(good), cut).prop_map(|(value, cut)| {
        let mut text = value.to_string();
        if let Some(cut) = cut {
            let length = cut.index(text.len() + 1);
            text.truncate(text.floor_char_boundary(length));
        }
        text
    })
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![1 => Just(Harm::Taken), 4 => select(surprises()).prop_map(Harm::Replaced)]
}

/// Values that programs stumble over.
fn surprises() -> Vec<Value> {
    // Several of them within each other are still less than what serde_json goes into.
    let deep = (0..25).fold(json!(1), |inner, _| json!([inner]));
    let words =
        ["", " ", "\u{0}", "..", "../../etc", "{pod}", "🦀", "-1", "NaN", "true", "0x10", "A_b", "a.b/c d"];
    // At the limits of a label's value, of a DNS label, of a name, and of what etcd takes.
    let lengths = [63, 64, 253, 254, 100_000];
    let long = lengths.into_iter().map(|length| json!("a".repeat(length)));
    let others = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(0.5),
        json!([]),
        json!([null]),
        json!({}),
        json!({"": null}),
        json!({"name": []}),
        json!("9999-12-31T23:59:60Z"),
        json!("-009999-01-01T00:00:00Z"),
        deep,
    ];
    words.into_iter().map(Value::from).chain(long).chain(others).collect()
}

fn harmed(mut value: Value, at: Index, harm: Harm) -> Value {
    let mut places = vec![];
    note_places(&value, &mut String::new(), &mut places);
    let place = at.get(&places).clone();
    match harm {
        Harm::Replaced(surprise) => {
            if let Some(part) = value.pointer_mut(&place) {
                *part = surprise;
            }
        }
        Harm::Taken => {
            // Of the whole nothing is left.
            let Some((parent, key)) = place.rsplit_once('/') else { return Value::Null };
            let key = key.replace("~1", "/").replace("~0", "~");
            match value.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.remove(&key)),
                Some(Value::Array(list)) => {
                    if let Ok(index) = key.parse::<usize>() {
                        list.remove(index);
                    }
                }
                _ => {}
            }
        }
    }
    value
}

/// JSON pointers (RFC 6901) to all parts of the value, itself among them.
fn note_places(value: &Value, path: &mut String, places: &mut Vec<String>) {
    places.push(path.clone());
    let length = path.len();
    let mut note = |key: &str, part: &Value| {
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        note_places(part, path, places);
        path.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, part)| note(key, part)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, part)| note(&index.to_string(), part))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_can_be_reached() {
        let mut places = vec![];
        note_places(&json!({"a/b": [{"c~": 1}], "d": null}), &mut String::new(), &mut places);
        assert_eq!(places, ["", "/a~1b", "/a~1b/0", "/a~1b/0/c~0", "/d"]);
    }

    proptest! {
        #[test]
        fn a_part_that_is_taken_is_gone(at in any::<Index>()) {
            let good = json!({"a/b": [{"c~": 1}], "d": null});
            let harmed = harmed(good.clone(), at, Harm::Taken);
            prop_assert!(harmed.to_string().len() < good.to_string().len());
        }
    }
}
