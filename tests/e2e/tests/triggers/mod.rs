//! Which changes of a pod start a Job, and which don't.

mod all_kinds;
mod created;
mod deleted;
mod edits;
mod facts;
mod notready;
mod ready;

use anyhow::Result;
use e2e::{ExtendedJob, Namespace, Pod, extended_job, pod};

pub(crate) const CACHE: (&str, &str) = ("app", "cache");

/// For each cache to which this happens; named after it.
pub(crate) fn caches_on(transition: &str) -> ExtendedJob {
    extended_job(transition).on(transition).of(CACHE.0, CACHE.1)
}

pub(crate) fn cache(name: &str) -> Pod {
    pod(name).labelled(CACHE.0, CACHE.1)
}

/// Checks for several ExtendedJobs, by their names, which pods their Jobs were started for.
pub(crate) fn assert_runs(ns: &Namespace, expected: [(&str, &[&str]); 4]) -> Result<()> {
    for (extended_job, pods) in expected {
        assert_eq!(ns.runs_after_a_sentinel(extended_job, CACHE)?, pods, "{extended_job}");
    }
    Ok(())
}
