//! The Supervisor of one ExtendedJob: knows its runs, owns the children that carry them out, and
//! is the only writer of its status.

mod handlers;
mod outputs;
mod reporter;
mod runs;
mod template_check;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context};
use extendedjob_api::{Target, validate};
use extendedjob_decide::{declared::Declared, transition::Trigger, view::Template};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tracing::error;

use self::{reporter::Reporter, runs::Runs, template_check::TemplateCheck};
use crate::{
    children::Children,
    cluster::Cluster,
    hubs::{JobHub, PodHub},
    job_runner::JobRunner,
    lifeline::{ChildEnded, Lifeline, stops_when_told},
    messages::ChildId,
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

    /// Starts the watcher of the trigger, or another one in its place.
    fn start_watcher(&mut self, ctx: &mut Context<Self>) {
        let Some(triggers) = &self.declared.spec.triggers else { return };
        let (trigger, me) = (Trigger::new(triggers), ctx.address());
        let (declared, pods, sight) = (Arc::clone(&self.declared), self.around.pods.clone(), self.sight);
        self.watcher.start((), |generation| {
            let lifeline = Lifeline::new(ChildId::TriggerWatcher, generation, me.clone().recipient());
            let (fire, sighted) = (me.clone().recipient(), me.recipient());
            TriggerWatcher { declared, trigger, sight, pods, fire, sighted, _lifeline: lifeline }.start()
        });
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
