//! Follows a Job that is there: its pods, attempt by attempt, and its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::{ContainerEnd, conditions::reasons};
use extendedjob_decide::{
    attempts::{AttemptEnd, Attempts, JobPod, LogId, Step, by_end},
    job::Job,
    retry::Backoff,
    view::Trouble,
};
use jiff::Timestamp;
use tracing::debug;

use super::{JobRunner, Stage, drains::DrainLogs, logs::Log};
use crate::{
    clock::steady,
    messages::{JobPodNews, RunNews, SubscribeJobPods},
};

/// How long the end of a Job waits to be told for pods that do not end: longer than the grace that a pod has by
/// default.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of the Job.
#[derive(Default)]
pub(super) struct Following {
    /// The Job as it was last seen.
    pub(super) job: Option<Arc<Job>>,
    pub(super) attempts: Attempts,
    pub(super) logs: BTreeMap<LogId, Log>,
    pub(super) drains: DrainLogs,
    /// Pods that wait for our image, by their UIDs.
    stuck: BTreeSet<String>,
    /// Attempts that are over, and whose logs have not been read to their ends.
    pub(super) unread: Vec<AttemptEnd>,
    /// It is over, and its pods are waited for.
    ending: bool,
    /// All pods that are there are known.
    listed: bool,
    /// It was deleted: only logs of attempts that are over are waited for.
    gone: bool,
    /// For listing its pods again.
    backoff: Backoff,
}

/// Its pods are to be listed again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct ListAgain;

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
            self.means.pods.do_send(SubscribeJobPods { job: job.uid.clone(), subscriber });
        }
        following.job = Some(Arc::clone(&job));
        match (job.end.is_some(), gone) {
            (false, false) => {}
            (_, true) => self.job_gone(ctx),
            (true, false) => self.job_ended(job, ctx),
        }
    }

    /// What its attempts have left is read to its end, if they are over.
    fn job_gone(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &mut self.stage {
            (following.ending, following.gone) = (true, true);
            ctx.notify_later(PatienceOver, PATIENCE);
        }
        self.end_if_complete(ctx);
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
        self.list_pods(job, ctx);
    }

    /// The watch on pods is another one than that on Jobs, and may be behind it; and pods may have gone before anyone
    /// watched.
    fn list_pods(&mut self, job: Arc<Job>, ctx: &mut Context<Self>) {
        let cluster = self.means.cluster.clone();
        let asking = async move { cluster.job_pods(&job).await };
        ctx.spawn(asking.into_actor(self).map(|pods, runner, ctx| match pods {
            Ok(pods) => runner.listed(&by_end(pods), ctx),
            Err(error) => {
                runner.means.span.in_scope(|| debug!(%error, "the pods of an ended Job are not known"));
                if let Stage::Following(following) = &mut runner.stage {
                    ctx.notify_later(ListAgain, following.backoff.after_failure(steady()));
                }
            }
        }));
    }

    /// These are all pods of the Job that are there. Of others that were, the watch is about to tell.
    fn listed(&mut self, pods: &[Arc<JobPod>], ctx: &mut Context<Self>) {
        for pod in pods {
            self.observe(pod, ctx);
        }
        if let Stage::Following(following) = &mut self.stage {
            following.listed = true;
        }
        ctx.notify_later(PatienceOver, PATIENCE);
        self.end_if_complete(ctx);
    }

    fn observe(&mut self, pod: &Arc<JobPod>, ctx: &mut Context<Self>) {
        self.look_at_image(pod);
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.observe(pod, Timestamp::now());
            self.take(pod, steps, ctx);
        }
    }

    /// Tells when the first pod waits for the image of what we have added to it, and when none does any more.
    fn look_at_image(&mut self, pod: &JobPod) {
        let Stage::Following(Following { job: Some(job), stuck, .. }) = &mut self.stage else { return };
        let was_stuck = !stuck.is_empty();
        let trouble = match &pod.image_trouble {
            Some(words) if stuck.insert(pod.uid.clone()) && !was_stuck => {
                let message =
                    format!("the image of what tells standard error apart can't be pulled: {words}");
                Some(Trouble { reason: reasons::WRAPPER_IMAGE_UNAVAILABLE, message })
            }
            None if stuck.remove(&pod.uid) && stuck.is_empty() => None,
            _ => return,
        };
        self.supervisor.do_send(RunNews::Stuck { job: job.name.clone(), trouble });
    }

    fn gone(&mut self, uid: &str, ctx: &mut Context<Self>) {
        self.look_at_image(&JobPod { uid: uid.to_owned(), ..JobPod::default() });
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.gone(uid, Timestamp::now());
            // Of a pod that is gone no log begins.
            self.take(&JobPod::default(), steps, ctx);
        }
    }

    fn take(&mut self, pod: &JobPod, steps: Vec<Step>, ctx: &mut Context<Self>) {
        for step in steps {
            match step {
                Step::Follow(begun) => self.follow_log(begun, pod, ctx),
                Step::Ended(log) => {
                    if let Stage::Following(Following { logs, .. }) = &self.stage
                        && let Some(Log::Open(over)) = logs.get(&log)
                    {
                        over.send_replace(true);
                    }
                }
                Step::Over(attempt) => {
                    if let Stage::Following(following) = &mut self.stage {
                        following.unread.push(attempt);
                    }
                }
            }
        }
        self.tell_read();
    }

    pub(super) fn end_if_complete(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &self.stage
            && following.ending
            && following.is_complete()
        {
            self.end(ctx);
        }
    }

    /// The last word of a runner.
    fn end(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(Following { job: Some(job), attempts, unread, .. }) = &mut self.stage {
            unread.extend(attempts.unseen(job));
        }
        self.tell_read();
        let Stage::Following(Following { job: Some(job), attempts, .. }) = &self.stage else { return };
        let mut containers = attempts.last_containers();
        let has_succeeded = job.end.as_ref().is_some_and(|end| end.failure.is_none());
        if containers.is_empty() && has_succeeded {
            containers = job.containers.iter().map(|name| succeeded(name)).collect();
        }
        self.supervisor.do_send(RunNews::Ended { end: job.end.clone(), job: Arc::clone(job), containers });
        ctx.stop();
    }
}

impl Following {
    /// Whether all pods that there are, or that the Job controller has counted, were seen to end, and are told.
    fn is_complete(&self) -> bool {
        let (ended, succeeded) = self.job.as_ref().map_or((0, 0), |job| (job.pods_ended, job.succeeded));
        let all_counted = self.attempts.ended() >= ended && self.attempts.succeeded() >= succeeded;
        let all_seen = self.listed || all_counted;
        let all_ended = self.gone || (all_seen && self.attempts.open().next().is_none());
        all_ended && self.unread.is_empty()
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
            JobPodNews::Seen(pod) => self.observe(&pod, ctx),
            JobPodNews::Gone(pod) => {
                self.observe(&pod, ctx);
                self.gone(&pod.uid, ctx);
            }
        }
        self.end_if_complete(ctx);
    }
}

impl Handler<ListAgain> for JobRunner {
    type Result = ();

    fn handle(&mut self, _: ListAgain, ctx: &mut Self::Context) {
        if let Stage::Following(Following { job: Some(job), gone: false, .. }) = &self.stage {
            let job = Arc::clone(job);
            self.list_pods(job, ctx);
        }
    }
}

impl Handler<PatienceOver> for JobRunner {
    type Result = ();

    fn handle(&mut self, _: PatienceOver, ctx: &mut Self::Context) {
        let Stage::Following(following) = &self.stage else { return };
        let open: Vec<String> = following.attempts.open().cloned().collect();
        open.iter().for_each(|uid| self.gone(uid, ctx));
        self.end_if_complete(ctx);
    }
}
