//! Whether what pods use of a ConfigMap or Secret has changed.

use std::{collections::BTreeMap, fmt};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Part, Reference};

/// 32 hexadecimal digits are 128 bits.
const HASH_CHARACTERS: usize = 32;

/// What tells one state of a reference from another: for each part that is used a hash of what it holds, or nothing
/// where it is absent.
///
/// It knows nothing of versions, labels and keys that aren't used. Each part has a hash of its own, so that an edit of
/// the template that adds one leaves the others comparable.
///
/// It is for a ledger, which is as secret as a Secret: who reads the hash of a short password can find the password.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(BTreeMap<Part, Option<String>>);

impl Digest {
    /// The digest of what the object holds, if there is one: its keys with the bytes of their values.
    ///
    /// There is none where something required is missing, since that is no change: no run can start, and what comes back
    /// is compared with what was there before.
    #[must_use]
    pub fn of(reference: &Reference, contents: Option<&BTreeMap<String, Vec<u8>>>) -> Option<Self> {
        let has = contents.map(|contents| |key: &str| contents.contains_key(key));
        if reference.missing(has).is_some() {
            return None;
        }
        let hash_of = |part: &Part| match part {
            Part::Whole => contents.map(hash),
            // To pods it is all one whether the key is missing or its object.
            Part::Key(key) => {
                contents.and_then(|contents| contents.get_key_value(key)).map(|entry| hash([entry]))
            }
        };
        Some(Self(reference.parts.keys().map(|part| (part.clone(), hash_of(part))).collect()))
    }

    /// Whether a part differs from what it was. Those that only one of the two knows were added to the template or
    /// taken out of it, and have not changed.
    #[must_use]
    pub fn differs_from(&self, older: &Self) -> bool {
        self.0.iter().any(|(part, hash)| older.0.get(part).is_some_and(|older| older != hash))
    }
}

/// The length stands before each text, so that no two contents are one sequence of bytes.
fn hash<'a>(entries: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> String {
    let mut hasher = Sha256::new();
    for text in entries.into_iter().flat_map(|(key, value)| [key.as_bytes(), value]) {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    let mut hash = HEXLOWER.encode(&hasher.finalize());
    hash.truncate(HASH_CHARACTERS);
    hash
}

/// Without the hashes.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let presence = |hash: &Option<String>| if hash.is_some() { "present" } else { "absent" };
        f.debug_map().entries(self.0.iter().map(|(part, hash)| (part, presence(hash)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use extendedjob_api::TargetKind;
    use proptest::{collection, option, prelude::*, sample};
    use serde_json::json;

    use super::{
        super::{
            Need::{self, Optional, Required},
            Object,
        },
        *,
    };

    type Contents = BTreeMap<String, Vec<u8>>;

    fn reference<const N: usize>(parts: [(&str, Need); N]) -> Reference {
        let parts = parts.into_iter().map(|(part, need)| (Part::from(part.to_owned()), need)).collect();
        Reference { object: Object { kind: TargetKind::Secret, name: "app".into() }, parts }
    }

    fn contents<const N: usize>(entries: [(&str, &str); N]) -> Contents {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec())).collect()
    }

    const WHOLE: &str = "";

    /// Or all runs would be started again when the operator is.
    #[test]
    fn a_digest_stays_what_it_is_from_version_to_version() {
        let reference = reference([(WHOLE, Required), ("a", Required), ("c", Optional)]);
        let digest = Digest::of(&reference, Some(&contents([("a", "1"), ("b", "2")]))).unwrap();
        let stored = json!({
            "": "63662dceceaac3caee9e43ac15aa0c4c",
            "a": "0e9c3156ac694b081269e7631db910df",
            "c": null,
        });
        assert_eq!(serde_json::to_value(&digest).unwrap(), stored);
        let read: Digest = serde_json::from_value(stored).unwrap();
        assert_eq!(read, digest);
    }

    #[test]
    fn no_two_contents_have_one_digest() {
        let all = [
            None,
            Some(contents([])),
            Some(contents([("a", "")])),
            Some(contents([("a", "bc")])),
            Some(contents([("ab", "c")])),
            Some(contents([("a", "b"), ("c", "")])),
            Some(contents([("a", ""), ("b", "c")])),
            Some(contents([("abc", "")])),
        ];
        let reference = reference([(WHOLE, Optional)]);
        for (index, one) in all.iter().enumerate() {
            for (other_index, other) in all.iter().enumerate() {
                let [one, other] = [one, other].map(|it| Digest::of(&reference, it.as_ref()).unwrap());
                assert_eq!(one.differs_from(&other), index != other_index, "{index} {other_index}");
            }
        }
    }

    #[test]
    fn where_something_required_is_missing_there_is_nothing_to_compare() {
        let reference = reference([("a", Required), ("b", Optional)]);
        assert_eq!(Digest::of(&reference, None), None);
        assert_eq!(Digest::of(&reference, Some(&contents([("b", "1")]))), None);
        assert!(Digest::of(&reference, Some(&contents([("a", "1")]))).is_some());
    }

    #[test]
    fn what_the_template_adds_or_takes_out_is_no_change() {
        let now = contents([("a", "1"), ("b", "2")]);
        let of = |reference: &Reference, contents: &Contents| Digest::of(reference, Some(contents)).unwrap();
        let [a, b] = ["a", "b"].map(|key| reference([(key, Required)]));
        let both = reference([("a", Required), ("b", Optional)]);
        let whole = reference([(WHOLE, Required)]);
        for (older, newer) in [(&a, &both), (&both, &a), (&a, &b), (&a, &whole), (&whole, &a)] {
            assert!(!of(newer, &now).differs_from(&of(older, &now)));
        }
        // But what both know is compared all the same.
        let later = contents([("a", "changed"), ("b", "2")]);
        assert!(of(&both, &later).differs_from(&of(&a, &now)));
        assert!(of(&a, &later).differs_from(&of(&both, &now)));
        assert!(!of(&both, &later).differs_from(&of(&b, &now)));
    }

    #[test]
    fn no_hash_is_printed() {
        let reference = reference([(WHOLE, Required), ("a", Optional)]);
        let digest = Digest::of(&reference, Some(&contents([("b", "hunter2")]))).unwrap();
        assert_eq!(format!("{digest:?}"), r#"{Whole: "present", Key("a"): "absent"}"#);
    }

    fn any_contents() -> impl Strategy<Value = Option<Contents>> {
        let key = sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
        option::weighted(0.8, collection::btree_map(key, collection::vec(0_u8..2, 0..2), 0..4))
    }

    fn any_reference() -> impl Strategy<Value = Reference> {
        let part = sample::select(vec![WHOLE, "a", "b"]).prop_map(|part| Part::from(part.to_owned()));
        let need = prop_oneof![Just(Optional), Just(Required)];
        collection::btree_map(part, need, 1..4).prop_map(|parts| Reference { parts, ..reference([]) })
    }

    proptest! {
        #[test]
        fn a_digest_differs_if_what_is_used_does_and_only_then(
            reference in any_reference(), one in any_contents(), other in any_contents(),
        ) {
            let digests = [&one, &other].map(|contents| Digest::of(&reference, contents.as_ref()));
            let has_all = |contents: &Option<Contents>| reference.parts.iter().all(|(part, need)| match part {
                _ if *need == Optional => true,
                Part::Whole => contents.is_some(),
                Part::Key(key) => contents.as_ref().is_some_and(|contents| contents.contains_key(key)),
            });
            prop_assert_eq!(digests[0].is_some(), has_all(&one));
            prop_assert_eq!(digests[1].is_some(), has_all(&other));
            if let [Some(digest), Some(other_digest)] = digests {
                let value = |contents: &Option<Contents>, key: &String| contents.as_ref()?.get(key).cloned();
                let differs = reference.parts.keys().any(|part| match part {
                    Part::Whole => one != other,
                    Part::Key(key) => value(&one, key) != value(&other, key),
                });
                prop_assert_eq!(digest.differs_from(&other_digest), differs);
                prop_assert_eq!(digest == other_digest, !differs);
            }
        }
    }
}
