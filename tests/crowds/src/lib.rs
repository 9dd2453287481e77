//! What storms and benchmarks have in common: crowds of pods on a local cluster, operators as processes of this machine,
//! and every Job that was ever made.
//!
//! The installed Deployment rests meanwhile. Pods have no node, and their readiness is written into their status. Nothing
//! is imported from the operator.

mod account;
pub mod audit;
pub mod clock;
mod deployment;
pub mod extended_jobs;
mod faults;
pub mod finish;
pub mod jobs_seen;
mod lease;
pub mod logs;
pub mod names;
pub mod namespace;
pub mod operators;
pub mod patience;
pub mod pods;
pub mod target;
pub mod usage;
