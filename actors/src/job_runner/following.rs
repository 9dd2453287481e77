//! Follows a Job that is there: its pods, attempt by attempt, and its end.

use std::{sync::Arc, time::Duration};

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::ContainerEnd;
use extendedjob_decide::{
    attempts::{AttemptEnd, Attempts, JobPod, Step},
    job::Job,
};
use jiff::Timestamp;
use tracing::debug;

use super::{JobRunner, Stage};
use crate::messages::{JobPodNews, RunNews, SubscribeJobPods};

/// How long the end of a Job waits to be told for pods that do not end: longer than the grace that a pod has by
/// default.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of the Job.
#[derive(Default)]
pub(super) struct Following {
    /// The Job as it was last seen.
    job: Option<Arc<Job>>,
    attempts: Attempts,
    /// The attempts that succeeded, and all, as they were told.
    told: (usize, usize),
    /// It is over, and its pods are waited for.
    ending: bool,
}

/// Its pods have been waited for long enough.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct PatienceOver;

impl JobRunner {
    /// The Job is as it is told to be, or gone.
    pub(super) fn follow(&mut self, job: Arc<Job>, gone: bool, ctx: &mut Context<Self>) {
        let Stage::Following(following) = &mut self.stage else { return };
        if following.job.is_none() {
            let subscriber = ctx.address().recipient();
            self.pods.do_send(SubscribeJobPods { job: job.uid.clone(), subscriber });
        }
        following.job = Some(Arc::clone(&job));
        match (job.end.is_some(), gone) {
            (false, false) => {}
            (_, true) => self.end(ctx),
            (true, false) => self.job_ended(job, ctx),
        }
    }

    /// Its end is told when all its pods have ended.
    fn job_ended(&mut self, job: Arc<Job>, ctx: &mut Context<Self>) {
        let Stage::Following(following) = &mut self.stage else { return };
        if std::mem::replace(&mut following.ending, true) {
            return;
        }
        if following.is_complete() {
            return self.end(ctx);
        }
        // The watch on pods is another one than that on Jobs, and may be behind it; and pods may have gone before
        // anyone watched.
        let cluster = self.cluster.clone();
        let asking = async move { cluster.job_pods(&job).await };
        ctx.spawn(asking.into_actor(self).map(|pods, runner, ctx| match pods {
            Ok(pods) => runner.listed(&pods, ctx),
            Err(error) => debug!(%error, "the pods of an ended Job are not known"),
        }));
        ctx.notify_later(PatienceOver, PATIENCE);
    }

    /// These are all pods of the Job that are there.
    fn listed(&mut self, pods: &[Arc<JobPod>], ctx: &mut Context<Self>) {
        for pod in pods {
            self.observe(pod);
        }
        let Stage::Following(following) = &mut self.stage else { return };
        let is_there = |uid: &String| pods.iter().any(|pod| pod.uid == *uid);
        let gone: Vec<String> = following.attempts.open().filter(|uid| !is_there(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.gone(uid));
        self.end_if_all_ended(ctx);
    }

    fn observe(&mut self, pod: &Arc<JobPod>) {
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.observe(pod);
            self.take(steps);
        }
    }

    fn gone(&mut self, uid: &str) {
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.gone(uid, Timestamp::now());
            self.take(steps);
        }
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            if let Step::Over(attempt) = step {
                self.tell(attempt);
            }
        }
    }

    fn tell(&mut self, attempt: AttemptEnd) {
        let Stage::Following(Following { job: Some(job), told, .. }) = &mut self.stage else { return };
        told.0 += usize::from(attempt.succeeded);
        told.1 += 1;
        self.supervisor.do_send(RunNews::AttemptEnded { job: Arc::clone(job), attempt });
    }

    fn end_if_all_ended(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &self.stage
            && following.ending
            && following.attempts.open().next().is_none()
        {
            self.end(ctx);
        }
    }

    /// The last word of a runner.
    fn end(&mut self, ctx: &mut Context<Self>) {
        if let Some(attempt) = self.unseen_attempt() {
            self.tell(attempt);
        }
        let Stage::Following(Following { job: Some(job), attempts, .. }) = &self.stage else { return };
        let mut containers = attempts.last_containers();
        let has_succeeded = job.end.as_ref().is_some_and(|end| end.failure.is_none());
        if containers.is_empty() && has_succeeded {
            containers = job.containers.iter().map(|name| succeeded(name)).collect();
        }
        self.supervisor.do_send(RunNews::Ended { end: job.end.clone(), job: Arc::clone(job), containers });
        ctx.stop();
    }

    /// The Job has ended by an attempt that nobody has seen: its pod went before anyone looked.
    fn unseen_attempt(&self) -> Option<AttemptEnd> {
        let Stage::Following(Following { job: Some(job), told: (succeeded, all), .. }) = &self.stage else {
            return None;
        };
        let end = job.end.as_ref()?;
        let has_succeeded = end.failure.is_none();
        let is_unseen = if has_succeeded { *succeeded == 0 } else { *all == 0 && job.pods_ended > 0 };
        is_unseen.then(|| AttemptEnd {
            id: String::new(),
            pod: String::new(),
            index: None,
            in_place: false,
            succeeded: has_succeeded,
            at: end.time,
            logs: vec![],
            containers: vec![],
        })
    }
}

impl Following {
    /// Whether all pods that the Job controller has counted were seen to end, and no other is open.
    fn is_complete(&self) -> bool {
        let counted = self.job.as_ref().map_or(0, |job| job.pods_ended);
        self.attempts.ended() >= counted && self.attempts.open().next().is_none()
    }
}

/// In a pod that succeeded all containers did.
fn succeeded(name: &str) -> ContainerEnd {
    ContainerEnd { name: name.to_owned(), exit_code: 0, reason: "Completed".to_owned() }
}

impl Handler<JobPodNews> for JobRunner {
    type Result = ();

    fn handle(&mut self, news: JobPodNews, ctx: &mut Self::Context) {
        match news {
            JobPodNews::Seen(pod) => self.observe(&pod),
            JobPodNews::Gone(pod) => {
                self.observe(&pod);
                self.gone(&pod.uid);
            }
        }
        if let Stage::Following(following) = &self.stage
            && following.ending
            && following.is_complete()
        {
            self.end(ctx);
        }
    }
}

impl Handler<PatienceOver> for JobRunner {
    type Result = ();

    fn handle(&mut self, _: PatienceOver, ctx: &mut Self::Context) {
        let Stage::Following(following) = &self.stage else { return };
        let open: Vec<String> = following.attempts.open().cloned().collect();
        open.iter().for_each(|uid| self.gone(uid));
        self.end_if_all_ended(ctx);
    }
}
