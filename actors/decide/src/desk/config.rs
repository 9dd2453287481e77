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

    pub(super) fn is_kept(&self) -> bool {
        self.is_of_interest() || self.stored.digests.is_some()
    }

    pub(super) fn is_of_interest(&self) -> bool {
        self.config.digests.is_some()
    }

    pub(super) fn is_stored(&self) -> bool {
        !self.is_of_interest() || self.config.is_as(&self.stored)
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

    /// The config revision that is on record.
    #[must_use]
    pub fn stored_revision(&self) -> u64 {
        self.configured.stored.revision
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

    /// The UIDs of the pods for which runs wait.
    #[must_use]
    pub fn awaited_pods(&self) -> BTreeSet<&str> {
        self.waiting.values().filter_map(|waiting| Some(waiting.run.reason.pod()?.uid.as_str())).collect()
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

    /// This revision is known to have been reached, if what is on record is of an earlier one, or lost.
    pub fn has_reached(&mut self, declared: &Declared, revision: u64) {
        if revision > self.revision() {
            self.go_on_to(declared, revision, &BTreeSet::new());
        }
    }

    /// Runs start under this revision from now on, also those that wait.
    fn go_on_to(&mut self, declared: &Declared, revision: u64, changed: &BTreeSet<Object>) {
        self.configured.config.revision = revision;
        self.places.clear();
        for (place, Waiting { mut run, seen, receipts, stage }) in std::mem::take(&mut self.waiting) {
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
        self.look_at_all();
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
        let revision = self.revision() + 1;
        self.configured.config.digests = Some(digests);
        self.go_on_to(declared, revision, changed);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use extendedjob_api::TargetKind;

    use super::*;
    use crate::{
        desk::Brake,
        fixtures::{at, declared, pod},
        pod::Status,
        references::{Digest, Need, Part, Reference},
        run::By,
        transition::Baseline,
    };

    fn object() -> Object {
        Object { kind: TargetKind::Secret, name: "app".into() }
    }

    fn digests(value: &str) -> Digests {
        let reference = Reference { object: object(), parts: [(Part::Whole, Need::Required)].into() };
        let values = [("key".to_owned(), value.as_bytes().to_vec())].into();
        [(object(), Digest::of(&reference, Some(&values)).unwrap())].into()
    }

    fn changed() -> BTreeSet<Object> {
        [object()].into()
    }

    fn reason(n: u64) -> Reason {
        let transition = Transition { when: When::Ready, status: Status::True, time: Some(at(1)), n };
        Reason::Pod { pod: Arc::new(pod()), transition }
    }

    fn run(n: u64, revision: u64) -> Run {
        Run::new(&declared(), reason(n)).under(&declared(), revision)
    }

    fn store(desk: &mut Desk) {
        let ledger = desk.due().unwrap();
        desk.writing(ledger);
        desk.written();
    }

    /// A desk on whose record the baseline is, and that the object held "1".
    fn desk() -> Desk {
        let mut desk = Desk::default();
        desk.rebase(Baseline { version: 10, since: None }, "terms".into());
        desk.take_as_given(digests("1"));
        store(&mut desk);
        desk
    }

    /// Fires, and has the Job made.
    fn make(desk: &mut Desk, n: u64) -> String {
        desk.fire(run(n, desk.revision()), 20 + n, Some(n), Brake::Closed);
        let [run] = &desk.start(1, |_| true)[..] else { panic!("it does not start") };
        desk.adopt(&run.job, 0);
        run.job.clone()
    }

    fn revise(desk: &mut Desk, again: impl IntoIterator<Item = Reason>) {
        desk.revise(&declared(), digests("2"), &changed(), again);
    }

    #[test]
    fn no_job_comes_before_what_its_pods_use_is_on_record() {
        let mut desk = Desk::default();
        assert!(!desk.is_kept());
        desk.take_as_given(digests("1"));
        desk.fire(Run::for_request(&declared(), 1, By::Creation), 0, None, Brake::Closed);
        assert!(desk.start(9, |_| true).is_empty());
        let ledger = desk.due().unwrap();
        assert_eq!((ledger.baseline, ledger.config.digests.clone()), (None, Some(digests("1"))));
        assert!(ledger.pending.is_empty(), "that it is asked for stands in the status");
        desk.writing(ledger);
        desk.written();
        assert_eq!(desk.start(9, |_| true).len(), 1);
    }

    #[test]
    fn one_write_holds_revision_digests_and_all_that_starts_again_and_nothing_starts_before_it() {
        let mut desk = desk();
        let old = make(&mut desk, 0);
        desk.fire(run(1, 0), 21, Some(1), Brake::Closed);
        revise(&mut desk, [reason(0), reason(1)]);
        assert!(desk.start(9, |_| true).is_empty());
        let ledger = desk.due().unwrap();
        assert_eq!((ledger.config.revision, &ledger.config.digests), (1, &Some(digests("2"))));
        // What waited keeps its place, and is no one's repetition; what starts again comes behind it, once.
        assert_eq!(ledger.pending, [run(1, 1), Run { changed: changed(), ..run(0, 1) }]);
        assert_eq!(desk.newest(&old), Some(run(0, 1).job.as_str()));
        desk.writing(ledger);
        assert_eq!(desk.written(), [1]);
        assert_eq!(desk.start(9, |_| true).len(), 2);
    }

    #[test]
    fn what_waits_to_start_again_starts_once_whatever_changes_meanwhile() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, [reason(0)]);
        desk.revise(&declared(), digests("3"), &changed(), [reason(0)]);
        store(&mut desk);
        assert_eq!(desk.start(9, |_| true), [Run { changed: changed(), ..run(0, 2) }]);
    }

    #[test]
    fn a_transition_that_is_told_again_under_a_later_revision_is_the_same() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, []);
        store(&mut desk);
        assert_eq!(desk.fire(run(0, 1), 20, Some(7), Brake::Closed), [7]);
        revise(&mut desk, [reason(0)]);
        assert!(desk.fire(run(0, 2), 20, Some(8), Brake::Closed).is_empty());
        assert_eq!(desk.len(), 1);
        let ledger = desk.due().unwrap();
        desk.writing(ledger);
        assert_eq!(desk.written(), [8]);
    }

    #[test]
    fn a_job_of_a_later_revision_stays_until_the_checkpoint_has_passed_the_transition() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, [reason(0)]);
        store(&mut desk);
        let [run] = &desk.start(9, |_| true)[..] else { panic!("it does not start") };
        desk.adopt(&run.job, 0);
        store(&mut desk);
        assert!(desk.clean([run.job.as_str()], 19).is_empty());
        assert_eq!(desk.clean([run.job.as_str()], 20), [run.job.as_str()]);
        assert!(desk.forget(&run.job, 20));
        assert_eq!(desk.newest(&run.root), Some(run.root.as_str()), "the older one is known still");
        desk.forget(&run.root, 20);
        assert_eq!(desk.newest(&run.root), None);
    }

    #[test]
    fn a_job_that_alone_tells_that_its_pod_counted_is_not_cleaned() {
        let mut desk = desk();
        let job = make(&mut desk, 0);
        assert!(desk.clean([job.as_str()], 99).is_empty());
        let ledger = desk.due().unwrap();
        assert!(ledger.config.counted.contains_key(&pod().uid));
        store(&mut desk);
        assert_eq!(desk.clean([job.as_str()], 99), [job.as_str()]);
        let other = make(&mut desk, 1);
        assert_eq!(desk.clean([other.as_str()], 99), [other.as_str()], "it counted already");
        desk.pod_gone(&pod().uid);
        assert!(desk.config().counted.is_empty());
    }

    #[test]
    fn the_last_transition_of_a_pod_counts() {
        let mut desk = desk();
        make(&mut desk, 0);
        make(&mut desk, 1);
        let Reason::Pod { transition, .. } = reason(1) else { unreachable!() };
        assert_eq!(desk.config().counted[&pod().uid], transition);
        // As a Job of before says that is still there.
        let Reason::Pod { transition: earlier, .. } = reason(0) else { unreachable!() };
        desk.has_counted("job", &pod().uid, &earlier);
        assert_eq!(desk.config().counted[&pod().uid], transition);
    }

    #[test]
    fn the_next_operator_goes_on_with_what_is_stored() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, [reason(0)]);
        let bytes = desk.due().unwrap().encode().unwrap();
        let mut next = Desk::restored(crate::ledger::Ledger::decode(&bytes, &declared()).unwrap(), 50);
        next.adopt(&run(0, 0).job, 50);
        next.stands_for(&run(0, 0).job, &run(0, 0).root, 0);
        assert!(next.may_start() && next.config().changed(&digests("2")).is_empty());
        assert_eq!(next.config().changed(&digests("1")), changed());
        let started = next.start(9, |_| true);
        let names: Vec<_> = started.iter().map(|run| (run.job.clone(), run.changed.clone())).collect();
        assert_eq!(names, [(run(0, 1).job, changed())]);
    }

    #[test]
    fn what_is_of_no_interest_any_more_is_neither_compared_nor_counted() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, []);
        store(&mut desk);
        desk.ignore_changes();
        assert!(desk.may_start());
        let config = desk.due().unwrap().config;
        assert_eq!(config, Config { revision: 1, ..Config::default() }, "the revision is never used again");
    }

    #[test]
    fn where_no_pods_are_of_concern_it_is_taken_off_the_record_too() {
        let mut desk = Desk::default();
        desk.take_as_given(digests("1"));
        store(&mut desk);
        desk.ignore_changes();
        desk.fire(Run::for_request(&declared(), 1, By::Creation), 0, None, Brake::Closed);
        assert_eq!(desk.start(9, |_| true).len(), 1, "nothing keeps it from starting");
        store(&mut desk);
        assert!(!desk.is_kept() && desk.due().is_none());
    }

    #[test]
    fn a_revision_that_is_known_from_elsewhere_is_gone_on_from() {
        let mut desk = desk();
        desk.fire(run(0, 0), 20, None, Brake::Closed);
        desk.has_reached(&declared(), 3);
        desk.has_reached(&declared(), 2);
        assert_eq!((desk.revision(), desk.stored_revision()), (3, 0));
        store(&mut desk);
        assert_eq!(desk.start(9, |_| true), [run(0, 3)]);
    }

    #[test]
    fn a_brake_merges_nothing_into_what_starts_again() {
        let mut desk = desk();
        make(&mut desk, 0);
        revise(&mut desk, [reason(0)]);
        desk.fire(run(1, 1), 21, Some(1), Brake::Open);
        desk.merge(|_| true);
        assert_eq!(desk.len(), 2);
    }
}
