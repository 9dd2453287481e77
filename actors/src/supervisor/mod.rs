//! The Supervisor of one ExtendedJob: knows its runs, owns the children that carry them out, and
//! is the only writer of its ledger and its status.

mod brakes;
mod cleanup;
mod config;
mod counted;
mod counts;
mod events;
mod handlers;
mod ledger;
mod outputs;
mod replacing;
mod reporter;
mod requests;
mod restarts;
mod runs;
mod starting;
mod template_check;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Recipient};
use extendedjob_api::Target;
use extendedjob_decide::{
    checkpoint::Receipt,
    declared::Declared,
    desk::Desk,
    ledger::{Ledger, terms},
    streams::Ways,
    transition::Trigger,
    view::{Template, Trouble},
};
use tokio::sync::{Semaphore, watch};
use tracing::{Span, error, error_span};

pub use self::brakes::Limits;
use self::{
    brakes::Brakes, cleanup::Cleanup, config::Config, counted::Counted, counts::Counts, events::Events,
    ledger::Keeper, replacing::Replacing, reporter::Reporter, requests::Requests, runs::Runs,
    starting::Hindrances, template_check::TemplateCheck,
};
use crate::{
    children::Children,
    clock::steady,
    cluster::Cluster,
    config_watcher::ConfigHubs,
    hubs::{JobHub, PodHub},
    job_runner::JobRunner,
    lifeline::{ChildEnded, Lifeline, stops_when_told},
    messages::{Befell, ChildId, FindCircle, Settled, Sight, TermBroken, Unexpect},
    output_writer::OutputWriter,
    trigger_watcher::{Superior, TriggerWatcher},
};

/// What a Supervisor is given by the Operator.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) cluster: Cluster,
    pub(crate) operator: Recipient<TermBroken>,
    /// For those whom one Supervisor's doing befalls.
    pub(crate) others: Recipient<Befell>,
    /// Who knows whether ExtendedJobs feed each other.
    pub(crate) circles: Recipient<FindCircle>,
    pub(crate) limits: Limits,
    /// How streams can be told apart here.
    pub(crate) ways: watch::Receiver<Arc<Ways>>,
    pub(crate) pods: Addr<PodHub>,
    pub(crate) jobs: Addr<JobHub>,
    pub(crate) configs: ConfigHubs,
}

/// Creates in flight of one ExtendedJob: less than all, so that one whose creates hang, such as in a
/// webhook, leaves room for the others.
const SHARE_OF_CREATES: usize = 16;

/// See the module.
pub(crate) struct Supervisor {
    around: Surroundings,
    declared: Arc<Declared>,
    /// For the log: entered for each line, because as JSON a line shows the spans that are entered, and not those that it
    /// names as its parents. (A field `name` would stand beside the name of the span itself.)
    span: Span,
    /// What is wrong with the spec.
    problem: Option<Trouble>,
    creates: Arc<Semaphore>,
    template: Template,
    /// `None` until the hub has told all Jobs: nothing may start before that.
    runs: Option<Runs>,
    /// The runs that have no Job yet.
    desk: Desk,
    keeper: Keeper,
    /// The ledger of the operator before this one, until it is known how far that got.
    restoring: Option<Ledger>,
    /// How many pods the trigger is about.
    watched: i64,
    brakes: Brakes,
    hindrances: Hindrances,
    requests: Requests,
    watcher: Children<(), TriggerWatcher>,
    runners: Children<String, JobRunner>,
    writers: Children<Target, OutputWriter>,
    check: TemplateCheck,
    config: Config,
    counted: Counted,
    replacing: Replacing,
    cleanup: Cleanup,
    counts: Counts,
    reporter: Reporter,
    events: Events,
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
        let problem = declared.problem(&around.ways.borrow(), around.cluster.served());
        let (namespace, extendedjob) = (&declared.namespace, &declared.name);
        // Of the highest level, so that it is there whatever is logged.
        let span = error_span!(parent: None, "extendedjob", namespace, extendedjob);
        Self {
            span,
            problem,
            creates: Arc::new(Semaphore::new(SHARE_OF_CREATES)),
            template,
            runs: None,
            desk: Desk::default(),
            keeper: Keeper::default(),
            restoring: None,
            watched: declared.status.watched_pods,
            brakes: Brakes::new(around.limits),
            hindrances: Hindrances::default(),
            requests: Requests::default(),
            watcher: Children::default(),
            runners: Children::default(),
            writers: Children::default(),
            check: TemplateCheck::default(),
            config: Config::default(),
            counted: Counted::default(),
            replacing: Replacing::default(),
            cleanup: Cleanup::default(),
            counts: Counts::new(around.cluster.metrics()),
            reporter: Reporter::new(&declared),
            events: Events::default(),
            around,
            declared,
            _lifeline: lifeline,
        }
    }

    /// Starts the watcher of the trigger, as soon as all Jobs and the ledger are known.
    fn start_watcher(&mut self, ctx: &mut Context<Self>) {
        let Some(triggers) = &self.declared.spec.triggers else { return };
        if self.runs.is_none() || !self.keeper.is_read() || self.declared.deleting {
            return;
        }
        let stored =
            self.restoring.as_ref().and_then(|ledger| Some((ledger.baseline?, ledger.terms == self.terms())));
        let known = stored.or_else(|| Some((self.desk.baseline()?, self.desk.is_for(&self.terms()))));
        let (sight, baseline) = match known {
            Some((baseline, true)) => (Sight::Again, Some(baseline)),
            Some((_, false)) => (Sight::Edited, None),
            // Whatever was on record is lost.
            None if self.keeper.is_rebuilt() => (Sight::Edited, None),
            None => (Sight::First, None),
        };
        let (trigger, me) = (Trigger::new(triggers), ctx.address());
        let (declared, pods, counts) =
            (Arc::clone(&self.declared), self.around.pods.clone(), !self.declared.spec.suspend);
        self.watcher.start((), |generation| {
            let _lifeline = Lifeline::new(ChildId::TriggerWatcher, generation, me.clone().recipient());
            let supervisor = Superior {
                sighted: me.clone().recipient(),
                fire: me.clone().recipient(),
                book: me.clone().recipient(),
                watched: me.recipient(),
            };
            let watcher = TriggerWatcher {
                declared,
                trigger,
                counts,
                sight,
                baseline,
                subscriptions: 0,
                pods,
                supervisor,
                _lifeline,
            };
            watcher.start()
        });
    }

    /// What decides whether a transition counts.
    fn terms(&self) -> String {
        terms(&self.declared.spec)
    }

    /// Tells the hub that deliveries need not be kept any more.
    fn settle(&self, receipts: Vec<Receipt>) {
        if !receipts.is_empty() {
            self.tell_settled(receipts, false);
        }
    }

    /// The same, and that the baseline is stored, whoever did that.
    fn settle_all(&self, receipts: Vec<Receipt>) {
        self.tell_settled(receipts, true);
    }

    fn tell_settled(&self, receipts: Vec<Receipt>, based: bool) {
        self.around.pods.do_send(Settled { owner: self.declared.uid.clone(), receipts, based });
    }

    /// The ExtendedJob is being deleted: no run starts any more. Those under way go with it.
    fn wind_up(&mut self) {
        self.watcher.let_go(&());
        self.config.watcher.let_go(&());
        let waiting: Vec<String> = self.desk.in_hand().map(|run| run.job.clone()).collect();
        waiting.iter().for_each(|job| self.runners.let_go(job));
        self.desk = Desk::default();
        self.count();
        self.around.pods.do_send(Unexpect(self.declared.uid.clone()));
    }

    /// Starts a fallen child anew, when its time has come.
    fn revive(&mut self, id: &ChildId, ctx: &mut Context<Self>) {
        match id {
            ChildId::ConfigWatcher if self.config.watcher.is_fallen(&()) => self.start_config_watcher(ctx),
            ChildId::TriggerWatcher if self.watcher.is_fallen(&()) => self.start_watcher(ctx),
            ChildId::JobRunner(job) if self.runners.is_fallen(job) => {
                let run = self.desk.waiting(job).cloned();
                self.start_runner(job, run, ctx);
            }
            ChildId::OutputWriter(target) if self.writers.is_fallen(target) => {
                self.start_writer(target.clone(), ctx);
                self.write_unsettled(ctx);
            }
            _ => {}
        }
    }

    fn child_ended(&mut self, ended: ChildEnded<ChildId>, ctx: &mut Context<Self>) {
        let ChildEnded { id, generation, panicked } = ended;
        let now = steady();
        let fall = match &id {
            ChildId::ConfigWatcher => self.config.watcher.ended(&(), generation, now),
            ChildId::TriggerWatcher => self.watcher.ended(&(), generation, now),
            ChildId::JobRunner(job) => self.runners.ended(job, generation, now),
            ChildId::OutputWriter(target) => self.writers.ended(target, generation, now),
        };
        let Some(fall) = fall else { return };
        self.around.cluster.metrics().actor_restarts(id.kind(), panicked);
        self.span.in_scope(
            || error!(child = ?id, panicked, falls = fall.falls, delay = ?fall.delay, "child fell"),
        );
        ctx.notify_later(Revive(id), fall.delay);
    }
}
