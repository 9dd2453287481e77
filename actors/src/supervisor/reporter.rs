//! Tells the user: the status, written in this one place.
//!
//! What happens within a moment is told together, and one write is in flight at a time: what changes meanwhile goes with the
//! next one. So a run costs few writes, and a burst of a thousand runs not many more.

use std::{sync::Arc, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use extendedjob_api::ExtendedJobStatus;
use extendedjob_decide::{
    declared::Declared,
    fault::Class,
    requests::Request,
    retry::Backoff,
    status,
    view::{Record, Stage, View},
};
use jiff::Timestamp;
use tokio::{sync::OwnedSemaphorePermit, time::sleep};
use tracing::{debug, warn};

use super::{Supervisor, turn::Turn};
use crate::{
    clock::steady,
    cluster::{extendedjobs::ExtendedJobError, holding, ledgers},
};

/// What comes together is told together. And whatever starts, starts before it is told.
const GATHER: Duration = Duration::from_millis(100);

/// Between two writes of one status, before what is gathered for the next.
const PAUSE: Duration = Duration::from_millis(150);

/// What is not worth a write of its own is told after so long, if nothing else is.
const LAZY: Duration = Duration::from_secs(60);

/// The write that is under way, if any.
pub(super) struct Reporter {
    turn: Turn,
    /// The write that waits for what else there is to tell, and until others have told theirs.
    waiting: Option<SpawnHandle>,
    /// Something has happened since the last write began, or it failed.
    is_due: bool,
    is_lazy: bool,
    backoff: Backoff,
    /// Transitions that were absorbed by a later one.
    absorbed: i64,
}

/// What a status tells for the first time.
struct Told {
    /// The ends of these Jobs.
    ended: Vec<String>,
    /// That this request is accepted.
    accepted: Option<Request>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct PauseOver;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct LazyOver;

impl Reporter {
    pub(super) fn new(declared: &Declared) -> Self {
        let absorbed = declared.status.merged;
        let (turn, backoff) = (Turn::Idle, Backoff::default());
        Self { turn, waiting: None, is_due: false, is_lazy: false, backoff, absorbed }
    }
}

impl Supervisor {
    /// Makes the status tell what is known, if it does not yet.
    pub(super) fn report(&mut self, ctx: &mut Context<Self>) {
        match self.reporter.turn {
            Turn::Writing | Turn::Pausing => self.reporter.is_due = true,
            // Nothing starts before that is told.
            _ if self.requests.accepting.is_some() => self.write_status(None, ctx),
            Turn::Waiting => {}
            Turn::Idle => self.wait_for_turn(ctx),
        }
    }

    fn wait_for_turn(&mut self, ctx: &mut Context<Self>) {
        self.reporter.turn = Turn::Waiting;
        let cluster = self.around.cluster.clone();
        let waiting = async move {
            sleep(GATHER).await;
            cluster.turn_to_report().await
        };
        let waiting = waiting.into_actor(self).map(|turn, supervisor, ctx| {
            supervisor.reporter.waiting = None;
            supervisor.write_status(turn, ctx);
        });
        self.reporter.waiting = Some(ctx.spawn(waiting));
    }

    /// The same, but not at once.
    pub(super) fn report_later(&mut self, ctx: &mut Context<Self>) {
        if !self.reporter.is_lazy {
            self.reporter.is_lazy = true;
            ctx.notify_later(LazyOver, LAZY);
        }
    }

    fn write_status(&mut self, turn: Option<OwnedSemaphorePermit>, ctx: &mut Context<Self>) {
        if let Some(waiting) = self.reporter.waiting.take() {
            ctx.cancel_future(waiting);
        }
        self.reporter.turn = Turn::Idle;
        self.reporter.is_due = false;
        // Before all Jobs, the template and the baseline are known, there is nothing true to say.
        let based = self.desk.is_for(&self.terms()) && self.desk.may_start();
        let known = if self.declared.spec.triggers.is_none() { self.is_on_record() } else { based };
        let known = known || self.keeper.trouble.is_some();
        let is_at_work = self.check.is_in_flight() || self.requests.is_at_work();
        if self.declared.deleting || is_at_work || !known {
            return;
        }
        let record = self.record();
        let Some(runs) = &self.runs else { return };
        let view = View {
            declared: &self.declared,
            problem: self.problem.as_ref(),
            template: &self.template,
            runs: &runs.states,
            gone: runs.gone,
            record: &record,
        };
        let status = status::derive(view, Timestamp::now());
        let open = self.job_of_open_request(&record.requests);
        let ended = runs
            .states
            .iter()
            .filter(|(job, run)| !run.told && run.stage != Stage::Active && open.as_ref() != Some(*job));
        let told = Told {
            ended: ended.map(|(job, _)| job.clone()).collect(),
            accepted: self.requests.accepting.clone(),
        };
        if status == self.declared.status {
            return self.has_told(told, ctx);
        }
        self.reporter.turn = Turn::Writing;
        let (cluster, declared) = (self.around.cluster.clone(), Arc::clone(&self.declared));
        let write = async move {
            let version = holding(turn, cluster.write_status(&declared, &status)).await;
            (version, status)
        };
        let sent = Arc::clone(&self.declared);
        ctx.spawn(write.into_actor(self).map(move |(version, status), supervisor, ctx| {
            supervisor.status_written(&sent, version, status, told, ctx);
        }));
    }

    fn status_written(
        &mut self,
        sent: &Arc<Declared>,
        version: Result<String, ExtendedJobError>,
        status: ExtendedJobStatus,
        told: Told,
        ctx: &mut Context<Self>,
    ) {
        let mut delay = PAUSE;
        match version {
            Ok(resource_version) => {
                self.reporter.backoff.reset();
                // What the watch has told since is newer than this answer.
                if Arc::ptr_eq(sent, &self.declared) {
                    self.declared = Arc::new(Declared { resource_version, status, ..Declared::clone(sent) });
                }
                self.has_told(told, ctx);
            }
            Err(error) => {
                match error.fault().class() {
                    // The watch tells the version that is newer than ours, or that it is deleted.
                    Class::Conflict | Class::NotFound => {
                        self.span.in_scope(|| debug!(%error, "status not written"))
                    }
                    _ => self.span.in_scope(|| warn!(%error, "status not written")),
                }
                delay = self.reporter.backoff.after_failure(steady());
                self.reporter.is_due = true;
            }
        }
        self.reporter.turn = Turn::Pausing;
        ctx.notify_later(PauseOver, delay);
    }

    /// What is on record, and what keeps runs from starting.
    fn record(&mut self) -> Record {
        self.reporter.absorbed += i64::try_from(self.desk.take_absorbed()).unwrap_or_default();
        let stored = self.keeper.book_written && self.desk.may_start() && self.desk.is_kept();
        let name = || stored.then(|| ledgers::name(&self.declared));
        let config = self.config.trouble(self.is_done());
        let trouble = self.keeper.trouble.as_ref().or(config).or(self.replacing.stuck.as_ref());
        let trouble = trouble.or_else(|| self.hindrances.first());
        let trouble = trouble.or(self.requests.trouble.as_ref());
        let requests = self.requests_told();
        let pending = self.desk.len() + usize::from(requests.waits);
        Record {
            ledger: self.declared.status.ledger.clone().or_else(name),
            pending: i64::try_from(pending).unwrap_or(i64::MAX),
            absorbed: self.reporter.absorbed,
            trouble: trouble.cloned(),
            rebuilt: self.keeper.rebuilt.clone(),
            watched: self.watched,
            revision: i64::try_from(self.desk.stored_revision())
                .unwrap_or(i64::MAX)
                .max(self.declared.status.config_revision),
            requests,
        }
    }

    /// The status says this.
    fn has_told(&mut self, told: Told, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        for job in &told.ended {
            if let Some(run) = runs.states.get_mut(job) {
                run.told = true;
            }
        }
        if !told.ended.is_empty() {
            self.delete_replaced(ctx);
            self.clean_up_later(ctx);
        }
        self.note_kept(ctx);
        if let Some(request) = told.accepted {
            self.request_accepted(request, ctx);
        }
    }
}

impl Handler<LazyOver> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LazyOver, ctx: &mut Self::Context) {
        self.reporter.is_lazy = false;
        self.report(ctx);
    }
}

impl Handler<PauseOver> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: PauseOver, ctx: &mut Self::Context) {
        self.reporter.turn = Turn::Idle;
        if self.reporter.is_due {
            self.report(ctx);
        }
    }
}
