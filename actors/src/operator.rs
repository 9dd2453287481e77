//! The root: watches ExtendedJobs, and owns the hubs, the Elector, and, while it leads, one
//! Supervisor for each ExtendedJob. A standby watches, too, so that it is known whether it could lead, and writes
//! nothing.
//!
//! A Supervisor that falls is started anew and takes down no one else's. A hub that falls takes
//! the whole operator with it: everything rests on it, and everything is rebuilt at a start.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, StreamHandler, WrapFuture,
};
use extendedjob_api::TargetKind;
use extendedjob_decide::{
    checkpoint::Checkpoint, circle::circle, declared::Declared, scope::Scope, streams::Ways,
    track::Observation, transition::Trigger,
};
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info, warn};

use crate::{
    children::Children,
    clock::steady,
    cluster::{Candidacy, Cluster, extendedjobs},
    config_watcher::ConfigHubs,
    elector::{Elector, Leads},
    hubs::{Change, ConfigHub, JobHub, PodHub, Watched},
    lifeline::{ChildEnded, Lifeline, stops_when_told},
    messages::{
        Befell, BeginPods, Edited, Expect, FindCircle, StandBy, TermBegun, TermBroken, Unexpect, WaysChanged,
    },
    metrics::{Kind, Share},
    supervisor::{Limits, Supervisor, Surroundings},
};

/// Whether all first lists have been taken in, so that the operator acts on what it knows.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// A kind of object whose first list is waited for.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum List {
    ExtendedJobs = 1,
    Jobs = 2,
    Pods = 4,
}

impl Readiness {
    /// Whether it does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) == List::ExtendedJobs as u8 | List::Jobs as u8 | List::Pods as u8
    }

    pub(crate) fn complete(&self, list: List) {
        info!(?list, "list complete");
        self.0.fetch_or(list as u8, Ordering::Relaxed);
    }
}

/// The operators of one process. What an ExtendedJob does in one namespace can befall one in another.
#[derive(Clone, Default)]
pub struct Neighbours(Arc<Mutex<BTreeMap<Scope, Recipient<Befell>>>>);

impl Neighbours {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Scope, Recipient<Befell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub struct Operator {
    cluster: Cluster,
    neighbours: Neighbours,
    readiness: Readiness,
    candidacy: Candidacy,
    foundation: Option<Foundation>,
    declared: Watched<Declared>,
    /// The present term, with the checkpoint that it began with, while this process leads.
    term: Option<(i64, Option<Checkpoint>)>,
    limits: Limits,
    ways: watch::Sender<Arc<Ways>>,
    /// Fields that this version knows, and the API server does not; `None`: that is not known.
    dropped: Option<Vec<String>>,
    supervisors: Children<String, Supervisor>,
    known: Share,
    /// Dropped when this actor ends, however it ends.
    _alive: oneshot::Sender<()>,
}

/// How often it is asked what may have changed without anyone's telling.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What everything rests on: one that falls takes the operator with it.
struct Foundation {
    around: Surroundings,
    _pods: Children<(), PodHub>,
    _jobs: Children<(), JobHub>,
    _configs: [Children<(), ConfigHub>; 2],
    elector: Children<(), Elector>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Revive(String);

impl Operator {
    /// An operator for what `cluster` watches. `alive` is closed when it has ended.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        neighbours: Neighbours,
        candidacy: Candidacy,
        limits: Limits,
        ways: Ways,
        readiness: Readiness,
        alive: oneshot::Sender<()>,
    ) -> Self {
        Self {
            declared: Watched::new(cluster.clone(), extendedjobs::SOURCE),
            known: cluster.metrics().extended_jobs(),
            cluster,
            neighbours,
            readiness,
            candidacy,
            foundation: None,
            term: None,
            limits,
            ways: watch::Sender::new(Arc::new(ways)),
            dropped: None,
            supervisors: Children::default(),
            _alive: alive,
        }
    }

    fn supervise(&mut self, declared: &Arc<Declared>, ctx: &mut Context<Self>) {
        let Some(Foundation { around, .. }) = &self.foundation else { return };
        let around = around.clone();
        if let Some(triggers) = declared.spec.triggers.as_ref().filter(|_| !declared.deleting) {
            around.pods.do_send(Expect {
                owner: declared.uid.clone(),
                namespace: declared.namespace.clone(),
                trigger: Trigger::new(triggers),
                is_new: declared.status.ledger.is_none(),
            });
        }
        let uid = declared.uid.clone();
        let parent = ctx.address().recipient();
        self.supervisors.start(uid.clone(), |generation| {
            let lifeline = Lifeline::new(uid, generation, parent);
            Supervisor::new(Arc::clone(declared), around, lifeline).start()
        });
    }
}

impl Operator {
    /// The CustomResourceDefinition may be changed at any time; one that was found to be good stays so.
    fn ask_for_schema(&self, ctx: &mut Context<Self>) {
        if self.dropped.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let cluster = self.cluster.clone();
        let asking = async move { cluster.dropped_fields().await };
        ctx.spawn(asking.into_actor(self).map(|answer, operator, _| match answer {
            Ok(dropped) if dropped == operator.dropped => {}
            Ok(dropped) => {
                match dropped.as_deref() {
                    Some([]) => info!("the CustomResourceDefinition holds all that this version knows"),
                    Some(fields) => warn!(
                        ?fields,
                        "the CustomResourceDefinition is older than the operator, and the API server drops what it does not \
                         hold: apply the one of this version"
                    ),
                    None => {}
                }
                let count = dropped.as_ref().map_or(0, Vec::len);
                operator.cluster.metrics().dropped_fields(count);
                operator.dropped = dropped;
            }
            Err(error) => debug!(%error, "whether the CustomResourceDefinition is of this version is not known"),
        }));
    }

    /// The right to read log files on nodes may be given and taken at any time.
    fn ask_for_node_logs(&self, ctx: &mut Context<Self>) {
        if self.term.is_none() || !self.ways.borrow().depend_on_node_logs() {
            return;
        }
        let cluster = self.cluster.clone();
        let asking = async move { cluster.may_read_node_logs().await };
        ctx.spawn(asking.into_actor(self).map(|answer, operator, _| match answer {
            Ok(kubelet) if kubelet != operator.ways.borrow().kubelet => {
                info!(kubelet, "whether streams may be read from kubelets has changed");
                operator.ways.send_modify(|ways| *ways = Arc::new(Ways { kubelet, ..Ways::clone(ways) }));
                operator.supervisors.all().for_each(|supervisor| supervisor.do_send(WaysChanged));
            }
            Ok(_) => {}
            Err(error) => debug!(%error, "the ways to tell streams apart stay as they were"),
        }));
    }

    /// All ExtendedJobs are known. Pods are looked at only when each of them is expected to be told.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        let Some((term, checkpoint)) = self.term else { return };
        let known: Vec<_> = self.declared.store.objects().cloned().collect();
        known.iter().for_each(|declared| self.supervise(declared, ctx));
        if let Some(Foundation { around, .. }) = &self.foundation {
            around.pods.do_send(BeginPods { term, checkpoint });
        }
    }
}

stops_when_told!(Operator);

impl Actor for Operator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (cluster, readiness, me) = (&self.cluster, &self.readiness, ctx.address());
        self.neighbours.all().insert(cluster.scope().clone(), me.clone().recipient());
        let lifeline = |name, generation| Lifeline::new(name, generation, me.clone().recipient());
        let (mut pods, mut jobs, mut elector) =
            (Children::default(), Children::default(), Children::default());
        let (mut maps, mut secrets) = (Children::default(), Children::default());
        let around = Surroundings {
            cluster: cluster.clone(),
            operator: me.clone().recipient(),
            others: me.clone().recipient(),
            circles: me.clone().recipient(),
            limits: self.limits,
            ways: self.ways.subscribe(),
            pods: pods.start((), |generation| {
                let home = self.candidacy.namespace.clone();
                let lifeline = lifeline("pods", generation);
                PodHub::new(cluster.clone(), me.clone().recipient(), home, readiness.clone(), lifeline)
                    .start()
            }),
            configs: ConfigHubs {
                maps: maps.start((), |generation| {
                    let lifeline = lifeline("ConfigMaps", generation);
                    ConfigHub::new(TargetKind::ConfigMap, cluster.clone(), lifeline).start()
                }),
                secrets: secrets.start((), |generation| {
                    let lifeline = lifeline("Secrets", generation);
                    ConfigHub::new(TargetKind::Secret, cluster.clone(), lifeline).start()
                }),
            },
            jobs: jobs.start((), |generation| {
                JobHub::new(cluster.clone(), readiness.clone(), lifeline("jobs", generation)).start()
            }),
        };
        elector.start((), |generation| {
            let (operator, lifeline) = (me.clone().recipient(), lifeline("elector", generation));
            Elector::new(cluster.clone(), self.candidacy.clone(), operator, lifeline).start()
        });
        self.foundation =
            Some(Foundation { around, _pods: pods, _jobs: jobs, _configs: [maps, secrets], elector });
        ctx.run_interval(ASK_AGAIN, |operator, ctx| {
            operator.ask_for_node_logs(ctx);
            operator.ask_for_schema(ctx);
        });
    }
}

impl Handler<Leads> for Operator {
    type Result = ();

    fn handle(&mut self, leads: Leads, ctx: &mut Self::Context) {
        let Some(Foundation { around, .. }) = &self.foundation else { return };
        // Whoever supervised in an earlier term knows too little of what came after it.
        self.supervisors.let_all_go();
        match leads {
            Leads::No => {
                self.term = None;
                around.pods.do_send(StandBy);
                around.jobs.do_send(StandBy);
                self.declared.watch(ctx);
            }
            Leads::Yes { term, checkpoint } => {
                self.term = Some((term, checkpoint));
                around.pods.do_send(TermBegun);
                around.jobs.do_send(TermBegun);
                self.declared.list(ctx);
                self.ask_for_node_logs(ctx);
            }
        }
    }
}

impl Handler<TermBroken> for Operator {
    type Result = ();

    fn handle(&mut self, broken: TermBroken, _: &mut Self::Context) {
        if let Some(elector) = self.foundation.as_ref().and_then(|foundation| foundation.elector.get(&())) {
            elector.do_send(broken);
        }
    }
}

impl Handler<Befell> for Operator {
    type Result = ();

    fn handle(&mut self, befell: Befell, _: &mut Self::Context) {
        let Some((namespace, name)) = befell.extended_job.split_once('/') else { return };
        if self.cluster.scope().namespace().is_some_and(|own| own != namespace) {
            let there = Scope::Namespace(namespace.into());
            if let Some(neighbour) = self.neighbours.all().get(&there) {
                neighbour.do_send(befell);
            }
            return;
        }
        let is_it = |declared: &&Arc<Declared>| declared.namespace == namespace && declared.name == name;
        let other = self.declared.store.objects().find(is_it);
        // One that is gone has no Events to look at.
        if let Some(supervisor) = other.and_then(|declared| self.supervisors.get(&declared.uid)) {
            supervisor.do_send(befell);
        }
    }
}

impl Handler<FindCircle> for Operator {
    type Result = Option<String>;

    fn handle(&mut self, FindCircle(uid): FindCircle, _: &mut Self::Context) -> Self::Result {
        circle(self.declared.store.objects().map(|declared| &**declared), &uid)
    }
}

impl StreamHandler<Observation<Declared>> for Operator {
    fn handle(&mut self, observation: Observation<Declared>, ctx: &mut Self::Context) {
        for change in self.declared.store.take(observation) {
            match change {
                // Taken up when the list is complete.
                Change::Set { .. } if self.term.is_none() || !self.declared.store.is_complete() => {}
                Change::Set { after, .. } => match self.supervisors.get(&after.uid) {
                    Some(supervisor) => supervisor.do_send(Edited(after)),
                    // One that lies fallen is started with what the store holds then.
                    None if self.supervisors.is_fallen(&after.uid) => {}
                    None => self.supervise(&after, ctx),
                },
                Change::Removed(declared) => {
                    self.supervisors.let_go(&declared.uid);
                    if let Some(Foundation { around, .. }) = &self.foundation {
                        around.pods.do_send(Unexpect(declared.uid.clone()));
                    }
                }
                Change::Complete => {
                    self.readiness.complete(List::ExtendedJobs);
                    self.begin(ctx);
                    // Not earlier: to read it takes memory for a moment, which would stay under what is kept.
                    self.ask_for_schema(ctx);
                }
            }
        }
        if self.declared.store.is_complete() {
            self.known.set(self.declared.store.objects().len());
        }
    }
}

impl Handler<ChildEnded<String>> for Operator {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<String>, ctx: &mut Self::Context) {
        let ChildEnded { id: uid, generation, panicked } = ended;
        let Some(fall) = self.supervisors.ended(&uid, generation, steady()) else { return };
        self.cluster.metrics().actor_restarts(Kind::Supervisor, panicked);
        error!(uid, panicked, falls = fall.falls, delay = ?fall.delay, "supervisor fell");
        ctx.notify_later(Revive(uid), fall.delay);
    }
}

impl Handler<Revive> for Operator {
    type Result = ();

    fn handle(&mut self, Revive(uid): Revive, ctx: &mut Self::Context) {
        if let Some(declared) = self.declared.store.get(&uid).cloned()
            && self.supervisors.is_fallen(&uid)
        {
            self.supervise(&declared, ctx);
        }
    }
}

impl Handler<ChildEnded<&'static str>> for Operator {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<&'static str>, ctx: &mut Self::Context) {
        error!(actor = ended.id, panicked = ended.panicked, "what everything rests on fell");
        ctx.stop();
    }
}
