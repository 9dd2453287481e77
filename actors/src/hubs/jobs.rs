//! The hub of Jobs: delivers each to the Supervisor of the ExtendedJob that controls it.

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, Context, Handler, StreamHandler};
use extendedjob_decide::{job::Job, track::Observation};

use super::{Change, Watched};
use crate::{
    cluster::{Cluster, jobs},
    lifeline::{Lifeline, stops_when_told},
    messages::{JobGone, JobSeen, JobSubscriber, JobsAtFirst, StandBy, SubscribeJobs, TermBegun},
    operator::{List, Readiness},
};

/// So many subscriptions that have ended are no burden.
const SOME: usize = 100;

/// Keeps all Jobs that bear our label.
pub(crate) struct JobHub {
    readiness: Readiness,
    jobs: Watched<Job>,
    subscriptions: HashMap<String, SubscribeJobs>,
    /// With so many it is looked which of them have ended.
    look_at: usize,
    _lifeline: Lifeline<&'static str>,
}

impl JobHub {
    pub(crate) fn new(cluster: Cluster, readiness: Readiness, lifeline: Lifeline<&'static str>) -> Self {
        Self {
            readiness,
            jobs: Watched::new(cluster, jobs::SOURCE),
            subscriptions: HashMap::new(),
            look_at: SOME,
            _lifeline: lifeline,
        }
    }

    fn tell(&self, subscription: &SubscribeJobs) {
        let owned = self.jobs.store.objects().filter(|job| is_of(job, subscription));
        subscription.subscriber.at_first.do_send(JobsAtFirst(owned.cloned().collect()));
    }

    /// Tells everyone, and looks at each Job once for that.
    fn tell_all(&self) {
        let mut owned: HashMap<&str, Vec<Arc<Job>>> = HashMap::new();
        for job in self.jobs.store.objects() {
            let subscription = job.owner.as_deref().and_then(|owner| self.subscriptions.get(owner));
            if let Some(subscription) = subscription.filter(|subscription| is_of(job, subscription)) {
                owned.entry(&subscription.owner).or_default().push(Arc::clone(job));
            }
        }
        for (owner, subscription) in &self.subscriptions {
            let jobs = owned.remove(owner.as_str()).unwrap_or_default();
            subscription.subscriber.at_first.do_send(JobsAtFirst(jobs));
        }
    }

    fn subscriber(&self, job: &Job) -> Option<&JobSubscriber> {
        let subscription = self.subscriptions.get(job.owner.as_deref()?)?;
        (self.jobs.store.is_complete() && is_of(job, subscription)).then_some(&subscription.subscriber)
    }
}

fn is_of(job: &Job, subscription: &SubscribeJobs) -> bool {
    job.owner.as_ref() == Some(&subscription.owner) && job.namespace == subscription.namespace
}

stops_when_told!(JobHub);

impl Actor for JobHub {
    type Context = Context<Self>;
}

impl Handler<TermBegun> for JobHub {
    type Result = ();

    fn handle(&mut self, _: TermBegun, ctx: &mut Self::Context) {
        self.jobs.list(ctx);
    }
}

impl Handler<StandBy> for JobHub {
    type Result = ();

    fn handle(&mut self, _: StandBy, ctx: &mut Self::Context) {
        self.jobs.watch(ctx);
    }
}

impl StreamHandler<Observation<Job>> for JobHub {
    fn handle(&mut self, observation: Observation<Job>, _: &mut Self::Context) {
        for change in self.jobs.store.take(observation) {
            match change {
                Change::Set { before, after } if before.as_deref() != Some(&*after) => {
                    if let Some(subscriber) = self.subscriber(&after) {
                        subscriber.seen.do_send(JobSeen(Arc::clone(&after)));
                    }
                }
                Change::Set { .. } => {}
                Change::Removed(job) => {
                    if let Some(subscriber) = self.subscriber(&job) {
                        subscriber.gone.do_send(JobGone(job));
                    }
                }
                Change::Complete => {
                    self.readiness.complete(List::Jobs);
                    self.tell_all();
                }
            }
        }
    }
}

impl Handler<SubscribeJobs> for JobHub {
    type Result = ();

    fn handle(&mut self, subscription: SubscribeJobs, _: &mut Self::Context) {
        if self.subscriptions.len() >= self.look_at {
            self.subscriptions.retain(|_, subscription| subscription.subscriber.seen.connected());
            self.look_at = 2 * self.subscriptions.len() + SOME;
        }
        if self.jobs.store.is_complete() {
            self.tell(&subscription);
        }
        self.subscriptions.insert(subscription.owner.clone(), subscription);
    }
}
