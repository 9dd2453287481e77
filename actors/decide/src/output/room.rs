//! How much of an output fits into its target.

use super::{Present, Write, body::annotations};

/// What the API server lets the values of a ConfigMap or Secret hold together.
const OBJECT_MAX: usize = 1024 * 1024;
/// Left free, so that other writers of the object are not locked out by ours.
const RESERVE: usize = 32 * 1024;
/// How many bytes of one log are written at most.
pub const MOST: usize = OBJECT_MAX - RESERVE;
/// Where each affected pod has keys of its own, nobody knows how many there will be.
const PER_POD: usize = 64 * 1024;
/// What the API server lets all annotations of an object hold together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A value.
    Values,
    /// The annotation that says whose a value is.
    Annotations,
}

/// How many bytes each of `keys`, which are about to be written, may have beside what else the target holds.
///
/// `share`: among how many keys that this ExtendedJob, `of`, writes there the object is divided; `None` where each
/// affected pod has its own. `limit`: what the user allows.
pub fn room(
    present: Option<&Present>,
    of: &str,
    keys: &[String],
    share: Option<usize>,
    limit: Option<usize>,
) -> Result<usize, Full> {
    let others = |counts: &dyn Fn(&str) -> bool| -> usize {
        size_of(present, |key| !keys.iter().any(|written| written == key) && counts(key))
    };
    let is_foreign = |key: &str| {
        present.and_then(|present| present.record(key)).is_none_or(|record| record.extended_job != of)
    };
    let left = MOST.saturating_sub(others(&|_| true)) / keys.len().max(1);
    let fair = match share {
        // What its other keys will need is left for them, what they have is theirs.
        Some(share) => MOST.saturating_sub(others(&is_foreign)) / share.max(keys.len()).max(1),
        None => PER_POD,
    };
    let room = left.min(fair);
    if room == 0 { Err(Full::Values) } else { Ok(room.min(limit.unwrap_or(usize::MAX))) }
}

/// What the values of these keys take up in the target.
fn size_of(present: Option<&Present>, counts: impl Fn(&str) -> bool) -> usize {
    let sizes = present.into_iter().flat_map(|present| &present.sizes);
    sizes.filter(|(key, _)| counts(key)).map(|(_, size)| size).sum()
}

/// Whether these values fit as they are, beside what else the target holds.
pub fn values_fit(present: Option<&Present>, writes: &[Write]) -> Result<(), Full> {
    let others = size_of(present, |key| writes.iter().all(|write| write.key != key));
    let all = others + writes.iter().map(|write| write.bytes.len()).sum::<usize>();
    if all > MOST { Err(Full::Values) } else { Ok(()) }
}

/// Whether the annotations for these writes fit, too.
pub fn annotations_fit(present: Option<&Present>, writes: &[Write]) -> Result<(), Full> {
    let size = |(name, value): (&String, &String)| name.len() + value.len();
    let new = annotations(writes);
    let replaced = |name: &String| present.and_then(|present| present.records.get_key_value(name)).map(size);
    let before = present.map_or(0, |present| present.annotations);
    let replaced: usize = new.keys().filter_map(replaced).sum();
    let after = before.saturating_sub(replaced) + new.iter().map(size).sum::<usize>();
    if after > ANNOTATIONS_MAX { Err(Full::Annotations) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::present::tests::{attempt, kept},
        *,
    };
    use extendedjob_api::names::output_annotation;

    const US: &str = "ns/ejob1";

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn holding(sizes: &[(&str, usize)]) -> Present {
        let sizes = sizes.iter().map(|&(key, size)| (key.to_owned(), size)).collect();
        Present { sizes, ..Present::default() }
    }

    /// These keys were written by us.
    fn ours(mut present: Present, keys: &[&str]) -> Present {
        let record = json!(attempt("a", 1).record("c", &kept(b""), false)).to_string();
        present.records = keys.iter().map(|key| (output_annotation(key), record.clone())).collect();
        present
    }

    #[test]
    fn room_is_what_others_leave_shared_equally() {
        let two = keys(&["a", "b"]);
        assert_eq!(room(None, US, &two, Some(2), None), Ok(MOST / 2));
        let present = holding(&[("other", 100_000), ("a", 500_000)]);
        assert_eq!(room(Some(&present), US, &two, Some(2), None), Ok((MOST - 100_000) / 2));
        assert_eq!(room(Some(&holding(&[("other", MOST)])), US, &two, Some(2), None), Err(Full::Values));
    }

    #[test]
    fn room_is_kept_for_the_keys_of_other_pods_of_the_job() {
        assert_eq!(room(None, US, &keys(&["c.0.stdout"]), Some(4), None), Ok(MOST / 4));
        let present =
            ours(holding(&[("c.0.stdout", MOST / 4), ("c.1.stdout", 10)]), &["c.0.stdout", "c.1.stdout"]);
        assert_eq!(room(Some(&present), US, &keys(&["c.2.stdout"]), Some(4), None), Ok(MOST / 4));
    }

    #[test]
    fn what_another_extended_job_wrote_is_not_counted_as_ours() {
        let present = ours(holding(&[("theirs", 500_000)]), &["theirs"]);
        let room = |of| room(Some(&present), of, &keys(&["a"]), Some(1), None).unwrap();
        assert_eq!((room("ns/ejob2"), room(US)), (MOST - 500_000, MOST - 500_000));
    }

    #[test]
    fn with_a_key_for_each_pod_the_share_is_fixed_until_the_object_is_full() {
        let one = keys(&["p1.c"]);
        assert_eq!(room(None, US, &one, None, None), Ok(PER_POD));
        let nearly = holding(&[("others", MOST - 10)]);
        assert_eq!(room(Some(&nearly), US, &one, None, None), Ok(10));
    }

    #[test]
    fn a_limit_only_lowers() {
        let one = keys(&["a"]);
        assert_eq!(room(None, US, &one, Some(1), Some(1000)), Ok(1000));
        assert_eq!(room(None, US, &one, Some(1), Some(10 * MOST)), Ok(MOST));
    }

    fn write(key: &str) -> Write {
        let record = attempt("a", 1).record("c", &kept(b""), false);
        Write { key: key.to_owned(), record, bytes: vec![] }
    }

    #[test]
    fn whole_values_fit_beside_others_and_in_their_own_place() {
        let present = holding(&[("theirs", MOST - 10), ("k", 5)]);
        let ten = || Write { bytes: vec![0; 10], ..write("k") };
        assert_eq!(values_fit(Some(&present), &[ten()]), Ok(()));
        assert_eq!(values_fit(Some(&present), &[Write { key: "other".into(), ..ten() }]), Err(Full::Values));
        assert_eq!(values_fit(None, &[ten()]), Ok(()));
    }

    #[test]
    fn annotations_have_their_own_limit() {
        let mut present = ours(holding(&[("k", 0)]), &["k"]);
        present.annotations = ANNOTATIONS_MAX;
        assert_eq!(annotations_fit(Some(&present), &[write("other")]), Err(Full::Annotations));
        assert_eq!(annotations_fit(Some(&present), &[write("k")]), Ok(()), "it replaces its own");
        assert_eq!(annotations_fit(None, &[write("k")]), Ok(()));
    }
}
