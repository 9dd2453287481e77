//! One operator process, as its Supervisor goes about configuration.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use extendedjob_decide::{
    checkpoint::{Receipt, reach},
    config::Digests,
    desk::{Brake, Desk},
    job::{self, PodFacts},
    ledger::Ledger,
    pod::Version,
    references::Object,
    run::{By, Reason, Run, root_of},
};

use super::{Configs, Job, Mutant, Stage, Step, World, reason};
use crate::world::uid;

/// What it has in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Operator {
    desk: Desk,
    /// The content that it looked at last.
    seen: Option<usize>,
    /// The last one that was as it is to be on record.
    taken: usize,
    /// The Jobs whose creates may have been done.
    unanswered: BTreeSet<String>,
    /// Up to where it knows of pods, and what of that is not settled.
    position: Version,
    open: BTreeSet<Receipt>,
}

impl Operator {
    /// Whether it knows all that has happened to pods.
    pub(super) fn is_caught_up(&self, world: &World) -> bool {
        self.position as usize == world.log.len()
    }

    pub(super) fn waits(&self) -> bool {
        !self.desk.is_empty()
    }

    /// Whether it knows that a Job is there, or was.
    fn has_adopted(&self, job: &str) -> bool {
        self.desk.knows(job) && self.desk.waiting(job).is_none()
    }

    fn settle(&mut self, receipts: Vec<Receipt>) {
        self.open.retain(|receipt| !receipts.contains(receipt));
    }

    /// How far the checkpoint may go.
    fn reached(&self) -> Version {
        reach(self.position, self.open.first().copied(), None)
    }
}

/// A Job as the watch shows it.
fn shown(name: &str, run: &Run) -> job::Job {
    let pod = run.reason.pod();
    job::Job {
        name: name.to_owned(),
        key: Some(run.reason.key()),
        pod_uid: pod.map(|pod| pod.uid.clone()),
        pod_name: pod.map(|pod| pod.name.clone()),
        pod: pod.map(|pod| Arc::new(PodFacts { labels: pod.labels.clone(), ..PodFacts::default() })),
        revision: run.revision,
        ..job::Job::default()
    }
}

impl Configs {
    pub(super) fn start(&self, world: &World) -> Operator {
        let now = world.log.len() as Version;
        let desk = world.ledger.as_ref().map(|ledger| Desk::restored(Ledger::clone(ledger), now));
        let mut operator = Operator {
            desk: desk.unwrap_or_default(),
            seen: None,
            taken: 0,
            unanswered: BTreeSet::new(),
            position: world.checkpoint,
            open: BTreeSet::new(),
        };
        for (name, job) in world.there() {
            self.adopt(&mut operator, name, &job.run, now);
        }
        self.count(world, &mut operator);
        if self.trigger.is_none() && !world.completed {
            let run = Run::for_request(&self.declared, 1, By::Someone);
            let run = run.under(&self.declared, operator.desk.revision());
            operator.desk.fire(run, 0, None, Brake::Closed);
        }
        operator
    }

    fn adopt(&self, operator: &mut Operator, name: &str, run: &Run, seen: Version) {
        operator.unanswered.remove(name);
        let settled = operator.desk.adopt(name, seen);
        operator.settle(settled);
        operator.desk.stands_for(name, &root_of(&self.declared, &shown(name, run)), run.revision);
    }

    /// The pods of the Jobs that are there have counted.
    fn count(&self, world: &World, operator: &mut Operator) {
        let mut newest: Vec<(&String, &Job)> = world.there().collect();
        newest.sort_by_key(|(_, job)| Reverse(job.number));
        for (name, job) in newest {
            if let Reason::Pod { pod, transition } = &job.run.reason {
                operator.desk.has_counted(name, &pod.uid, transition);
            }
        }
    }

    /// The next of what has happened to pods.
    pub(super) fn watch(&self, world: &World, operator: &mut Operator) {
        let change = world.log[operator.position as usize];
        operator.position += 1;
        if let Some(reason) = self.reason(change) {
            let run = Run::new(&self.declared, reason).under(&self.declared, operator.desk.revision());
            operator.open.insert(operator.position);
            let receipt = Some(operator.position);
            let settled = operator.desk.fire(run, operator.position, receipt, Brake::Closed);
            operator.settle(settled);
        }
        if change.1 == self.lives[change.0].shapes.len() {
            operator.desk.pod_gone(&uid(change.0));
        }
    }

    fn seen(&self, world: &World, operator: &Operator) -> Option<&Digests> {
        Some(&self.digests[world.contents[operator.seen?].0 as usize])
    }

    fn changed(&self, world: &World, operator: &Operator) -> BTreeSet<Object> {
        let seen = self.seen(world, operator);
        seen.map(|seen| operator.desk.config().changed(seen)).unwrap_or_default()
    }

    /// Looks at what the pods use.
    fn look(&self, world: &mut World, operator: &mut Operator) {
        let is_first = operator.seen.is_none();
        operator.seen = Some(world.contents.len() - 1);
        let is_new = operator.desk.config().digests.is_none();
        if is_new || is_first && self.has(Mutant::GivenAtStart) {
            operator.desk.take_as_given(self.seen(world, operator).unwrap().clone());
            self.count(world, operator);
        }
        self.note(world, operator);
    }

    /// Notes which content is on record.
    fn note(&self, world: &mut World, operator: &mut Operator) {
        let Some(seen) = operator.seen else { return };
        if self.changed(world, operator).is_empty() {
            operator.taken = seen;
        }
        let digests = &operator.desk.config().digests;
        let is_stored = world.ledger.as_ref().is_some_and(|ledger| ledger.config.digests == *digests);
        if is_stored && digests.is_some() {
            world.contents[operator.taken].1 = true;
        }
    }

    /// Whether a change may be taken up.
    fn may_revise(&self, world: &World, operator: &Operator) -> bool {
        let is_answered = operator.unanswered.is_empty() || self.has(Mutant::UnansweredIsRenamed);
        let knows_pods = operator.is_caught_up(world) || self.has(Mutant::PodsOfCheckpoint);
        operator.desk.making() == 0 && is_answered && knows_pods && !self.changed(world, operator).is_empty()
    }

    fn revise(&self, world: &mut World, operator: &mut Operator) {
        let hindered: Vec<String> = operator.desk.in_hand().map(|run| run.job.clone()).collect();
        hindered.iter().for_each(|job| operator.desk.put_back(job));
        for index in 0..self.lives.len() {
            if self.pod(world, index, operator.position).is_none() {
                operator.desk.pod_gone(&uid(index));
            }
        }
        let again = self.again(world, operator);
        let changed = self.changed(world, operator);
        let digests = self.seen(world, operator).unwrap().clone();
        operator.desk.revise(&self.declared, digests, &changed, again);
        self.note(world, operator);
    }

    /// What there is to start runs again for.
    fn again(&self, world: &World, operator: &Operator) -> Vec<Reason> {
        let is_under_way = |(name, job): &(&String, &Job)| {
            job.stage == Stage::Active && operator.has_adopted(name) && !self.has(Mutant::RunsUnderWayIgnored)
        };
        let mut under_way: Vec<(&String, &Job)> = world.jobs.iter().filter(is_under_way).collect();
        under_way.sort_by_key(|(_, job)| job.number);
        // For a pod of one that waits, or is replaced, a run starts anyway.
        let mut started = operator.desk.awaited_pods();
        started.extend(under_way.iter().filter_map(|(_, job)| Some(job.run.reason.pod()?.uid.as_str())));
        let request = self.is_once().then_some(Reason::Request { number: 1, by: By::Someone });
        let counted = (0..self.lives.len()).filter_map(|index| {
            let pod = self.pod(world, index, operator.position)?;
            let transition = operator.desk.config().counted.get(&pod.uid)?.clone();
            let is_idle = self.holds(&pod) && !started.contains(pod.uid.as_str());
            is_idle.then(|| reason(&pod, transition))
        });
        let under_way = under_way.iter();
        let under_way =
            under_way.filter_map(|(name, job)| Reason::of(&self.declared, &shown(name, &job.run)));
        under_way.chain(request).chain(counted).collect()
    }

    /// The ledger is written.
    fn write(&self, world: &mut World, operator: &mut Operator) -> Result<(), String> {
        if let Some(due) = operator.desk.due() {
            operator.desk.writing(due);
        }
        let ledger = operator.desk.in_writing().unwrap();
        let ledger = self.ledgers.get(ledger, || {
            let bytes = ledger.encode().unwrap();
            Arc::new(Ledger::decode(&bytes, &self.declared).unwrap())
        });
        let revision = ledger.config.revision;
        let before = world.ledger.as_ref().map_or(0, |ledger| ledger.config.revision);
        if revision < before || revision as usize >= world.contents.len() {
            return Err(format!("(6) revision {revision} comes after {before}"));
        }
        // No run starts between the change and this.
        for job in world.jobs.values() {
            if job.stage == Stage::Active && job.run.revision < revision {
                world.owed.insert(job.run.root.clone(), revision);
            }
        }
        world.ledger = Some(ledger);
        self.note(world, operator);
        Ok(())
    }

    /// The runs that nothing holds back, and how many may start.
    fn free(&self, world: &World, operator: &Operator) -> (BTreeSet<String>, usize) {
        let is_known = |(name, job): &(&String, &Job)| job.stage.is_busy() && operator.has_adopted(name);
        let busy: BTreeMap<&String, &Job> = world.jobs.iter().filter(is_known).collect();
        let is_older = |job: &Job, run: &Run| job.run.root == run.root && job.run.revision < run.revision;
        let is_free =
            |run: &&Run| self.has(Mutant::StartsBesideOld) || !busy.values().any(|job| is_older(job, run));
        let free = operator.desk.idle().filter(is_free).map(|run| run.job.clone()).collect();
        (free, self.limit.saturating_sub(busy.len() + operator.desk.in_hand().count()))
    }

    /// Whether a Job may be cleaned up. What else stands in its way is seen to.
    fn may_clean(&self, world: &World, operator: &mut Operator, job: &str) -> bool {
        if self.has(Mutant::CleanIgnoresCounted) {
            let mut pending = world.ledger.iter().flat_map(|ledger| &ledger.pending);
            return world.checkpoint as usize == world.log.len() && pending.all(|run| run.job != job);
        }
        !operator.desk.clean([job], world.checkpoint).is_empty()
    }

    pub(super) fn operator_steps(&self, world: &World, operator: &Operator, steps: &mut Vec<Step>) {
        let desk = &operator.desk;
        let may_lose = world.spent.losses < self.faults.losses;
        let is_written = desk.in_writing().is_some();
        let (free, room) = self.free(world, operator);
        let has_looked = operator.seen.is_some();
        for (is, step) in [
            (!operator.is_caught_up(world), Step::Watch),
            (operator.seen != Some(world.contents.len() - 1), Step::Look),
            (self.may_revise(world, operator), Step::Revise),
            (is_written || desk.due().is_some(), Step::WriteLedger),
            (!is_written && may_lose && desk.due().is_some(), Step::LoseLedger),
            (has_looked && desk.may_start() && room > 0 && !free.is_empty(), Step::StartRuns),
            (operator.reached() > world.checkpoint, Step::Pass),
        ] {
            steps.extend(is.then_some(step));
        }
        let is_early =
            |run: &&Run| has_looked && self.has(Mutant::StartsBeforeStored) && free.contains(&run.job);
        for run in desk.in_hand().chain(desk.idle().filter(is_early)) {
            let is_there = world.there().any(|(name, _)| *name == run.job);
            let may_refuse = world.spent.refusals < self.faults.refusals && !is_there;
            steps.push(Step::Make(run.job.clone()));
            steps.extend(may_lose.then(|| Step::LoseMake(run.job.clone())));
            steps.extend(may_refuse.then(|| Step::Refuse(run.job.clone())));
        }
        for (name, job) in &world.jobs {
            let may_replace = desk.may_start() || self.has(Mutant::DeletesBeforeStored);
            let is_replaced = may_replace && desk.newest(&job.run.root).is_some_and(|newest| newest != name);
            let step: fn(String) -> Step = match (operator.has_adopted(name), job.stage) {
                (true, Stage::Active) if is_replaced => Step::Replace,
                (true, Stage::Over) => Step::Tell,
                (true, Stage::Told) => Step::Clean,
                (true, Stage::Cleaned | Stage::Replaced) => Step::Forget,
                (false, stage) if stage.is_there() => Step::See,
                _ => continue,
            };
            steps.push(step(name.clone()));
        }
    }

    pub(super) fn operate(
        &self,
        world: &mut World,
        operator: &mut Operator,
        step: &Step,
    ) -> Result<(), String> {
        match step {
            Step::Watch => self.watch(world, operator),
            Step::Look => self.look(world, operator),
            Step::Revise => self.revise(world, operator),
            Step::WriteLedger => {
                self.write(world, operator)?;
                let settled = operator.desk.written();
                operator.settle(settled);
            }
            Step::LoseLedger => {
                world.spent.losses += 1;
                self.write(world, operator)?;
            }
            Step::StartRuns => {
                let (free, room) = self.free(world, operator);
                operator.desk.start(room, |run| free.contains(&run.job));
            }
            Step::Make(job) => {
                let run = operator.desk.waiting(job).unwrap().clone();
                self.make(world, &run)?;
                self.adopt(operator, job, &run, 0);
            }
            Step::LoseMake(job) => {
                world.spent.losses += 1;
                self.make(world, operator.desk.waiting(job).unwrap())?;
                operator.unanswered.insert(job.clone());
            }
            Step::Refuse(job) => {
                world.spent.refusals += 1;
                operator.desk.hinder(job);
            }
            Step::See(job) => self.adopt(operator, job, &world.jobs[job].run, 0),
            Step::Replace(job) => world.turn(job, Stage::Deleting),
            Step::Tell(job) => {
                world.turn(job, Stage::Told);
                world.completed = true;
            }
            Step::Clean(job) => {
                if self.may_clean(world, operator, job) {
                    world.turn(job, Stage::Cleaned);
                    operator.desk.forget(job, world.checkpoint);
                }
            }
            Step::Forget(job) => {
                operator.desk.forget(job, world.checkpoint);
            }
            Step::Pass => world.checkpoint = operator.reached(),
            _ => unreachable!("{step:?} is none of the operator's"),
        }
        Ok(())
    }
}
