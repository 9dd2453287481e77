//! The Supervisor of one ExtendedJob: knows its runs, owns the children that carry them out, and
//! is the only writer of its status.

mod handlers;
mod reporter;
mod template_check;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, Addr, AsyncContext, Context};
use extendedjob_api::{Mode, Target, conditions::reasons, validate};
use extendedjob_decide::{
    declared::Declared,
    job::{End, Job},
    run::{self, Run},
    transition::Trigger,
    view::{Gone, RunState, Stage, Template},
};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tracing::error;

use self::{reporter::Reporter, template_check::TemplateCheck};
use crate::{
    children::Children,
    cluster::Cluster,
    hubs::{JobHub, PodHub},
    job_runner::JobRunner,
    lifeline::{ChildEnded, Lifeline, stops_when_told},
    messages::{ChildId, JobSeen, WriteOutput},
    output_writer::OutputWriter,
    trigger_watcher::{Sight, TriggerWatcher},
};

/// What a Supervisor is given by the Operator.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) cluster: Cluster,
    pub(crate) pods: Addr<PodHub>,
    pub(crate) jobs: Addr<JobHub>,
}

/// Creates in flight of one ExtendedJob: less than all, so that one whose creates hang, such as in a
/// webhook, leaves room for the others.
const SHARE_OF_CREATES: usize = 16;

/// See the module.
pub(crate) struct Supervisor {
    around: Surroundings,
    declared: Arc<Declared>,
    /// Rules of the schema that the spec breaks: it was stored under an older one.
    problems: Vec<String>,
    /// What counts of the pods that the next watcher finds.
    sight: Sight,
    creates: Arc<Semaphore>,
    template: Template,
    /// `None` until the hub has told all Jobs: nothing may start before that.
    runs: Option<Runs>,
    watcher: Children<(), TriggerWatcher>,
    runners: Children<String, JobRunner>,
    writers: Children<Target, OutputWriter>,
    check: TemplateCheck,
    reporter: Reporter,
    _lifeline: Lifeline<String>,
}

/// What is known of the runs, by the name of their Job.
#[derive(Default)]
struct Runs {
    states: BTreeMap<String, RunState>,
    /// Runs that have no Job yet.
    waiting: HashMap<String, Run>,
    /// The Jobs of the others.
    jobs: HashMap<String, Arc<Job>>,
    /// Those whose output is on its way.
    unsettled: HashSet<String>,
    gone: Gone,
}

impl Runs {
    /// Takes up a Job that is there, whoever made it.
    fn adopt(&mut self, declared: &Declared, job: &Arc<Job>) {
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

/// Orders to itself: a child lies fallen, and its time has come.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Revive(ChildId);

stops_when_told!(Supervisor);

impl Supervisor {
    pub(crate) fn new(declared: Arc<Declared>, around: Surroundings, lifeline: Lifeline<String>) -> Self {
        // The API server has been asked about this generation's template before, and answered
        // well: a start with nothing changed asks for nothing.
        let template = Template::told(&declared);
        Self {
            around,
            problems: problems(&declared),
            sight: Sight::Stamps(declared.created),
            creates: Arc::new(Semaphore::new(SHARE_OF_CREATES)),
            declared,
            template,
            runs: None,
            watcher: Children::default(),
            runners: Children::default(),
            writers: Children::default(),
            check: TemplateCheck::default(),
            reporter: Reporter::default(),
            _lifeline: lifeline,
        }
    }

    /// Takes up a run, unless it is known.
    fn take_up(&mut self, run: Run, ctx: &mut Context<Self>) {
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
    fn start_runner(&mut self, job: &str, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let run = runs.waiting.get(job).cloned();
        let under_way = runs.states.get(job).is_some_and(|run| run.stage == Stage::Active);
        if self.runners.get(&job.to_owned()).is_some() {
            return;
        }
        let (declared, cluster) = (Arc::clone(&self.declared), self.around.cluster.clone());
        let creates = Arc::clone(&self.creates);
        let (me, id) = (ctx.address(), ChildId::JobRunner(job.to_owned()));
        match run {
            Some(_) if self.is_held() => {}
            Some(run) => {
                self.runners.start(job.to_owned(), |generation| {
                    let lifeline = Lifeline::new(id, generation, me.clone().recipient());
                    JobRunner::making(run, declared, cluster, creates, me, lifeline).start()
                });
            }
            None if under_way => {
                let runner = self.runners.start(job.to_owned(), |generation| {
                    let lifeline = Lifeline::new(id, generation, me.clone().recipient());
                    JobRunner::following(declared, cluster, creates, me, lifeline).start()
                });
                if let Some(job) = runs.jobs.get(job) {
                    runner.do_send(JobSeen(Arc::clone(job)));
                }
            }
            None => {}
        }
    }

    /// Starts the runners of all runs that wait for one.
    fn start_waiting(&mut self, ctx: &mut Context<Self>) {
        let waiting: Vec<String> = self.runs.iter().flat_map(|runs| runs.waiting.keys().cloned()).collect();
        waiting.iter().for_each(|job| self.start_runner(job, ctx));
    }

    /// Starts the watcher of the trigger, or another one in its place.
    fn start_watcher(&mut self, ctx: &mut Context<Self>) {
        let Some(triggers) = &self.declared.spec.triggers else { return };
        let (trigger, me) = (Trigger::new(triggers), ctx.address());
        let (declared, pods, sight) = (Arc::clone(&self.declared), self.around.pods.clone(), self.sight);
        self.watcher.start((), |generation| {
            let lifeline = Lifeline::new(ChildId::TriggerWatcher, generation, me.clone().recipient());
            TriggerWatcher { declared, trigger, sight, pods, supervisor: me, _lifeline: lifeline }.start()
        });
    }

    /// A run is over; without an `end` someone deleted its Job.
    fn run_ended(&mut self, job: &Arc<Job>, end: Option<&End>, ctx: &mut Context<Self>) {
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

    /// The output of the ExtendedJob goes elsewhere now, or is written by other rules: so does what
    /// has not been written yet.
    fn redirect_output(&mut self, ctx: &mut Context<Self>) {
        self.writers.let_all_go();
        self.write_unsettled(ctx);
    }

    /// Sends an ended run's output on its way, if any is wished.
    fn write_output(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) {
        let wish = self.declared.spec.output.as_ref().and_then(|output| output.stdout.clone());
        let (Some(runs), Some(wish), Some(end)) = (&mut self.runs, wish, job.end.clone()) else { return };
        let Some(target) = wish.target(&self.declared.namespace) else { return };
        runs.unsettled.insert(job.name.clone());
        let order = WriteOutput { job: Arc::clone(job), end, wish };
        match self.writers.get(&target) {
            Some(writer) => writer.do_send(order),
            // It is sent again when the writer is back on its feet.
            None if self.writers.is_fallen(&target) => {}
            None => self.start_writer(target, ctx).do_send(order),
        }
    }

    fn start_writer(&mut self, target: Target, ctx: &mut Context<Self>) -> Addr<OutputWriter> {
        let (cluster, me) = (self.around.cluster.clone(), ctx.address());
        let extended_job = format!("{}/{}", self.declared.namespace, self.declared.name);
        let id = ChildId::OutputWriter(target.clone());
        self.writers.start(target.clone(), |generation| {
            let lifeline = Lifeline::new(id, generation, me.clone().recipient());
            OutputWriter::new(cluster, target, extended_job, me.recipient(), lifeline).start()
        })
    }

    /// Sends all outputs on their way that have not settled.
    fn write_unsettled(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let unsettled: Vec<_> = runs.unsettled.iter().filter_map(|job| runs.jobs.get(job).cloned()).collect();
        unsettled.iter().for_each(|job| self.write_output(job, ctx));
    }

    /// Whether no Job may be made at present: only an edit can help, or the first word on a new
    /// template is about to come. Where that fails to come, Jobs are made all the same.
    fn is_held(&self) -> bool {
        let stalled = matches!(self.template, Template::Invalid(_)) || !self.problems.is_empty();
        stalled || self.check.is_in_flight()
    }

    /// The ExtendedJob is being deleted: no run starts any more. Those under way go with it.
    fn wind_up(&mut self) {
        self.watcher.let_go(&());
        let Some(runs) = &mut self.runs else { return };
        for (job, _) in runs.waiting.drain() {
            self.runners.let_go(&job);
            runs.states.remove(&job);
        }
    }

    /// A run that no pod triggers: the one of a one-off, unless an earlier operator told of it.
    fn take_up_once(&mut self, ctx: &mut Context<Self>) {
        if self.declared.mode() == Some(Mode::Once) && self.declared.status.last_run.is_none() {
            self.take_up(Run::once(&self.declared), ctx);
        }
    }

    /// Starts a fallen child anew, when its time has come.
    fn revive(&mut self, id: &ChildId, ctx: &mut Context<Self>) {
        match id {
            ChildId::TriggerWatcher if self.watcher.is_fallen(&()) => self.start_watcher(ctx),
            ChildId::JobRunner(job) if self.runners.is_fallen(job) => self.start_runner(job, ctx),
            ChildId::OutputWriter(target) if self.writers.is_fallen(target) => {
                self.start_writer(target.clone(), ctx);
                self.write_unsettled(ctx);
            }
            _ => {}
        }
    }

    fn child_ended(&mut self, ended: ChildEnded<ChildId>, ctx: &mut Context<Self>) {
        let ChildEnded { id, generation, panicked } = ended;
        let now = Timestamp::now();
        let fall = match &id {
            ChildId::TriggerWatcher => self.watcher.ended(&(), generation, now),
            ChildId::JobRunner(job) => self.runners.ended(job, generation, now),
            ChildId::OutputWriter(target) => self.writers.ended(target, generation, now),
        };
        let Some(fall) = fall else { return };
        let (namespace, name) = (&self.declared.namespace, &self.declared.name);
        error!(%namespace, %name, child = ?id, panicked, falls = fall.falls, delay = ?fall.delay, "child fell");
        ctx.notify_later(Revive(id), fall.delay);
    }
}

fn problems(declared: &Declared) -> Vec<String> {
    let problems = validate(&declared.spec).err().unwrap_or_default();
    problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}
