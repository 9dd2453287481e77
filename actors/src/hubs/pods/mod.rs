//! The hub of pods: keeps what decides of every pod, delivers what happens to the watchers whose
//! triggers it may concern, and says how far all of that is settled.
//!
//! Duties: everything that happens after the checkpoint is delivered to each ExtendedJob that was
//! known by then, again after whatever falls; and the checkpoint passes nothing that is not settled
//! or not in the book.

mod book;
mod interests;
mod of_jobs;
mod subscriptions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle,
    StreamHandler, WrapFuture,
};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    book::{Book, Loss, Read},
    checkpoint::{Checkpoint, Deliveries, Receipt, reach},
    pod::{Pod, Version},
    retry::Backoff,
    track::{Observation, Start, Tracker},
    transition::{Move, What},
    view::Trouble,
};
use futures::{TryFutureExt, future::try_join};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use self::{
    book::{Size, Writing},
    interests::Interests,
    of_jobs::OfJobs,
};
use crate::{
    clock::steady,
    cluster::{
        Cluster,
        pods::{self, WatchedPod},
    },
    lifeline::{Lifeline, stops_when_told},
    messages::{BeginPods, Breach, PodMoved, Recall, Settled, StandBy, SubscribePods, TermBegun, TermBroken},
    metrics::Share,
    operator::{List, Readiness},
};

/// A pod that came and went while an ExtendedJob was being learnt of is remembered this long.
const GONE_REMEMBERED: Duration = Duration::from_secs(60);

/// Keeps all pods, slim.
pub(crate) struct PodHub {
    cluster: Cluster,
    operator: Recipient<TermBroken>,
    /// The namespace where the book is kept.
    home: String,
    readiness: Readiness,
    tracker: Tracker,
    watching: Option<SpawnHandle>,
    gone: VecDeque<(Instant, Arc<Pod>)>,
    interests: Interests,
    of_jobs: OfJobs,
    deliveries: Deliveries,
    /// When the watch told of each delivery that is not settled.
    observed: HashMap<Receipt, Instant>,
    /// Watchers that wait for the first list.
    waiting: BTreeMap<String, SubscribePods>,
    /// What is kept for the next leader; `None` while another one leads.
    keeping: Option<Keeping>,
    /// The term for which that is being read.
    beginning: Option<i64>,
    known: Share,
    _lifeline: Lifeline<&'static str>,
}

/// What a leader keeps beyond the pods themselves.
struct Keeping {
    term: i64,
    checkpoint: Option<Checkpoint>,
    /// It began with neither checkpoint nor book.
    is_first: bool,
    book: Book,
    writing: Writing,
    size: Size,
    /// The namespaces whose book was whole at the begin of the term, and when it was written.
    booked: BTreeMap<String, Timestamp>,
    /// Of which namespaces it was not, and why.
    lost: BTreeMap<String, Trouble>,
    /// What was so far when the term began may be observed again.
    barrier: Version,
    /// Who counts pods from a later time on, so that a loss is of no more concern.
    rebased: BTreeSet<String>,
}

/// Everything that a term begins with could not be read: try again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Again(BeginPods, Backoff);

impl PodHub {
    pub(crate) fn new(
        cluster: Cluster,
        operator: Recipient<TermBroken>,
        home: String,
        readiness: Readiness,
        lifeline: Lifeline<&'static str>,
    ) -> Self {
        Self {
            operator,
            home,
            readiness,
            tracker: Tracker::default(),
            watching: None,
            gone: VecDeque::new(),
            interests: Interests::default(),
            of_jobs: OfJobs::default(),
            deliveries: Deliveries::default(),
            observed: HashMap::new(),
            waiting: BTreeMap::new(),
            keeping: None,
            beginning: None,
            known: cluster.metrics().pods(),
            cluster,
            _lifeline: lifeline,
        }
    }

    /// Watches on from a list, with nothing known yet but what `tracker` begins with.
    fn watch(&mut self, tracker: Tracker, at: Option<Version>, ctx: &mut Context<Self>) {
        if let Some(watching) = self.watching.take() {
            ctx.cancel_future(watching);
        }
        self.tracker = tracker;
        self.gone.clear();
        self.of_jobs.clear();
        self.watching = Some(ctx.add_stream(self.cluster.watch(pods::SOURCE, at)));
    }

    /// Watches, unless it does: a standby knows whether it could lead, and so does who can't begin to.
    fn watch_as_standby(&mut self, ctx: &mut Context<Self>) {
        if self.watching.is_none() {
            self.watch(Tracker::default(), None, ctx);
        }
    }

    /// Reads what the leader before has left, and goes on from there.
    fn begin(&mut self, begin: BeginPods, mut backoff: Backoff, ctx: &mut Context<Self>) {
        let (cluster, home) = (self.cluster.clone(), self.home.clone());
        let reading = async move {
            let pages = cluster.pages(&home).map_err(|error| error.to_string());
            let barrier = cluster.pods_version().map_err(|error| error.to_string());
            try_join(pages, barrier).await
        };
        ctx.spawn(reading.into_actor(self).map(move |read, hub, ctx| match read {
            _ if hub.beginning != Some(begin.term) => {}
            Ok((pages, barrier)) => {
                let is_first = begin.checkpoint.is_none() && pages.is_empty();
                let Read { book, times, unused, lost } = Book::read(pages.clone());
                let aside = pages.iter().filter(|page| lost.contains_key(&page.id.0)).cloned().collect();
                let lost = lost.into_iter().map(|(namespace, loss)| (namespace, trouble(&loss)));
                // After a restore of the cluster it may be about a time that has not come yet.
                let checkpoint = begin.checkpoint.filter(|checkpoint| checkpoint.version <= barrier);
                hub.cluster.progress().begin(checkpoint);
                let writing = Writing::new(&pages, aside, unused);
                let mut size = Size::new(hub.cluster.metrics());
                size.set(&writing);
                let keeping = Keeping {
                    term: begin.term,
                    is_first,
                    checkpoint,
                    booked: times,
                    lost: lost.collect(),
                    book,
                    writing,
                    size,
                    barrier,
                    rebased: BTreeSet::new(),
                };
                hub.begun(keeping, ctx);
            }
            Err(error) => {
                let delay = backoff.after_failure(steady());
                warn!(error, ?delay, "the term can't begin");
                hub.watch_as_standby(ctx);
                ctx.notify_later(Again(begin, backoff), delay);
            }
        }));
    }

    fn begun(&mut self, keeping: Keeping, ctx: &mut Context<Self>) {
        self.beginning = None;
        let at = keeping.checkpoint.filter(|checkpoint| !checkpoint.forgotten);
        let at = at.map(|checkpoint| checkpoint.version);
        let (term, barrier) = (keeping.term, keeping.barrier);
        let start = match (at, keeping.checkpoint) {
            (Some(version), _) => {
                info!(term, checkpoint = version, barrier, "going on from the checkpoint");
                Start::At(version)
            }
            (None, checkpoint) => {
                warn!(term, ?checkpoint, barrier, "no checkpoint to go on from; comparing with the book");
                keeping.behind()
            }
        };
        let tracker = Tracker::new(start, keeping.book.lines().cloned());
        let unused: Vec<String> = keeping
            .book
            .namespaces()
            .filter(|namespace| !self.interests.has_any_in(namespace))
            .cloned()
            .collect();
        self.keeping = Some(keeping);
        self.watch(tracker, at, ctx);
        let wanted: Vec<String> = self.interests.namespaces().cloned().collect();
        let Some(Keeping { book, checkpoint, .. }) = &mut self.keeping else { return };
        let seen = checkpoint.map(|checkpoint| checkpoint.version).unwrap_or_default();
        wanted.iter().for_each(|namespace| book.open(namespace, seen));
        unused.iter().for_each(|namespace| self.close_book(namespace, ctx));
        self.write_book(ctx);
    }

    /// The watch can't say what happened since: only another term can find out.
    fn end_term(&mut self, breach: Breach) {
        if let Some(Keeping { term, .. }) = self.keeping {
            self.stand_by();
            self.operator.do_send(TermBroken { term, breach });
        }
    }

    /// What was delivered is the next leader's.
    fn stand_by(&mut self) {
        self.keeping = None;
        self.beginning = None;
        self.interests = Interests::default();
        self.deliveries = Deliveries::default();
        self.observed.clear();
        self.waiting.clear();
    }

    fn happened(&mut self, moved: &Move) {
        let pod = &moved.after;
        if self.tracker.is_complete() && self.keeping.is_some() {
            self.interests.count(moved);
        }
        let interested = self.interests.in_pod(pod);
        if let Some(Keeping { book, .. }) = &mut self.keeping
            && (!interested.is_empty() || book.names(pod))
        {
            book.note(pod, moved.what == What::Vanished, moved.seen);
        }
        if moved.what != What::Altered && self.keeping.is_some() {
            for (owner, interest) in interested {
                let receipt = self.deliveries.deliver(&owner, moved.clone());
                let observed = *self.observed.entry(receipt).or_insert_with(Instant::now);
                if let Some((_, subscriber)) = &interest.subscriber {
                    subscriber.moved.do_send(PodMoved { receipt, moved: moved.clone(), observed });
                }
            }
        }
        if moved.what == What::Vanished {
            self.remember(Arc::clone(pod));
        }
    }

    fn remember(&mut self, pod: Arc<Pod>) {
        let now = Instant::now();
        while self.gone.front().is_some_and(|(since, _)| now.duration_since(*since) > GONE_REMEMBERED) {
            self.gone.pop_front();
        }
        self.gone.push_back((now, pod));
    }

    /// Moves the checkpoint as far as it may go.
    fn reach(&self) {
        let Some(keeping) = self.keeping.as_ref().filter(|_| self.tracker.is_complete()) else { return };
        let (reached, least) = if self.is_first(keeping) {
            let listed = self.tracker.known_since();
            (listed, listed)
        } else {
            let (unsettled, unwritten) = (self.deliveries.oldest(), keeping.book.unwritten());
            (reach(self.tracker.position(), unsettled, unwritten), self.tracker.known_since())
        };
        if reached >= least {
            self.cluster.progress().reach(reached, self.tracker.newest_by(reached));
        }
    }

    /// Whether nothing has ever been stored: neither is anything promised yet. The first checkpoint comes
    /// before the first page, for pages without one tell that it was lost.
    fn is_first(&self, keeping: &Keeping) -> bool {
        keeping.is_first && self.cluster.progress().stored() == 0
    }
}

impl Keeping {
    fn behind(&self) -> Start {
        let mut booked = self.booked.clone();
        // What was not there at the checkpoint is new, whenever its page was written.
        if let Some(Checkpoint { time, .. }) = self.checkpoint {
            booked.values_mut().for_each(|since| *since = time);
        }
        Start::Behind { checkpoint: self.checkpoint.map(|checkpoint| checkpoint.version), booked }
    }

    /// Why nothing is known of what pods of a namespace were like when the term began.
    fn loss(&self, namespace: &str) -> Option<Trouble> {
        let missing = || (!self.booked.contains_key(namespace)).then(|| trouble(&Loss::Missing(0)));
        self.lost.get(namespace).cloned().or_else(missing)
    }
}

fn trouble(loss: &Loss) -> Trouble {
    let reason = match loss {
        Loss::Missing(_) => reasons::LEDGER_LOST,
        Loss::Unreadable(..) => reasons::LEDGER_UNREADABLE,
    };
    Trouble { reason, message: loss.to_string() }
}

stops_when_told!(PodHub);

impl Actor for PodHub {
    type Context = Context<Self>;
}

impl Handler<TermBegun> for PodHub {
    type Result = ();

    /// The list that the term begins with is another one than a standby's.
    fn handle(&mut self, _: TermBegun, _: &mut Self::Context) {
        self.stand_by();
    }
}

impl Handler<BeginPods> for PodHub {
    type Result = ();

    fn handle(&mut self, begin: BeginPods, ctx: &mut Self::Context) {
        self.beginning = Some(begin.term);
        self.begin(begin, Backoff::default(), ctx);
    }
}

impl Handler<Again> for PodHub {
    type Result = ();

    fn handle(&mut self, Again(begin, backoff): Again, ctx: &mut Self::Context) {
        self.begin(begin, backoff, ctx);
    }
}

impl Handler<StandBy> for PodHub {
    type Result = ();

    fn handle(&mut self, _: StandBy, ctx: &mut Self::Context) {
        self.stand_by();
        self.watch_as_standby(ctx);
    }
}

impl StreamHandler<Observation<WatchedPod>> for PodHub {
    fn handle(&mut self, observation: Observation<WatchedPod>, ctx: &mut Self::Context) {
        self.of_jobs.observe(&observation);
        let observation = observation.map(|watched| watched.pod);
        match &observation {
            Observation::Lost => self.end_term(Breach::CheckpointForgotten),
            Observation::RelistBegun if self.tracker.is_complete() => self.end_term(Breach::PlaceLost),
            Observation::Undecodable(undecodable) => {
                warn!(pod = undecodable.name, error = undecodable.error, "can't understand a pod");
            }
            _ => {}
        }
        let was_complete = self.tracker.is_complete();
        self.tracker.pass(self.cluster.progress().stored());
        for moved in self.tracker.observe(observation) {
            self.happened(&moved);
        }
        if self.tracker.is_complete() {
            self.known.set(self.tracker.pods().len());
        }
        if !was_complete && self.tracker.is_complete() {
            self.readiness.complete(List::Pods);
            // The list of a standby answers nobody: the term begins with another one.
            if self.keeping.is_some() {
                self.tell_waiting();
            }
        }
        self.write_book(ctx);
        self.reach();
    }
}

impl Handler<Recall> for PodHub {
    type Result = MessageResult<Recall>;

    fn handle(&mut self, Recall(pods): Recall, _: &mut Self::Context) -> Self::Result {
        // A list at the checkpoint shows pods as they were then.
        let has_caught_up = |keeping: &Keeping| self.tracker.position() >= keeping.barrier;
        let is_known = self.tracker.is_complete() && self.keeping.as_ref().is_some_and(has_caught_up);
        MessageResult(is_known.then(|| self.tracker.pods_of(&pods).cloned().collect()))
    }
}

impl Handler<Settled> for PodHub {
    type Result = ();

    fn handle(&mut self, Settled { owner, receipts, based }: Settled, _: &mut Self::Context) {
        if based {
            self.deliveries.release(&owner);
        }
        for receipt in receipts {
            self.deliveries.settle(&owner, receipt);
            self.observed.remove(&receipt);
        }
        self.reach();
    }
}

#[cfg(test)]
mod tests {
    use actix::{Addr, System};
    use serde_json::json;

    use super::*;
    use crate::{
        lifeline::Deaf,
        stand_in::{Asked, Reply, StandIn},
    };

    fn hub(api: &StandIn) -> Addr<PodHub> {
        let parent = Deaf.start();
        let hub = PodHub::new(
            api.cluster(),
            parent.clone().recipient(),
            "home".into(),
            Readiness::default(),
            Lifeline::new("pods", 1, parent.recipient()),
        );
        hub.start()
    }

    #[test]
    fn a_process_that_leads_at_once_lists_pods_once_and_as_they_were_at_the_checkpoint() {
        System::new().block_on(async {
            let mut api = StandIn::answering(|asked| match asked.lists_pods() {
                true => Reply::Never,
                false => Reply::Now(200, json!({ "metadata": { "resourceVersion": "9" }, "items": [] })),
            });
            let hub = hub(&api);
            let checkpoint = Some(Checkpoint { version: 7, time: Timestamp::UNIX_EPOCH, forgotten: false });
            hub.do_send(TermBegun);
            hub.do_send(BeginPods { term: 1, checkpoint });
            let first = api.next(Asked::lists_pods).await;
            assert!(first.query.contains("resourceVersion=7&resourceVersionMatch=Exact"), "{}", first.query);
        });
    }

    #[test]
    fn who_can_not_begin_a_term_watches_like_a_standby() {
        System::new().block_on(async {
            let mut api = StandIn::answering(|asked| match asked.lists_pods() {
                true => Reply::Never,
                false => Reply::refused(403, "Forbidden"),
            });
            let hub = hub(&api);
            hub.do_send(TermBegun);
            hub.do_send(BeginPods { term: 1, checkpoint: None });
            api.next(Asked::lists_pods).await;
        });
    }
}
