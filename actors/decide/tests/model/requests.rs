//! Requests for runs that no pod triggers, explored: `now`, `manually` and the annotation at any time, with crashes and
//! lost answers between all steps.

use std::collections::{BTreeMap, BTreeSet};

use extendedjob_api::Run;
use extendedjob_decide::{
    declared::Declared,
    requests::{Next, completed, next},
};

use crate::explorer::System;

/// A rule that the operator breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Writes are done whatever has changed since the object was read.
    NoPrecondition,
    /// A run starts before its request is accepted.
    StartsBeforeAccepted,
    /// The annotation does not tell that a run was reset.
    ResetUnnoted,
    /// A Job goes before its completion is on record.
    CleanIgnoresStatus,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) run: &'static str,
    /// How often the user does what.
    pub(crate) nows: u8,
    pub(crate) manuallys: u8,
    pub(crate) values: u8,
    /// How often what fails.
    pub(crate) crashes: u8,
    pub(crate) losses: u8,
    pub(crate) deletions: u8,
    pub(crate) mutant: Option<Mutant>,
}

/// The ExtendedJob as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Object {
    run: &'static str,
    value: u8,
    reset: i64,
    number: i64,
    completed: i64,
    handled: u8,
    /// Up to which number runs are told of.
    told: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Job {
    Active,
    Over,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Operator {
    /// The object as it was read last.
    seen: Object,
    /// The runs whose Jobs are to be made.
    desk: BTreeSet<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct World {
    object: Object,
    jobs: BTreeMap<i64, Job>,
    made: BTreeMap<i64, u8>,
    operator: Option<Operator>,
    /// How many requests there were at most.
    asked: i64,
    /// A `now` that is no run's under way has not been accepted yet.
    outstanding: bool,
    nows: u8,
    manuallys: u8,
    values: u8,
    crashes: u8,
    losses: u8,
    deletions: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Start,
    Learn,
    Status,
    Reset,
    Make(i64),
    Clean(i64),
    Finish(i64),
    // The user.
    Now,
    Manually,
    Annotate,
    // Faults.
    Crash,
    /// The status is written, and the answer is lost.
    LoseStatus,
    Delete(i64),
}

impl Requests {
    fn declared(&self, object: &Object) -> Declared {
        let mut declared = crate::world::declared(extendedjob_api::When::Ready, false, 0);
        declared.spec.triggers = None;
        declared.spec.run = Some(match object.run {
            "once" => Run::Once,
            "now" => Run::Now,
            _ => Run::Manually,
        });
        let value = |value: u8| (value > 0).then(|| value.to_string());
        declared.requested_at = value(object.value);
        let is_noted = self.mutant != Some(Mutant::ResetUnnoted);
        declared.reset = Some(object.reset).filter(|reset| *reset > 0 && is_noted);
        declared.status.run_number = object.number;
        declared.status.completed_run_number = object.completed;
        declared.status.last_handled_run_at = value(object.handled);
        declared
    }

    /// As the Supervisor judges it.
    fn is_over(world: &World, operator: &Operator) -> bool {
        let Object { number, completed, told, .. } = operator.seen;
        match world.jobs.get(&number) {
            Some(Job::Active) => false,
            Some(Job::Over) => true,
            _ if operator.desk.contains(&number) || number == 0 => false,
            _ => told >= number || completed >= number,
        }
    }

    fn next(&self, world: &World, operator: &Operator) -> Next {
        next(&self.declared(&operator.seen), Self::is_over(world, operator))
    }

    /// The object as the operator would write its status.
    fn status(&self, world: &World, operator: &Operator) -> Object {
        let declared = self.declared(&operator.seen);
        let mut object = operator.seen.clone();
        object.completed = completed(&declared, Self::is_over(world, operator));
        if let Next::Accept(request) = self.next(world, operator) {
            object.number = request.number;
            object.handled = request.handles.map_or(object.handled, |value| value.parse().unwrap());
        }
        let there = world.jobs.iter().filter(|(_, job)| **job != Job::Deleted).map(|(number, _)| *number);
        object.told = object.told.max(there.max().unwrap_or_default());
        object
    }

    fn may_write(&self, world: &World, operator: &Operator) -> bool {
        world.object == operator.seen || self.mutant == Some(Mutant::NoPrecondition)
    }

    /// Takes up what is accepted, unless its Job is known to have been.
    fn take_up(&self, world: &World, operator: &mut Operator) {
        let number = operator.seen.number;
        let is_known = world.jobs.contains_key(&number) && world.jobs[&number] != Job::Deleted;
        if number > 0 && !is_known && !Self::is_over(world, operator) {
            operator.desk.insert(number);
        }
    }

    fn write_status(
        &self,
        world: &mut World,
        operator: &mut Operator,
        is_answered: bool,
    ) -> Result<(), String> {
        if !self.may_write(world, operator) {
            return Ok(());
        }
        let written = self.status(world, operator);
        if written.number > world.object.number {
            world.outstanding = false;
        }
        for number in world.object.completed + 1..=written.completed {
            let is_over = world.made.contains_key(&number) && world.jobs.get(&number) != Some(&Job::Active);
            if !is_over {
                return Err(format!("(2) run {number} is said to be completed, and is not"));
            }
        }
        world.object = Object { run: world.object.run, value: world.object.value, ..written };
        if is_answered {
            operator.seen = world.object.clone();
            self.take_up(world, operator);
        }
        Ok(())
    }
}

impl System for Requests {
    type State = World;
    type Step = Step;

    fn first(&self) -> World {
        let is_asked = self.run != "manually";
        let object = Object { run: self.run, ..Object::default() };
        World { object, asked: i64::from(is_asked), outstanding: is_asked, ..World::default() }
    }

    fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = vec![];
        match &world.operator {
            None => steps.push(Step::Start),
            Some(operator) => {
                if operator.seen != world.object {
                    steps.push(Step::Learn);
                }
                if self.status(world, operator) != operator.seen {
                    steps.push(Step::Status);
                    if world.losses < self.losses {
                        steps.push(Step::LoseStatus);
                    }
                }
                if matches!(self.next(world, operator), Next::Reset(_)) {
                    steps.push(Step::Reset);
                }
                steps.extend(operator.desk.iter().map(|number| Step::Make(*number)));
                let early = self.mutant == Some(Mutant::StartsBeforeAccepted);
                if let (true, Next::Accept(request)) = (early, self.next(world, operator)) {
                    steps.push(Step::Make(request.number));
                }
                let is_free = |number: i64| {
                    let told = operator.seen.completed >= number && operator.seen.told >= number;
                    told || self.mutant == Some(Mutant::CleanIgnoresStatus)
                };
                let over = world.jobs.iter().filter(|(_, job)| **job == Job::Over);
                steps.extend(
                    over.filter(|(number, _)| is_free(**number)).map(|(number, _)| Step::Clean(*number)),
                );
                if world.crashes < self.crashes {
                    steps.push(Step::Crash);
                }
            }
        }
        for (number, _) in world.jobs.iter().filter(|(_, job)| **job == Job::Active) {
            steps.push(Step::Finish(*number));
            // Before it is told of, nobody can know that it was there.
            if world.deletions < self.deletions && world.object.told >= *number {
                steps.push(Step::Delete(*number));
            }
        }
        if world.nows < self.nows && world.object.run == "manually" {
            steps.push(Step::Now);
        }
        if world.manuallys < self.manuallys && world.object.run == "now" {
            steps.push(Step::Manually);
        }
        if world.values < self.values {
            steps.push(Step::Annotate);
        }
        steps
    }

    fn take(&self, before: &World, step: &Step) -> Result<World, String> {
        let mut world = before.clone();
        let mut operator = world.operator.take();
        match (step, &mut operator) {
            (Step::Start, operator) => {
                let mut started = Operator { seen: world.object.clone(), ..Operator::default() };
                self.take_up(&world, &mut started);
                *operator = Some(started);
            }
            (Step::Learn, Some(operator)) => {
                operator.seen = world.object.clone();
                self.take_up(&world, operator);
            }
            (Step::Status, Some(operator)) => self.write_status(&mut world, operator, true)?,
            (Step::LoseStatus, Some(operator)) => {
                world.losses += 1;
                self.write_status(&mut world, operator, false)?;
            }
            (Step::Reset, Some(operator)) => {
                let Next::Reset(number) = self.next(&world, operator) else { unreachable!("it is due") };
                if self.may_write(&world, operator) {
                    if world.outstanding {
                        return Err("(1) a request is swallowed".into());
                    }
                    world.object.run = "manually";
                    world.object.reset = number;
                    operator.seen = world.object.clone();
                }
            }
            (Step::Make(number), Some(operator)) => {
                operator.desk.remove(number);
                if !world.jobs.contains_key(number) {
                    *world.made.entry(*number).or_default() += 1;
                    world.jobs.insert(*number, Job::Active);
                }
            }
            (Step::Clean(number), Some(_)) => {
                world.jobs.remove(number);
            }
            (Step::Finish(number), _) => {
                world.jobs.insert(*number, Job::Over);
            }
            (Step::Delete(number), _) => {
                world.deletions += 1;
                world.jobs.insert(*number, Job::Deleted);
            }
            (Step::Now, _) => {
                world.nows += 1;
                let Object { number, completed, reset, .. } = world.object;
                // While a run is under way, or is not reset yet, it means that run.
                if completed.max(reset) >= number {
                    world.asked += 1;
                    world.outstanding = true;
                }
                world.object.run = "now";
            }
            (Step::Manually, _) => {
                world.manuallys += 1;
                world.outstanding = false;
                world.object.run = "manually";
            }
            (Step::Annotate, _) => {
                world.values += 1;
                world.asked += 1;
                world.object.value = world.values;
            }
            (Step::Crash, operator) => {
                world.crashes += 1;
                *operator = None;
            }
            _ => unreachable!("{step:?} without operator"),
        }
        world.operator = operator;
        if let Some((number, _)) = world.made.iter().find(|(_, times)| **times > 1) {
            return Err(format!("(2) the Job of request {number} was made twice"));
        }
        if world.object.number > world.asked || world.made.keys().any(|number| *number > world.asked) {
            return Err(format!("(3) nobody has asked for run {}", world.asked + 1));
        }
        Ok(world)
    }

    fn is_fault(&self, _: &World, step: &Step) -> bool {
        use Step::{Annotate, Crash, Delete, LoseStatus, Manually, Now};
        matches!(step, Now | Manually | Annotate | Crash | LoseStatus | Delete(_))
    }

    fn at_rest(&self, world: &World) -> Result<(), String> {
        let Object { run, value, number, completed, handled, .. } = world.object;
        for (is, what) in [
            (run == "now", "run stands at now"),
            (value != handled, "a value of the annotation was not answered"),
            (completed != number, "a run is not completed"),
            ((1..=number).any(|number| !world.made.contains_key(&number)), "a run has no Job"),
            (world.jobs.values().any(|job| *job != Job::Deleted), "Jobs are not cleaned up"),
        ] {
            if is {
                return Err(format!("(1) it rests, and {what}"));
            }
        }
        Ok(())
    }
}
