//! ConfigMaps and Secrets that pods use, and what a change of them does to ExtendedJobs.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use serde_json::{Value, json};

use crate::jobs::controlled_by;
use crate::names::{CONFIG_REVISION, POD_NAME};
use crate::{ExtendedJob, Namespace, annotation, extended_job};

/// A ConfigMap that holds this.
pub fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// A Secret that holds this, in plain text.
pub fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

impl Namespace {
    /// Creates the objects, or makes them what they are here, with one command.
    pub fn apply(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        let objects: Vec<Value> = objects.into_iter().collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl.run_with_input(&["apply", "--filename=-"], &list.to_string()).map(drop)
    }

    /// Gives the ConfigMap this value under the key `a`, its only one. It is created if it is missing.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.apply([config_map(name, &json!({"a": value}))])
    }

    /// Creates a one-off or an errand that is to run at once, and gives the Job of that run.
    pub fn first_run(&self, extended_job: ExtendedJob) -> Result<Value> {
        let name = extended_job.name();
        self.create(extended_job)?;
        self.restarted(&name, 0)
    }

    /// Waits until changes have restarted the first run of a one-off or an errand so many times, each with
    /// one run, and gives the Job of the last of these. It fails if there are more.
    pub fn restarted(&self, name: &str, times: usize) -> Result<Value> {
        let job = self.kubectl.until(&["jobs"], &format!("restart {times} of {name}"), |seen| {
            controlled_by(name, seen).into_iter().find(|job| restart_of(job) == times)
        })?;
        let wanted = format!("{times} restarts, and the runs of these and the first");
        self.extended_job_until(name, &wanted, |seen| tells_of_restarts(seen, times).then_some(()))?;
        Ok(job)
    }

    /// Waits until the Jobs of this restart are those for these pods, sorted, and gives them in that order.
    pub fn restarted_for(&self, name: &str, times: usize, pods: &[&str]) -> Result<Vec<Value>> {
        let wanted = format!("restart {times} of {name} for {pods:?}");
        self.kubectl.until(&["jobs"], &wanted, |seen| {
            let mut jobs = controlled_by(name, seen);
            jobs.retain(|job| restart_of(job) == times);
            jobs.sort_by_key(|job| annotation(job, POD_NAME).to_owned());
            jobs.iter().map(|job| annotation(job, POD_NAME)).eq(pods.iter().copied()).then_some(jobs)
        })
    }

    /// Waits until a change that comes later than all so far has restarted a run of its own.
    ///
    /// Changes are seen in order, and each restarts what it has to after the same delay: what an earlier one
    /// had to restart has been restarted by then, and what has not will not be. The next change is taken by
    /// itself.
    pub fn pass_a_sentinel(&self) -> Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("later-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.set(&name, "before")?;
        self.first_run(extended_job(&name).once().following(&name))?;
        self.set(&name, "after")?;
        self.restarted(&name, 1).map(drop)
    }
}

/// Which restart the Job belongs to. The first run of all says nothing of it.
pub fn restart_of(job: &Value) -> usize {
    annotation(job, CONFIG_REVISION).parse().unwrap_or_default()
}

/// Whether its status tells of so many restarts, each with one run, and of one run before them.
pub fn tells_of_restarts(extended_job: &Value, times: usize) -> bool {
    let status = &extended_job["status"];
    let restarts = status["configRevision"].as_u64().unwrap_or_default();
    let runs = status["runs"].as_array().map_or(0, Vec::len);
    usize::try_from(restarts).is_ok_and(|restarts| restarts == times) && runs == times + 1
}
