//! ExtendedJobs, and what their status says.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Namespace, condition, template};

/// What can happen to a pod, as `triggers.when` has it.
pub const TRANSITIONS: [&str; 4] = ["created", "ready", "notready", "deleted"];

/// An ExtendedJob to be created.
#[derive(Clone, Debug)]
pub struct ExtendedJob {
    manifest: Value,
}

/// An ExtendedJob whose Jobs are parked until [`ExtendedJob::running`] says otherwise.
pub fn extended_job(name: &str) -> ExtendedJob {
    let manifest = json!({
        "apiVersion": "fissile.cloudfoundry.org/v1alpha1",
        "kind": "ExtendedJob",
        "metadata": {"name": name},
        "spec": {"template": template::parked()},
    });
    ExtendedJob { manifest }
}

impl ExtendedJob {
    /// For each pod to which this happens, one of [`TRANSITIONS`].
    pub fn on(self, transition: &str) -> Self {
        self.with("/triggers/when", json!(transition))
    }

    /// For each pod that turns ready.
    pub fn on_ready(self) -> Self {
        self.on("ready")
    }

    /// Only for pods with this label.
    pub fn of(mut self, key: &str, value: &str) -> Self {
        self.manifest["spec"]["triggers"]["selector"]["matchLabels"][key] = json!(value);
        self
    }

    /// Only for pods that meet these expressions.
    pub fn matching(self, expressions: Value) -> Self {
        self.with("/triggers/selector/matchExpressions", expressions)
    }

    /// Once, now.
    pub fn once(self) -> Self {
        self.with("/run", json!("once"))
    }

    /// With no more than this many runs at a time.
    pub fn at_most(self, runs: u32) -> Self {
        self.with("/maxConcurrentRuns", json!(runs))
    }

    /// With no more than this many Jobs kept of runs that succeeded, and of those that failed.
    pub fn keeping(self, succeeded: u32, failed: u32) -> Self {
        self.with("/successfulRunsHistoryLimit", json!(succeeded))
            .with("/failedRunsHistoryLimit", json!(failed))
    }

    /// With this template.
    pub fn running(self, template: Value) -> Self {
        self.with("/template", template)
    }

    /// With standard output stored in this ConfigMap.
    pub fn stdout_to(self, config_map: &str) -> Self {
        self.with("/output/stdout/configRef", json!(config_map))
    }

    /// With standard output stored in the ConfigMap `out`, also that of failed attempts.
    pub fn telling(self) -> Self {
        self.stdout_to("out").with("/output/stdout/writeOnFailure", json!(true))
    }

    /// With runs that are restarted when something changes that their pods use of ConfigMaps and Secrets.
    pub fn restarting(self) -> Self {
        self.with("/updateOnConfigChange", json!(true))
    }

    /// The same, and its template as it is so far uses all of this ConfigMap.
    pub fn following(mut self, config_map: &str) -> Self {
        let template = self.manifest["spec"]["template"].take();
        self.running(template::using(template, config_map)).restarting()
    }

    /// With a field of spec set, by its path.
    pub fn with(mut self, path: &str, value: Value) -> Self {
        let keys = path.split('/').skip(1);
        *keys.fold(&mut self.manifest["spec"], |parent, key| &mut parent[key]) = value;
        self
    }

    /// With this annotation.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.manifest["metadata"]["annotations"][key] = json!(value);
        self
    }

    /// Its name.
    pub fn name(&self) -> String {
        crate::name(&self.manifest).to_owned()
    }
}

impl From<ExtendedJob> for Value {
    fn from(extended_job: ExtendedJob) -> Self {
        extended_job.manifest
    }
}

impl Namespace {
    /// Creates the ExtendedJob, and waits until the operator has taken it up.
    pub fn declare(&self, extended_job: ExtendedJob) -> Result<()> {
        self.declare_all([extended_job])
    }

    /// The same for several, created with one command.
    pub fn declare_all(&self, extended_jobs: impl IntoIterator<Item = ExtendedJob>) -> Result<()> {
        let extended_jobs: Vec<ExtendedJob> = extended_jobs.into_iter().collect();
        let names: Vec<String> = extended_jobs.iter().map(ExtendedJob::name).collect();
        self.create_all(extended_jobs.into_iter().map(Value::from))?;
        names.iter().try_for_each(|name| self.until_accepted(name))
    }

    /// Waits until the operator stands ready to act on the newest spec.
    pub fn until_accepted(&self, name: &str) -> Result<()> {
        self.extended_job_until(name, "one that the operator has accepted", |seen| {
            let current = seen["status"]["observedGeneration"] == seen["metadata"]["generation"];
            let ready = condition(seen, "Ready").is_some_and(|ready| ready["status"] == "True");
            (current && ready).then_some(())
        })
    }

    /// Merges a patch into the spec, and waits until the operator acts on it.
    pub fn edit(&self, extended_job: &str, spec: &Value) -> Result<()> {
        self.patch(&format!("extendedjob/{extended_job}"), &json!({"spec": spec}))?;
        self.extended_job_until(extended_job, "the newest spec", |seen| {
            (seen["status"]["observedGeneration"] == seen["metadata"]["generation"]).then_some(())
        })
    }

    /// Suspends the ExtendedJob, and waits until the operator knows.
    pub fn suspend(&self, extended_job: &str) -> Result<()> {
        self.edit(extended_job, &json!({"suspend": true}))?;
        self.reason_of(extended_job, "Ready", "Suspended").map(drop)
    }

    /// Lets the ExtendedJob start runs again.
    pub fn resume(&self, extended_job: &str) -> Result<()> {
        self.edit(extended_job, &json!({"suspend": false}))
    }

    /// Waits until these fields of the status have these values.
    pub fn status_until(&self, extended_job: &str, wanted: &Value) -> Result<()> {
        let fields = wanted.as_object().into_iter().flatten();
        self.extended_job_until(extended_job, &wanted.to_string(), |seen| {
            fields.clone().all(|(field, value)| seen["status"][field] == *value).then_some(())
        })
    }

    /// Waits until the ExtendedJob shows what is wanted.
    pub fn extended_job_until<T>(
        &self,
        name: &str,
        wanted: &str,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        self.kubectl.until(&["extendedjob", name], wanted, find)
    }

    /// Waits for an Event about the ExtendedJob in which the wanted is found.
    pub fn event_of<T>(
        &self,
        extended_job: &str,
        wanted: &str,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let about =
            format!("--field-selector=involvedObject.kind=ExtendedJob,involvedObject.name={extended_job}");
        self.kubectl.until(&["events", &about], &format!("an Event with {wanted}"), |seen| {
            seen["items"].as_array()?.iter().find_map(&find)
        })
    }

    /// Waits until the condition has this status, and gives the whole ExtendedJob.
    pub fn condition_of(&self, extended_job: &str, kind: &str, status: &str) -> Result<Value> {
        self.extended_job_until(extended_job, &format!("{kind}={status}"), |seen| {
            condition(seen, kind).filter(|found| found["status"] == status).map(|_| seen.clone())
        })
    }

    /// Waits until the condition has this reason, and gives its message.
    pub fn reason_of(&self, extended_job: &str, kind: &str, reason: &str) -> Result<String> {
        self.extended_job_until(extended_job, &format!("{kind} with the reason {reason}"), |seen| {
            let found = condition(seen, kind).filter(|found| found["reason"] == reason)?;
            Some(crate::text(&found["message"]).to_owned())
        })
    }
}
