//! The desk under changing configuration: which runs start again, and under which names runs are known.

use std::collections::{BTreeMap, BTreeSet};

use extendedjob_api::When;

use super::{Desk, Stage, Waiting};
use crate::{
    config::{Config, Digests},
    declared::Declared,
    pod::Version,
    references::Object,
    run::{Reason, Run},
    transition::Transition,
};

/// What a desk knows of configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Configured {
    /// As it is to be on record.
    config: Config,
    stored: Config,
    /// The newest Jobs of runs that have one under a later revision than 0, or wait for it, by their roots.
    newest: BTreeMap<String, Newest>,
    /// The roots of those Jobs.
    roots: BTreeMap<String, String>,
    /// Jobs that alone tell that their pods counted, and the UIDs of those.
    telling: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Newest {
    revision: u64,
    job: String,
}

impl Configured {
    pub(super) fn restored(config: Config) -> Self {
        Self { stored: config.clone(), config, ..Self::default() }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn is_of_interest(&self) -> bool {
        self.config.digests.is_some()
    }

    pub(super) fn is_stored(&self) -> bool {
        self.config.is_as(&self.stored)
    }

    pub(super) fn store(&mut self, config: Config) {
        self.telling.retain(|_, pod| !config.counted.contains_key(pod));
        self.stored = config;
    }

    /// A run waits for its Job.
    pub(super) fn waits(&mut self, run: &Run) {
        if run.revision > 0 {
            self.is_newest(&run.job, &run.root, run.revision);
        }
    }

    fn is_newest(&mut self, job: &str, root: &str, revision: u64) {
        self.roots.insert(job.to_owned(), root.to_owned());
        let newest = self.newest.get(root);
        if newest.is_none_or(|newest| newest.revision <= revision) {
            self.newest.insert(root.to_owned(), Newest { revision, job: job.to_owned() });
        }
    }

    /// A run that waited has its Job: its pod has counted.
    pub(super) fn started(&mut self, run: &Run) {
        if let Reason::Pod { pod, transition } = &run.reason {
            self.config.counted.remove(&pod.uid);
            self.has_counted(&run.job, &pod.uid, transition);
        }
    }

    /// A Job tells that a pod has counted, unless later words of that are known.
    fn has_counted(&mut self, job: &str, pod: &str, transition: &Transition) {
        if !self.is_of_interest() || transition.when == When::Deleted {
            return;
        }
        self.config.counted.entry(pod.to_owned()).or_insert_with(|| transition.clone());
        if !self.stored.counted.contains_key(pod) {
            self.telling.insert(job.to_owned(), pod.to_owned());
        }
    }

    /// Whether nothing but this Job tells that its pod counted.
    pub(super) fn alone_tells(&self, job: &str) -> bool {
        self.telling.contains_key(job)
    }

    /// A Job is known no more.
    pub(super) fn forget(&mut self, job: &str) {
        let Some(root) = self.roots.remove(job) else { return };
        if self.newest.get(&root).is_some_and(|newest| newest.job == job) {
            self.newest.remove(&root);
        }
    }
}

impl Desk {
    /// The config revision under which runs start.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.configured.config.revision
    }

    /// What the pods use, as it is to be on record.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.configured.config
    }

    /// The newest Job of the runs with this root that is known or waited for.
    #[must_use]
    pub fn newest(&self, root: &str) -> Option<&str> {
        match self.configured.newest.get(root) {
            Some(newest) => Some(&newest.job),
            None if self.places.contains_key(root) => Some(self.places.get_key_value(root)?.0),
            None => Some(self.known.get_key_value(root)?.0),
        }
    }

    /// A Job that is known is the one of this revision for the runs of this root.
    pub fn stands_for(&mut self, job: &str, root: &str, revision: u64) {
        if revision > 0 {
            self.configured.is_newest(job, root, revision);
        }
    }

    /// A pod has counted, with this transition, as this Job says; unless later words of that are known.
    pub fn has_counted(&mut self, job: &str, pod: &str, transition: &Transition) {
        self.configured.has_counted(job, pod, transition);
    }

    /// A pod is gone: nothing starts for it again.
    pub fn pod_gone(&mut self, pod: &str) {
        if self.configured.config.counted.remove(pod).is_some() {
            self.configured.telling.retain(|_, of| of != pod);
        }
    }

    /// What the pods use is so, and nothing of that is a change: the template uses more or less than before, or they are
    /// looked at for the first time.
    pub fn take_as_given(&mut self, digests: Digests) {
        self.configured.config.digests = Some(digests);
    }

    /// What was on record is lost; this revision is known to have been reached.
    pub fn has_reached(&mut self, revision: u64) {
        let config = &mut self.configured.config;
        config.revision = config.revision.max(revision);
    }

    /// Changes are of no interest any more: when they are again, what there is then is taken as given.
    pub fn ignore_changes(&mut self) {
        let Config { digests, counted, .. } = &mut self.configured.config;
        self.tidy |= digests.take().is_some();
        counted.clear();
        self.configured.telling.clear();
    }

    /// These objects have changed, and what the pods use is so now. Runs start again for these reasons, in this order,
    /// behind those that wait already; those start under the new revision, too.
    pub fn revise(
        &mut self,
        declared: &Declared,
        digests: Digests,
        changed: &BTreeSet<Object>,
        again: impl IntoIterator<Item = Reason>,
    ) {
        let config = &mut self.configured.config;
        config.revision += 1;
        config.digests = Some(digests);
        let revision = config.revision;
        let waiting = std::mem::take(&mut self.waiting);
        self.places.clear();
        for (place, Waiting { mut run, seen, receipts, stage }) in waiting {
            debug_assert!(stage == Stage::Idle, "a Job in the making bears the name of the old revision");
            self.configured.forget(&run.job);
            if !run.changed.is_empty() {
                run.changed.extend(changed.iter().cloned());
            }
            let run = run.under(declared, revision);
            self.places.insert(run.job.clone(), place);
            self.configured.waits(&run);
            self.waiting.insert(place, Waiting { run, seen, receipts, stage });
        }
        for reason in again {
            let first = Run::new(declared, reason);
            let newest = self.newest(&first.root);
            if newest.is_some_and(|job| self.places.contains_key(job)) {
                continue;
            }
            let seen: Version = newest.and_then(|job| self.known.get(job)).copied().unwrap_or_default();
            let run = Run { changed: changed.clone(), ..first.under(declared, revision) };
            self.add(run, seen, None);
        }
    }
}
