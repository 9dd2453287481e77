//! What the operator does next, as pure functions of what it knows.
//!
//! Nothing here talks to a cluster, spawns a task or reads a clock: time is passed in, and what
//! comes out is data that `extendedjob-actors` performs. That is what lets tables and properties
//! judge each rule without a cluster.
//!
//! ```text
//! pod → transition → run → Job → outcome → output → status
//! ```

pub mod attempts;
pub mod book;
pub mod boundary;
pub mod brake;
pub mod build;
pub mod checkpoint;
pub mod circle;
pub mod cleanup;
mod conditions;
pub mod config;
pub mod cri;
pub mod declared;
pub mod desk;
pub mod edges;
pub mod fault;
pub mod follow;
pub mod identity;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod output;
mod packed;
pub mod pod;
pub mod references;
pub mod requests;
pub mod retry;
pub mod run;
pub mod scope;
pub mod selector;
pub mod served;
pub mod status;
pub mod streams;
pub mod tail;
pub mod text;
pub mod track;
pub mod transition;
pub mod view;
pub mod wrap;

#[cfg(test)]
mod fixtures;
