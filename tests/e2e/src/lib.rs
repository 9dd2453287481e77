//! The operator seen from outside: what a user does with kubectl, on a real cluster where it already runs.
//!
//! A test is a [`scenario`] in a namespace of its own. It declares objects ([`extended_job`], [`pod`]),
//! makes things happen, and waits on what kubectl shows; it never sleeps, and nothing is tried twice until it
//! passes. That something does *not* happen is shown by a sentinel: a later pod that must start a Job
//! ([`Namespace::runs_after_a_sentinel`]), or a later change of configuration that must restart one
//! ([`Namespace::pass_a_sentinel`]). Nothing is imported from the operator: names are spelled out once more in
//! [`names`], because users wrote them into their manifests.
//!
//! `cargo xtask test` brings up a cluster, installs the operator and says in the environment where it is.

mod audit;
mod clock;
mod configs;
mod dump;
mod extended_jobs;
mod jobs;
mod kubectl;
pub mod names;
mod namespace;
mod objects;
mod operator;
mod pods;
mod quota;
mod records;
mod scenario;
mod shut_kubelet;
mod target;
pub mod template;
mod users;
mod wait;

pub use clock::{LONG_AGO, at};
pub use configs::{config_map, restart_of, secret, tells_of_restarts};
pub use extended_jobs::{ExtendedJob, TRANSITIONS, extended_job};
pub use jobs::ANY;
pub use kubectl::Kubectl;
pub use namespace::Namespace;
pub use objects::{annotation, condition, controller, created, label, name, text, uid};
pub use operator::{Operator, Stopped, Undisturbed};
pub use pods::{Pod, pod};
pub use scenario::{scenario, scenario_alone};
pub use shut_kubelet::ShutKubelet;
pub use target::{operator_account, streams, upgrade, watched};
pub use wait::poll;
