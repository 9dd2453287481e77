//! Tells the user: the status, written in this one place, and Events.
//!
//! One write is in flight at a time; what changes meanwhile goes with the next one, so that a
//! burst of a thousand runs costs a few writes.

use std::{sync::Arc, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::ExtendedJobStatus;
use extendedjob_decide::{
    declared::Declared,
    fault::Class,
    retry::Backoff,
    status::{self, View},
};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::Supervisor;
use crate::cluster::{events::Severity, extendedjobs::ExtendedJobError};

/// The least time between two writes of one status.
const PAUSE: Duration = Duration::from_millis(250);

/// The write that is under way, if any.
#[derive(Default)]
pub(super) struct Reporter {
    state: State,
    backoff: Backoff,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All is told.
    #[default]
    Idle,
    /// A write is on its way.
    Writing {
        /// Something has changed since it was sent.
        more: bool,
    },
    /// The next write comes after a pause.
    Pausing,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct PauseOver;

impl Supervisor {
    /// Makes the status tell what is known, if it does not yet.
    pub(super) fn report(&mut self, ctx: &mut Context<Self>) {
        match &mut self.reporter.state {
            State::Idle => self.write_status(ctx),
            State::Writing { more } => *more = true,
            State::Pausing => {}
        }
    }

    fn write_status(&mut self, ctx: &mut Context<Self>) {
        // Before all Jobs and the template are known, there is nothing true to say.
        let Some(runs) = self.runs.as_ref().filter(|_| !self.check.is_in_flight()) else { return };
        let view = View {
            declared: &self.declared,
            problems: &self.problems,
            template: &self.template,
            runs: &runs.states,
            gone: runs.gone,
        };
        let status = status::derive(view, Timestamp::now());
        if status == self.declared.status || self.declared.deleting {
            return;
        }
        self.reporter.state = State::Writing { more: false };
        let (cluster, declared) = (self.around.cluster.clone(), Arc::clone(&self.declared));
        let write = async move {
            let version = cluster.write_status(&declared, &status).await;
            (version, status)
        };
        ctx.spawn(write.into_actor(self).map(|(version, status), supervisor, ctx| {
            supervisor.status_written(version, status, ctx);
        }));
    }

    fn status_written(
        &mut self,
        version: Result<String, ExtendedJobError>,
        status: ExtendedJobStatus,
        ctx: &mut Context<Self>,
    ) {
        let more = self.reporter.state == State::Writing { more: true };
        self.reporter.state = State::Idle;
        let delay = match version {
            Ok(resource_version) => {
                self.reporter.backoff.reset();
                self.declared =
                    Arc::new(Declared { resource_version, status, ..Declared::clone(&self.declared) });
                if !more {
                    return;
                }
                PAUSE
            }
            Err(error) => {
                let (namespace, name) = (&self.declared.namespace, &self.declared.name);
                match error.fault().class() {
                    // The watch is about to tell that it is deleted.
                    Class::NotFound => return,
                    // The watch is about to tell the version that is newer than ours.
                    Class::Conflict => debug!(%namespace, %name, "status conflict"),
                    _ => warn!(%namespace, %name, %error, "status not written"),
                }
                self.reporter.backoff.after_failure(Timestamp::now())
            }
        };
        self.reporter.state = State::Pausing;
        ctx.notify_later(PauseOver, delay);
    }

    /// Publishes an Event that all is well.
    pub(super) fn note(&self, reason: &'static str, note: String, ctx: &mut Context<Self>) {
        self.publish(Severity::Normal, reason, note, ctx);
    }

    /// Publishes an Event that something is not as the user asked.
    pub(super) fn warn(&self, reason: &'static str, note: String, ctx: &mut Context<Self>) {
        self.publish(Severity::Warning, reason, note, ctx);
    }

    fn publish(&self, severity: Severity, reason: &'static str, note: String, ctx: &mut Context<Self>) {
        let (cluster, declared) = (self.around.cluster.clone(), Arc::clone(&self.declared));
        let publishing = async move { cluster.publish(&declared, severity, reason, note).await };
        ctx.spawn(publishing.into_actor(self));
    }
}

impl Handler<PauseOver> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: PauseOver, ctx: &mut Self::Context) {
        self.reporter.state = State::Idle;
        self.report(ctx);
    }
}
