//! What a cluster looked like when something failed on it.

use crate::install::NAMESPACE;
use crate::target::Target;

/// What the operator did, and what it thought of it.
const OPERATOR: [&[&str]; 4] = [
    &["get", "extendedjobs", "--all-namespaces", "--output=wide"],
    &["get", "jobs,pods", "--all-namespaces", "--selector=fissile.cloudfoundry.org/extendedjob"],
    &["describe", "pods", "--namespace", NAMESPACE],
    &["logs", "--namespace", NAMESPACE, SELECTOR, "--prefix", "--tail=300"],
];

/// The operator's pods: the one that leads, and those that stand by.
const SELECTOR: &str = "--selector=app.kubernetes.io/name=extendedjob-operator";

/// What else there is; not asked of someone's cluster, where it would drown the rest.
const CLUSTER: [&[&str]; 2] = [
    &["get", "nodes,pods", "--all-namespaces", "--output=wide"],
    &[
        "get",
        "events",
        "--all-namespaces",
        "--field-selector=type=Warning",
        "--sort-by=.metadata.creationTimestamp",
    ],
];

/// Prints it.
pub(crate) fn dump(target: &Target) {
    println!("\n===== {target} at the time of the failure =====");
    let cluster = if matches!(target, Target::Local(..)) { CLUSTER.as_slice() } else { &[] };
    for args in cluster.iter().chain(&OPERATOR) {
        target.show(args);
    }
}
