//! One operator process: the pieces of `decide`, composed as the actors compose them.

use std::{collections::BTreeSet, sync::Arc};

use extendedjob_api::When;
use extendedjob_decide::{
    book::{Book, Stored},
    checkpoint::{Deliveries, Receipt, reach},
    declared::Declared,
    desk::{Brake, Desk},
    ledger::Ledger,
    pod::{Pod, Version},
    run::{Reason, Run},
    track::{Observation, Start, Tracker},
    transition::{Baseline, Move, Transition, What},
};

use crate::{
    steps::Model,
    world::{Answer, Flight, NEVER, World, Write, at, pod, stamp},
};

/// The only receiver of deliveries.
const RECEIVER: &str = "ejob";
/// The only page.
const NAMESPACE: &str = "ns";

/// A rule that an operator breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A delivery is settled when its run is taken up.
    SettlesAtFire,
    /// The checkpoint goes on while the book is not written.
    CheckpointIgnoresBook,
    /// The checkpoint moves into a gap.
    CheckpointInGap,
    /// A Job goes while its transition may be observed again.
    CleanIgnoresCheckpoint,
    /// A Job goes while the stored ledger names it.
    CleanIgnoresLedger,
    /// A Job goes before its completion is on record.
    CleanIgnoresStatus,
    /// Edges that look alike have one key.
    CountIgnored,
    /// A Job is made before the baseline is stored.
    JobBeforeBaseline,
    /// A Job that is there already is an error.
    ExistingJobNotAdopted,
    /// Runs of the ledger count as seen at the baseline.
    RestoredAtBaseline,
    /// Runs at first sight are taken up only when the baseline is stored.
    FirstSightAfterBaseline,
    /// The API server lets creates of an older term through.
    NoFence,
    /// Pods that are there when an ExtendedJob is learnt of are not put into the book.
    PresentPodsNotNoted,
    /// The baseline does not wait for the book.
    BaselineBeforeBook,
    /// Jobs do not wait for the book, after a gap.
    JobBeforeBook,
    /// In the first term ever the book does not wait for a checkpoint.
    BookBeforeCheckpoint,
    /// The first checkpoint is where the operator is by then.
    FirstCheckpointAtPosition,
    /// The first write of a ledger by an operator need not differ from what is stored.
    SameLedger,
    /// An edit takes what was observed as the baseline, not what is.
    EditAtPosition,
    /// A checkpoint bears the time at which it is written.
    TimeOfWrite,
    /// A Supervisor that is started anew takes the begin of the term for its barrier.
    BarrierOfTerm,
    /// The checkpoint is not held for an ExtendedJob that is new.
    NoHold,
    /// That a checkpoint is forgotten is not noted before it is compared.
    ForgottenUnnoted,
    /// A Job goes while another create of it may still be done.
    CleanIgnoresCreates,
}

/// What it has in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Operator {
    pub(crate) term: u32,
    /// Where pods were when the term began.
    pub(crate) barrier: Version,
    /// The checkpoint that is known to be stored.
    pub(crate) stored: Option<Version>,
    pub(crate) tracker: Tracker,
    pub(crate) deliveries: Deliveries,
    pub(crate) book: Book,
    /// There was neither checkpoint nor book: nothing can have been promised before.
    pub(crate) is_first: bool,
    /// Pods that are gone lately.
    pub(crate) gone: Vec<Arc<Pod>>,
    /// Where it saw the ExtendedJob for the first time, if it was new.
    pub(crate) sighted: Option<Version>,
    /// Which spec it knows; 0: none.
    pub(crate) spec: usize,
    pub(crate) supervisor: Option<Supervisor>,
}

/// The Supervisor of the ExtendedJob, with the watcher of its trigger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Supervisor {
    pub(crate) desk: Desk,
    /// The resourceVersion of the ledger's Secret.
    pub(crate) object: Option<u32>,
    /// Nothing is written before the book holds what was there at this version.
    pub(crate) awaits_book: Version,
    /// Runs for after the baseline, of an operator that takes them up too late.
    pub(crate) belated: Vec<(Run, Version)>,
}

impl Model {
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A new term, in a new process or in one that has dropped all it knew. `remembers`: whether the API
    /// server that it asks knows how pods were at the checkpoint.
    pub(crate) fn start(&self, world: &mut World, remembers: bool) {
        world.lease.term += 1;
        world.forget_unmade();
        if let Some(checkpoint) = &mut world.lease.checkpoint
            && !(remembers || checkpoint.forgotten || self.has(Mutant::ForgottenUnnoted))
        {
            // A term that ends with this note, before anything else is written.
            checkpoint.forgotten = true;
            return;
        }
        let page = world.page.as_ref().map(|page| Stored {
            id: (NAMESPACE.into(), 0),
            object: Some(page.version.to_string()),
            bytes: page.content.bytes.clone(),
        });
        let book = self.memos.read.get(&page, || Book::read(page.clone().into_iter().collect()).book);
        let checkpoint = world.lease.checkpoint;
        let version = checkpoint.map(|checkpoint| checkpoint.version);
        let resumes = version.filter(|_| remembers && checkpoint.is_some_and(|it| !it.forgotten));
        let start = match resumes {
            Some(version) => Start::At(version),
            None => Start::Behind {
                checkpoint: version,
                booked: book
                    .namespaces()
                    .cloned()
                    .zip(checkpoint.map(|checkpoint| checkpoint.time))
                    .collect(),
            },
        };
        let mut operator = Operator {
            term: world.lease.term,
            barrier: world.now(),
            stored: version,
            is_first: version.is_none() && world.page.is_none(),
            tracker: Tracker::new(start, book.lines().cloned()),
            deliveries: Deliveries::default(),
            book,
            gone: vec![],
            sighted: None,
            spec: world.spec,
            supervisor: None,
        };
        if operator.spec > 0 {
            operator.book.open(NAMESPACE, version.unwrap_or_default());
        }
        let list = resumes.unwrap_or(world.now());
        if resumes.is_none() && !operator.is_first {
            self.note_gap(world, version.unwrap_or_default());
        }
        operator.list(self, world, list);
        if operator.spec > 0 {
            operator.expect(self, world);
            operator.supervise(self, world, false);
        }
        world.operator = Some(operator);
    }
}

impl Operator {
    /// Until the baseline is stored, another operator would have to see what was there again.
    fn expect(&mut self, model: &Model, world: &World) {
        if !world.based && !model.has(Mutant::NoHold) {
            self.deliveries.hold(RECEIVER, self.tracker.position());
        }
    }

    /// A list of all pods as they were at `version`.
    pub(crate) fn list(&mut self, model: &Model, world: &mut World, version: Version) {
        self.observe(model, world, Observation::RelistBegun);
        for index in 0..model.lives.len() {
            if let Some((change, at)) = world.change(index, version)
                && change < model.lives[index].shapes.len()
            {
                self.observe(model, world, Observation::Seen(pod(&model.lives, (index, change), at)));
            }
        }
        self.observe(model, world, Observation::RelistEnded(version));
    }

    /// The next event of the watch.
    pub(crate) fn watch(&mut self, model: &Model, world: &mut World) {
        let version = self.tracker.position() + 1;
        let change = world.at(version);
        let seen = pod(&model.lives, change, version);
        let gone = change.1 == model.lives[change.0].shapes.len();
        let event = if gone { Observation::Gone(seen) } else { Observation::Seen(seen) };
        self.observe(model, world, event.clone());
        let before = self.tracker.clone();
        assert_eq!(self.tracker.observe(event), [], "what was told before says nothing new");
        assert_eq!(self.tracker, before);
    }

    fn observe(&mut self, model: &Model, world: &mut World, observation: Observation<Pod>) {
        self.tracker.pass(self.stored());
        for moved in self.tracker.observe(observation) {
            self.happened(model, world, moved);
        }
    }

    fn happened(&mut self, model: &Model, world: &mut World, moved: Move) {
        let concerned = self.spec > 0 && model.trigger(self.spec).concerns(&moved.after);
        if concerned || self.book.names(&moved.after) {
            self.book.note(&moved.after, moved.what == What::Vanished, moved.seen);
        }
        if concerned && moved.what != What::Altered {
            let receipt = self.deliveries.deliver(RECEIVER, moved.clone());
            self.judge(model, world, receipt, &moved);
        }
        if moved.what == What::Vanished {
            self.gone.push(moved.after);
        }
    }

    /// The watcher judges a move, and the Supervisor takes up its run.
    fn judge(&mut self, model: &Model, world: &mut World, receipt: Receipt, moved: &Move) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let declared = model.declared(self.spec);
        let baseline = supervisor.desk.baseline().filter(|_| !declared.spec.suspend);
        let Some(transition) = baseline.and_then(|baseline| model.trigger(self.spec).counts(moved, baseline))
        else {
            return self.settle(vec![receipt]);
        };
        let run = model.run(declared, Arc::clone(&moved.after), transition);
        world.record_fired(model, &run, moved.seen);
        let settled = supervisor.desk.fire(run, moved.seen, Some(receipt), Brake::Closed);
        self.settle(settled);
        if model.has(Mutant::SettlesAtFire) {
            self.settle(vec![receipt]);
        }
    }

    pub(crate) fn settle(&mut self, receipts: Vec<Receipt>) {
        for receipt in receipts {
            self.deliveries.settle(RECEIVER, receipt);
        }
    }

    fn position(&self) -> Version {
        self.tracker.position().max(self.barrier)
    }

    /// The ExtendedJob as it is now.
    pub(crate) fn learn(&mut self, model: &Model, world: &mut World) {
        let is_new = self.spec == 0;
        self.spec = world.spec;
        if is_new {
            self.expect(model, world);
            self.supervise(model, world, false);
        } else if let Some(supervisor) = &self.supervisor
            && !supervisor.desk.is_for(model.terms(self.spec))
        {
            self.rebase(model, world);
        }
    }

    /// Takes the present state of pods as the baseline.
    fn rebase(&mut self, model: &Model, world: &mut World) {
        let terms = model.terms(self.spec).clone();
        let now = self.position();
        let version = if model.has(Mutant::EditAtPosition) { self.tracker.position() } else { now };
        self.note_present(model);
        let awaits_book = self.tracker.position();
        if let Some(supervisor) = &mut self.supervisor {
            let baseline = Baseline { version, since: None };
            world.record.note_known(self.spec, baseline);
            supervisor.desk.rebase(baseline, terms);
            supervisor.awaits_book = awaits_book;
        }
    }

    /// Sees to it that the book names the pods that the trigger is about.
    fn note_present(&mut self, model: &Model) {
        let position = self.tracker.position();
        self.book.open(NAMESPACE, position);
        if model.has(Mutant::PresentPodsNotNoted) {
            return;
        }
        for pod in self.tracker.pods() {
            if model.trigger(self.spec).concerns(pod) && !self.book.names(pod) {
                self.book.note(pod, false, position);
            }
        }
    }

    /// Starts the Supervisor. `read`: there is a ledger, though the status does not say so.
    pub(crate) fn supervise(&mut self, model: &Model, world: &mut World, read: bool) {
        let kept = world.ledger.as_ref().filter(|_| world.based || read);
        let barrier = if model.has(Mutant::BarrierOfTerm) { self.barrier } else { self.position() };
        let desk = kept.map_or_else(Desk::default, |kept| {
            let ledger = Ledger::clone(&kept.content);
            let at_baseline = model.has(Mutant::RestoredAtBaseline);
            let seen = ledger.baseline.filter(|_| at_baseline).map_or(barrier, |baseline| baseline.version);
            Desk::restored(ledger, seen)
        });
        let object = kept.map(|kept| kept.version);
        let is_known = desk.is_for(model.terms(self.spec));
        self.supervisor =
            Some(Supervisor { desk, object, awaits_book: self.tracker.position(), belated: vec![] });
        if object.is_none() {
            self.sight_first(model, world);
        } else {
            world.based |= !model.slow.status;
            // Its baseline is stored, whoever stored it.
            self.deliveries.release(RECEIVER);
            let baseline = self.supervisor.as_ref().and_then(|supervisor| supervisor.desk.baseline());
            match baseline.filter(|_| is_known) {
                Some(baseline) => world.record_baseline(self.spec, baseline),
                None => self.rebase(model, world),
            }
        }
        for job in world.jobs.keys() {
            if let Some(supervisor) = &mut self.supervisor {
                supervisor.desk.adopt(job, barrier);
            }
        }
        let open: Vec<(Receipt, Move)> =
            self.deliveries.of(RECEIVER).map(|(receipt, moved)| (receipt, moved.clone())).collect();
        for (receipt, moved) in open {
            self.judge(model, world, receipt, &moved);
        }
    }

    /// A new ExtendedJob: the stamps of pods decide what counts.
    fn sight_first(&mut self, model: &Model, world: &mut World) {
        let declared = model.declared(self.spec);
        self.rebase(model, world);
        let baseline = Baseline { version: self.position(), since: Some(declared.created) };
        let Some(supervisor) = &mut self.supervisor else { return };
        world.record.note_known(self.spec, baseline);
        supervisor.desk.rebase(baseline, model.terms(self.spec).clone());
        if declared.spec.suspend {
            return;
        }
        self.sighted = Some(self.tracker.position());
        model.record_sighted(world, self.spec, self.tracker.position());
        for pod in self.gone.iter().chain(self.tracker.pods()) {
            for transition in model.trigger(self.spec).at_first_sight(pod, declared.created) {
                let run = model.run(declared, Arc::clone(pod), transition);
                world.record_fired(model, &run, self.tracker.position());
                if model.has(Mutant::FirstSightAfterBaseline) {
                    supervisor.belated.push((run, baseline.version));
                } else {
                    supervisor.desk.fire(run, baseline.version, None, Brake::Closed);
                }
            }
        }
    }

    /// Whether the book holds what was there when the Supervisor began, or took a new baseline: neither
    /// Job nor ledger comes before that.
    pub(crate) fn is_in_book(&self, model: &Model) -> bool {
        let Some(supervisor) = &self.supervisor else { return false };
        let unwritten = self.book.unwritten_in(NAMESPACE);
        let is_written = unwritten.is_none_or(|unwritten| supervisor.awaits_book < unwritten);
        let rebases = !supervisor.desk.may_start();
        is_written
            || rebases && model.has(Mutant::BaselineBeforeBook)
            || !rebases && model.has(Mutant::JobBeforeBook)
    }

    /// The ledger, if it is to be written now.
    pub(crate) fn due_ledger(&self, model: &Model) -> Option<Ledger> {
        let supervisor = self.supervisor.as_ref().filter(|_| self.is_in_book(model))?;
        supervisor.desk.due()
    }

    /// The answer to a write has come. `false`: the term is over.
    pub(crate) fn answered(&mut self, model: &Model, world: &mut World, flight: Flight) -> bool {
        match (flight.write, flight.answer) {
            (Write::Job(run), answer) => self.job_answered(model, &run, answer),
            (Write::Ledger { ledger, .. }, Some(Answer::Done)) => {
                let Some(supervisor) = &mut self.supervisor else { return true };
                supervisor.object = Some(stamp(&ledger));
                world.based |= !model.slow.status;
                let receipts = supervisor.desk.written();
                for (run, seen) in std::mem::take(&mut supervisor.belated) {
                    supervisor.desk.fire(run, seen, None, Brake::Closed);
                }
                self.deliveries.release(RECEIVER);
                self.settle(receipts);
            }
            (Write::Ledger { over: None, .. }, _) => {
                world.forget_unmade();
                self.supervise(model, world, true);
            }
            (Write::Page { page, .. }, Some(Answer::Done)) => {
                self.book.written(&page.id, stamp(&page.bytes).to_string());
            }
            (Write::Lease(checkpoint), Some(Answer::Done)) => {
                self.stored = Some(checkpoint.version);
                // From now on others can see it again.
                if let (true, Some(position)) = (self.is_first, self.sighted) {
                    model.record_sighted(world, self.spec, position);
                }
                self.is_first = false;
                self.tracker.pass(checkpoint.version);
            }
            _ => return false,
        }
        true
    }

    fn job_answered(&mut self, model: &Model, run: &Run, answer: Option<Answer>) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let made = match answer {
            Some(Answer::Done) => true,
            // The name alone says whose it is here: nobody else makes Jobs.
            Some(Answer::Conflict) => !model.has(Mutant::ExistingJobNotAdopted),
            _ => false,
        };
        if made {
            let receipts = supervisor.desk.adopt(&run.job, self.barrier);
            self.settle(receipts);
        } else {
            supervisor.desk.hinder(&run.job);
        }
    }

    /// The watch shows a Job that an operator or Supervisor before this one has made.
    pub(crate) fn see_job(&mut self, job: &str) {
        let position = self.position();
        if let Some(supervisor) = &mut self.supervisor {
            let receipts = supervisor.desk.adopt(job, position);
            self.settle(receipts);
        }
    }

    pub(crate) fn stored(&self) -> Version {
        self.stored.unwrap_or_default()
    }

    /// Whether a page is to be written now.
    pub(crate) fn is_book_due(&self, model: &Model) -> bool {
        let waits = self.is_first && !model.has(Mutant::BookBeforeCheckpoint);
        self.book.due().is_some() && !waits
    }

    /// How far the checkpoint may go.
    pub(crate) fn reached(&self, model: &Model) -> Version {
        if self.is_first {
            let is_late = model.has(Mutant::FirstCheckpointAtPosition);
            return if is_late { self.tracker.position() } else { self.tracker.known_since() };
        }
        let unwritten = self.book.unwritten().filter(|_| !model.has(Mutant::CheckpointIgnoresBook));
        let reached = reach(self.tracker.position(), self.deliveries.oldest(), unwritten);
        let since = if model.has(Mutant::CheckpointInGap) { 0 } else { self.tracker.known_since() };
        if reached < since { self.stored() } else { reached.max(self.stored()) }
    }

    /// Whether a finished Job may be deleted. What else stands in its way is seen to.
    pub(crate) fn may_delete(&mut self, model: &Model, world: &World, job: &str) -> bool {
        let checkpoint = if model.has(Mutant::CleanIgnoresCheckpoint) { Version::MAX } else { self.stored() };
        let Some(supervisor) = &mut self.supervisor else { return false };
        let free = supervisor.desk.clean([job], checkpoint);
        if model.has(Mutant::CleanIgnoresLedger) {
            return world.record.fired[job].iter().all(|seen| *seen <= checkpoint);
        }
        let may_come = world.flights.iter().any(|flight| {
            let makes = matches!(&flight.write, Write::Job(run) if run.job == job);
            makes && flight.term == self.term && flight.answer.is_none()
        });
        !free.is_empty() && (!may_come || model.has(Mutant::CleanIgnoresCreates))
    }
}

impl Model {
    fn run(&self, declared: &Declared, pod: Arc<Pod>, transition: Transition) -> Run {
        let n = if self.has(Mutant::CountIgnored) { 0 } else { transition.n };
        let transition = Transition { n, ..transition };
        let job = self.memos.names.get((&pod.uid, &transition), || {
            Run::for_transition(declared, Arc::clone(&pod), transition.clone()).job
        });
        Run {
            root: job.clone(),
            job,
            reason: Reason::Pod { pod, transition },
            revision: 0,
            changed: BTreeSet::new(),
        }
    }
}

impl World {
    /// Notes for which change of its pod a run fires that was seen at `seen`: the last one up to
    /// there that is what the run says.
    fn record_fired(&mut self, model: &Model, run: &Run, seen: Version) {
        let Reason::Pod { pod, transition } = &run.reason else { return };
        let index = (0..model.lives.len()).find(|index| crate::world::uid(*index) == pod.uid).unwrap();
        let shapes = &model.lives[index].shapes;
        let is_it = |change: usize| match transition.when {
            When::Created => change == 0,
            When::Deleted => change == shapes.len(),
            When::Ready | When::NotReady => shapes.get(change).is_some_and(|shape| {
                shape.status == transition.status
                    && Some(at(shape.since)) == transition.time
                    && (change == 0 || model.turns((index, change)))
            }),
        };
        let found = self.until(seen.min(self.now())).find(|(change, _)| change.0 == index && is_it(change.1));
        let version = found.map_or(NEVER, |(_, version)| version);
        let fired = self.record.fired.entry(run.job.clone()).or_default();
        if !fired.contains(&version) {
            fired.push(version);
        }
    }
}
