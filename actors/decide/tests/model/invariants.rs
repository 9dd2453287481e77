//! What must hold, once each. What counts is told here anew, from section 2 of the specification
//! alone, so that nothing is judged by itself.

use std::collections::BTreeSet;

use extendedjob_api::When;
use extendedjob_decide::{
    ledger::Ledger,
    pod::{Pod, Status, Version},
    transition::Baseline,
};

use crate::{
    steps::Model,
    world::{Change, FIRST, NEVER, Shape, World, Write, at, pod, uid},
};

impl Model {
    fn when(&self, spec: usize) -> When {
        self.declared(spec).spec.triggers.as_ref().expect("it has a trigger").when
    }

    /// Whether what happened at `version` is a transition for this spec.
    fn is_transition(&self, world: &World, spec: usize, version: Version) -> bool {
        let (pod, change) = world.at(version);
        let shapes = &self.lives[pod].shapes;
        let is_gone = change == shapes.len();
        let shape = shapes[change.min(shapes.len() - 1)];
        let before = change.checked_sub(1).map(|before| shapes[before]);
        if self.declared(spec).spec.suspend
            || !shape.labelled
            || before.is_some_and(|before| !before.labelled)
        {
            return false;
        }
        let is_ready = shape.status == Status::True;
        match self.when(spec) {
            When::Created => change == 0,
            When::Deleted => is_gone,
            When::Ready => !is_gone && is_ready && (change == 0 || self.turns((pod, change))),
            When::NotReady => {
                let lost = before.is_some_and(|before| before.status == Status::True) && !is_ready;
                !is_gone && lost && !shape.deleting
            }
        }
    }

    /// Whether it counts from the baseline on that was stored last. Where an edit has followed, what is
    /// there when it is seen becomes the baseline.
    fn counts(&self, world: &World, version: Version) -> bool {
        world.record.baselines.last().is_some_and(|(spec, baseline)| {
            let since = baseline.version.max(world.edits[spec - 1]);
            *spec == world.spec && version > since && self.is_transition(world, *spec, version)
        })
    }

    /// The changes of a pod up to a version that led to the readiness it has then, if it is there.
    fn alike(&self, world: &World, pod: usize, after: Version, until: Version) -> BTreeSet<Version> {
        let last = world.change(pod, until).map(|(change, _)| (pod, change));
        last.map(|last| self.like(world, last, after, until)).unwrap_or_default()
    }

    /// The changes of a pod that led to the same readiness as this one.
    fn like(&self, world: &World, (pod, last): Change, after: Version, until: Version) -> BTreeSet<Version> {
        let shapes = &self.lives[pod].shapes;
        let Some(now) = shapes.get(last) else { return BTreeSet::new() };
        let leads = |version: &Version| {
            let (of, change) = world.at(*version);
            let turned = change == 0 || self.turns((pod, change));
            let same = |then: &Shape| (then.status, then.since) == (now.status, now.since);
            of == pod && turned && shapes.get(change).is_some_and(same)
        };
        (FIRST.max(after + 1)..=until).filter(leads).collect()
    }

    /// What a new ExtendedJob counts of the pods that were there at `version`, by their stamps: of each
    /// set one.
    fn at_first_sight(&self, world: &World, spec: usize, version: Version) -> BTreeSet<BTreeSet<Version>> {
        let since = Some(self.declared(spec).created);
        let baseline = Baseline { version, since };
        let sets = (0..self.lives.len()).filter_map(|pod| {
            let (change, _) = world.change(pod, version)?;
            // Whether one that gains its label while an operator catches up had it at first depends on
            // how far that was.
            let is_concerned = self.lives[pod].shapes.get(..=change)?.iter().all(|shape| shape.labelled);
            let set = match self.when(spec) {
                When::Created => {
                    world.until(version).filter(|(change, _)| *change == (pod, 0)).map(|(_, at)| at).collect()
                }
                When::Ready if self.lives[pod].shapes[change].status == Status::True => {
                    self.alike(world, pod, 0, version)
                }
                _ => BTreeSet::new(),
            };
            let counts =
                is_concerned && set.last().is_some_and(|last| self.is_young(world, spec, baseline, *last));
            counts.then_some(set)
        });
        sets.collect()
    }

    /// An operator has seen a new ExtendedJob for the first time, and is at `version`. One that falls
    /// before there is any checkpoint has seen nothing that another could see again.
    pub(crate) fn record_sighted(&self, world: &mut World, spec: usize, version: Version) {
        if world.lease.checkpoint.is_none() {
            return;
        }
        let sighted = self.at_first_sight(world, spec, version);
        world.record.sighted.extend(sighted);
    }

    /// Holds in every state.
    pub(crate) fn check(&self, world: &World) -> Result<(), String> {
        if let Some((name, _)) = world.record.made.iter().find(|(_, times)| **times > 1) {
            return Err(format!("(2) Job {name} for {:?} was made twice", world.record.fired[name]));
        }
        if let Some((job, _)) = world.record.fired.iter().find(|(_, fired)| fired.contains(&NEVER)) {
            return Err(format!("(1) {job} fires for what has not happened"));
        }
        let mut pending = world.ledger.iter().flat_map(|kept| &kept.content.pending);
        let is_gone = |job: &String| world.record.made.contains_key(job) && !world.jobs.contains_key(job);
        if let Some(run) = pending.find(|run| is_gone(&run.job)) {
            return Err(format!("(4) the stored ledger names {}, which is deleted", run.job));
        }
        let mut owners = BTreeSet::new();
        for name in world.record.made.keys() {
            if !owners.insert(world.record.fired[name][0]) {
                return Err(format!("(2) two Jobs were made for {}", world.record.fired[name][0]));
            }
        }
        if let Some(checkpoint) = world.lease.checkpoint {
            let counted = (FIRST..=checkpoint.version).filter(|version| self.counts(world, *version));
            for version in counted.filter(|version| !world.record.excused.contains(version)) {
                if !world.has_job(version) && !world.has_entry(version) {
                    return Err(format!(
                        "(3) the checkpoint has passed {version}, which has neither Job nor entry"
                    ));
                }
                self.check_book(world, version, checkpoint.version)?;
            }
            let passed =
                |set: &&BTreeSet<Version>| set.last().is_some_and(|last| *last <= checkpoint.version);
            for set in world.record.wanted.iter().filter(passed) {
                if !set.iter().any(|version| world.has_job(*version) || world.has_entry(*version)) {
                    return Err(format!("(3) the checkpoint has passed {set:?}, and none has Job or entry"));
                }
            }
        }
        if world.record.excused.is_empty() && world.record.wanted.is_empty() {
            for name in world.record.made.keys() {
                self.check_cause(world, world.record.fired[name][0])?;
            }
        }
        Ok(())
    }

    /// The stored book tells what the pod was like at the checkpoint.
    fn check_book(&self, world: &World, version: Version, checkpoint: Version) -> Result<(), String> {
        let (pod, _) = world.at(version);
        let Some((change, _)) = world.change(pod, checkpoint) else { return Ok(()) };
        let Some(shape) = self.lives[pod].shapes.get(change) else { return Ok(()) };
        let lines = world.page.iter().flat_map(|page| &page.content.lines);
        let line = lines.clone().find(|line| line.pod.uid == uid(pod));
        let last = line.and_then(|line| line.pod.edges.clone().as_of(checkpoint).last());
        if last.is_some_and(|last| last.status == shape.status) {
            return Ok(());
        }
        Err(format!("(3) the checkpoint has passed {version}, and no page holds it"))
    }

    /// A Job has a cause that counts.
    fn check_cause(&self, world: &World, version: Version) -> Result<(), String> {
        let counted = world.record.known.iter().any(|(spec, baseline)| {
            if version > baseline.version {
                version > world.edits[spec - 1] && self.is_transition(world, *spec, version)
            } else {
                self.is_young(world, *spec, *baseline, version)
            }
        });
        if counted { Ok(()) } else { Err(format!("(1) a Job was made for {version}, which does not count")) }
    }

    /// Whether the stamps let a change count that was before the baseline.
    fn is_young(&self, world: &World, spec: usize, baseline: Baseline, version: Version) -> bool {
        let (pod, change) = world.at(version);
        let Some(since) = baseline.since else { return false };
        let pod_is = at(self.lives[pod].created) >= since;
        let edge_is = self.lives[pod].shapes.get(change).is_some_and(|shape| at(shape.since) >= since);
        match self.when(spec) {
            When::Created => pod_is,
            When::Ready => pod_is || edge_is,
            When::NotReady | When::Deleted => false,
        }
    }

    /// Holds when nothing but faults can happen any more.
    pub(crate) fn check_rest(&self, world: &World) -> Result<(), String> {
        let missing = |version: &Version| self.counts(world, *version) && !world.has_job(*version);
        let counted = (FIRST..=world.now()).filter(|version| !world.record.excused.contains(version));
        if let Some(version) = counted.into_iter().find(missing) {
            return Err(format!("(1) {version} has no Job"));
        }
        let since = world.record.baselines.last().map_or(0, |(_, baseline)| baseline.version);
        let wanted = world.record.wanted.iter().filter(|set| set.iter().any(|version| *version > since));
        let is_known = |set: &BTreeSet<Version>| set.is_disjoint(&world.record.excused);
        let mut first = world.record.sighted.clone();
        match world.record.baselines.last() {
            Some((spec, Baseline { version, since: Some(_) })) if !self.declared(*spec).spec.suspend => {
                first.extend(self.at_first_sight(world, *spec, *version));
            }
            _ => {}
        }
        first.retain(|set| world.spec == 1 && is_known(set));
        // Those alike before the baseline are one.
        let all = |last: &Version| self.like(world, world.at(*last), 0, world.now());
        let first = first.iter().filter_map(|set| set.last().map(all));
        for set in wanted.cloned().chain(first) {
            if !set.iter().any(|version| world.has_job(*version)) {
                return Err(format!("(1) one of {set:?} was to have a Job"));
            }
        }
        let suspended = world.spec > 0 && self.declared(world.spec).spec.suspend;
        let mut promised = world.record.promised.iter().filter(|_| !suspended);
        if let Some(job) = promised.find(|job| !world.record.made.contains_key(*job)) {
            return Err(format!("(1) the ledger has named {job}, for {:?}", world.record.fired[job]));
        }
        let Some(operator) = &world.operator else { return Err("(5) no operator".into()) };
        let desk = operator.supervisor.as_ref().map(|supervisor| &supervisor.desk);
        let faults = [
            (desk.is_some_and(|desk| !desk.is_empty()) && !suspended, "runs wait"),
            (!world.jobs.is_empty(), "Jobs are not cleaned up"),
            (operator.stored != Some(world.now()), "the checkpoint stays behind"),
            (operator.book.unwritten().is_some(), "the book is not written"),
            (operator.spec != world.spec, "an edit was not seen"),
        ];
        match faults.iter().find(|(is, _)| *is) {
            Some((_, what)) => Err(format!("(5) it rests, and {what}")),
            None => Ok(()),
        }
    }

    /// What of the changes behind the checkpoint can't be known when pods are compared with the book,
    /// and what shows all the same.
    pub(crate) fn note_gap(&self, world: &mut World, checkpoint: Version) {
        let now = world.now();
        let lines = world.page.as_ref().map(|page| page.content.lines.clone()).unwrap_or_default();
        let line = |pod: usize| lines.iter().find(|line| line.pod.uid == uid(pod));
        world.record.wanted.retain(|set| set.last().is_some_and(|last| *last <= checkpoint));
        // Where no baseline was stored, nobody promised anything.
        world.record.sighted.clear();
        let is_booked = world.page.is_some() && checkpoint > 0;
        let last = world.record.baselines.last().copied();
        for version in FIRST.max(checkpoint + 1)..=now {
            let (pod, change) = world.at(version);
            let end = self.lives[pod].shapes.len();
            let shows = match line(pod) {
                Some(line) => {
                    let is_known = line.pod.edges.recent().any(|edge| edge.seen == version);
                    line.gone == Some(version) || is_known || change == end && !line.pod.labels.is_empty()
                }
                None if self.is_labelled(world, pod, checkpoint) => change == end,
                None => {
                    let creates = last.is_some_and(|(spec, _)| self.when(spec) == When::Created);
                    is_booked && creates && change == 0 && self.is_labelled(world, pod, now)
                }
            };
            if !shows {
                world.record.excused.insert(version);
            }
        }
        let Some((spec, baseline)) = last.filter(|_| is_booked) else { return };
        let is_loss = self.when(spec) == When::NotReady;
        for pod in 0..self.lives.len() {
            if !self.is_labelled(world, pod, now) {
                continue;
            }
            let since = match line(pod) {
                Some(line) if line.pod.labels.is_empty() || self.is_like(world, &line.pod, pod) => continue,
                // That it was ready in between shows only where it was ready or False before.
                Some(line) if is_loss && !matches!(line.pod.ready.status, Status::True | Status::False) => {
                    continue;
                }
                Some(line) => line.pod.version,
                None if is_loss && !self.was_ready(world, pod, checkpoint) => continue,
                None => checkpoint,
            };
            let mut shown = self.alike(world, pod, since, now);
            let counts = |version: &Version| {
                let is_transition = self.is_transition(world, spec, *version);
                is_transition
                    && (*version > baseline.version || self.is_young(world, spec, baseline, *version))
            };
            if !shown.iter().any(counts) {
                continue;
            }
            // Those alike before the baseline are one.
            if shown.last().is_some_and(|last| *last <= baseline.version) {
                shown = self.alike(world, pod, 0, now);
            }
            world.record.wanted.insert(shown);
        }
    }

    /// Whether a pod's readiness is what it was.
    fn is_like(&self, world: &World, before: &Pod, index: usize) -> bool {
        let now = world.change(index, world.now());
        now.is_some_and(|(change, version)| pod(&self.lives, (index, change), version).ready == before.ready)
    }

    /// Whether a pod was there, bore the label, and was ready.
    fn was_ready(&self, world: &World, pod: usize, version: Version) -> bool {
        let shape = world.change(pod, version).and_then(|(change, _)| self.lives[pod].shapes.get(change));
        shape.is_some_and(|shape| shape.labelled && shape.status == Status::True)
    }

    /// Whether a pod is there, and bears the label.
    fn is_labelled(&self, world: &World, pod: usize, version: Version) -> bool {
        let last = world.change(pod, version);
        last.and_then(|(change, _)| self.lives[pod].shapes.get(change)).is_some_and(|shape| shape.labelled)
    }
}

impl World {
    /// The change has or had a Job of its own.
    fn has_job(&self, version: Version) -> bool {
        self.owner(version).any(|job| self.record.made.contains_key(job))
    }

    /// The stored ledger names the Job of the change.
    fn has_entry(&self, version: Version) -> bool {
        let pending = |job: &String| self.ledger.as_ref().is_some_and(|kept| names(&kept.content, job));
        self.owner(version).any(pending)
    }

    fn owner(&self, version: Version) -> impl Iterator<Item = &String> {
        self.record.fired.iter().filter(move |(_, fired)| fired[0] == version).map(|(job, _)| job)
    }

    /// A Job may be deleted when its run can't fire again, and its completion is on record.
    pub(crate) fn check_deletion(&self, job: &str) -> Result<(), String> {
        let checkpoint = self.lease.checkpoint.map_or(0, |checkpoint| checkpoint.version);
        let fired = &self.record.fired[job];
        if !self.jobs[job].recorded {
            return Err(format!("(4) the completion of the Job for {fired:?} is not on record"));
        }
        if fired.iter().any(|version| *version > checkpoint) {
            return Err(format!(
                "(4) the checkpoint is at {checkpoint}, and the Job for {fired:?} is deleted"
            ));
        }
        if self.ledger.as_ref().is_some_and(|kept| names(&kept.content, job)) {
            return Err(format!("(4) the stored ledger names the Job for {fired:?}, which is deleted"));
        }
        Ok(())
    }

    /// What an operator before this one took up has come to nothing if no Job was made for it and no
    /// ledger written: the same name may now stand for something else.
    pub(crate) fn forget_unmade(&mut self) {
        let World { record, flights, .. } = self;
        let flies = |job: &String| {
            flights.iter().any(|flight| match &flight.write {
                Write::Job(run) => run.job == *job,
                Write::Ledger { ledger, .. } => names(ledger, job),
                _ => false,
            })
        };
        record.fired.values_mut().for_each(|fired| fired.truncate(1));
        record
            .fired
            .retain(|job, _| record.made.contains_key(job) || record.promised.contains(job) || flies(job));
    }

    /// A ledger is about to be stored.
    pub(crate) fn record_ledger(&mut self, spec: usize, ledger: &Ledger) {
        self.record_baseline(spec, ledger.baseline.expect("it is of pods"));
        self.record.promised.extend(ledger.pending.iter().map(|run| run.job.clone()));
    }

    /// This baseline is the stored one. If it is for other terms than the last one, it may be that of
    /// terms that came back: what was between need not count, nor what no operator had seen by then.
    pub(crate) fn record_baseline(&mut self, spec: usize, mut baseline: Baseline) {
        if self.record.baselines.iter().any(|(last, stored)| *last != spec && *stored == baseline) {
            baseline = Baseline { version: self.now(), since: None };
        }
        let baseline = (spec, baseline);
        if self.record.baselines.last() != Some(&baseline) {
            self.record.baselines.push(baseline);
        }
    }
}

fn names(ledger: &Ledger, job: &str) -> bool {
    ledger.pending.iter().any(|run| run.job == job)
}
