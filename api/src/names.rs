//! Labels, annotations and other names that objects in the cluster bear.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::rules::{LABEL_NAME_MAX, LABEL_VALUE_MAX};

/// The API group of ExtendedJob.
pub const GROUP: &str = "fissile.cloudfoundry.org";

/// Label on every Job and pod that the operator makes: the ExtendedJob's name, see [`label_value`].
pub const EXTENDEDJOB_LABEL: &str = "fissile.cloudfoundry.org/extendedjob";

/// Label on the Jobs of triggered jobs, and on their pods: the affected pod's name, see [`label_value`].
pub const AFFECTED_POD_LABEL: &str = "affected-pod";

/// Annotation: the affected pod's name, whole.
pub const AFFECTED_POD_NAME: &str = "fissile.cloudfoundry.org/affected-pod-name";

/// Annotation: the affected pod's UID.
pub const AFFECTED_POD_UID: &str = "fissile.cloudfoundry.org/affected-pod-uid";

/// Annotation: the affected pod's IP address.
pub const AFFECTED_POD_IP: &str = "fissile.cloudfoundry.org/affected-pod-ip";

/// Annotation: the node that the affected pod runs on.
pub const AFFECTED_POD_NODE: &str = "fissile.cloudfoundry.org/affected-pod-node";

/// Annotation: the affected pod's labels, as a JSON object.
pub const AFFECTED_POD_LABELS: &str = "fissile.cloudfoundry.org/affected-pod-labels";

/// Annotation: the whole key of what a Job stands for: the transition of its pod, or the number of the request.
pub const TRANSITION: &str = "fissile.cloudfoundry.org/transition";

/// Annotation on a Job and its pods: under which config revision it was made; left out while that is 0.
pub const CONFIG_REVISION: &str = "fissile.cloudfoundry.org/config-revision";

/// Annotation on a Job and its pods that were made because ConfigMaps or Secrets changed: those, such as
/// `ConfigMap/app, Secret/db`.
pub const CHANGED_CONFIG: &str = "fissile.cloudfoundry.org/changed-config";

/// Annotation on an ExtendedJob: a new value asks for a run of a one-off or an errand, as `run: now` does, but
/// leaves the spec alone. Answered in `status.lastHandledRunAt`.
pub const RUN_REQUESTED_AT: &str = "fissile.cloudfoundry.org/run-requested-at";

/// Annotation on an errand: the number of the request after whose run the operator has last set `run` back.
pub const RESET: &str = "fissile.cloudfoundry.org/reset";

/// Annotation on a Job: the `leaseTransitions` of the Lease under which it was created; and on the fence between leaders,
/// a ServiceAccount: those of the present term. An admission policy refuses the operator's create of a Job of another one.
pub const TERM: &str = "fissile.cloudfoundry.org/term";

/// Annotation on the Lease: the resourceVersion up to which each pod transition that counts has its Job or stands
/// in a ledger, `@`, and the time at which that was so.
pub const CHECKPOINT: &str = "fissile.cloudfoundry.org/checkpoint";

/// Label on the ConfigMaps in which the operator keeps what it knew last of a namespace's pods: that namespace.
pub const BOOK_LABEL: &str = "fissile.cloudfoundry.org/pod-book";

/// Annotation on a Job: nothing of its output is still to be written. A run that the status names says so there, in
/// `outputSettled`; a Job that is kept longer than that bears this note.
pub const OUTPUT_SETTLED: &str = "fissile.cloudfoundry.org/output-settled";

/// Annotation on a Job: how the streams of its containers are told apart, see [`crate::Streams`].
pub const STREAMS: &str = "fissile.cloudfoundry.org/streams";

/// Prefix of the annotations on output targets, one for each key that was written.
pub const OUTPUT_ANNOTATION_PREFIX: &str = "output.fissile.cloudfoundry.org/";

/// Label on an object that one run made for its output: what its name begins with, see [`label_value`].
pub const VERSIONED_OUTPUT: &str = "fissile.cloudfoundry.org/versioned-output";

/// Label on an object that one run made for its output: its number.
pub const OUTPUT_VERSION: &str = "fissile.cloudfoundry.org/output-version";

/// Under this name the API server records which fields the operator wrote.
pub const FIELD_MANAGER: &str = "extendedjob-operator";

/// The name of an object as a label value: the name itself, or if that is too long its beginning and a hash
/// of the whole, so that names with one beginning keep apart.
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_VALUE_MAX {
        return name.to_owned();
    }
    let hash = format!("{:016x}", fnv1a(name.as_bytes()));
    let beginning: String = name.chars().take(LABEL_VALUE_MAX - 1 - hash.len()).collect();
    format!("{beginning}-{hash}")
}

/// The name of the annotation that says whose output a key of a target holds: the key itself, or a hash where
/// that can't be the name of one.
pub fn output_annotation(key: &str) -> String {
    let ends = |c: char| c.is_ascii_alphanumeric();
    if key.len() <= LABEL_NAME_MAX && key.starts_with(ends) && key.ends_with(ends) {
        return format!("{OUTPUT_ANNOTATION_PREFIX}{key}");
    }
    let hash = HEXLOWER.encode(&Sha256::digest(key)[..16]);
    format!("{OUTPUT_ANNOTATION_PREFIX}{hash}")
}

/// FNV-1a, because labels must stay what they are from one version of the program to the next, which the
/// standard library's hashes don't promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::{prop_assert, prop_assert_eq, proptest};
    use regex::Regex;

    use super::*;
    use crate::rules::LABEL_VALUE_FORM;

    #[test]
    fn a_name_that_fits_is_its_own_label_value() {
        for name in ["a", "redis-0.example", &"n".repeat(63)] {
            assert_eq!(label_value(name), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_hashed() {
        let name = "n".repeat(64);
        assert_eq!(label_value(&name), "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-078b793dde92c425");
    }

    #[test]
    fn the_hash_is_the_one_that_everybody_calls_fnv_1a() {
        // From the vectors of the algorithm's authors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn every_key_has_an_annotation_name_that_the_api_server_takes() {
        assert_eq!(output_annotation("pi.stdout"), "output.fissile.cloudfoundry.org/pi.stdout");
        let long = output_annotation(&"k".repeat(64));
        assert_eq!(long.len() - OUTPUT_ANNOTATION_PREFIX.len(), 32);
        assert_ne!(long, output_annotation(&"k".repeat(65)));
        for key in [".a", "a-", "_"] {
            assert_eq!(output_annotation(key).len(), long.len(), "{key}");
        }
    }

    static FORM: LazyLock<Regex> = LazyLock::new(|| Regex::new(LABEL_VALUE_FORM).unwrap());

    proptest! {
        #[test]
        fn any_name_makes_a_valid_label_value(name in "[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?") {
            let value = label_value(&name);
            prop_assert!(value.len() <= LABEL_VALUE_MAX);
            prop_assert!(FORM.is_match(&value), "{value}");
        }

        #[test]
        fn names_with_one_beginning_keep_apart(
            beginning in "[a-z0-9]{63}", one in "[a-z0-9]{1,50}", other in "[a-z0-9]{1,50}",
        ) {
            let (one, other) = (format!("{beginning}{one}"), format!("{beginning}{other}"));
            prop_assert_eq!(label_value(&one) == label_value(&other), one == other);
        }
    }
}
