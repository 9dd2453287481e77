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

/// Elector → Operator: whether it leads; said for the first time as soon as that is known, or can't be found out.
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
    /// Not, or no longer: stop everything that writes, and watch.
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
    /// When it was asked last whether the fence stands, and it did.
    fence_stood: Instant,
    looks_at_fence: bool,
    /// The write that was tried last met a Lease that is not as it was.
    conflicted: bool,
    /// How often it has given up a term.
    resigned: u64,
    /// The Operator has been told whether it leads.
    told: bool,
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

/// The Lease is ours for a new term, which may be announced when no earlier one can create a Job any more. If that can't be
/// had, another candidate may try.
async fn begin(cluster: &Cluster, candidacy: &Candidacy, lease: Lease) -> Result<Lease, ElectionError> {
    let term = lease.transitions;
    if let Err(error) = cluster.raise_fence(candidacy, term).await {
        give_back(cluster, candidacy, term, None).await;
        return Err(error.into());
    }
    Ok(lease)
}

/// The Lease is ours in this term, and free when it ends; others need not wait for that.
async fn give_back(cluster: &Cluster, candidacy: &Candidacy, term: i64, checkpoint: Option<Checkpoint>) {
    if let Err(error) = cluster.release_lease(candidacy, Some(term), checkpoint).await {
        warn!(%error, "the Lease was not released; it is free when it ends");
    }
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
            fence_stood: Instant::now(),
            looks_at_fence: false,
            conflicted: false,
            resigned: 0,
            told: false,
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
            Step::Stand(lease) => {
                self.conflicted = false;
                lease
            }
            Step::Write(write) => {
                // Whoever works for an earlier term is told to stop before another one can begin.
                if !matches!(write, Write::Renew(_)) {
                    self.resign("the Lease is free");
                }
                return self.write(write, ctx);
            }
        };
        self.resign("someone else holds the Lease");
        self.stand_by();
        if self.leader != lease.holder {
            info!(leader = lease.holder, term = lease.transitions, "standing by");
            self.leader = lease.holder;
        }
        ctx.notify_later(Tick, TIMING.period);
    }

    fn write(&mut self, write: Write, ctx: &mut Context<Self>) {
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let (sent, resigned) = (Instant::now(), self.resigned);
        let writing = async move {
            match write {
                Write::Create(number) => {
                    begin(&cluster, &candidacy, cluster.create_lease(&candidacy, number, TIMING).await?).await
                }
                Write::Take(lease, number) => {
                    let taken = cluster.take_lease(&candidacy, &lease, number, TIMING).await?;
                    begin(&cluster, &candidacy, taken).await
                }
                Write::Renew(lease) => {
                    let checkpoint = cluster.progress().checkpoint();
                    Ok(cluster.renew_lease(&candidacy, &lease, checkpoint).await?)
                }
            }
        };
        ctx.spawn(writing.into_actor(self).map(move |lease, elector, ctx| match lease {
            // The answer comes to one that has given up meanwhile: see who holds it now.
            Ok(_) if elector.resigned != resigned => elector.look(ctx),
            Ok(lease) => elector.holds(lease, sent, ctx),
            // Someone was quicker, or edited the Lease: see who holds it now.
            Err(ElectionError::Lease(error)) if error.is_conflict() && !elector.conflicted => {
                elector.conflicted = true;
                elector.look(ctx);
            }
            Err(error) => elector.failed(&error, ctx),
        }));
    }

    /// The Lease is ours; the write that says so was sent at `sent`.
    fn holds(&mut self, lease: Lease, sent: Instant, ctx: &mut Context<Self>) {
        ctx.notify_later(Tick, TIMING.period);
        self.conflicted = false;
        self.memory.note(&lease);
        let (term, until) = (lease.transitions, sent + TIMING.renew_deadline);
        let begins = !self.leads_in(term);
        if begins && until <= Instant::now() {
            // It took too long to get so far. The Lease is taken for another term.
            return self.stand_by();
        }
        self.cluster.term().hold(term, until);
        if begins {
            info!(term, identity = self.candidacy.identity, "leading");
            self.leader = Some(self.candidacy.identity.clone());
            let checkpoint = self.memory.checkpoint();
            self.cluster.progress().begin(checkpoint);
            self.fence_stood = sent;
            self.tell(Leads::Yes { term, checkpoint });
        } else if let Some(checkpoint) = lease.checkpoint {
            self.cluster.progress().store(checkpoint);
        }
        self.held = Some(lease);
        self.look_at_fence(term, ctx);
    }

    /// Sees to it from time to time that the fence still stands. Not as a part of a renewal, which must not wait for it.
    fn look_at_fence(&mut self, term: i64, ctx: &mut Context<Self>) {
        if self.looks_at_fence || self.fence_stood.elapsed() < FENCE_PERIOD {
            return;
        }
        self.looks_at_fence = true;
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let (sent, looking) = (Instant::now(), async move { cluster.raise_fence(&candidacy, term).await });
        ctx.spawn(looking.into_actor(self).map(move |stands, elector, _| {
            elector.looks_at_fence = false;
            match stands {
                Ok(()) => elector.fence_stood = sent,
                Err(FenceError::Ahead(fence, ahead)) if elector.leads_in(term) => {
                    warn!(fence, ahead, "the fence stands higher than the term");
                    elector.memory.note_term(ahead);
                    elector.resign("the API server takes no Job of this term any more");
                }
                Err(error) => warn!(%error, "election"),
            }
        }));
    }

    fn leads_in(&self, term: i64) -> bool {
        self.held.as_ref().is_some_and(|held| held.transitions == term)
    }

    fn failed(&mut self, error: &ElectionError, ctx: &mut Context<Self>) {
        warn!(%error, "election");
        self.conflicted = false;
        if let ElectionError::Fence(FenceError::Ahead(_, term)) = error {
            self.memory.note_term(*term);
        }
        // Only an answered renewal prolongs a term.
        if self.cluster.term().number().is_none() {
            self.resign("the Lease could not be renewed in time");
            self.stand_by();
        }
        ctx.notify_later(Tick, TIMING.period);
    }

    fn resign(&mut self, because: &str) {
        self.cluster.term().end();
        if self.held.take().is_some() {
            self.resigned += 1;
            warn!(because, "no longer leading");
            self.tell(Leads::No);
        }
    }

    /// Lists and watches begin with the first word: a process that leads at once lists everything once.
    fn stand_by(&mut self) {
        if !self.told {
            self.tell(Leads::No);
        }
    }

    fn tell(&mut self, leads: Leads) {
        self.told = true;
        self.operator.do_send(leads);
    }
}

stops_when_told!(Elector);

impl Handler<TermBroken> for Elector {
    type Result = ();

    /// Gives the Lease back, so that whoever takes it next, which may be this process, begins anew
    /// under another number.
    fn handle(&mut self, TermBroken { term, breach }: TermBroken, ctx: &mut Self::Context) {
        if !self.leads_in(term) {
            return;
        }
        self.resign(&breach.to_string());
        let forgotten = self.memory.checkpoint().filter(|_| breach == Breach::CheckpointForgotten);
        let checkpoint = forgotten.map(|checkpoint| Checkpoint { forgotten: true, ..checkpoint });
        let (cluster, candidacy) = (self.cluster.clone(), self.candidacy.clone());
        let giving_back = async move { give_back(&cluster, &candidacy, term, checkpoint).await };
        ctx.spawn(giving_back.into_actor(self));
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
    use std::sync::{Arc, Mutex};

    use actix::System;
    use extendedjob_api::names;
    use http::Method;
    use serde_json::{Value, json};
    use tokio::{
        sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        time::{pause, timeout},
    };

    use super::*;
    use crate::{
        lifeline::Deaf,
        stand_in::{Asked, Reply, StandIn},
    };

    /// Stands where the Operator stands.
    struct Parent(UnboundedSender<Leads>);

    impl Actor for Parent {
        type Context = Context<Self>;
    }

    impl Handler<Leads> for Parent {
        type Result = ();

        fn handle(&mut self, leads: Leads, _: &mut Self::Context) {
            self.0.send(leads).unwrap_or_default();
        }
    }

    fn elect(api: &StandIn) -> UnboundedReceiver<Leads> {
        let (sender, told) = unbounded_channel();
        let parent = Parent(sender).start();
        let candidacy =
            Candidacy { namespace: "home".into(), name: "operator".into(), identity: "me".into() };
        let cluster = api.cluster();
        let lifeline = Lifeline::new("elector", 1, Deaf.start().recipient());
        Elector::new(cluster, candidacy, parent.recipient(), lifeline).start();
        told
    }

    async fn first_word(api: &StandIn) -> Option<Leads> {
        let mut told = elect(api);
        timeout(TIMING.duration, told.recv()).await.expect("it is told")
    }

    #[test]
    fn who_can_not_find_out_who_leads_is_told_to_stand_by() {
        System::new().block_on(async {
            pause();
            let api = StandIn::answering(|_| Reply::refused(403, "Forbidden"));
            assert_eq!(first_word(&api).await, Some(Leads::No));
        });
    }

    #[test]
    fn who_can_not_make_the_lease_where_it_should_be_is_told_to_stand_by_and_does_not_ask_without_a_pause() {
        System::new().block_on(async {
            pause();
            let mut tries = 0;
            let mut api = StandIn::answering(move |asked| {
                tries += usize::from(asked.method == Method::POST);
                if tries > 2 { Reply::Never } else { Reply::refused(404, "NotFound") }
            });
            assert_eq!(first_word(&api).await, Some(Leads::No));
            assert_eq!(api.count(|asked: &Asked| asked.method == Method::POST), 2);
        });
    }

    /// The Lease of this process in its first term, at this version.
    fn lease(version: &str) -> Value {
        let spec = json!({ "holderIdentity": "me", "leaseTransitions": 1 });
        json!({ "metadata": { "name": "operator", "resourceVersion": version }, "spec": spec })
    }

    /// There is no Lease yet, and the fence stands. What becomes of later looks and of renewals is said.
    fn letting_lead(
        look: impl Fn(usize) -> Reply + Send + 'static,
        renewal: impl Fn(&Asked) -> Reply + Send + 'static,
    ) -> StandIn {
        let standing = json!({ "metadata": { "annotations": { names::TERM: "1" } } });
        let mut looks = 0;
        StandIn::answering(move |asked| match (&asked.method, asked.path.contains("/leases")) {
            (_, false) => Reply::Now(200, standing.clone()),
            (&Method::GET, _) => {
                looks += 1;
                if looks == 1 { Reply::refused(404, "NotFound") } else { look(looks) }
            }
            (&Method::POST, _) => Reply::Now(201, lease("created")),
            _ => renewal(asked),
        })
    }

    #[test]
    fn a_leader_whose_lease_was_edited_looks_at_it_until_it_is_answered() {
        System::new().block_on(async {
            pause();
            let look = |looks| match looks {
                2 => Reply::refused(500, "InternalError"),
                _ => Reply::Now(200, lease("edited")),
            };
            let renewal = |asked: &Asked| match asked.body["metadata"]["resourceVersion"] == "edited" {
                true => Reply::Now(200, lease("edited")),
                false => Reply::refused(409, "Conflict"),
            };
            let api = letting_lead(look, renewal);
            let mut told = elect(&api);
            assert_eq!(told.recv().await, Some(Leads::Yes { term: 1, checkpoint: None }));
            timeout(4 * TIMING.renew_deadline, told.recv()).await.expect_err("it leads on");
        });
    }

    #[test]
    fn a_leader_that_can_not_renew_its_lease_because_it_is_edited_all_the_time_says_so_when_its_term_is_over()
    {
        System::new().block_on(async {
            pause();
            let look = |_| Reply::Now(200, lease("edited"));
            let mut api = letting_lead(look, |_| Reply::refused(409, "Conflict"));
            let mut told = elect(&api);
            assert_eq!(told.recv().await, Some(Leads::Yes { term: 1, checkpoint: None }));
            let resigned = timeout(TIMING.duration, told.recv()).await.expect("others may lead");
            assert_eq!(resigned, Some(Leads::No));
            let renewals = api.count(|asked| asked.method == Method::PATCH && asked.path.contains("/leases"));
            let most = 2 * TIMING.duration.as_secs() / TIMING.period.as_secs();
            assert!(renewals as u64 <= most, "{renewals} renewals");
        });
    }

    #[test]
    fn a_leader_whose_renewals_are_done_and_answered_as_if_they_had_not_been_leads_on() {
        System::new().block_on(async {
            pause();
            let stored = Arc::new(Mutex::new(lease("created")));
            let there = Arc::clone(&stored);
            let look = move |_| Reply::Now(200, there.lock().unwrap().clone());
            let renewal = move |asked: &Asked| {
                let mut stored = stored.lock().unwrap();
                if asked.body["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"] {
                    let time = &asked.body["spec"]["renewTime"];
                    stored["metadata"]["resourceVersion"] = time.clone();
                    stored["spec"]["renewTime"] = time.clone();
                }
                Reply::refused(409, "Conflict")
            };
            let api = letting_lead(look, renewal);
            let mut told = elect(&api);
            assert_eq!(told.recv().await, Some(Leads::Yes { term: 1, checkpoint: None }));
            timeout(4 * TIMING.renew_deadline, told.recv()).await.expect_err("it leads on");
        });
    }

    #[test]
    fn writes_end_before_the_lease_does() {
        assert!(TIMING.is_safe());
    }
}
