//! What a cluster looked like when something failed on it.

use crate::install::NAMESPACE;
use crate::target::Target;

/// What is printed: enough to see what hung, and what the operator thought of it.
const COMMANDS: [&[&str]; 6] = [
    &["get", "nodes,pods", "--all-namespaces", "--output=wide"],
    &["get", "extendedjobs,jobs", "--all-namespaces", "--output=wide"],
    &["get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"],
    &["describe", "pods", "--namespace", NAMESPACE],
    &["logs", "--namespace", NAMESPACE, "deployment/extendedjob-operator", "--tail=400"],
    &["logs", "--namespace", NAMESPACE, "deployment/extendedjob-operator", "--tail=100", "--previous"],
];

/// Prints it.
pub(crate) fn dump(target: &Target) {
    println!("\n===== {target} at the time of the failure =====");
    for args in COMMANDS {
        target.show(args);
    }
}
