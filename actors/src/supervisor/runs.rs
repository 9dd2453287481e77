//! The runs of an ExtendedJob that have a Job: carried out by a runner each, and known from then on.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, AsyncContext, Context};
use extendedjob_api::{ContainerEnd, ExtendedJobStatus, RunResult, RunStatus, conditions::reasons};
use extendedjob_decide::{
    declared::Declared,
    job::{End, Job},
    run::{self, Run},
    status::RUNS,
    view::{Gone, RunState, Stage, Template},
};

use tracing::error_span;

use super::{Supervisor, outputs::Unsettled};
use crate::{
    job_runner::{JobRunner, Means},
    lifeline::Lifeline,
    messages::{ChildId, JobSeen},
};

/// What is known of the runs, by the name of their Job.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) states: BTreeMap<String, RunState>,
    /// Their Jobs, as long as they are there.
    pub(super) jobs: HashMap<String, Arc<Job>>,
    /// Those that count for `maxConcurrentRuns`: under way, or their output has not been tried yet.
    pub(super) busy: HashSet<String>,
    /// Those whose output is on its way.
    pub(super) unsettled: HashMap<String, Unsettled>,
    /// Those that ended and whose Jobs are gone and forgotten.
    pub(super) gone: Gone,
}

impl Runs {
    /// Takes up runs that an earlier operator has told to be under way, and whose Jobs are gone; says which.
    pub(super) fn adopt_deleted(&mut self, status: &ExtendedJobStatus) -> Vec<String> {
        let running = status.runs.iter().filter(|run| run.result == Some(RunResult::Running));
        let deleted: Vec<&RunStatus> = running.filter(|run| !self.jobs.contains_key(&run.job)).collect();
        for run in &deleted {
            let created = run.start_time.as_ref().map(|time| time.0);
            let state = RunState::new(run.cause.clone(), created, Stage::Deleted);
            self.states.insert(run.job.clone(), RunState { number: run.number, ..state });
        }
        deleted.into_iter().map(|run| run.job.clone()).collect()
    }

    /// Takes up a Job that is there, whoever made it.
    pub(super) fn adopt(&mut self, declared: &Declared, job: &Arc<Job>, end: Option<&End>) {
        let stage = end.map_or(Stage::Active, Stage::of);
        if stage == Stage::Active {
            self.busy.insert(job.name.clone());
        }
        self.jobs.insert(job.name.clone(), Arc::clone(job));
        let cause = run::cause_of(declared, job);
        let attempts = if stage == Stage::Active { 0 } else { job.attempts };
        let number = run::number_of(job);
        let root = (job.revision > 0).then(|| run::root_of(declared, job));
        let known = RunState::new(cause, job.created, stage);
        let output_settled = !job.settled && told_settled(&declared.status, &job.name);
        let state = RunState { number, root, attempts, streams: job.streams, output_settled, ..known };
        self.states.insert(job.name.clone(), state);
    }

    /// Whether nothing of a Job's output is still to be written.
    pub(super) fn has_settled(&self, job: &Job) -> bool {
        job.settled || self.states.get(&job.name).is_some_and(|run| run.output_settled)
    }

    /// A run no longer counts for `maxConcurrentRuns`, unless its Job has still to go.
    pub(super) fn is_free(&mut self, job: &str) {
        if !self.states.get(job).is_some_and(RunState::is_replaced) {
            self.busy.remove(job);
        }
    }

    /// Forgets an ended run, but for its part in the counts.
    pub(super) fn forget(&mut self, job: &str) {
        let Some(state) = self.states.remove(job) else { return };
        match state.stage {
            Stage::Ended { failure: None, .. } => self.gone.succeeded += 1,
            Stage::Ended { .. } | Stage::Deleted => self.gone.failed += 1,
            Stage::Active | Stage::Replaced { .. } => {}
        }
    }
}

/// Whether the status tells that the Job has ended. It names the newest runs only; of older ones that is taken for
/// granted.
pub(super) fn was_told(status: &ExtendedJobStatus, job: &Job) -> bool {
    match status.runs.iter().find(|run| run.job == job.name) {
        Some(run) => run.result != Some(RunResult::Running),
        None => {
            let oldest = status.runs.last();
            let oldest = oldest.map(|run| (run.start_time.as_ref().map(|time| time.0), &run.job));
            status.runs.len() >= RUNS && oldest > Some((job.created, &job.name))
        }
    }
}

/// Whether the status tells that nothing of the Job's output is still to be written.
fn told_settled(status: &ExtendedJobStatus, job: &str) -> bool {
    status.runs.iter().any(|run| run.job == job && run.output_settled)
}

impl Supervisor {
    /// Starts the runner that makes the Job of `run`, or follows the Job that is there.
    pub(super) fn start_runner(&mut self, job: &str, run: Option<Run>, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let is_active = runs.states.get(job).is_some_and(|run| run.stage == Stage::Active);
        let follows = is_active || runs.unsettled.get(job).is_some_and(Unsettled::may_bring_more);
        if self.runners.get(&job.to_owned()).is_some() || !(run.is_some() || follows) {
            return;
        }
        let declared = Arc::clone(&self.declared);
        let means = Means {
            cluster: self.around.cluster.clone(),
            pods: self.around.pods.clone(),
            creates: Arc::clone(&self.creates),
            ways: Arc::clone(&self.around.ways.borrow()),
            span: error_span!(parent: &self.span, "run", job),
        };
        let (me, id) = (ctx.address(), ChildId::JobRunner(job.to_owned()));
        let runner = self.runners.start(job.to_owned(), |generation| {
            let lifeline = Lifeline::new(id, generation, me.clone().recipient());
            JobRunner::new(run, declared, means, me.recipient(), lifeline).start()
        });
        if let (true, Some(job)) = (follows, runs.jobs.get(job)) {
            runner.do_send(JobSeen(Arc::clone(job)));
        }
    }

    /// A run has its Job.
    pub(super) fn run_started(&mut self, job: &Arc<Job>, made_now: bool, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        let is_new = !runs.states.contains_key(&job.name);
        let waiting = self.desk.waiting(&job.name);
        let (because, waited_for) = (waiting.map(Run::because), waiting.map(|run| run.root.clone()));
        runs.adopt(&self.declared, job, None);
        self.expect_output(job);
        let receipts = self.desk.adopt(&job.name, 0);
        self.settle(receipts);
        if job.revision > 0 {
            self.desk.stands_for(&job.name, &run::root_of(&self.declared, job), job.revision);
        }
        // One that comes late may have had to go meanwhile.
        if is_new && job.term.is_some() && job.term == self.around.cluster.term().number() {
            self.count_start(waited_for.as_deref());
        }
        self.replacing.is_due |= !made_now && self.desk.revision() > 0;
        self.hindrances.passed(&job.name);
        self.no_longer_hindered(&job.name);
        self.clean_up_later(ctx);
        if made_now && !self.check.is_in_flight() && self.template == Template::Unchecked {
            self.template = Template::Valid;
        }
        if let (true, Some(because)) = (made_now, because) {
            self.note("Started", Some(&job.name), format!("Started Job {}: {because}", job.name), ctx);
        }
        // The runner that has made it may have been let go meanwhile.
        self.start_runner(&job.name, None, ctx);
        self.advance(ctx);
    }

    /// A run will never have a Job.
    pub(super) fn run_forsaken(&mut self, job: &str, ctx: &mut Context<Self>) {
        self.runners.let_go(&job.to_owned());
        let receipts = self.desk.drop_run(job);
        self.settle(receipts);
        self.no_longer_hindered(job);
        self.requests.is_forsaken = true;
        self.advance(ctx);
    }

    /// A run is over; without an `end` someone deleted its Job.
    pub(super) fn run_ended(
        &mut self,
        job: &Arc<Job>,
        end: Option<&End>,
        containers: Vec<ContainerEnd>,
        ctx: &mut Context<Self>,
    ) {
        self.runners.let_go(&job.name);
        self.hindrances.no_longer_stuck(&job.name);
        let Some(runs) = &mut self.runs else { return };
        let Some(state) = runs.states.get_mut(&job.name) else { return };
        // Of one that an earlier operator has told only the output was open.
        let is_news = state.stage == Stage::Active;
        state.stage = end.map_or(Stage::Deleted, Stage::of);
        state.attempts = job.attempts;
        state.containers = containers;
        let result = match &state.stage {
            Stage::Deleted => RunResult::Deleted,
            Stage::Ended { failure: Some(_), .. } => RunResult::Failed,
            _ => RunResult::Succeeded,
        };
        let about = job.pod_name.as_ref().map_or_else(String::new, |pod| format!(" for pod {pod}"));
        match &state.stage {
            _ if !is_news => {}
            Stage::Deleted => self.tell_deleted(&job.name, &about, ctx),
            Stage::Ended { failure: Some(failure), .. } => {
                let note = format!("Job {}{about} failed: {}: {}", job.name, failure.reason, failure.message);
                self.warn(reasons::JOB_FAILED, Some(&job.name), note, ctx);
            }
            _ => {}
        }
        if is_news {
            self.count_end(result);
        }
        let is_due = self.output_is_due(job, ctx);
        if let Some(runs) = &mut self.runs {
            if !is_due {
                runs.is_free(&job.name);
            }
            if let Some(state) = runs.states.get_mut(&job.name) {
                state.output_is_due = is_due;
            }
        }
        self.advance(ctx);
    }

    pub(super) fn tell_deleted(&mut self, job: &str, about: &str, ctx: &mut Context<Self>) {
        let note = format!("Job {job}{about} was deleted before it ended, and its output with it");
        self.warn(reasons::DELETED, Some(job), note, ctx);
    }

    /// A Job is there that this operator is not making: a create that was given up was done all the same, by
    /// this operator or by an earlier one that the fence let through. It is the run's, unless that had one.
    pub(super) fn job_appeared(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let root = run::root_of(&self.declared, job);
        // One that another one waits for to go, or has the place of, is taken up, and goes.
        let is_superseded = self.desk.newest(&root).is_some_and(|newest| newest != job.name);
        if self.desk.waiting(&job.name).is_none() && !is_superseded {
            let is_triggered = self.declared.spec.triggers.is_some();
            let is_completed = run::number_of(job) <= self.declared.status.completed_run_number;
            let is_over = runs.states.contains_key(&job.name) || !is_triggered && is_completed;
            let is_late = is_triggered && job.term < self.around.cluster.term().number();
            match (is_over, is_late) {
                (true, _) | (_, true) if job.deleting => return,
                (true, _) => return self.delete_stray(job, ctx),
                (false, true) => {
                    self.cleanup.strays.insert(job.uid.clone(), Arc::clone(job));
                    return self.clean_up_later(ctx);
                }
                (false, false) => {}
            }
        }
        self.run_started(job, false, ctx);
    }
}
