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
//!   names it as waiting;
//! - no Job before what its pods use is on record, under the revision that its name is computed from.

mod config;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::{config::Configured, standing::Standing};
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
    standing: Standing,
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
    configured: Configured,
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

impl Waiting {
    /// That a request is open stands in the status, unless its run is one that starts again.
    fn is_to_be_recorded(&self) -> bool {
        matches!(self.run.reason, Reason::Pod { .. }) || !self.run.changed.is_empty()
    }
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
        let terms = ledger.baseline.map(|baseline| (baseline, ledger.terms.clone()));
        let configured = Configured::restored(ledger.config.clone());
        let mut desk = Self { terms, configured, ..Self::default() };
        for run in &ledger.pending {
            desk.add(run.clone(), barrier, None);
        }
        desk.store(ledger);
        desk
    }

    fn store(&mut self, ledger: Ledger) {
        self.recorded = ledger.pending.iter().map(|run| run.job.clone()).collect();
        self.stored = ledger.baseline.map(|baseline| (baseline, ledger.terms));
        self.writers = ledger.writers;
        self.configured.store(ledger.config);
        self.look_at_all();
    }

    /// What waits at this place has changed.
    fn look_at(&mut self, place: u64) {
        self.standing.put(place, self.waiting.get(&place), &self.recorded);
    }

    /// The same of all of them.
    fn look_at_all(&mut self) {
        self.standing = self.standing_anew();
    }

    fn standing_anew(&self) -> Standing {
        let mut standing = Standing::default();
        for (place, waiting) in &self.waiting {
            standing.put(*place, Some(waiting), &self.recorded);
        }
        standing
    }

    /// Takes a run out of those that wait.
    fn take(&mut self, job: &str) -> Option<Waiting> {
        let place = self.places.remove(job)?;
        let waiting = self.waiting.remove(&place);
        self.look_at(place);
        waiting
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
        let waiting = self.take(job);
        let seen = waiting.as_ref().map_or(seen, |waiting| waiting.seen);
        self.known.entry(job.to_owned()).or_insert(seen);
        if let Some(Waiting { run, .. }) = &waiting {
            self.configured.started(run);
        }
        // Named, it would be made anew if someone deleted its Job.
        self.tidy |= waiting.is_some() && self.is_named(job);
        self.release(waiting.map(|waiting| waiting.receipts).unwrap_or_default())
    }

    /// Takes up a run. Says which deliveries are settled by that: all of a run that is known, under whatever revision.
    pub fn fire(&mut self, run: Run, seen: Version, receipt: Option<Receipt>, brake: Brake) -> Vec<Receipt> {
        // What was before the baseline may be told as several moves that are one run.
        let seen = seen.max(self.baseline().map_or(0, |baseline| baseline.version));
        let job = self.newest(&run.root).unwrap_or(&run.job).to_owned();
        if let Some(known) = self.known.get_mut(&job) {
            *known = (*known).max(seen);
            return receipt.into_iter().collect();
        }
        self.held.extend(receipt);
        if let Some(waiting) = self.at_mut(&job) {
            if receipt.is_some_and(|receipt| !waiting.receipts.contains(&receipt)) {
                waiting.receipts.extend(receipt);
            }
            waiting.seen = waiting.seen.max(seen);
            return if self.recorded.contains(&job) { self.redeem(&job) } else { vec![] };
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
        self.configured.waits(&waiting.run);
        self.places.remove(&absorbed.job);
        self.configured.forget(&absorbed.job);
        self.tidy |= self.is_named(&absorbed.job);
        self.absorbed += 1;
        self.look_at(place);
    }

    /// A waiting run of the same pod that has not been tried.
    fn idle_twin(&self, run: &Run) -> Option<u64> {
        // One that starts again stands for a Job that is to go.
        let may_merge = |waiting: &Waiting| waiting.stage == Stage::Idle && waiting.run.changed.is_empty();
        let idle = |waiting: &Waiting| may_merge(waiting) && waiting.run.reason.repeats(&run.reason);
        self.standing.idle().find(|place| self.waiting.get(place).is_some_and(idle))
    }

    fn add(&mut self, run: Run, seen: Version, receipt: Option<Receipt>) {
        self.places.insert(run.job.clone(), self.next);
        self.configured.waits(&run);
        let receipts = receipt.into_iter().collect();
        self.waiting.insert(self.next, Waiting { run, seen, receipts, stage: Stage::Idle });
        self.look_at(self.next);
        self.next += 1;
    }

    /// Whether any run may start at all.
    #[must_use]
    pub fn may_start(&self) -> bool {
        (self.terms.is_none() || self.terms == self.stored) && self.configured.is_stored()
    }

    /// Whether anything is to be on record, or is there that is not to be any more.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.terms.is_some() || self.configured.is_kept()
    }

    /// The next runs to make the Jobs of, in order, at most `room` of them. `passes` is asked for
    /// each, and may hold one back.
    pub fn start(&mut self, room: usize, mut passes: impl FnMut(&Run) -> bool) -> Vec<Run> {
        if !self.may_start() {
            return vec![];
        }
        let idle = self.standing.idle().filter_map(|place| Some((place, &self.waiting.get(&place)?.run)));
        let started: Vec<(u64, Run)> =
            idle.filter(|(_, run)| passes(run)).take(room).map(|(place, run)| (place, run.clone())).collect();
        for (place, _) in &started {
            self.enter(*place, Stage::Making(0));
        }
        started.into_iter().map(|(_, run)| run).collect()
    }

    /// Of runs that wait because a brake is open, the repeats of a pod merge into the newest: they may have come before it
    /// was.
    pub fn merge(&mut self, is_braked: impl Fn(&Run) -> bool) {
        let mut repeats: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for place in self.standing.idle() {
            let Some(Waiting { run, .. }) = self.waiting.get(&place) else { continue };
            let pod = run.reason.pod().filter(|_| run.changed.is_empty());
            if let Some(pod) = pod.filter(|_| is_braked(run)) {
                repeats.entry(pod.uid.clone()).or_default().push(place);
            }
        }
        for places in repeats.into_values() {
            let Some((first, repeats)) = places.split_first() else { continue };
            for place in repeats {
                if let Some(repeat) = self.waiting.remove(place) {
                    self.look_at(*place);
                    self.absorb(*first, repeat);
                }
            }
        }
    }

    /// The Job of a run can't be made at present, and is tried again.
    pub fn hinder(&mut self, job: &str) {
        if let Some(place) = self.places.get(job) {
            self.enter(*place, Stage::Hindered);
        }
    }

    /// A run is no longer being tried: it waits for its turn again.
    pub fn put_back(&mut self, job: &str) {
        if let Some(place) = self.places.get(job) {
            self.enter(*place, Stage::Idle);
        }
    }

    fn enter(&mut self, place: u64, stage: Stage) {
        if let Some(waiting) = self.waiting.get_mut(&place) {
            waiting.stage = stage;
        }
        self.look_at(place);
    }

    /// A run will never have a Job.
    pub fn drop_run(&mut self, job: &str) -> Vec<Receipt> {
        let waiting = self.take(job);
        self.configured.forget(job);
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
        self.look_at_all();
    }

    /// The runs that wait for their turn, in order.
    pub fn idle(&self) -> impl Iterator<Item = &Run> {
        self.standing.idle().filter_map(|place| Some(&self.waiting.get(&place)?.run))
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
        debug_assert_eq!(self.standing, self.standing_anew(), "a change of what waits was overlooked");
        if !self.is_kept() || self.writing.is_some() || !(self.is_urgent() || self.tidy) {
            return None;
        }
        let (baseline, terms) = self.terms.clone().unzip();
        let pending = self.waiting.values().filter(|waiting| waiting.is_to_be_recorded());
        Some(Ledger {
            baseline,
            terms: terms.unwrap_or_default(),
            config: self.configured.config().clone(),
            pending: pending.map(|waiting| waiting.run.clone()).collect(),
            writers: self.writers.saturating_add(u64::from(!self.fenced)),
        })
    }

    /// Whether something waits for the ledger to be stored. What else is due can wait.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        !self.may_start() || self.standing.is_any_unrecorded()
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
        let unsafe_yet = |job: &&str| self.is_named(job) || self.is_kept() && !self.fenced;
        let unsafe_yet = |job: &&str| unsafe_yet(job) || self.configured.alone_tells(job);
        let (kept, free): (Vec<&str>, Vec<&str>) = jobs.into_iter().filter(passed).partition(unsafe_yet);
        self.tidy |= !kept.is_empty();
        free
    }

    /// Forgets runs whose Jobs are gone, if no observation can bring them again.
    pub fn forget(&mut self, job: &str, checkpoint: Version) -> bool {
        let passed = self.known.get(job).is_none_or(|seen| *seen <= checkpoint);
        let named = self.is_named(job) || self.configured.alone_tells(job);
        self.tidy |= named;
        if passed && !named {
            self.known.remove(job);
            self.configured.forget(job);
        }
        passed && !named
    }
}
