//! What each scenario plays on: a namespace of its own, its operators, and the count of its Jobs.

use std::time::Duration;

use anyhow::Result;
use crowds::jobs_seen::{JobsSeen, Seen};
use crowds::namespace::Namespace;
use crowds::operators::Operators;
use crowds::pods::{IN_SELECTOR, Pod};
use crowds::target::Target;
use serde_json::Value;

use crate::expected::{Expected, Tally};
use crate::load::Load;

/// See the module.
pub(crate) struct Stage<'a> {
    pub(crate) target: &'a Target,
    pub(crate) load: &'a Load,
    pub(crate) namespace: Namespace,
    pub(crate) operators: Operators<'a>,
    pub(crate) jobs: JobsSeen,
    pub(crate) expected: Expected,
    pub(crate) outputs: Outputs,
    /// How long it took, after the end of a fault, until all was made up for.
    pub(crate) recovered: Option<Duration>,
    /// The names of ExtendedJobs that wait for pods, each with the transition.
    triggered: Vec<(String, String)>,
    /// How often it has settled.
    settled: usize,
}

/// The outputs that are compared with what was printed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) due: usize,
    /// Those that were stored as they were printed.
    pub(crate) whole: usize,
}

impl Outputs {
    pub(crate) fn lost(self) -> usize {
        self.due - self.whole
    }
}

impl<'a> Stage<'a> {
    /// An empty one.
    pub(crate) async fn set(target: &'a Target, load: &'a Load, scenario: &str) -> Result<Self> {
        let namespace = Namespace::create(&target.client, scenario).await?;
        Ok(Self {
            target,
            load,
            operators: Operators::none(target),
            jobs: JobsSeen::follow(&namespace).await?,
            namespace,
            expected: Expected::default(),
            outputs: Outputs::default(),
            recovered: None,
            triggered: Vec::new(),
            settled: 0,
        })
    }

    /// Declares an ExtendedJob that waits for pods.
    pub(crate) async fn declare(&mut self, name: &str, spec: Value) -> Result<()> {
        let when = spec["triggers"]["when"].as_str().unwrap_or_default();
        self.triggered.push((name.to_owned(), when.to_owned()));
        self.namespace.declare(name, spec).await
    }

    /// Waits until each expected Job has been seen.
    pub(crate) async fn until_all_jobs(&self) -> Result<()> {
        self.jobs.until("the Jobs of all transitions", |seen| self.expected.is_met(seen)).await
    }

    /// Waits until the operator has done all that it is going to do. What is missing then stays missing, and
    /// what is double is there.
    ///
    /// A last pod appears, turns ready, turns unready, and goes: pod events are handled in order, so when it
    /// has its Jobs, all others have theirs or are pending.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        let all_seen = self.until_all_jobs().await;
        self.settled += 1;
        let sentinel = self.namespace.create_pod(format!("sentinel-{}", self.settled), IN_SELECTOR).await?;
        self.expected.ignore(&sentinel);
        let alone = std::slice::from_ref(&sentinel);
        // Each step waits for the one before: an operator that has to list pods anew sees only the last one.
        self.namespace.turn_ready(alone, 50).await?;
        self.until_answered(&sentinel, &["created", "ready"]).await?;
        self.namespace.turn_unready(alone, 51).await?;
        self.until_answered(&sentinel, &["notready"]).await?;
        self.namespace.delete_pods(alone).await?;
        self.until_answered(&sentinel, &["deleted"]).await?;
        for (name, _) in &self.triggered {
            self.namespace.until_nothing_is_pending(name).await?;
        }
        self.jobs.catch_up_with(&self.namespace, &format!("mark-{}", self.settled)).await?;
        self.operators.ensure_alive()?;
        all_seen
    }

    /// Waits for a Job for this pod of each ExtendedJob that waits for one of these transitions.
    async fn until_answered(&self, pod: &Pod, transitions: &[&str]) -> Result<()> {
        for (name, _) in self.triggered.iter().filter(|(_, when)| transitions.contains(&when.as_str())) {
            let wanted = format!("a Job of {name} for {}", pod.name);
            let is_there = |seen: &Seen| {
                seen.runs.values().any(|run| run.extended_job == *name && run.pod_uid == pod.uid)
            };
            self.jobs.until(&wanted, is_there).await?;
        }
        Ok(())
    }

    /// Compares what was seen so far with what is expected.
    pub(crate) fn tally(&self) -> Tally {
        self.jobs.look(|seen| self.expected.tally(seen))
    }

    /// Ends the operators, and gives up the namespace.
    pub(crate) async fn strike(mut self) -> Result<()> {
        self.operators.kill_all().await?;
        self.namespace.abandon().await
    }
}
