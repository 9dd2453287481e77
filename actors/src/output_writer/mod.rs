//! Writes what ended Jobs of one ExtendedJob wrote to one ConfigMap or Secret.
//!
//! Duty: each order is answered by [`OutputSettled`], and tried until then. One writer per target
//! keeps the order, and lets a restart judge all earlier Jobs by one read.

mod desk;
mod fields;
mod merged;
mod reading;
#[cfg(test)]
mod tests;
mod versions;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use extendedjob_api::Target;
use extendedjob_decide::{
    output::Present,
    retry::Backoff,
    view::{Settled, Trouble},
};
use jiff::Timestamp;
use tracing::{Instrument as _, Span, info, warn};

use self::desk::{Desk, Tried};
use crate::{
    clock::steady,
    cluster::Cluster,
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, OutputSettled, WriteOutput},
    metrics::Share,
};

/// The writer of one target.
pub(crate) struct OutputWriter {
    desk: Desk,
    supervisor: Recipient<OutputSettled>,
    /// Wishes not tried yet, and those of which trying again may help.
    queue: Queue,
    state: State,
    next_round: NextRound,
    block: Option<Block>,
    backoff: Backoff,
    pending: Share,
    /// For the log.
    span: Span,
    _lifeline: Lifeline<ChildId>,
}

/// Open orders by the order of their attempts, so that a later output is written last.
type Queue = BTreeMap<Place, WriteOutput>;

/// When its last attempt ended, its Job, and which order it is.
type Place = (Timestamp, String, String);

enum State {
    /// Nothing to do.
    Idle,
    /// One order is being tried.
    Busy,
    /// Some orders have failed; the next round comes after a delay.
    Pausing,
}

/// When all orders that have failed are tried again.
#[derive(PartialEq, Eq)]
enum NextRound {
    /// None has failed.
    None,
    /// After a delay.
    Scheduled,
    /// As soon as what is being tried is done.
    Due,
}

/// Why no order can be fulfilled now, and who has been told.
struct Block {
    trouble: Trouble,
    told: BTreeSet<Place>,
}

/// How far a round is.
#[derive(Default)]
struct Round {
    /// The orders up to this one have had their turn.
    behind: Option<Place>,
    /// The target as last read in this round; one read serves all orders that need no write.
    present: Option<Option<Present>>,
    failed: bool,
}

/// The pause is over.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct PauseOver;

impl OutputWriter {
    /// A writer for `target`, on behalf of `extended_job` (`namespace/name`).
    pub(crate) fn new(
        cluster: Cluster,
        target: Target,
        extended_job: String,
        patience: Duration,
        supervisor: Recipient<OutputSettled>,
        span: Span,
        lifeline: Lifeline<ChildId>,
    ) -> Self {
        Self {
            pending: cluster.metrics().outputs_pending(),
            desk: Desk { cluster, target, extended_job, patience, least: 1 },
            supervisor,
            queue: Queue::new(),
            state: State::Idle,
            next_round: NextRound::None,
            block: None,
            backoff: Backoff::default(),
            span,
            _lifeline: lifeline,
        }
    }

    /// Tries the next order of this round, or ends the round.
    fn work(&mut self, Round { behind, present, failed }: Round, ctx: &mut Context<Self>) {
        let next = match &behind {
            Some(behind) => self.queue.range((Bound::Excluded(behind), Bound::Unbounded)).next(),
            None => self.queue.iter().next(),
        };
        let Some((place, order)) = next else { return self.round_over(failed, ctx) };
        self.state = State::Busy;
        let (desk, place, order) = (self.desk.clone(), place.clone(), order.clone());
        let trying = async move { desk.try_order(&order, present).await };
        ctx.spawn(trying.instrument(self.span.clone()).into_actor(self).map(
            move |mut tried, writer, ctx| {
                let failed = failed || !tried.done;
                let blocks = tried.blocks.take();
                let present = writer.tried(&place, tried);
                match blocks {
                    Some(trouble) => writer.hold_up(&place, trouble, ctx),
                    None => {
                        writer.block = None;
                        writer.work(Round { behind: Some(place), present, failed }, ctx);
                    }
                }
            },
        ));
    }

    /// What one order has met with, all others would: they are told so once, and not tried in this round.
    fn hold_up(&mut self, tried: &Place, trouble: Trouble, ctx: &mut Context<Self>) {
        let block =
            self.block.get_or_insert_with(|| Block { trouble: trouble.clone(), told: BTreeSet::new() });
        block.trouble = trouble;
        block.told.insert(tried.clone());
        let places: Vec<Place> = self.queue.keys().filter(|place| *place != tried).cloned().collect();
        for place in places {
            self.tell_of_block(&place);
        }
        self.round_over(true, ctx);
    }

    /// Tells the block of an order that has not been told, or will not be tried any more.
    fn tell_of_block(&mut self, place: &Place) {
        let (Some(block), Some(order)) = (&mut self.block, self.queue.get(place)) else { return };
        if !block.told.insert(place.clone()) && !self.desk.is_hopeless(order) {
            return;
        }
        let (settled, done) = self.desk.not_now(order, Settled::default(), block.trouble.clone(), true);
        self.tried(place, Tried { settled, done, blocks: None, present: None, least: self.desk.least });
    }

    /// Tells what became of an order.
    fn tried(&mut self, place: &Place, tried: Tried) -> Option<Option<Present>> {
        let Tried { settled, done, present, least, .. } = tried;
        self.desk.least = least;
        if done {
            self.queue.remove(place);
            self.pending.set(self.queue.len());
        }
        self.desk.cluster.metrics().output(&settled, done);
        let (_, job, id) = place.clone();
        match &settled.trouble {
            None => self.span.in_scope(|| info!(job, id, "output settled")),
            Some(Trouble { reason, message: error }) => {
                self.span.in_scope(|| warn!(job, id, reason, error, "output not written"));
            }
        }
        self.supervisor.do_send(OutputSettled { job, id, settled, done });
        present
    }

    fn round_over(&mut self, failed: bool, ctx: &mut Context<Self>) {
        match self.next_round {
            NextRound::Due => {
                self.next_round = NextRound::None;
                return self.work(Round::default(), ctx);
            }
            // What came in during the pause has had its turn.
            NextRound::Scheduled => {
                self.state = State::Pausing;
                return;
            }
            NextRound::None => {}
        }
        if failed {
            self.state = State::Pausing;
            self.next_round = NextRound::Scheduled;
            ctx.notify_later(PauseOver, self.backoff.after_failure(steady()));
            return;
        }
        self.state = State::Idle;
        self.backoff.reset();
        self.block = None;
        // What came in meanwhile, and belongs before what this round was at.
        if !self.queue.is_empty() {
            self.work(Round::default(), ctx);
        }
    }
}

stops_when_told!(OutputWriter);

impl Actor for OutputWriter {
    type Context = Context<Self>;
}

impl Handler<PauseOver> for OutputWriter {
    type Result = ();

    fn handle(&mut self, _: PauseOver, ctx: &mut Self::Context) {
        if let State::Busy = self.state {
            self.next_round = NextRound::Due;
        } else {
            self.next_round = NextRound::None;
            self.work(Round::default(), ctx);
        }
    }
}

impl Handler<WriteOutput> for OutputWriter {
    type Result = ();

    fn handle(&mut self, order: WriteOutput, ctx: &mut Self::Context) {
        let ended = self.desk.ended(&order);
        let place = (ended, order.job.name.clone(), order.id.clone());
        self.queue.insert(place.clone(), order);
        self.pending.set(self.queue.len());
        match self.state {
            State::Idle => self.work(Round::default(), ctx),
            State::Pausing if self.block.is_some() => self.tell_of_block(&place),
            // What others have met concerns them alone.
            State::Pausing => {
                let behind = self.queue.range(..&place).next_back().map(|(before, _)| before.clone());
                self.work(Round { behind, ..Round::default() }, ctx);
            }
            // The round under way, or the next one, comes to it.
            State::Busy => {}
        }
    }
}
