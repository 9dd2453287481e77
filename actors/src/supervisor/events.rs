//! Events: what happened, in words, for whoever runs `kubectl describe`.
//!
//! A few are published at once. In a storm the others are counted, and each kind is told in one Event from time to
//! time: a thousand Events would crowd out the ones that matter, and cost more than the Jobs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{AsyncContext, Context, Handler, WrapFuture};
use extendedjob_decide::{
    brake::{Bucket, Limit},
    references::Object,
};

use super::Supervisor;
use crate::{
    clock::steady,
    cluster::events::{Related, Severity},
};

/// How many are published at once, and how soon one more is.
const LIMIT: Limit = Limit { burst: 25, every: Duration::from_secs(10) };

/// What was held back.
#[derive(Default)]
pub(super) struct Events {
    bucket: Bucket,
    held: BTreeMap<&'static str, Held>,
}

/// Events of one reason.
struct Held {
    severity: Severity,
    count: u32,
    /// Of the last one.
    note: String,
    related: Option<Related>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct TellHeld;

impl Supervisor {
    /// Publishes an Event that all is well, with a Job or all in all.
    pub(super) fn note(
        &mut self,
        reason: &'static str,
        job: Option<&str>,
        note: String,
        ctx: &mut Context<Self>,
    ) {
        self.tell(Severity::Normal, reason, job.map(|job| Related::Job(job.to_owned())), note, ctx);
    }

    /// The same of something that the pods use.
    pub(super) fn note_of(
        &mut self,
        object: Object,
        reason: &'static str,
        note: String,
        ctx: &mut Context<Self>,
    ) {
        self.tell(Severity::Normal, reason, Some(Related::Config(object)), note, ctx);
    }

    /// Publishes an Event that something, with a Job or all in all, is not as the user asked.
    pub(super) fn warn(
        &mut self,
        reason: &'static str,
        job: Option<&str>,
        note: String,
        ctx: &mut Context<Self>,
    ) {
        self.tell(Severity::Warning, reason, job.map(|job| Related::Job(job.to_owned())), note, ctx);
    }

    fn tell(
        &mut self,
        severity: Severity,
        reason: &'static str,
        related: Option<Related>,
        note: String,
        ctx: &mut Context<Self>,
    ) {
        let Events { bucket, held } = &mut self.events;
        if held.is_empty() && bucket.take(LIMIT, steady()) {
            return self.publish(severity, reason, related, note, ctx);
        }
        if held.is_empty() {
            ctx.notify_later(TellHeld, LIMIT.every);
        }
        let count = held.get(reason).map_or(0, |held| held.count) + 1;
        held.insert(reason, Held { severity, count, note, related });
    }

    fn publish(
        &self,
        severity: Severity,
        reason: &'static str,
        related: Option<Related>,
        note: String,
        ctx: &mut Context<Self>,
    ) {
        let (cluster, declared) = (self.around.cluster.clone(), Arc::clone(&self.declared));
        let publishing = async move { cluster.publish(&declared, severity, reason, related, note).await };
        ctx.spawn(publishing.into_actor(self));
    }
}

impl Handler<TellHeld> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: TellHeld, ctx: &mut Self::Context) {
        for (reason, Held { severity, count, note, related }) in std::mem::take(&mut self.events.held) {
            self.events.bucket.take(LIMIT, steady());
            let note = if count == 1 {
                note
            } else {
                format!("{count} times in a short time, the last one: {note}")
            };
            self.publish(severity, reason, related, note, ctx);
        }
    }
}
