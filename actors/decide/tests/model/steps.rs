//! What can happen next, and what comes of it.

use std::sync::Arc;

use extendedjob_decide::{
    book::{Book, Stored},
    checkpoint::Checkpoint,
    declared::Declared,
    ledger::{Ledger, terms},
    pod::Status,
    transition::Trigger,
};

use crate::{
    explorer::System,
    memo::Memo,
    operator::{Mutant, Operator, Supervisor},
    world::{Answer, Change, Flight, Job, Kept, Life, Page, Spent, World, Write, at, stamp},
};

/// One configuration: what happens, what may go wrong, and how often.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) lives: Vec<Life>,
    /// The specs of the ExtendedJob: that of its creation, and after each edit.
    pub(crate) specs: Vec<Declared>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) terms: Vec<String>,
    /// It is there from the first.
    pub(crate) early: bool,
    /// `maxConcurrentRuns`.
    pub(crate) room: usize,
    pub(crate) faults: Spent,
    /// Which writes take their time: other things happen before they are done, and before the answer
    /// comes.
    pub(crate) slow: Slow,
    /// What an operator does before anything else happens but faults, as soon as it can.
    pub(crate) prompt: Prompt,
    /// Writes of an operator that is gone can land later.
    pub(crate) delayed: bool,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) memos: Memos,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slow {
    pub(crate) job: bool,
    pub(crate) ledger: bool,
    pub(crate) page: bool,
    pub(crate) lease: bool,
    /// What the status tells comes later than what it is about.
    pub(crate) status: bool,
}

/// What is not prompt comes in any order with all else that happens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prompt {
    pub(crate) page: bool,
    pub(crate) ledger: bool,
    pub(crate) lease: bool,
    pub(crate) job: bool,
    pub(crate) cleanup: bool,
}

impl Prompt {
    fn is(self, step: &Step) -> bool {
        match step {
            Step::WritePage => self.page,
            Step::WriteLedger => self.ledger,
            Step::Renew => self.lease,
            Step::StartRuns | Step::Make(_) => self.job,
            Step::Clean(_) => self.cleanup,
            _ => false,
        }
    }
}

/// See [`Memo`].
#[derive(Debug, Default)]
pub(crate) struct Memos {
    pub(crate) names: Memo<String>,
    pub(crate) ledgers: Memo<Arc<Ledger>>,
    pub(crate) written: Memo<(Book, Stored)>,
    pub(crate) read: Memo<Book>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The next change of this pod; an operator that watches sees it at once, see [`Model::steps`].
    Pod(usize),
    /// The ExtendedJob is created, or edited.
    Edit,
    /// A Job comes to its end.
    Finish(String),
    /// An operator takes the Lease, and begins a term.
    Start,
    /// The same with another API server, which knows what was compacted in the first one.
    StartElsewhere,
    /// The next event of the watch.
    Watch,
    /// The operator learns of the ExtendedJob, or of an edit.
    Learn,
    /// A Supervisor takes the place of one that fell.
    Revive,
    /// The Supervisor takes the runs that may start in hand.
    StartRuns,
    /// The create of a Job is sent.
    Make(String),
    WriteLedger,
    WritePage,
    Renew,
    /// `status.ledger` is set.
    Base,
    /// The status tells that a Job is complete.
    Record(String),
    /// A Job that is over is deleted, or what stands in the way is seen to.
    Clean(String),
    /// A write is done, or refused, by the API server.
    Land(usize),
    /// The answer to a write arrives.
    Hear(usize),
    // Faults.
    Crash,
    Fall,
    Refuse(usize),
    /// A Job was made, and the answer is lost.
    Lose(usize),
    /// The watch can't go on from a list at the checkpoint: the term ends, and says so.
    Forget,
    /// A create is given up by who sent it, but not by the API server.
    TimeOut(usize),
    /// It is by the API server, too.
    Expire(usize),
    Compact,
}

impl Model {
    pub(crate) fn new(specs: Vec<Declared>) -> Self {
        let trigger =
            |declared: &Declared| Trigger::new(declared.spec.triggers.as_ref().expect("it has one"));
        Self {
            triggers: specs.iter().map(trigger).collect(),
            terms: specs.iter().map(|declared| terms(&declared.spec)).collect(),
            specs,
            early: true,
            room: 1,
            ..Self::default()
        }
    }

    /// How many specs there are.
    pub(crate) fn edits(&self) -> usize {
        self.specs.len()
    }

    pub(crate) fn terms(&self, spec: usize) -> &String {
        &self.terms[spec - 1]
    }

    pub(crate) fn declared(&self, spec: usize) -> &Declared {
        &self.specs[spec - 1]
    }

    pub(crate) fn trigger(&self, spec: usize) -> &Trigger {
        &self.triggers[spec - 1]
    }

    /// Whether a change of a pod's life, which is not its first, turns its readiness.
    pub(crate) fn turns(&self, (pod, change): Change) -> bool {
        let shapes = &self.lives[pod].shapes;
        let readiness = |change: usize| {
            let shape = shapes[change];
            (shape.status, if shape.status == Status::Absent { 0 } else { shape.since })
        };
        change > 0 && change < shapes.len() && readiness(change) != readiness(change - 1)
    }

    /// The checkpoint that may be stored now.
    fn checkpoint(&self, world: &World, operator: &Operator) -> Checkpoint {
        let version = operator.reached(self);
        let of_writing = world.log.iter().map(|change| at(self.lives[change.0].created)).max();
        let newest = match self.mutant {
            Some(Mutant::TimeOfWrite) => of_writing,
            _ => operator.tracker.newest_by(version),
        };
        Checkpoint::next(world.lease.checkpoint, version, newest)
    }

    fn operator_steps(&self, world: &World, operator: &Operator, steps: &mut Vec<Step>) {
        let awaited =
            |is: fn(&Write) -> bool| world.flights.iter().any(|flight| flight.awaited && is(&flight.write));
        if operator.tracker.position() < world.now() {
            steps.push(Step::Watch);
        }
        if operator.spec < world.spec {
            steps.push(Step::Learn);
        }
        if operator.is_book_due(self) && !awaited(|write| matches!(write, Write::Page { .. })) {
            steps.push(Step::WritePage);
        }
        if operator.reached(self) > operator.stored() && !awaited(|write| matches!(write, Write::Lease(_))) {
            steps.push(Step::Renew);
        }
        let Some(supervisor) = &operator.supervisor else {
            if operator.spec > 0 {
                steps.push(Step::Revive);
            }
            return;
        };
        let suspended = self.declared(operator.spec).spec.suspend;
        if !suspended && self.startable(world, operator) > 0 {
            steps.push(Step::StartRuns);
        }
        let early = supervisor.desk.idle().filter(|_| self.mutant == Some(Mutant::JobBeforeBaseline));
        for run in supervisor.desk.in_hand().chain(early) {
            let flying = |flight: &Flight| {
                flight.awaited && matches!(&flight.write, Write::Job(other) if other.job == run.job)
            };
            if !world.flights.iter().any(flying) {
                steps.push(Step::Make(run.job.clone()));
            }
        }
        if operator.due_ledger(self).is_some() && !awaited(|write| matches!(write, Write::Ledger { .. })) {
            steps.push(Step::WriteLedger);
        }
        if supervisor.object.is_some() && !world.based {
            steps.push(Step::Base);
        }
        for (name, job) in &world.jobs {
            if job.finished && !job.recorded {
                steps.push(Step::Record(name.clone()));
            }
            if job.finished && (job.recorded || self.mutant == Some(Mutant::CleanIgnoresStatus)) {
                steps.push(Step::Clean(name.clone()));
            }
        }
    }

    /// How many runs may be taken in hand now.
    fn startable(&self, world: &World, operator: &Operator) -> usize {
        let Some(Supervisor { desk, .. }) = &operator.supervisor else { return 0 };
        let in_hand: Vec<&str> = desk.in_hand().map(|run| run.job.as_str()).collect();
        let busy = world.jobs.iter().filter(|(name, job)| !job.finished && !in_hand.contains(&name.as_str()));
        let room = self.room.saturating_sub(busy.count() + in_hand.len());
        if desk.may_start() && operator.is_in_book(self) { room.min(desk.idle().count()) } else { 0 }
    }

    fn perform(&self, world: &mut World, operator: &mut Operator, step: &Step) -> Result<bool, String> {
        match step {
            Step::Watch => operator.watch(self, world),
            Step::Learn => operator.learn(self, world),
            Step::Revive => operator.supervise(self, world, false),
            Step::WritePage => {
                let stored = operator.stored();
                let (book, page) = self.memos.written.get((&operator.book, stored), || {
                    let mut book = operator.book.clone();
                    let id = book.due().expect("it is due");
                    let draft = book.begin(&id, stored, at(0)).expect("it is there");
                    let page = draft.pack().expect("memory takes it");
                    (book, page)
                });
                operator.book = book;
                let over = page.object.as_ref().map(|object| object.parse().expect("a number"));
                return Ok(self.send(world, operator, Write::Page { over, page }));
            }
            Step::Renew => {
                let checkpoint = self.checkpoint(world, operator);
                return Ok(self.send(world, operator, Write::Lease(checkpoint)));
            }
            Step::Hear(index) => {
                let flight = world.flights.remove(*index);
                return Ok(operator.answered(self, world, flight));
            }
            _ => return self.supervise(world, operator, step),
        }
        Ok(true)
    }

    fn supervise(&self, world: &mut World, operator: &mut Operator, step: &Step) -> Result<bool, String> {
        let due = operator.due_ledger(self);
        let room = self.startable(world, operator);
        let spec = operator.spec;
        let Some(supervisor) = &mut operator.supervisor else { return Ok(true) };
        match step {
            Step::StartRuns => {
                for run in supervisor.desk.start(room, |_| true) {
                    self.send(world, operator, Write::Job(run));
                }
            }
            Step::Make(job) => {
                let run = supervisor.desk.waiting(job).expect("it waits").clone();
                self.send(world, operator, Write::Job(run));
            }
            Step::WriteLedger => {
                let mut ledger = due.expect("it is due");
                if self.mutant == Some(Mutant::SameLedger) {
                    ledger.writers = 0;
                }
                supervisor.desk.writing(ledger.clone());
                let over = supervisor.object;
                // As it is read again.
                let ledger = self.memos.ledgers.get(&ledger, || {
                    let bytes = ledger.encode().expect("memory takes it");
                    Arc::new(Ledger::decode(&bytes, self.declared(spec)).expect("it was just written"))
                });
                return Ok(self.send(world, operator, Write::Ledger { over, spec, ledger }));
            }
            Step::Base => world.based = true,
            Step::Record(job) => world.jobs.get_mut(job).expect("it is there").recorded = true,
            Step::Clean(job) => {
                if operator.may_delete(self, world, job) {
                    world.check_deletion(job)?;
                    world.jobs.remove(job);
                    let stored = operator.stored();
                    if let Some(supervisor) = &mut operator.supervisor {
                        supervisor.desk.forget(job, stored);
                    }
                }
            }
            _ => unreachable!("{step:?} is none of the operator's"),
        }
        Ok(true)
    }

    /// Sends a write; one that is not slow is done, and answered, at once. `false`: the term is over.
    fn send(&self, world: &mut World, operator: &mut Operator, write: Write) -> bool {
        let slow = match write {
            Write::Job(_) => self.slow.job,
            Write::Ledger { .. } => self.slow.ledger,
            Write::Page { .. } => self.slow.page,
            Write::Lease(_) => self.slow.lease,
        };
        world.flights.push(Flight { term: operator.term, awaited: true, write, answer: None });
        if slow {
            world.flights.sort_by(|one, other| one.place().cmp(&other.place()));
            return true;
        }
        self.land(world, world.flights.len() - 1);
        world.flights.pop().is_none_or(|flight| operator.answered(self, world, flight))
    }

    /// A page, and what is read from it.
    fn page_of(&self, page: &Stored) -> Page {
        let book = self.memos.read.get(page, || Book::read(vec![page.clone()]).book);
        Page { bytes: page.bytes.clone(), lines: book.lines().cloned().collect() }
    }

    /// Whether a step changes nothing.
    fn is_idle(&self, world: &World, step: &Step) -> bool {
        matches!(step, Step::Clean(_)) && self.take(world, step).is_ok_and(|after| after == *world)
    }

    /// The API server does a write, or refuses it.
    fn land(&self, world: &mut World, index: usize) {
        let flight = world.flights[index].clone();
        let fenced = flight.term < world.lease.term && self.mutant != Some(Mutant::NoFence);
        let answer = match flight.write {
            Write::Job(_) if fenced => Answer::Refused,
            Write::Job(run) if world.jobs.contains_key(&run.job) => Answer::Conflict,
            Write::Job(run) => {
                *world.record.made.entry(run.job.clone()).or_default() += 1;
                world.jobs.insert(run.job.clone(), Job::default());
                if let (false, Some(operator)) = (flight.awaited, &mut world.operator) {
                    operator.see_job(&run.job);
                }
                Answer::Done
            }
            Write::Ledger { over, spec, ledger }
                if over == world.ledger.as_ref().map(|kept| kept.version) =>
            {
                world.record_ledger(spec, &ledger);
                world.ledger = Some(Kept { version: stamp(&ledger), content: ledger });
                Answer::Done
            }
            Write::Page { over, page } if over == world.page.as_ref().map(|kept| kept.version) => {
                let content = Arc::new(self.page_of(&page));
                world.page = Some(Kept { version: stamp(&page.bytes), content });
                Answer::Done
            }
            Write::Lease(checkpoint) if flight.term == world.lease.term => {
                world.lease.checkpoint = Some(checkpoint);
                Answer::Done
            }
            _ => Answer::Conflict,
        };
        world.flights[index].answer = Some(answer);
        if !world.flights[index].awaited {
            world.flights.remove(index);
        }
    }

    /// Nobody waits for these answers any more.
    fn abandon(&self, world: &mut World, is: impl Fn(&Write) -> bool) {
        world.flights.retain_mut(|flight| {
            if !is(&flight.write) {
                return true;
            }
            flight.awaited = false;
            self.delayed && flight.answer.is_none() && !matches!(flight.write, Write::Lease(_))
        });
    }
}

impl System for Model {
    type State = World;
    type Step = Step;

    fn first(&self) -> World {
        let mut world = World::default();
        if self.early {
            world.spec = 1;
            world.edits.push(world.now());
        }
        world
    }

    fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = vec![];
        // What happens to a pod while an operator watches is told it at once: as long as it was not
        // told, the change commutes with all that the operator does.
        let follows =
            world.operator.as_ref().is_none_or(|operator| operator.tracker.position() == world.now());
        if follows {
            for (index, life) in self.lives.iter().enumerate() {
                if world.change(index, world.now()).map_or(0, |(change, _)| change + 1) < life.len() {
                    steps.push(Step::Pod(index));
                }
            }
        }
        if world.spec < self.edits() {
            steps.push(Step::Edit);
        }
        match &world.operator {
            None => {
                steps.push(Step::Start);
                let forgets = world.lease.checkpoint.is_some_and(|it| it.version < world.compacted);
                if forgets && world.spent.memories < self.faults.memories {
                    steps.push(Step::StartElsewhere);
                }
            }
            Some(operator) => self.operator_steps(world, operator, &mut steps),
        }
        for (index, flight) in world.flights.iter().enumerate() {
            steps.push(if flight.answer.is_none() { Step::Land(index) } else { Step::Hear(index) });
            let refusable =
                flight.answer.is_none() && flight.awaited && matches!(flight.write, Write::Job(_));
            if refusable && world.spent.refusals < self.faults.refusals {
                steps.push(Step::Refuse(index));
            }
            if refusable && world.spent.timeouts < self.faults.timeouts {
                steps.push(Step::TimeOut(index));
            }
            if !flight.awaited && self.faults.timeouts > 0 {
                steps.push(Step::Expire(index));
            }
            let made = flight.answer == Some(Answer::Done) && matches!(flight.write, Write::Job(_));
            if made && world.spent.losses < self.faults.losses {
                steps.push(Step::Lose(index));
            }
        }
        if let Some(operator) = &world.operator {
            // Only an operator that looks makes a difference between a Job that is over and one that
            // is not.
            steps.extend(
                world
                    .jobs
                    .iter()
                    .filter(|(_, job)| !job.finished)
                    .map(|(name, _)| Step::Finish(name.clone())),
            );
            if world.spent.crashes < self.faults.crashes {
                steps.push(Step::Crash);
            }
            let only_listed = world.lease.checkpoint.is_some_and(|checkpoint| {
                checkpoint.version == operator.tracker.position() && checkpoint.version < world.compacted
            });
            if self.faults.memories > 0 && only_listed {
                steps.push(Step::Forget);
            }
            if world.spent.falls < self.faults.falls && operator.supervisor.is_some() {
                steps.push(Step::Fall);
            }
        } else if world.spent.compactions < self.faults.compactions && world.compacted < world.now() {
            steps.push(Step::Compact);
        }
        let first = steps.iter().position(|step| self.prompt.is(step) && !self.is_idle(world, step));
        if let Some(first) = first {
            let first = steps[first].clone();
            steps.retain(|step| matches!(step, Step::Crash | Step::Fall));
            steps.push(first);
        }
        steps
    }

    fn take(&self, before: &World, step: &Step) -> Result<World, String> {
        let mut world = before.clone();
        match step {
            Step::Pod(index) => {
                let change = world.change(*index, world.now()).map_or(0, |(change, _)| change + 1);
                world.log.push((*index, change));
                if let Some(mut operator) = world.operator.take() {
                    operator.watch(self, &mut world);
                    world.operator = Some(operator);
                }
            }
            Step::Edit => {
                world.spec += 1;
                world.edits.push(world.now());
            }
            Step::Finish(job) => {
                let recorded = !self.slow.status;
                world.jobs.insert(job.clone(), Job { finished: true, recorded });
            }
            Step::Start => {
                let checkpoint = world.lease.checkpoint;
                let remembers = checkpoint.is_some_and(|it| it.version >= world.compacted);
                self.start(&mut world, remembers);
            }
            Step::StartElsewhere => {
                world.spent.memories += 1;
                self.start(&mut world, true);
            }
            Step::Land(index) => self.land(&mut world, *index),
            Step::Refuse(index) => {
                world.spent.refusals += 1;
                world.flights[*index].answer = Some(Answer::Refused);
            }
            Step::Lose(index) => {
                world.spent.losses += 1;
                world.flights[*index].answer = Some(Answer::Refused);
            }
            Step::Forget => {
                world.operator = None;
                if let Some(checkpoint) = &mut world.lease.checkpoint {
                    checkpoint.forgotten = true;
                }
                self.abandon(&mut world, |_| true);
            }
            Step::TimeOut(index) => {
                world.spent.timeouts += 1;
                world.flights[*index].awaited = false;
                let flight = Flight { answer: Some(Answer::Refused), ..world.flights[*index].clone() };
                if let Some(mut operator) = world.operator.take() {
                    operator.answered(self, &mut world, flight);
                    world.operator = Some(operator);
                }
                world.flights.sort_by(|one, other| one.place().cmp(&other.place()));
            }
            Step::Expire(index) => {
                world.flights.remove(*index);
            }
            Step::Crash => {
                world.spent.crashes += 1;
                world.operator = None;
                self.abandon(&mut world, |_| true);
            }
            Step::Fall => {
                world.spent.falls += 1;
                if let Some(operator) = &mut world.operator {
                    operator.supervisor = None;
                }
                self.abandon(&mut world, |write| matches!(write, Write::Job(_) | Write::Ledger { .. }));
            }
            Step::Compact => {
                world.spent.compactions += 1;
                world.compacted = world.now();
            }
            _ => {
                let Some(mut operator) = world.operator.take() else {
                    unreachable!("{step:?} without operator")
                };
                if self.perform(&mut world, &mut operator, step)? {
                    world.operator = Some(operator);
                } else {
                    self.abandon(&mut world, |_| true);
                }
            }
        }
        self.check(&world)?;
        Ok(world)
    }

    fn is_fault(&self, world: &World, step: &Step) -> bool {
        match step {
            Step::Pod(_) | Step::Edit => true,
            Step::Crash | Step::Fall | Step::Compact => true,
            Step::Refuse(_) | Step::Lose(_) | Step::TimeOut(_) => true,
            Step::StartElsewhere | Step::Forget => true,
            Step::Land(index) => !world.flights[*index].awaited,
            _ => false,
        }
    }

    fn at_rest(&self, world: &World) -> Result<(), String> {
        self.check_rest(world)
    }
}
