//! Sees to it that one operator leads: holds the Lease, or stands by until it is free.
//!
//! Duty: a term is announced only when the Lease is ours, and is over before anyone else can take
//! it. What protects each single write is [`Term`](crate::cluster), looked at directly before it.

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use extendedjob_decide::{
    checkpoint::Checkpoint,
    lease::{Lease, Memory, Step, Timing, Write},
};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    cluster::{Candidacy, Cluster, REQUEST_TIMEOUT, fence::FenceError, leases::LeaseError},
    lifeline::{Lifeline, stops_when_told},
    messages::{Breach, TermBroken},
};

/// Safe with the time-out of requests, see [`Timing::is_safe`], which a test holds it to.
const TIMING: Timing = Timing {
    duration: Duration::from_secs(20),
    renew_deadline: Duration::from_secs(10),
    request_timeout: REQUEST_TIMEOUT,
    period: Duration::from_secs(2),
};

/// How often a leader looks whether the fence still stands: someone may have deleted it, and then no Job can be made.
const FENCE_PERIOD: Duration = Duration::from_secs(20);

/// Elector → Operator: whether it leads.
#[derive(Clone, Copy, Debug, Message, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) enum Leads {
    /// A term has begun. Nothing that was known before counts: someone else may have led.
    Yes {
        /// Its number.
        term: i64,
        /// How far the leader before has got.
        checkpoint: Option<Checkpoint>,
    },
    /// It is over: stop everything that writes.
    No,
}

/// See the module.
pub(crate) struct Elector {
    cluster: Cluster,
    candidacy: Candidacy,
    operator: Recipient<Leads>,
    start: Instant,
    memory: Memory,
    /// The Lease as this process wrote it last, while it leads.
    held: Option<Lease>,
    /// When the fence was seen to stand last.
    fence_seen: Instant,
    /// How often it has given up a term.
    resigned: u64,
    /// Who was seen to lead last, so that a change is logged once.
    leader: Option<String>,
    _lifeline: Lifeline<&'static str>,
}

/// Why it is not known who leads, or the Lease that was taken is not enough to lead.
#[derive(Debug, thiserror::Error)]
enum ElectionError {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Fence(#[from] FenceError),
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

impl Elector {
    pub(crate) fn new(
        cluster: Cluster,
        candidacy: Candidacy,
        operator: Recipient<Leads>,
        lifeline: Lifeline<&'static str>,
    ) -> Self {
        Self {
            cluster,
            candidacy,
            operator,
            start: Instant::now(),
            memory: Memory::default(),
            held: None,
            fence_seen: Instant::now(),
            resigned: 0,
            leader: None,
            _lifeline: lifeline,
        }
    }

    /// Looks at the Lease, and does what is to be done about it.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let looking = async move { cluster.lease(&candidacy).await };
        ctx.spawn(looking.into_actor(self).map(|lease, elector, ctx| match lease {
            Ok(lease) => elector.looked(lease, ctx),
            Err(error) => elector.failed(&error.into(), ctx),
        }));
    }

    fn looked(&mut self, lease: Option<Lease>, ctx: &mut Context<Self>) {
        let held = self.held.as_ref().map(|held| held.transitions);
        let step = self.memory.step(&self.candidacy.identity, held, lease, self.start.elapsed(), TIMING);
        let lease = match step {
            Step::Stand(lease) => lease,
            Step::Write(write) => return self.write(write, ctx),
        };
        self.resign("someone else holds the Lease");
        if self.leader != lease.holder {
            info!(leader = lease.holder, term = lease.transitions, "standing by");
            self.leader = lease.holder;
        }
        ctx.notify_later(Tick, TIMING.period);
    }

    fn write(&mut self, write: Write, ctx: &mut Context<Self>) {
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let (sent, resigned) = (Instant::now(), self.resigned);
        let begins = !matches!(write, Write::Renew(_));
        let raises_fence = begins || sent >= self.fence_seen + FENCE_PERIOD;
        if raises_fence {
            self.fence_seen = sent;
        }
        let writing = async move {
            let lease = match write {
                Write::Create(number) => cluster.create_lease(&candidacy, number, TIMING).await?,
                Write::Take(lease, number) => cluster.take_lease(&candidacy, &lease, number, TIMING).await?,
                Write::Renew(lease) => {
                    let checkpoint = cluster.progress().checkpoint();
                    cluster.renew_lease(&candidacy, &lease, checkpoint).await?
                }
            };
            if raises_fence {
                match cluster.raise_fence(&candidacy, lease.transitions).await {
                    // It stood a moment ago, and may still.
                    Err(error) if !begins && !error.is_ahead() => warn!(%error, "election"),
                    raised => raised?,
                }
            }
            Ok(lease)
        };
        ctx.spawn(writing.into_actor(self).map(move |lease, elector, ctx| match lease {
            // The answer comes to one that has given up meanwhile: see who holds it now.
            Ok(_) if elector.resigned != resigned => elector.look(ctx),
            Ok(lease) => elector.holds(lease, sent, ctx),
            // Someone was quicker, or edited the Lease: see who holds it now.
            Err(ElectionError::Lease(error)) if error.is_conflict() => elector.look(ctx),
            Err(error) => elector.failed(&error, ctx),
        }));
    }

    /// The Lease is ours; the write that says so was sent at `sent`.
    fn holds(&mut self, lease: Lease, sent: Instant, ctx: &mut Context<Self>) {
        self.cluster.term().hold(lease.transitions, sent + TIMING.renew_deadline);
        self.memory.note(&lease);
        let term = lease.transitions;
        if self.held.as_ref().map(|held| held.transitions) != Some(term) {
            info!(term, identity = self.candidacy.identity, "leading");
            self.leader = Some(self.candidacy.identity.clone());
            let checkpoint = self.memory.checkpoint();
            self.cluster.progress().begin(checkpoint);
            self.operator.do_send(Leads::Yes { term, checkpoint });
        } else if let Some(checkpoint) = lease.checkpoint {
            self.cluster.progress().store(checkpoint);
        }
        self.held = Some(lease);
        ctx.notify_later(Tick, TIMING.period);
    }

    fn failed(&mut self, error: &ElectionError, ctx: &mut Context<Self>) {
        warn!(%error, "election");
        // The Lease may be ours by now. It is taken for another term then, whose number is above this one.
        if let ElectionError::Fence(FenceError::Ahead(_, term)) = error {
            self.memory.note_term(*term);
            self.resign("the API server takes no Job of this term any more");
        }
        // Only an answered renewal prolongs a term.
        if self.cluster.term().number().is_none() {
            self.resign("the Lease could not be renewed in time");
        }
        ctx.notify_later(Tick, TIMING.period);
    }

    fn resign(&mut self, because: &str) {
        self.cluster.term().end();
        if self.held.take().is_some() {
            self.resigned += 1;
            warn!(because, "no longer leading");
            self.operator.do_send(Leads::No);
        }
    }
}

stops_when_told!(Elector);

impl Handler<TermBroken> for Elector {
    type Result = ();

    /// Gives the Lease back, so that whoever takes it next, which may be this process, begins anew
    /// under another number.
    fn handle(&mut self, TermBroken { term, breach }: TermBroken, ctx: &mut Self::Context) {
        if self.held.as_ref().map(|held| held.transitions) != Some(term) {
            return;
        }
        self.resign(&breach.to_string());
        let forgotten = self.memory.checkpoint().filter(|_| breach == Breach::CheckpointForgotten);
        let checkpoint = forgotten.map(|checkpoint| Checkpoint { forgotten: true, ..checkpoint });
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let releasing = async move { cluster.release_lease(&candidacy, term, checkpoint).await };
        ctx.spawn(releasing.into_actor(self).map(|released, _, _| {
            if let Err(error) = released {
                warn!(%error, "the Lease was not released; it is free when it ends");
            }
        }));
    }
}

impl Actor for Elector {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<Tick> for Elector {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        match self.held.clone() {
            Some(lease) => self.write(Write::Renew(lease), ctx),
            None => self.look(ctx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_end_before_the_lease_does() {
        assert!(TIMING.is_safe());
    }
}
