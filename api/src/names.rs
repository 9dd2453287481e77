//! Labels, annotations and other names that objects in the cluster bear.

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

/// Annotation: the whole key of the transition that a Job stands for.
pub const TRANSITION: &str = "fissile.cloudfoundry.org/transition";

/// Prefix of the annotations on output targets, one for each key that was written.
pub const OUTPUT_ANNOTATION_PREFIX: &str = "output.fissile.cloudfoundry.org/";

/// Under this name the API server records which fields the operator wrote.
pub const FIELD_MANAGER: &str = "extendedjob-operator";

/// The length that the API server allows for the value of a label.
const LABEL_VALUE_MAX: usize = 63;

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

/// FNV-1a, because labels must stay what they are from one version of the program to the next, which the
/// standard library's hashes don't promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
