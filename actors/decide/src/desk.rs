//! The runs of one ExtendedJob on their way to a Job: which start now, which wait, what must be
//! written before what.
//!
//! ```text
//! a transition fires ──► waiting ──► its Job is being made ──► made: known from then on
//!                          └─ can't start: in the ledger, from where it starts later
//! ```
//!
//! Orders that hold, whatever fails:
//! - no Job before the baseline is stored;
//! - a delivery is settled when its run has a Job or stands in the stored ledger, not before;
//! - a Job may be cleaned up when the checkpoint has passed its transition and no stored ledger
//!   names it as waiting.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    checkpoint::Receipt,
    ledger::Ledger,
    pod::Version,
    run::{Reason, Run},
    transition::Baseline,
};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Desk {
    /// From when on pods count, and for which trigger; `None` where no pods are of concern.
    terms: Option<(Baseline, String)>,
    waiting: BTreeMap<u64, Waiting>,
    places: BTreeMap<String, u64>,
    next: u64,
    /// Runs that have a Job or had one, and where their transition was seen.
    known: BTreeMap<String, Version>,
    /// Of the ledger that is stored: its baseline and terms, and the Jobs of its runs.
    stored: Option<(Baseline, String)>,
    recorded: BTreeSet<String>,
    /// A write of it is under way, or its answer never came.
    writing: Option<Ledger>,
    /// What a stored ledger says beyond need is to be taken out of it.
    tidy: bool,
    /// A write of ours was done: what a writer before this one may have sent comes too late.
    fenced: bool,
    /// See [`Ledger::writers`].
    writers: u64,
    absorbed: u64,
    /// The deliveries of all runs that wait.
    held: BTreeSet<Receipt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    run: Run,
    seen: Version,
    /// The deliveries that wait for it.
    receipts: Vec<Receipt>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It has not been tried.
    Idle,
    /// Its Job is being made, through so many rounds of [`Desk::grow_old`].
    Making(u8),
    /// Its Job could not be made, and is tried again.
    Hindered,
}

impl Stage {
    fn is_making(self) -> bool {
        matches!(self, Self::Making(_))
    }
}

/// Whether a brake lets more runs start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// There is room.
    Closed,
    /// Too many have started lately: repeats of a pod merge into the newest.
    Open,
}

impl Desk {
    /// What was stored by an operator before this one.
    ///
    /// Until `barrier` what happened to pods may be observed again, and bring these runs with it.
    #[must_use]
    pub fn restored(ledger: Ledger, barrier: Version) -> Self {
        let mut desk = Self { terms: Some((ledger.baseline, ledger.terms.clone())), ..Self::default() };
        for run in &ledger.pending {
            desk.add(run.clone(), barrier, None);
        }
        desk.store(ledger);
        desk
    }

    fn store(&mut self, ledger: Ledger) {
        self.recorded = ledger.pending.iter().map(|run| run.job.clone()).collect();
        self.stored = Some((ledger.baseline, ledger.terms));
        self.writers = ledger.writers;
    }

    /// From where on pods count; `None` before that is known.
    #[must_use]
    pub fn baseline(&self) -> Option<Baseline> {
        self.terms.as_ref().map(|(baseline, _)| *baseline)
    }

    /// Whether what counts was decided for these terms.
    #[must_use]
    pub fn is_for(&self, terms: &str) -> bool {
        self.terms.as_ref().is_some_and(|(_, known)| known == terms)
    }

    /// From here on pods count, for this trigger and suspension. Runs that wait go on waiting.
    pub fn rebase(&mut self, baseline: Baseline, terms: String) {
        self.terms = Some((baseline, terms));
    }

    /// A Job is there, or was: its run is never made anew.
    pub fn adopt(&mut self, job: &str, seen: Version) -> Vec<Receipt> {
        let waiting = self.places.remove(job).and_then(|place| self.waiting.remove(&place));
        let seen = waiting.as_ref().map_or(seen, |waiting| waiting.seen);
        self.known.entry(job.to_owned()).or_insert(seen);
        // Named, it would be made anew if someone deleted its Job.
        self.tidy |= waiting.is_some() && self.is_named(job);
        self.release(waiting.map(|waiting| waiting.receipts).unwrap_or_default())
    }

    /// Takes up a run. Says which deliveries are settled by that: all of a run that is known.
    pub fn fire(&mut self, run: Run, seen: Version, receipt: Option<Receipt>, brake: Brake) -> Vec<Receipt> {
        // What was before the baseline may be told as several moves that are one run.
        let seen = seen.max(self.baseline().map_or(0, |baseline| baseline.version));
        if let Some(known) = self.known.get_mut(&run.job) {
            *known = (*known).max(seen);
            return receipt.into_iter().collect();
        }
        self.held.extend(receipt);
        if let Some(waiting) = self.at_mut(&run.job) {
            if receipt.is_some_and(|receipt| !waiting.receipts.contains(&receipt)) {
                waiting.receipts.extend(receipt);
            }
            waiting.seen = waiting.seen.max(seen);
            return if self.recorded.contains(&run.job) { self.redeem(&run.job) } else { vec![] };
        }
        let twin = (brake == Brake::Open).then(|| self.idle_twin(&run)).flatten();
        match twin {
            Some(place) => {
                let receipts = receipt.into_iter().collect();
                self.absorb(place, Waiting { run, seen, receipts, stage: Stage::Idle });
            }
            None => self.add(run, seen, receipt),
        }
        vec![]
    }

    /// A repeat takes the place of the run that waits there.
    fn absorb(&mut self, place: u64, repeat: Waiting) {
        let Some(waiting) = self.waiting.get_mut(&place) else { return };
        waiting.receipts.extend(repeat.receipts);
        waiting.seen = waiting.seen.max(repeat.seen);
        let absorbed = std::mem::replace(&mut waiting.run, repeat.run);
        self.places.insert(waiting.run.job.clone(), place);
        self.places.remove(&absorbed.job);
        self.tidy |= self.is_named(&absorbed.job);
        self.absorbed += 1;
    }

    /// A waiting run of the same pod that has not been tried.
    fn idle_twin(&self, run: &Run) -> Option<u64> {
        let idle =
            |waiting: &Waiting| waiting.stage == Stage::Idle && waiting.run.reason.repeats(&run.reason);
        self.waiting.iter().find(|(_, waiting)| idle(waiting)).map(|(place, _)| *place)
    }

    fn add(&mut self, run: Run, seen: Version, receipt: Option<Receipt>) {
        self.places.insert(run.job.clone(), self.next);
        let receipts = receipt.into_iter().collect();
        self.waiting.insert(self.next, Waiting { run, seen, receipts, stage: Stage::Idle });
        self.next += 1;
    }

    /// Whether any run may start at all.
    #[must_use]
    pub fn may_start(&self) -> bool {
        self.terms.is_none() || self.terms == self.stored
    }

    /// The next runs to make the Jobs of, in order, at most `room` of them. `passes` is asked for
    /// each, and may hold one back.
    pub fn start(&mut self, room: usize, mut passes: impl FnMut(&Run) -> bool) -> Vec<Run> {
        if !self.may_start() {
            return vec![];
        }
        let mut started = vec![];
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.stage == Stage::Idle) {
            if started.len() == room {
                break;
            }
            if passes(&waiting.run) {
                waiting.stage = Stage::Making(0);
                started.push(waiting.run.clone());
            }
        }
        started
    }

    /// Of runs that wait because a brake is open, the repeats of a pod merge into the newest: they may have come before it
    /// was.
    pub fn merge(&mut self, is_braked: impl Fn(&Run) -> bool) {
        let mut repeats: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (place, waiting) in &self.waiting {
            let pod = waiting.run.reason.pod().filter(|_| waiting.stage == Stage::Idle);
            if let Some(pod) = pod.filter(|_| is_braked(&waiting.run)) {
                repeats.entry(pod.uid.clone()).or_default().push(*place);
            }
        }
        for places in repeats.into_values() {
            let Some((first, repeats)) = places.split_first() else { continue };
            for place in repeats {
                if let Some(repeat) = self.waiting.remove(place) {
                    self.absorb(*first, repeat);
                }
            }
        }
    }

    /// The Job of a run can't be made at present, and is tried again.
    pub fn hinder(&mut self, job: &str) {
        if let Some(waiting) = self.at_mut(job) {
            waiting.stage = Stage::Hindered;
        }
    }

    /// A run is no longer being tried: it waits for its turn again.
    pub fn put_back(&mut self, job: &str) {
        if let Some(waiting) = self.at_mut(job) {
            waiting.stage = Stage::Idle;
        }
    }

    /// A run will never have a Job.
    pub fn drop_run(&mut self, job: &str) -> Vec<Receipt> {
        let waiting = self.places.remove(job).and_then(|place| self.waiting.remove(&place));
        self.tidy |= waiting.is_some() && self.is_named(job);
        self.release(waiting.map(|waiting| waiting.receipts).unwrap_or_default())
    }

    /// Gives up the deliveries of the runs that wait for the ledger; the runs go on waiting.
    pub fn let_go(&mut self) -> Vec<Receipt> {
        let waiting = self.waiting.values_mut().filter(|waiting| !waiting.stage.is_making());
        let receipts = waiting.flat_map(|waiting| std::mem::take(&mut waiting.receipts)).collect();
        self.release(receipts)
    }

    /// Whether a run that waits needs this delivery to stay open.
    #[must_use]
    pub fn holds(&self, receipt: Receipt) -> bool {
        self.held.contains(&receipt)
    }

    fn release(&mut self, receipts: Vec<Receipt>) -> Vec<Receipt> {
        for receipt in &receipts {
            self.held.remove(receipt);
        }
        receipts
    }

    /// How many runs have no Job yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every run has its Job.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The runs whose Jobs are being made, or tried again and again.
    pub fn in_hand(&self) -> impl Iterator<Item = &Run> {
        self.waiting.values().filter(|waiting| waiting.stage != Stage::Idle).map(|waiting| &waiting.run)
    }

    /// How many Jobs are being made.
    #[must_use]
    pub fn making(&self) -> usize {
        self.waiting.values().filter(|waiting| waiting.stage.is_making()).count()
    }

    /// Time has passed: what is being made for more than one round is not made in no time, and goes into the
    /// ledger, so that the checkpoint need not wait for it.
    pub fn grow_old(&mut self) {
        for waiting in self.waiting.values_mut() {
            if let Stage::Making(rounds) = &mut waiting.stage {
                *rounds = rounds.saturating_add(1);
            }
        }
    }

    /// The runs that wait for their turn, in order.
    pub fn idle(&self) -> impl Iterator<Item = &Run> {
        self.waiting.values().filter(|waiting| waiting.stage == Stage::Idle).map(|waiting| &waiting.run)
    }

    /// The run that waits for this Job.
    #[must_use]
    pub fn waiting(&self, job: &str) -> Option<&Run> {
        let waiting = self.waiting.get(self.places.get(job)?)?;
        Some(&waiting.run)
    }

    /// Whether the run of a Job is known, as one that waits or one that has or had its Job.
    #[must_use]
    pub fn knows(&self, job: &str) -> bool {
        self.known.contains_key(job) || self.places.contains_key(job)
    }

    /// How many transitions were absorbed since this was last asked.
    pub fn take_absorbed(&mut self) -> u64 {
        std::mem::take(&mut self.absorbed)
    }

    /// The ledger to store now, if there is need.
    #[must_use]
    pub fn due(&self) -> Option<Ledger> {
        let (baseline, terms) = self.terms.clone()?;
        if self.writing.is_some() {
            return None;
        }
        if !self.is_urgent() && !self.tidy {
            return None;
        }
        let of_pods =
            self.waiting.values().filter(|waiting| matches!(waiting.run.reason, Reason::Pod { .. }));
        let pending = of_pods.map(|waiting| waiting.run.clone()).collect();
        let writers = self.writers + u64::from(!self.fenced);
        Some(Ledger { baseline, terms, pending, writers })
    }

    /// Whether something waits for the ledger to be stored. What else is due can wait.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let lasting = |waiting: &&Waiting| !matches!(waiting.stage, Stage::Making(0 | 1));
        let unrecorded = |waiting: &Waiting| !self.recorded.contains(&waiting.run.job);
        !self.may_start() || self.waiting.values().filter(lasting).any(unrecorded)
    }

    /// A write of `ledger` is on its way.
    pub fn writing(&mut self, ledger: Ledger) {
        self.writing = Some(ledger);
    }

    /// The ledger that is being written, or whose write was not answered.
    #[must_use]
    pub fn in_writing(&self) -> Option<&Ledger> {
        self.writing.as_ref()
    }

    /// The write was done. Says which deliveries are settled by that.
    pub fn written(&mut self) -> Vec<Receipt> {
        let Some(ledger) = self.writing.take() else { return vec![] };
        let recorded: Vec<String> = ledger.pending.iter().map(|run| run.job.clone()).collect();
        self.store(ledger);
        // A run that has got its Job meanwhile is named all the same.
        self.tidy = recorded.iter().any(|job| !self.places.contains_key(job));
        self.fenced = true;
        recorded.iter().flat_map(|job| self.redeem(job)).collect()
    }

    /// The write was refused, and changed nothing.
    pub fn not_written(&mut self) {
        self.writing = None;
    }

    fn redeem(&mut self, job: &str) -> Vec<Receipt> {
        let receipts = self.at_mut(job).map(|waiting| std::mem::take(&mut waiting.receipts));
        self.release(receipts.unwrap_or_default())
    }

    fn at_mut(&mut self, job: &str) -> Option<&mut Waiting> {
        self.waiting.get_mut(self.places.get(job)?)
    }

    /// Whether a stored ledger names a Job as one to be made, or may do so.
    fn is_named(&self, job: &str) -> bool {
        let writing = self.writing.as_ref().into_iter().flat_map(|ledger| &ledger.pending);
        self.recorded.contains(job) || writing.into_iter().any(|run| run.job == job)
    }

    /// Of these Jobs, which nobody needs, those that may be cleaned up now. What else stands in
    /// their way is the ledger: it will be written without them.
    pub fn clean<'a>(
        &mut self,
        jobs: impl IntoIterator<Item = &'a str>,
        checkpoint: Version,
    ) -> Vec<&'a str> {
        // A Job may be seen before its create is answered.
        let passed = |job: &&str| {
            !self.places.contains_key(*job) && self.known.get(*job).is_none_or(|seen| *seen <= checkpoint)
        };
        // Some ledger that this operator has not seen may name it, or may be about to be stored.
        let unsafe_yet = |job: &&str| self.is_named(job) || self.terms.is_some() && !self.fenced;
        let (kept, free): (Vec<&str>, Vec<&str>) = jobs.into_iter().filter(passed).partition(unsafe_yet);
        self.tidy |= !kept.is_empty();
        free
    }

    /// Forgets runs whose Jobs are gone, if no observation can bring them again.
    pub fn forget(&mut self, job: &str, checkpoint: Version) -> bool {
        let passed = self.known.get(job).is_none_or(|seen| *seen <= checkpoint);
        let named = self.is_named(job);
        self.tidy |= named;
        if passed && !named {
            self.known.remove(job);
        }
        passed && !named
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use extendedjob_api::When;

    use super::*;
    use crate::{
        fixtures::{at, declared, pod},
        pod::Status,
        transition::Transition,
    };

    const BASELINE: Baseline = Baseline { version: 10, since: None };

    fn run(n: u64) -> Run {
        let transition = Transition { when: When::Ready, status: Status::True, time: Some(at(1)), n };
        Run::for_transition(&declared(), Arc::new(pod()), transition)
    }

    /// A desk whose baseline is stored.
    fn based() -> Desk {
        let mut desk = Desk::default();
        desk.rebase(BASELINE, "terms".into());
        store(&mut desk);
        desk
    }

    /// Stores what is due, and says which deliveries that settles.
    fn store(desk: &mut Desk) -> Vec<Receipt> {
        let ledger = desk.due().unwrap();
        desk.writing(ledger);
        desk.written()
    }

    fn fire(desk: &mut Desk, n: u64) -> Vec<Receipt> {
        desk.fire(run(n), 20 + n, Some(n), Brake::Closed)
    }

    #[test]
    fn no_job_comes_before_the_baseline_is_stored() {
        let mut desk = Desk::default();
        desk.rebase(BASELINE, "terms".into());
        desk.fire(run(0), 10, None, Brake::Closed);
        assert!(desk.start(9, |_| true).is_empty());
        store(&mut desk);
        assert_eq!(desk.start(9, |_| true), [run(0)]);
    }

    #[test]
    fn a_delivery_is_settled_by_the_job_or_by_the_stored_ledger_and_not_before() {
        let mut desk = based();
        assert!(fire(&mut desk, 0).is_empty() && fire(&mut desk, 1).is_empty());
        assert_eq!(desk.start(1, |_| true), [run(0)]);
        assert_eq!(desk.adopt(&run(0).job, 0), [0]);
        assert!(desk.holds(1));
        let ledger = desk.due().unwrap();
        desk.writing(ledger);
        assert!(desk.holds(1), "it may not have arrived");
        assert_eq!(desk.written(), [1]);
        assert!(!desk.holds(1));
        assert_eq!(fire(&mut desk, 0), [0], "a run that has its Job is known");
    }

    #[test]
    fn a_run_that_is_being_made_for_the_first_time_needs_no_ledger() {
        let mut desk = based();
        fire(&mut desk, 0);
        desk.start(1, |_| true);
        assert_eq!(desk.due(), None);
        desk.hinder(&run(0).job);
        assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![run(0)]));
        desk.put_back(&run(0).job);
        assert_eq!(desk.start(1, |_| true), [run(0)]);
    }

    #[test]
    fn a_job_is_cleaned_when_the_checkpoint_has_passed_and_no_ledger_names_it() {
        let mut desk = based();
        fire(&mut desk, 0);
        store(&mut desk);
        desk.start(1, |_| true);
        desk.adopt(&run(0).job, 0);
        let job = run(0).job;
        assert!(desk.clean([job.as_str()], 19).is_empty(), "the checkpoint is before it");
        assert!(desk.clean([job.as_str()], 20).is_empty(), "the ledger names it");
        store(&mut desk);
        assert_eq!(desk.clean([job.as_str()], 20), [job.as_str()]);
        assert!(desk.forget(&job, 20));
    }

    #[test]
    fn a_run_that_has_its_job_leaves_the_ledger_by_and_by() {
        let mut desk = based();
        fire(&mut desk, 0);
        store(&mut desk);
        desk.start(1, |_| true);
        desk.adopt(&run(0).job, 0);
        assert!(!desk.is_urgent());
        assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![]));
    }

    #[test]
    fn under_an_open_brake_ten_that_wait_as_one_are_nine_absorbed() {
        let mut desk = based();
        for n in 0..10 {
            desk.fire(run(n), 20, Some(n), Brake::Open);
        }
        assert_eq!((desk.len(), desk.take_absorbed()), (1, 9));
        assert_eq!(desk.idle().collect::<Vec<_>>(), [&run(9)]);
        assert_eq!(store(&mut desk), (0..10).collect::<Vec<Receipt>>());
    }

    #[test]
    fn ten_that_waited_before_the_brake_opened_are_nine_absorbed_too() {
        let mut desk = based();
        for n in 0..10 {
            desk.fire(run(n), 20, Some(n), Brake::Closed);
        }
        store(&mut desk);
        desk.merge(|_| false);
        assert_eq!(desk.len(), 10);
        desk.merge(|_| true);
        assert_eq!((desk.len(), desk.take_absorbed()), (1, 9));
        assert_eq!(desk.idle().collect::<Vec<_>>(), [&run(9)]);
        assert_eq!(desk.due().map(|ledger| ledger.pending.len()), Some(1), "the ledger forgets them");
    }

    #[test]
    fn what_was_restored_may_be_observed_again_until_the_barrier() {
        let ledger = Ledger { baseline: BASELINE, terms: "terms".into(), pending: vec![run(0)], writers: 1 };
        let mut desk = Desk::restored(ledger, 50);
        assert_eq!(fire(&mut desk, 0), [0], "it stands in the stored ledger");
        desk.start(1, |_| true);
        desk.adopt(&run(0).job, 0);
        store(&mut desk);
        let job = run(0).job;
        assert!(desk.clean([job.as_str()], 49).is_empty());
        assert_eq!(desk.clean([job.as_str()], 50), [job.as_str()]);
    }

    #[test]
    fn no_job_is_cleaned_before_a_ledger_of_ours_has_ruled_out_that_another_names_it() {
        let ledger = Ledger { baseline: BASELINE, terms: "terms".into(), pending: vec![], writers: 4 };
        let mut desk = Desk::restored(ledger.clone(), 50);
        desk.adopt("job", 50);
        assert_eq!(desk.due(), None, "a start with nothing changed writes nothing");
        assert!(desk.clean(["job"], 50).is_empty());
        assert_eq!(desk.due(), Some(Ledger { writers: 5, ..ledger }));
        store(&mut desk);
        assert_eq!(desk.clean(["job"], 50), ["job"]);
    }

    #[test]
    fn a_job_that_is_seen_before_its_create_is_answered_is_not_cleaned() {
        let mut desk = based();
        fire(&mut desk, 0);
        desk.start(1, |_| true);
        let job = run(0).job;
        assert!(desk.clean([job.as_str()], 99).is_empty());
    }

    #[test]
    fn an_edit_drops_no_run_that_waits_and_starts_none_before_it_is_stored() {
        let mut desk = based();
        fire(&mut desk, 0);
        desk.rebase(Baseline { version: 30, since: None }, "other terms".into());
        assert!(desk.is_for("other terms") && desk.start(1, |_| true).is_empty());
        assert_eq!(store(&mut desk), [0]);
        assert_eq!(desk.start(1, |_| true), [run(0)]);
    }

    #[test]
    fn a_run_that_gets_its_job_while_the_ledger_is_written_is_taken_out_of_it() {
        let mut desk = based();
        fire(&mut desk, 0);
        let due = desk.due().unwrap();
        desk.writing(due);
        desk.start(1, |_| true);
        desk.adopt(&run(0).job, 1);
        desk.written();
        assert_eq!(desk.due().map(|ledger| ledger.pending), Some(vec![]));
    }

    #[test]
    fn a_run_whose_job_is_long_in_the_making_goes_into_the_ledger() {
        let mut desk = based();
        fire(&mut desk, 0);
        desk.start(1, |_| true);
        desk.grow_old();
        assert_eq!(desk.due(), None);
        desk.grow_old();
        assert_eq!(store(&mut desk), [0]);
    }

    #[test]
    fn a_run_that_is_put_back_keeps_its_place() {
        let mut desk = based();
        (0..3).for_each(|n| drop(fire(&mut desk, n)));
        assert_eq!(desk.start(2, |_| true), [run(0), run(1)]);
        desk.put_back(&run(0).job);
        assert_eq!(desk.start(9, |run| run.job != self::run(2).job), [run(0)]);
    }

    #[test]
    fn what_was_before_the_baseline_is_cleaned_when_all_of_that_is_passed() {
        let mut desk = based();
        desk.fire(run(0), 3, Some(0), Brake::Closed);
        desk.start(1, |_| true);
        desk.adopt(&run(0).job, 0);
        let job = run(0).job;
        assert!(desk.clean([job.as_str()], BASELINE.version - 1).is_empty());
        assert_eq!(desk.clean([job.as_str()], BASELINE.version), [job.as_str()]);
    }
}
