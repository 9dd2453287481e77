//! One operator process: the pieces of `decide`, composed as the actors compose them.

use std::{collections::BTreeSet, sync::Arc};

use extendedjob_api::When;
use extendedjob_decide::{
    book::{Book, Stored},
    checkpoint::{Deliveries, Receipt, reach},
    desk::{Brake, Desk},
    ledger::{Ledger, terms},
    pod::{Pod, Version},
    run::{Reason, Run},
    track::{Observation, Start, Tracker},
    transition::{Baseline, Move, Transition, What},
};

use crate::{
    steps::Model,
    world::{Answer, Flight, World, Write, at, pod},
};

/// The only receiver of deliveries.
const RECEIVER: &str = "ejob";
/// The only page.
const NAMESPACE: &str = "ns";

/// A rule that an operator breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A delivery is settled when its run is taken up.
    SettlesAtFire,
    /// The checkpoint goes on while the book is not written.
    CheckpointIgnoresBook,
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
    /// An edit takes what was observed as the baseline, not what is.
    EditAtPosition,
    /// A checkpoint bears the time at which it is written.
    TimeOfWrite,
    /// A Supervisor that is started anew takes the begin of the term for its barrier.
    BarrierOfTerm,
    /// The checkpoint is not held for an ExtendedJob that is new.
    NoHold,
}

/// What it has in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operator {
    pub term: u32,
    /// Where pods were when the term began.
    pub barrier: Version,
    /// The checkpoint that is known to be stored.
    pub stored: Version,
    pub tracker: Tracker,
    pub deliveries: Deliveries,
    pub book: Book,
    /// Pods that are gone lately.
    pub gone: Vec<Arc<Pod>>,
    /// Which spec it knows; 0: none.
    pub spec: usize,
    pub supervisor: Option<Supervisor>,
}

/// The Supervisor of the ExtendedJob, with the watcher of its trigger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Supervisor {
    pub desk: Desk,
    /// The resourceVersion of the ledger's Secret.
    pub object: Option<u32>,
    /// The baseline is not written before the book holds what was there at this version.
    pub awaits_book: Option<Version>,
    /// Runs for after the baseline, of an operator that takes them up too late.
    pub belated: Vec<(Run, Version)>,
}

impl Model {
    pub fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A new term, in a new process or in one that has dropped all it knew.
    pub fn start(&self, world: &mut World) {
        world.lease.term += 1;
        let page = world.page.as_ref().map(|page| Stored {
            id: (NAMESPACE.into(), 0),
            object: Some(page.version.to_string()),
            bytes: page.content.bytes.clone(),
        });
        let book = Book::read(page.into_iter().collect()).book;
        let checkpoint = world.lease.checkpoint;
        let version = checkpoint.map(|checkpoint| checkpoint.version);
        let resumes = version.filter(|version| *version >= world.compacted);
        let start = match resumes {
            Some(version) => Start::At(version),
            None => Start::Behind {
                checkpoint: checkpoint.map(|checkpoint| (checkpoint.version, checkpoint.time)),
                booked: book.namespaces().cloned().collect(),
            },
        };
        let mut operator = Operator {
            term: world.lease.term,
            barrier: world.now(),
            stored: version.unwrap_or_default(),
            tracker: Tracker::new(start, book.lines().cloned()),
            deliveries: Deliveries::default(),
            book,
            gone: vec![],
            spec: world.spec,
            supervisor: None,
        };
        if operator.spec > 0 {
            operator.expect(self, world, 0);
            operator.book.open(NAMESPACE, version.unwrap_or_default());
        }
        let list = resumes.unwrap_or(world.now());
        if resumes.is_none() {
            self.note_gap(world, version.unwrap_or_default());
        }
        operator.list(self, world, list);
        if operator.spec > 0 {
            operator.supervise(self, world, false);
        }
        world.operator = Some(operator);
    }
}

impl Operator {
    /// Until the baseline is stored, another operator would have to see what was there again.
    fn expect(&mut self, model: &Model, world: &World, position: Version) {
        if !world.based && !model.has(Mutant::NoHold) {
            self.deliveries.hold(RECEIVER, position);
        }
    }

    /// A list of all pods as they were at `version`.
    pub fn list(&mut self, model: &Model, world: &mut World, version: Version) {
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
    pub fn watch(&mut self, model: &Model, world: &mut World) {
        let version = self.tracker.position() + 1;
        let change = world.log[version as usize - 1];
        let seen = pod(&model.lives, change, version);
        let gone = change.1 == model.lives[change.0].shapes.len();
        let event = if gone { Observation::Gone(seen) } else { Observation::Seen(seen) };
        self.observe(model, world, event.clone());
        let before = self.tracker.clone();
        assert_eq!(self.tracker.observe(event), [], "what was told before says nothing new");
        assert_eq!(self.tracker, before);
    }

    fn observe(&mut self, model: &Model, world: &mut World, observation: Observation<Pod>) {
        self.tracker.pass(self.stored);
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
        let Some(transition) = baseline.and_then(|baseline| model.trigger(self.spec).counts(moved, baseline)) else {
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

    pub fn settle(&mut self, receipts: Vec<Receipt>) {
        for receipt in receipts {
            self.deliveries.settle(RECEIVER, receipt);
        }
    }

    fn position(&self) -> Version {
        self.tracker.position().max(self.barrier)
    }

    /// The ExtendedJob as it is now.
    pub fn learn(&mut self, model: &Model, world: &mut World) {
        let is_new = self.spec == 0;
        self.spec = world.spec;
        if is_new {
            self.expect(model, world, self.tracker.position());
            self.supervise(model, world, false);
        } else if let Some(supervisor) = &self.supervisor {
            let terms = terms(&model.declared(self.spec).spec);
            if !supervisor.desk.is_for(&terms) {
                self.rebase(model);
            }
        }
    }

    /// Takes the present state of pods as the baseline.
    fn rebase(&mut self, model: &Model) {
        let terms = terms(&model.declared(self.spec).spec);
        let now = self.position();
        let version = if model.has(Mutant::EditAtPosition) { self.tracker.position() } else { now };
        self.note_present(model);
        let awaits_book = Some(self.tracker.position());
        if let Some(supervisor) = &mut self.supervisor {
            supervisor.desk.rebase(Baseline { version, since: None }, terms);
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
    pub fn supervise(&mut self, model: &Model, world: &mut World, read: bool) {
        let kept = world.ledger.as_ref().filter(|_| world.based || read);
        let declared = model.declared(self.spec);
        let barrier = if model.has(Mutant::BarrierOfTerm) { self.barrier } else { self.position() };
        let desk = kept.map_or_else(Desk::default, |kept| {
            let ledger = Ledger::clone(&kept.content);
            let seen = if model.has(Mutant::RestoredAtBaseline) { ledger.baseline.version } else { barrier };
            Desk::restored(ledger, seen)
        });
        let object = kept.map(|kept| kept.version);
        let is_known = desk.is_for(&terms(&declared.spec));
        self.supervisor = Some(Supervisor { desk, object, awaits_book: None, belated: vec![] });
        if object.is_none() {
            self.sight_first(model, world);
        } else if !is_known {
            self.rebase(model);
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
        self.rebase(model);
        let baseline = Baseline { version: self.position(), since: Some(declared.created) };
        let Some(supervisor) = &mut self.supervisor else { return };
        supervisor.desk.rebase(baseline, terms(&declared.spec));
        if declared.spec.suspend {
            return;
        }
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

    /// The ledger, if it is to be written now.
    pub fn due_ledger(&self, model: &Model) -> Option<Ledger> {
        let supervisor = self.supervisor.as_ref()?;
        let unwritten = self.book.unwritten_in(NAMESPACE);
        let in_book = |since: Version| unwritten.is_none_or(|unwritten| since < unwritten);
        let waits = !supervisor.desk.may_start() && !supervisor.awaits_book.is_none_or(in_book);
        if waits && !model.has(Mutant::BaselineBeforeBook) {
            return None;
        }
        supervisor.desk.due()
    }

    /// The answer to a write has come. `false`: the term is over.
    pub fn answered(&mut self, model: &Model, world: &mut World, flight: Flight) -> bool {
        match (flight.write, flight.answer) {
            (Write::Job(run), answer) => self.job_answered(model, &run, answer),
            (Write::Ledger { over, .. }, Some(Answer::Done)) => {
                let Some(supervisor) = &mut self.supervisor else { return true };
                supervisor.object = Some(over.unwrap_or_default() + 1);
                let receipts = supervisor.desk.written();
                for (run, seen) in std::mem::take(&mut supervisor.belated) {
                    supervisor.desk.fire(run, seen, None, Brake::Closed);
                }
                self.deliveries.release(RECEIVER);
                self.settle(receipts);
            }
            (Write::Ledger { over: None, .. }, _) => self.supervise(model, world, true),
            (Write::Page { over, page }, Some(Answer::Done)) => {
                self.book.written(&page.id, (over.unwrap_or_default() + 1).to_string());
            }
            (Write::Lease(checkpoint), Some(Answer::Done)) => {
                self.stored = checkpoint.version;
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

    /// How far the checkpoint may go.
    pub fn reached(&self, model: &Model) -> Version {
        let unwritten = self.book.unwritten().filter(|_| !model.has(Mutant::CheckpointIgnoresBook));
        reach(self.tracker.position(), self.deliveries.oldest(), unwritten).max(self.stored)
    }

    /// Whether a finished Job may be deleted. What else stands in its way is seen to.
    pub fn may_delete(&mut self, model: &Model, world: &World, job: &str) -> bool {
        let Some(supervisor) = &mut self.supervisor else { return false };
        let checkpoint = if model.has(Mutant::CleanIgnoresCheckpoint) { Version::MAX } else { self.stored };
        let free = supervisor.desk.clean([job], checkpoint);
        if model.has(Mutant::CleanIgnoresLedger) {
            return world.record.fired[job].iter().all(|seen| *seen <= checkpoint);
        }
        !free.is_empty()
    }
}

impl Model {
    fn run(&self, declared: &extendedjob_decide::declared::Declared, pod: Arc<Pod>, transition: Transition) -> Run {
        let n = if self.has(Mutant::CountIgnored) { 0 } else { transition.n };
        Run::for_transition(declared, pod, Transition { n, ..transition })
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
        let seen = seen.min(self.now()) as usize;
        let found = self.log[..seen].iter().rposition(|change| change.0 == index && is_it(change.1));
        let version = found.expect("it fires for something that has happened") as Version + 1;
        let fired = self.record.fired.entry(run.job.clone()).or_default();
        if !fired.contains(&version) {
            fired.push(version);
        }
    }

    /// The namespaces that have a page.
    pub fn booked(&self) -> BTreeSet<String> {
        self.page.iter().map(|_| NAMESPACE.to_owned()).collect()
    }
}
