//! One watch per kind of object, shared by all: a hub keeps what the watch says, and delivers each change to those whom it
//! concerns, found by index.

mod configs;
mod jobs;
mod pods;
mod store;
mod watched;

pub(crate) use configs::ConfigHub;
pub(crate) use jobs::JobHub;
pub(crate) use pods::PodHub;
pub(crate) use store::Change;
pub(crate) use watched::Watched;
