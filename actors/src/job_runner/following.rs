//! Follows a Job that is there: its pods, attempt by attempt, and its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::ContainerEnd;
use extendedjob_decide::{
    attempts::{AttemptEnd, Attempts, JobPod, LogId, Step, by_end},
    job::Job,
    output,
};
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::debug;

use super::{JobRunner, Stage};
use crate::{
    cluster::logs::{Followed, LogName},
    messages::{JobPodNews, RunNews, SubscribeJobPods},
};

/// How long the end of a Job waits to be told for pods that do not end: longer than the grace that a pod has by
/// default.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of the Job.
#[derive(Default)]
pub(super) struct Following {
    /// The Job as it was last seen.
    job: Option<Arc<Job>>,
    attempts: Attempts,
    logs: BTreeMap<LogId, Log>,
    /// Attempts that are over, and whose logs have not been read to their ends.
    unread: Vec<AttemptEnd>,
    /// The attempts that succeeded, and all, as they were told.
    told: (usize, usize),
    /// It is over, and its pods are waited for.
    ending: bool,
    /// All pods that are there are known.
    listed: bool,
}

/// A log that is followed.
enum Log {
    /// To be told when its container has ended.
    Open(watch::Sender<bool>),
    Read(Followed),
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
            Ok(pods) => runner.listed(&by_end(pods), ctx),
            Err(error) => debug!(%error, "the pods of an ended Job are not known"),
        }));
        ctx.notify_later(PatienceOver, PATIENCE);
    }

    /// These are all pods of the Job that are there.
    fn listed(&mut self, pods: &[Arc<JobPod>], ctx: &mut Context<Self>) {
        for pod in pods {
            self.observe(pod, ctx);
        }
        let Stage::Following(following) = &mut self.stage else { return };
        let is_there = |uid: &String| pods.iter().any(|pod| pod.uid == *uid);
        let gone: Vec<String> = following.attempts.open().filter(|uid| !is_there(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.gone(uid, ctx));
        self.end_if_all_ended(ctx);
    }

    fn observe(&mut self, pod: &Arc<JobPod>, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.observe(pod);
            self.take(&pod.name, steps, ctx);
        }
    }

    fn gone(&mut self, uid: &str, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &mut self.stage {
            let steps = following.attempts.gone(uid, Timestamp::now());
            self.take("", steps, ctx);
        }
    }

    fn take(&mut self, pod: &str, steps: Vec<Step>, ctx: &mut Context<Self>) {
        for step in steps {
            match step {
                Step::Follow(log) => self.follow_log(log, pod, ctx),
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

    /// Reads a log while it is written: at its end it may have been rotated, or removed with its pod.
    fn follow_log(&mut self, id: LogId, pod: &str, ctx: &mut Context<Self>) {
        if self.declared.spec.output.is_none() {
            return;
        }
        let Stage::Following(Following { job: Some(job), logs, .. }) = &mut self.stage else { return };
        let (sender, over) = watch::channel(false);
        logs.insert(id.clone(), Log::Open(sender));
        let (namespace, pod, container) = (job.namespace.clone(), pod.to_owned(), id.container.clone());
        let (cluster, log) = (self.cluster.clone(), LogName { namespace, pod, container });
        let following = async move { cluster.follow_log(log, output::MOST, over).await };
        ctx.spawn(following.into_actor(self).map(|followed, runner, ctx| {
            if let Stage::Following(Following { logs, .. }) = &mut runner.stage {
                logs.insert(id, Log::Read(followed));
            }
            runner.tell_read();
            runner.end_if_complete(ctx);
        }));
    }

    /// Tells of the attempts whose logs are read.
    fn tell_read(&mut self) {
        let Stage::Following(Following { job: Some(job), logs, unread, told, .. }) = &mut self.stage else {
            return;
        };
        let is_open = |log: &LogId| matches!(logs.get(log), Some(Log::Open(_)));
        let read: Vec<AttemptEnd> =
            unread.extract_if(.., |attempt| !attempt.logs.iter().any(is_open)).collect();
        for attempt in read {
            let taken = attempt.logs.iter().filter_map(|log| match logs.remove(log) {
                Some(Log::Read(followed)) => Some((log.container.clone(), followed)),
                _ => None,
            });
            let (followed, job) = (taken.collect(), Arc::clone(job));
            told.0 += usize::from(attempt.succeeded);
            told.1 += 1;
            self.supervisor.do_send(RunNews::AttemptEnded { job, attempt, followed });
        }
    }

    fn end_if_complete(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &self.stage
            && following.ending
            && following.is_complete()
        {
            self.end(ctx);
        }
    }

    /// The same, when it is known that no other pods are there.
    fn end_if_all_ended(&mut self, ctx: &mut Context<Self>) {
        if let Stage::Following(following) = &mut self.stage
            && following.ending
            && following.attempts.open().next().is_none()
        {
            following.listed = true;
            self.end_if_complete(ctx);
        }
    }

    /// The last word of a runner.
    fn end(&mut self, ctx: &mut Context<Self>) {
        let unseen = self.unseen_attempt();
        if let Stage::Following(following) = &mut self.stage {
            following.unread.extend(unseen);
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
            rotatable: true,
            logs: vec![],
            containers: vec![],
        })
    }
}

impl Following {
    /// Whether all pods that there are, or that the Job controller has counted, were seen to end, and are told.
    fn is_complete(&self) -> bool {
        let counted = self.job.as_ref().map_or(0, |job| job.pods_ended);
        let all_seen = self.listed || self.attempts.ended() >= counted;
        all_seen && self.attempts.open().next().is_none() && self.unread.is_empty()
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

impl Handler<PatienceOver> for JobRunner {
    type Result = ();

    fn handle(&mut self, _: PatienceOver, ctx: &mut Self::Context) {
        let Stage::Following(following) = &self.stage else { return };
        let open: Vec<String> = following.attempts.open().cloned().collect();
        open.iter().for_each(|uid| self.gone(uid, ctx));
        self.end_if_all_ended(ctx);
    }
}
