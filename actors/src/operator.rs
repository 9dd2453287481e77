//! The root: watches ExtendedJobs, and owns the hubs and one Supervisor for each ExtendedJob.
//!
//! A Supervisor that falls is started anew and takes down no one else's. A hub that falls takes
//! the whole operator with it: everything rests on it, and everything is rebuilt at a start.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, StreamHandler};
use extendedjob_decide::declared::Declared;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::{
    children::Children,
    cluster::{Cluster, extendedjobs, watch::Observation},
    hubs::{Change, JobHub, PodHub, Store},
    lifeline::{ChildEnded, Lifeline, stops_when_told},
    messages::Edited,
    supervisor::{Supervisor, Surroundings},
};

/// Whether all first lists have been taken in, so that the operator acts on what it knows.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// ExtendedJobs, Jobs and pods.
const LISTS: u8 = 3;

impl Readiness {
    /// Whether it does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LISTS
    }

    pub(crate) fn first_list_complete(&self, of: &'static str) {
        info!(of, "first list complete");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// See the module.
pub struct Operator {
    cluster: Cluster,
    readiness: Readiness,
    around: Option<Surroundings>,
    hubs: (Children<&'static str, PodHub>, Children<&'static str, JobHub>),
    store: Store<Declared>,
    supervisors: Children<String, Supervisor>,
    /// Dropped when this actor ends, however it ends.
    _alive: oneshot::Sender<()>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Revive(String);

impl Operator {
    /// An operator for the whole cluster. `alive` is closed when it has ended.
    #[must_use]
    pub fn new(cluster: Cluster, readiness: Readiness, alive: oneshot::Sender<()>) -> Self {
        Self {
            cluster,
            readiness,
            around: None,
            hubs: (Children::default(), Children::default()),
            store: Store::default(),
            supervisors: Children::default(),
            _alive: alive,
        }
    }

    fn supervise(&mut self, declared: &Arc<Declared>, ctx: &mut Context<Self>) {
        let Some(around) = self.around.clone() else { return };
        let uid = declared.uid.clone();
        let parent = ctx.address().recipient();
        self.supervisors.start(uid.clone(), |generation| {
            let lifeline = Lifeline::new(uid, generation, parent);
            Supervisor::new(Arc::clone(declared), around, lifeline).start()
        });
    }
}

stops_when_told!(Operator);

impl Actor for Operator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (cluster, readiness, me) = (&self.cluster, &self.readiness, ctx.address());
        let pods = self.hubs.0.start("pods", |generation| {
            let lifeline = Lifeline::new("pods", generation, me.clone().recipient());
            PodHub::new(cluster.clone(), readiness.clone(), lifeline).start()
        });
        let jobs = self.hubs.1.start("jobs", |generation| {
            let lifeline = Lifeline::new("jobs", generation, me.clone().recipient());
            JobHub::new(cluster.clone(), readiness.clone(), lifeline).start()
        });
        self.around = Some(Surroundings { cluster: cluster.clone(), pods, jobs });
        ctx.add_stream(self.cluster.watch(extendedjobs::SOURCE));
    }
}

impl StreamHandler<Observation<Declared>> for Operator {
    fn handle(&mut self, observation: Observation<Declared>, ctx: &mut Self::Context) {
        for change in self.store.take(observation, |declared, _| declared) {
            match change {
                Change::Set { after, .. } => match self.supervisors.get(&after.uid) {
                    Some(supervisor) => supervisor.do_send(Edited(after)),
                    // One that lies fallen is started with what the store holds then.
                    None if self.supervisors.is_fallen(&after.uid) => {}
                    None => self.supervise(&after, ctx),
                },
                Change::Removed(declared) => self.supervisors.let_go(&declared.uid),
                Change::Complete => self.readiness.first_list_complete("extendedjobs"),
            }
        }
    }
}

impl Handler<ChildEnded<String>> for Operator {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<String>, ctx: &mut Self::Context) {
        let ChildEnded { id: uid, generation, panicked } = ended;
        let Some(fall) = self.supervisors.ended(&uid, generation, Timestamp::now()) else { return };
        error!(uid, panicked, falls = fall.falls, delay = ?fall.delay, "supervisor fell");
        ctx.notify_later(Revive(uid), fall.delay);
    }
}

impl Handler<Revive> for Operator {
    type Result = ();

    fn handle(&mut self, Revive(uid): Revive, ctx: &mut Self::Context) {
        if let Some(declared) = self.store.get(&uid).cloned()
            && self.supervisors.is_fallen(&uid)
        {
            self.supervise(&declared, ctx);
        }
    }
}

impl Handler<ChildEnded<&'static str>> for Operator {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<&'static str>, ctx: &mut Self::Context) {
        error!(hub = ended.id, panicked = ended.panicked, "hub fell, the operator starts anew");
        ctx.stop();
    }
}
