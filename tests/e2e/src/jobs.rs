//! The Jobs that an ExtendedJob has made.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use serde_json::{Value, json};

use crate::names::POD_NAME;
use crate::pods::HOLD;
use crate::{Namespace, annotation, at, controller, name, pod, poll, text};

/// A label for sentinels of an ExtendedJob for which every pod counts.
pub const ANY: (&str, &str) = ("app", "any");

const SENTINEL: &str = "sentinel-";

impl Namespace {
    /// The Jobs that the ExtendedJob controls.
    pub fn jobs_of(&self, extended_job: &str) -> Result<Vec<Value>> {
        Ok(controlled_by(extended_job, &self.kubectl.get(&["jobs"])?))
    }

    /// Waits until the ExtendedJob controls this many Jobs, and gives them.
    pub fn jobs_until(&self, extended_job: &str, count: usize) -> Result<Vec<Value>> {
        self.kubectl.until(&["jobs"], &format!("{count} Jobs of {extended_job}"), |seen| {
            let jobs = controlled_by(extended_job, seen);
            (jobs.len() == count).then_some(jobs)
        })
    }

    /// Waits for a Job that the ExtendedJob has started for this pod, and gives it.
    pub fn job_for(&self, extended_job: &str, pod: &str) -> Result<Value> {
        self.kubectl.until(&["jobs"], &format!("a Job of {extended_job} for {pod}"), |seen| {
            controlled_by(extended_job, seen).into_iter().find(|job| annotation(job, POD_NAME) == pod)
        })
    }

    /// Lets a parked Job run.
    pub fn release(&self, job: &Value) -> Result<()> {
        self.patch(&format!("job/{}", name(job)), &json!({"spec": {"suspend": false}}))
    }

    /// Lets the Job stay when it is deleted, until it is let go.
    pub fn hold(&self, job: &Value) -> Result<()> {
        self.patch(&format!("job/{}", name(job)), &json!({"metadata": {"finalizers": [HOLD]}}))
    }

    /// Sets the only Job of this ExtendedJob a deadline that is over, once its container `main` has printed this: one from
    /// the start would have to guess how long that takes.
    pub fn let_time_run_out(&self, extended_job: &str, printed: &str) -> Result<()> {
        let job = format!("job/{}", name(&self.jobs_until(extended_job, 1)?[0]));
        let pod = self.until_running()?;
        poll(&format!("{printed:?} in the log of {pod}"), || {
            match self.kubectl.run(&["logs", &pod, "--container=main"]) {
                Ok(log) if log.contains(printed) => Ok(Ok(())),
                // The pod may run before this container of it does.
                other => Ok(Err(format!("{other:?}"))),
            }
        })?;
        self.patch(&job, &json!({"spec": {"activeDeadlineSeconds": 1}}))
    }

    /// Waits until a held Job has been deleted.
    pub fn until_marked_deleted(&self, job: &Value) -> Result<()> {
        self.kubectl.until(&["job", name(job)], "a deletionTimestamp", |seen| {
            seen["metadata"]["deletionTimestamp"].is_string().then_some(())
        })
    }

    /// Lets a held Job go.
    pub fn let_job_go(&self, job: &Value) -> Result<()> {
        self.patch(&format!("job/{}", name(job)), &json!({"metadata": {"finalizers": null}}))
    }

    /// The pods that Jobs of the ExtendedJob were started for, sorted, each as often as there are Jobs.
    ///
    /// A pod with this label is led first to what the ExtendedJob waits for, and its Job is waited for: pod events
    /// come in order, so whatever an earlier one had to start is there by now, and what is not there was not
    /// started.
    pub fn runs_after_a_sentinel(
        &self,
        extended_job: &str,
        (key, value): (&str, &str),
    ) -> Result<Vec<String>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let sentinel = format!("{SENTINEL}{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.start(pod(&sentinel).labelled(key, value).ready())?;
        match text(&self.kubectl.get(&["extendedjob", extended_job])?["spec"]["triggers"]["when"]) {
            "notready" => self.turn_unready(&sentinel, &at(1))?,
            "deleted" => self.delete(&format!("pod/{sentinel}"))?,
            _ => {}
        }
        self.job_for(extended_job, &sentinel)?;
        let runs = self.runs_of(extended_job)?.into_iter();
        Ok(runs.filter(|pod| !pod.starts_with(SENTINEL)).collect())
    }

    /// The same, as it is now, sentinels included.
    pub fn runs_of(&self, extended_job: &str) -> Result<Vec<String>> {
        let jobs = self.jobs_of(extended_job)?;
        let mut pods: Vec<String> = jobs.iter().map(|job| annotation(job, POD_NAME).to_owned()).collect();
        pods.sort();
        Ok(pods)
    }
}

pub(crate) fn controlled_by(extended_job: &str, jobs: &Value) -> Vec<Value> {
    let is_ours = |job: &&Value| {
        controller(job).is_some_and(|owner| owner["kind"] == "ExtendedJob" && owner["name"] == extended_job)
    };
    jobs["items"].as_array().into_iter().flatten().filter(is_ours).cloned().collect()
}
