//! Runs that start again when configuration changes, explored: the user changes it at any time, also while
//! no operator runs, with crashes and lost answers between all steps.
//!
//! What a run found is told by when its Job was made. A content that came and went before it was on record
//! is none that an operator could go by: digests tell of contents, not of versions.

mod operator;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use extendedjob_api::{Mode, TargetKind, When};
use extendedjob_decide::{
    config::{Config, Digests, holds},
    declared::Declared,
    ledger::{Ledger, terms},
    pod::{Pod, Status, Version},
    references::{Digest, Need, Object, Part, Reference},
    run::{By, Reason, Run},
    transition::{Baseline, Transition, Trigger},
};

use self::operator::Operator;
use crate::{
    explorer::System,
    memo::Memo,
    world::{Change, Life, Spent, at, declared, pod},
};

/// A rule that the operator breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A Job is deleted before the ledger says what comes in its place.
    DeletesBeforeStored,
    /// Runs start before it is on record what their pods use.
    StartsBeforeStored,
    /// A run starts while the Job in whose place it comes is there.
    StartsBesideOld,
    /// Names of Jobs say nothing of the revision.
    NamesWithoutRevision,
    /// Runs under way don't start again.
    RunsUnderWayIgnored,
    /// A Job goes that alone tells that its pod counted.
    CleanIgnoresCounted,
    /// Each operator takes what it finds as given.
    GivenAtStart,
    /// A run gets another name while a create under the old one may have been done.
    UnansweredIsRenamed,
    /// Pods are taken to be as they were at the checkpoint.
    PodsOfCheckpoint,
}

/// One configuration: what happens, what may go wrong, and how often.
#[derive(Debug)]
pub(crate) struct Configs {
    pub(crate) declared: Declared,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) lives: Vec<Life>,
    /// How many objects the pods use. Each has one of two contents.
    pub(crate) objects: u8,
    /// What operators see of all contents together.
    pub(crate) digests: Vec<Digests>,
    /// How often the user changes something.
    pub(crate) changes: usize,
    /// `maxConcurrentRuns`.
    pub(crate) limit: usize,
    pub(crate) faults: Spent,
    /// Jobs are cleaned up, and the checkpoint moves, before anything else happens but crashes.
    pub(crate) prompt: bool,
    pub(crate) mutant: Option<Mutant>,
    /// As they are read again.
    pub(crate) ledgers: Memo<Arc<Ledger>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Active,
    Over,
    /// It is over, and the status says so.
    Told,
    /// It is deleted, and its pods are still there.
    Deleting,
    /// It is gone, after its end.
    Cleaned,
    /// It is gone, before its end.
    Replaced,
}

/// A Job that is there, or was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    run: Run,
    stage: Stage,
    /// How many were made before it.
    number: usize,
    /// What was there when it was made, and whether that was on record.
    found: (usize, bool),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// All contents so far, with a bit for each object, and whether each was ever on record.
    contents: Vec<(u8, bool)>,
    /// What has happened to pods.
    log: Vec<Change>,
    ledger: Option<Arc<Ledger>>,
    checkpoint: Version,
    /// The status says that the request is completed.
    completed: bool,
    jobs: BTreeMap<String, Job>,
    /// The roots of runs that were under way at a change, and its revision.
    owed: BTreeMap<String, u64>,
    operator: Option<Operator>,
    spent: Spent,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    // The user.
    Change(u8),
    Pod(usize),
    // The cluster.
    Finish(String),
    Vanish(String),
    // The operator.
    Start,
    Watch,
    Look,
    Revise,
    WriteLedger,
    StartRuns,
    Make(String),
    /// The watch shows a Job whose create was not answered.
    See(String),
    Replace(String),
    Tell(String),
    Clean(String),
    Forget(String),
    /// The checkpoint moves.
    Pass,
    // Faults.
    Crash,
    /// The ledger is written, and the answer is lost.
    LoseLedger,
    /// The Job is made, and the answer is lost.
    LoseMake(String),
    Refuse(String),
}

impl Stage {
    fn is_there(self) -> bool {
        !matches!(self, Self::Cleaned | Self::Replaced)
    }

    fn is_busy(self) -> bool {
        matches!(self, Self::Active | Self::Deleting)
    }
}

impl Configs {
    pub(crate) fn new(declared: Declared, lives: Vec<Life>, objects: u8) -> Self {
        let digests =
            |content: u8| (0..objects).map(|object| digest(object, content >> object & 1)).collect();
        Self {
            trigger: declared.spec.triggers.as_ref().map(Trigger::new),
            declared,
            lives,
            objects,
            digests: (0..1 << objects).map(digests).collect(),
            changes: 0,
            limit: usize::MAX,
            faults: Spent::default(),
            prompt: false,
            mutant: None,
            ledgers: Memo::default(),
        }
    }

    /// A one-off or an errand, whose first request is accepted.
    pub(crate) fn requested(run: extendedjob_api::Run, objects: u8) -> Self {
        let mut declared = declared(When::Ready, false, 0);
        declared.spec.triggers = None;
        declared.spec.run = Some(run);
        declared.status.run_number = 1;
        Self::new(declared, vec![], objects)
    }

    fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn is_once(&self) -> bool {
        self.declared.mode() == Some(Mode::Once)
    }

    fn holds(&self, pod: &Pod) -> bool {
        self.trigger.as_ref().is_some_and(|trigger| holds(trigger, pod))
    }

    /// A pod as it is at a version, if it is there.
    fn pod(&self, world: &World, index: usize, version: Version) -> Option<Pod> {
        let change = *world.log[..version as usize].iter().rfind(|change| change.0 == index)?;
        (change.1 < self.lives[index].shapes.len()).then(|| pod(&self.lives, change, version))
    }

    /// The reason that a change of a pod is for a run, if it is one.
    fn reason(&self, change: Change) -> Option<Reason> {
        let shapes = &self.lives[change.0].shapes;
        let (status, time) = match (self.trigger.as_ref()?.when, shapes.get(change.1)) {
            (When::Ready, Some(shape)) if shape.status == Status::True => {
                (shape.status, Some(at(shape.since)))
            }
            (When::Deleted, None) => (Status::Absent, None),
            _ => return None,
        };
        let when = self.trigger.as_ref()?.when;
        Some(reason(&pod(&self.lives, change, 0), Transition { when, status, time, n: 0 }))
    }

    /// The Job of a run is created, unless it is there.
    fn make(&self, world: &mut World, run: &Run) -> Result<(), String> {
        let name = if self.has(Mutant::NamesWithoutRevision) { &run.root } else { &run.job };
        if let Some(job) = world.jobs.get(name) {
            let twice = || "(3) a Job is made twice".to_owned();
            return job.stage.is_there().then_some(()).ok_or_else(twice);
        }
        let content = world.contents.len() - 1;
        let found = (content, world.contents[content].1);
        let before: Vec<&Job> = world.jobs.values().filter(|job| job.run.root == run.root).collect();
        let busy = world.jobs.values().filter(|job| job.stage.is_busy()).count();
        fails([
            (before.iter().any(|job| job.stage.is_busy()), "(2) two Jobs of one cause at a time"),
            (before.iter().any(|job| job.run.revision > run.revision), "(2) a run after a later one"),
            (before.iter().any(|job| job.found == (content, true)), "(3) two runs for one content"),
            (before.len() > content, "(3) more runs than changes"),
            (busy >= self.limit, "(5) too many at a time"),
        ])?;
        let job = Job { run: run.clone(), stage: Stage::Active, number: world.jobs.len(), found };
        // It is of concern only what the last one found.
        for job in world.jobs.values_mut().filter(|job| job.run.root == run.root) {
            job.found = (0, false);
        }
        world.jobs.insert(name.clone(), job);
        Ok(())
    }

    /// The roots of all runs that there are to be, and which pod each is for.
    fn causes(&self, world: &World) -> BTreeMap<String, Option<usize>> {
        let request = Reason::Request { number: 1, by: By::Someone };
        let request = self.trigger.is_none().then_some((None, request));
        let of_pod = |change: &Change| Some((Some(change.0), self.reason(*change)?));
        let causes = world.log.iter().filter_map(of_pod).chain(request);
        causes.map(|(pod, reason)| (Run::new(&self.declared, reason).root, pod)).collect()
    }

    /// Whether what is run for this pod, or for the request, is to be run again whenever something changes.
    fn is_due(&self, world: &World, pod: Option<usize>) -> bool {
        let now = world.log.len() as Version;
        pod.map_or(self.is_once(), |index| self.pod(world, index, now).is_some_and(|pod| self.holds(&pod)))
    }
}

impl World {
    fn there(&self) -> impl Iterator<Item = (&String, &Job)> {
        self.jobs.iter().filter(|(_, job)| job.stage.is_there())
    }

    fn turn(&mut self, job: &str, stage: Stage) {
        let job = self.jobs.get_mut(job).unwrap();
        job.stage = stage;
        if !stage.is_there() {
            // Nobody asks any more.
            job.number = 0;
        }
    }

    /// The present content.
    fn content(&self) -> u8 {
        self.contents[self.contents.len() - 1].0
    }

    /// A content, or if it was never on record the last one before it that was.
    fn known(&self, content: usize) -> u8 {
        let on_record = self.contents[..=content].iter().rfind(|(_, noted)| *noted);
        on_record.unwrap_or(&self.contents[content]).0
    }
}

fn fails<const N: usize>(rules: [(bool, &str); N]) -> Result<(), String> {
    match rules.into_iter().find(|(is_broken, _)| *is_broken) {
        Some((_, rule)) => Err(rule.to_owned()),
        None => Ok(()),
    }
}

fn digest(object: u8, content: u8) -> (Object, Digest) {
    let object = Object { kind: TargetKind::ConfigMap, name: object.to_string() };
    let reference = Reference { object: object.clone(), parts: [(Part::Whole, Need::Required)].into() };
    let values = [("key".to_owned(), vec![content])].into();
    (object, Digest::of(&reference, Some(&values)).unwrap())
}

/// With no more of the pod than a ledger keeps.
fn reason(pod: &Pod, transition: Transition) -> Reason {
    let Pod { uid, name, namespace, labels, .. } = pod.clone();
    Reason::Pod { pod: Arc::new(Pod { uid, name, namespace, labels, ..Pod::default() }), transition }
}

impl System for Configs {
    type State = World;
    type Step = Step;

    fn first(&self) -> World {
        // Pods count from the first.
        let ledger = self.trigger.as_ref().map(|_| Ledger {
            baseline: Some(Baseline { version: 0, since: None }),
            terms: terms(&self.declared.spec),
            config: Config::default(),
            pending: vec![],
            writers: 1,
        });
        World {
            contents: vec![(0, false)],
            log: vec![],
            ledger: ledger.map(Arc::new),
            checkpoint: 0,
            completed: false,
            jobs: BTreeMap::new(),
            owed: BTreeMap::new(),
            operator: None,
            spent: Spent::default(),
        }
    }

    fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = vec![];
        if world.contents.len() <= self.changes {
            steps.extend((0..self.objects).map(Step::Change));
        }
        for (index, life) in self.lives.iter().enumerate() {
            let is_over = world.log.iter().filter(|change| change.0 == index).count() == life.len();
            // An operator that watches is told at once.
            let follows = world.operator.as_ref().is_none_or(|operator| operator.is_caught_up(world));
            steps.extend((!is_over && follows).then_some(Step::Pod(index)));
        }
        for (name, job) in &world.jobs {
            match job.stage {
                Stage::Active => steps.push(Step::Finish(name.clone())),
                Stage::Deleting => steps.push(Step::Vanish(name.clone())),
                _ => {}
            }
        }
        match &world.operator {
            None => steps.push(Step::Start),
            Some(operator) => {
                self.operator_steps(world, operator, &mut steps);
                if world.spent.crashes < self.faults.crashes {
                    steps.push(Step::Crash);
                }
            }
        }
        let is_prompt =
            |step: &&Step| self.prompt && matches!(step, Step::Clean(_) | Step::Forget(_) | Step::Pass);
        let is_idle = |step: &Step| self.take(world, step).is_ok_and(|after| after == *world);
        if let Some(first) = steps.iter().filter(is_prompt).find(|step| !is_idle(step)).cloned() {
            steps.retain(|step| matches!(step, Step::Crash));
            steps.push(first);
        }
        steps
    }

    fn take(&self, before: &World, step: &Step) -> Result<World, String> {
        let mut world = before.clone();
        let mut operator = world.operator.take();
        match (step, &mut operator) {
            (Step::Change(object), _) => {
                let content = world.content() ^ 1 << object;
                world.contents.push((content, false));
            }
            (Step::Pod(index), operator) => {
                let change = world.log.iter().filter(|change| change.0 == *index).count();
                world.log.push((*index, change));
                if let Some(operator) = operator {
                    self.watch(&world, operator);
                }
            }
            // Of a run for a pod nobody asks later whether that was told.
            (Step::Finish(job), _) if self.trigger.is_some() => world.turn(job, Stage::Told),
            (Step::Finish(job), _) => world.turn(job, Stage::Over),
            (Step::Vanish(job), _) => world.turn(job, Stage::Replaced),
            (Step::Start, operator) => *operator = Some(self.start(&world)),
            (Step::Crash, operator) => {
                world.spent.crashes += 1;
                *operator = None;
            }
            (step, Some(operator)) => self.operate(&mut world, operator, step)?,
            _ => unreachable!("{step:?} without operator"),
        }
        world.operator = operator;
        Ok(world)
    }

    fn is_fault(&self, _: &World, step: &Step) -> bool {
        use Step::{Change, Crash, LoseLedger, LoseMake, Pod, Refuse};
        matches!(step, Change(_) | Pod(_) | Crash | LoseLedger | LoseMake(_) | Refuse(_))
    }

    fn at_rest(&self, world: &World) -> Result<(), String> {
        let (mut all, mut present) = (BTreeSet::new(), BTreeSet::new());
        for (root, pod) in self.causes(world) {
            let runs = world.jobs.values().filter(|job| job.run.root == root);
            let Some(last) = runs.max_by_key(|job| job.run.revision) else {
                return Err("(4) a cause has no run".into());
            };
            fails([
                (last.stage == Stage::Replaced, "(1) a run is replaced by none"),
                (
                    world.owed.get(&root) > Some(&last.run.revision),
                    "(1) a run that was under way does not start again",
                ),
            ])?;
            all.insert(pod);
            if world.known(last.found.0) == world.content() {
                present.insert(pod);
            }
        }
        // Of several transitions of a pod it is enough that one is run for again.
        let is_lost = all.difference(&present).any(|pod| self.is_due(world, *pod));
        let waits = world.operator.as_ref().is_some_and(|operator| operator.waits());
        fails([
            (is_lost, "(1) a change is lost"),
            (waits, "(4) a run waits for ever"),
            (world.there().next().is_some(), "(1) it rests, and Jobs are not cleaned up"),
        ])
    }
}
