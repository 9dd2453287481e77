//! The names that users' manifests and scripts rely on.

/// On each Job and pod that the operator makes: which ExtendedJob it belongs to.
pub const OWNER: &str = "fissile.cloudfoundry.org/extendedjob";
/// On each Job of a trigger and its pods: the pod it runs for, cut to what a label holds.
pub const AFFECTED_POD: &str = "affected-pod";
/// The same pod's full name, as an annotation.
pub const POD_NAME: &str = "fissile.cloudfoundry.org/affected-pod-name";
/// Its UID.
pub const POD_UID: &str = "fissile.cloudfoundry.org/affected-pod-uid";
/// Its address.
pub const POD_IP: &str = "fissile.cloudfoundry.org/affected-pod-ip";
/// Its node.
pub const POD_NODE: &str = "fissile.cloudfoundry.org/affected-pod-node";
/// Its labels, as JSON.
pub const POD_LABELS: &str = "fissile.cloudfoundry.org/affected-pod-labels";
/// The transition that started the Job.
pub const TRANSITION: &str = "fissile.cloudfoundry.org/transition";
/// How many changes of what the pods use had restarted runs before the Job was made; absent where none had.
pub const CONFIG_REVISION: &str = "fissile.cloudfoundry.org/config-revision";
/// Which objects had changed, if that is why the Job was made.
pub const CHANGED_CONFIG: &str = "fissile.cloudfoundry.org/changed-config";
/// The operator's term in which the Job was made.
pub const TERM: &str = "fissile.cloudfoundry.org/term";
/// On what the operator keeps of the pods of a namespace: that namespace.
pub const POD_BOOK: &str = "fissile.cloudfoundry.org/pod-book";
/// On its Lease: how far it has come with all pods.
pub const CHECKPOINT: &str = "fissile.cloudfoundry.org/checkpoint";
/// The user that the operator is to the API server.
pub const OPERATOR_ACCOUNT: &str = "system:serviceaccount:extendedjob-operator:extendedjob-operator";
/// Where the operator is installed.
pub const OPERATOR_NAMESPACE: &str = "extendedjob-operator";
