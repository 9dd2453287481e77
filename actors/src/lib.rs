//! The actors of the operator, and its Kubernetes I/O.
//!
//! ```text
//! Operator ── watches ExtendedJobs, owns one Supervisor for each
//! ├── PodHub, JobHub, ConfigHubs   one watch per kind, shared; deliver to whom it concerns
//! └── Supervisor              owns the children below, writes status and Events
//!       ├── TriggerWatcher    pod transitions → Fire
//!       ├── ConfigWatcher     what the pods use → ConfigSeen
//!       ├── JobRunner ×n      creates a Job, follows it, its pods and their logs → AttemptEnded, RunEnded
//!       └── OutputWriter ×n   reads logs, writes one target → OutputSettled
//! ```
//!
//! Memory is a cache: every actor is rebuilt from the cluster, and a step done twice is done once,
//! because Jobs and annotations are named after what they stand for.

mod capture;
mod children;
mod clock;
mod cluster;
mod config_watcher;
mod elector;
mod hubs;
mod job_runner;
mod lifeline;
mod messages;
mod metrics;
mod operator;
mod output_writer;
#[cfg(test)]
mod stand_in;
mod supervisor;
mod trigger_watcher;

pub use capture::Spool;
pub use cluster::{AccountError, Candidacy, Cluster, KubeletOptions, Kubelets, client};
pub use extendedjob_decide::{
    boundary::Boundary,
    brake::Limit,
    declared::Used,
    follow::Follower,
    scope::Scope,
    streams::{Setting as Streams, Ways},
    wrap::{Wrapper, is_drain},
};
pub use messages::Stop;
pub use metrics::Metrics;
pub use operator::{Neighbours, Operator, Readiness};
pub use supervisor::Limits;
