//! The names that users' manifests and scripts rely on, and those of the installed operator.

/// The annotation on a Job with the name of the pod that it runs for.
pub const POD_NAME: &str = "fissile.cloudfoundry.org/affected-pod-name";
/// The annotation on a Job with the UID of the pod that it runs for.
pub const POD_UID: &str = "fissile.cloudfoundry.org/affected-pod-uid";
/// The annotation on a Job with the transition that it stands for.
pub const TRANSITION: &str = "fissile.cloudfoundry.org/transition";
/// Annotation on a Job: the config revision that it was made under.
pub const CONFIG_REVISION: &str = "fissile.cloudfoundry.org/config-revision";
/// The label on Jobs and their pods with the name of the ExtendedJob.
pub(crate) const EXTENDED_JOB: &str = "fissile.cloudfoundry.org/extendedjob";
/// The annotation on the Lease with the version up to which all that happened to pods is done with, and `@`.
pub(crate) const CHECKPOINT: &str = "fissile.cloudfoundry.org/checkpoint";
/// The API group and version of ExtendedJobs.
pub const GROUP: &str = "fissile.cloudfoundry.org";
/// See [`GROUP`].
pub const VERSION: &str = "v1alpha1";
/// What the API server calls them.
pub(crate) const PLURAL: &str = "extendedjobs";
/// Their kind.
pub const KIND: &str = "ExtendedJob";
/// The operator's namespace, and what is called so in it: account, Deployment and Lease; also the value of the
/// label `app.kubernetes.io/name` on its pods.
pub const OPERATOR: &str = "extendedjob-operator";
/// The user that it is to the API server.
pub const OPERATOR_ACCOUNT: &str = "system:serviceaccount:extendedjob-operator:extendedjob-operator";
