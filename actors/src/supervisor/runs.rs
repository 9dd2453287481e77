//! The runs of an ExtendedJob: taken up, carried out by a runner each, and known from then on.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, AsyncContext, Context};
use extendedjob_api::{Mode, conditions::reasons};
use extendedjob_decide::{
    declared::Declared,
    job::{End, Job},
    run::{self, Run},
    view::{Gone, RunState, Stage, Template, Trouble},
};

use super::Supervisor;
use crate::{
    job_runner::JobRunner,
    lifeline::Lifeline,
    messages::{ChildId, JobSeen},
};

/// What is known of the runs, by the name of their Job.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) states: BTreeMap<String, RunState>,
    /// Runs that have no Job yet.
    pub(super) waiting: HashMap<String, Run>,
    /// The Jobs of the others.
    pub(super) jobs: HashMap<String, Arc<Job>>,
    /// Those whose output is on its way.
    pub(super) unsettled: HashSet<String>,
    pub(super) gone: Gone,
}

impl Runs {
    /// Takes up a Job that is there, whoever made it.
    pub(super) fn adopt(&mut self, declared: &Declared, job: &Arc<Job>) {
        let stage = match &job.end {
            Some(end) => Stage::of(end),
            None => Stage::Active,
        };
        self.waiting.remove(&job.name);
        self.jobs.insert(job.name.clone(), Arc::clone(job));
        let output = None;
        let state = RunState { cause: run::cause_of(declared, job), created: job.created, stage, output };
        self.states.insert(job.name.clone(), state);
    }
}

impl Supervisor {
    /// A run that no pod triggers: the one of a one-off, unless an earlier operator told of it.
    pub(super) fn take_up_once(&mut self, ctx: &mut Context<Self>) {
        if self.declared.mode() == Some(Mode::Once) && self.declared.status.last_run.is_none() {
            self.take_up(Run::once(&self.declared), ctx);
        }
    }

    /// Takes up a run, unless it is known.
    pub(super) fn take_up(&mut self, run: Run, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        if self.declared.deleting || runs.states.contains_key(&run.job) {
            return;
        }
        let state = RunState { cause: run.cause(), created: None, stage: Stage::Waiting(None), output: None };
        let job = run.job.clone();
        runs.states.insert(job.clone(), state);
        runs.waiting.insert(job.clone(), run);
        self.start_runner(&job, ctx);
    }

    /// Starts the runner of a run that has none, unless no Job may be made.
    pub(super) fn start_runner(&mut self, job: &str, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let run = runs.waiting.get(job).cloned();
        let follows = runs.states.get(job).is_some_and(|run| run.stage == Stage::Active);
        let makes = run.is_some() && !self.is_held();
        if self.runners.get(&job.to_owned()).is_some() || !(makes || follows) {
            return;
        }
        let (declared, cluster) = (Arc::clone(&self.declared), self.around.cluster.clone());
        let creates = Arc::clone(&self.creates);
        let (me, id) = (ctx.address(), ChildId::JobRunner(job.to_owned()));
        let runner = self.runners.start(job.to_owned(), |generation| {
            let lifeline = Lifeline::new(id, generation, me.clone().recipient());
            JobRunner::new(run, declared, cluster, creates, me.recipient(), lifeline).start()
        });
        if let (true, Some(job)) = (follows, runs.jobs.get(job)) {
            runner.do_send(JobSeen(Arc::clone(job)));
        }
    }

    /// Starts the runners of all runs that wait for one.
    pub(super) fn start_waiting(&mut self, ctx: &mut Context<Self>) {
        let waiting: Vec<String> = self.runs.iter().flat_map(|runs| runs.waiting.keys().cloned()).collect();
        waiting.iter().for_each(|job| self.start_runner(job, ctx));
    }

    /// Whether no Job may be made at present: only an edit can help, or the first word on a new
    /// template is about to come. Where that fails to come, Jobs are made all the same.
    pub(super) fn is_held(&self) -> bool {
        let stalled = matches!(self.template, Template::Invalid(_)) || !self.problems.is_empty();
        stalled || self.check.is_in_flight()
    }

    /// A run has its Job.
    pub(super) fn run_started(&mut self, job: &Arc<Job>, made_now: bool, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        let because = runs.waiting.get(&job.name).map(Run::because);
        runs.adopt(&self.declared, job);
        if let (true, Some(because)) = (made_now, because) {
            self.note("Started", &job.name, format!("Started Job {}: {because}", job.name), ctx);
        }
        self.report(ctx);
    }

    /// Something stands in the way of a run's Job.
    pub(super) fn run_hindered(&mut self, job: &str, trouble: Trouble, ctx: &mut Context<Self>) {
        let Some(state) = self.runs.as_mut().and_then(|runs| runs.states.get_mut(job)) else { return };
        let stage = Stage::Waiting(Some(trouble.clone()));
        if state.stage != stage {
            state.stage = stage;
            self.warn(trouble.reason, None, trouble.message, ctx);
            self.report(ctx);
        }
    }

    /// A run will never have a Job.
    pub(super) fn run_forsaken(&mut self, job: &str, ctx: &mut Context<Self>) {
        self.runners.let_go(&job.to_owned());
        if let Some(runs) = &mut self.runs {
            runs.waiting.remove(job);
            runs.states.remove(job);
        }
        self.report(ctx);
    }

    /// A run is over; without an `end` someone deleted its Job.
    pub(super) fn run_ended(&mut self, job: &Arc<Job>, end: Option<&End>, ctx: &mut Context<Self>) {
        self.runners.let_go(&job.name);
        let Some(state) = self.runs.as_mut().and_then(|runs| runs.states.get_mut(&job.name)) else { return };
        state.stage = end.map_or(Stage::Deleted, Stage::of);
        let about = job.pod_name.as_ref().map_or_else(String::new, |pod| format!(" for pod {pod}"));
        match &state.stage {
            Stage::Deleted => {
                let note =
                    format!("Job {}{about} was deleted before it ended, and its output with it", job.name);
                self.warn(reasons::DELETED, Some(&job.name), note, ctx);
            }
            Stage::Ended { failure: Some(failure), .. } => {
                let note = format!("Job {}{about} failed: {}: {}", job.name, failure.reason, failure.message);
                self.warn(reasons::JOB_FAILED, Some(&job.name), note, ctx);
            }
            _ => {}
        }
        self.write_output(job, ctx);
        self.report(ctx);
    }
}
