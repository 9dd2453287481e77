//! Follows a Job that is there: its pods, attempt by attempt, and its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::{ContainerEnd, Streams, conditions::reasons};
use extendedjob_decide::{
    attempts::{AttemptEnd, Attempts, Begun, JobPod, LogId, Step, by_end},
    boundary::Boundary,
    job::Job,
    output,
    retry::Backoff,
    view::Trouble,
    wrap,
};
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::debug;

use super::{JobRunner, Stage, sections::DrainLogs};
use crate::{
    cluster::logs::{Followed, LogName, RunLog, Section, Sections},
    messages::{JobPodNews, Logs, RunNews, SubscribeJobPods},
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
    drains: DrainLogs,
    /// Pods that wait for our image, by their UIDs.
    stuck: BTreeSet<String>,
    /// Attempts that are over, and whose logs have not been read to their ends.
    unread: Vec<AttemptEnd>,
    /// It is over, and its pods are waited for.
    ending: bool,
    /// All pods that are there are known.
    listed: bool,
    /// It was deleted: only logs of attempts that are over are waited for.
    gone: bool,
    /// For listing its pods again.
    backoff: Backoff,
}

/// A log that is followed.
enum Log {
    /// To be told when its container has ended.
    Open(watch::Sender<bool>),
    Read(Followed),
}

/// A log, or its last section, has been read to its end.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LogRead {
    log: LogId,
    followed: Followed,
    /// It is that of a drain that serves several runs.
    is_shared: bool,
}

/// What a run of a container has left in the log of its drain is read, and the next run has begun.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct SectionRead {
    log: LogId,
    section: Section,
    next: u32,
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
                debug!(%error, "the pods of an ended Job are not known");
                if let Stage::Following(following) = &mut runner.stage {
                    ctx.notify_later(ListAgain, following.backoff.after_failure(Timestamp::now()));
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
            self.take(&pod.name, steps, ctx);
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
            self.take("", steps, ctx);
        }
    }

    fn take(&mut self, pod: &str, steps: Vec<Step>, ctx: &mut Context<Self>) {
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

    /// Reads a log while it is written: at its end it may have been rotated, or removed with its pod.
    fn follow_log(&mut self, begun: Begun, pod: &str, ctx: &mut Context<Self>) {
        if self.declared.spec.output.is_none() {
            return;
        }
        let wants_stderr = self.wants_stderr();
        let Stage::Following(Following { job: Some(job), logs, drains, .. }) = &mut self.stage else {
            return;
        };
        let Begun { log: id, in_place, at: began } = begun;
        let is_drain = wrap::is_drain(&id.container);
        // One that someone has added to the pod is none of the user's.
        let is_wanted = if is_drain { wants_stderr } else { job.containers.contains(&id.container) };
        if !is_wanted {
            return;
        }
        let (sender, over) = watch::channel(false);
        logs.insert(id.clone(), Log::Open(sender));
        let sections = (is_drain && in_place).then(|| {
            drains.begun(&id);
            let (log, me) = (id.clone(), ctx.address());
            let tell = move |section, next| me.do_send(SectionRead { log: log.clone(), section, next });
            Sections { boundary: Boundary::of(&self.declared.uid, &job.name), tell: Box::new(tell) }
        });
        let (namespace, pod, container) = (job.namespace.clone(), pod.to_owned(), id.container.clone());
        let name = LogName { namespace, pod, container };
        let log = RunLog { name, restart: (in_place || is_drain).then_some(id.restart), began };
        let (cluster, is_shared, me) = (self.means.cluster.clone(), sections.is_some(), ctx.address());
        let following = async move {
            let followed = cluster.follow_log(log, output::MOST, sections, over).await;
            // By a message, which comes behind those of its sections.
            me.do_send(LogRead { log: id, followed, is_shared });
        };
        ctx.spawn(following.into_actor(self));
    }

    fn wants_stderr(&self) -> bool {
        self.declared.spec.output.as_ref().is_some_and(|output| output.stderr.is_some())
    }

    /// Tells of the attempts whose logs are read.
    fn tell_read(&mut self) {
        let wants_stderr = self.wants_stderr();
        let Stage::Following(following) = &mut self.stage else { return };
        let Following { job: Some(job), logs, drains, attempts, unread, .. } = following else { return };
        let is_open = |log: &LogId| matches!(logs.get(log), Some(Log::Open(_)));
        let may_go_on = |attempt: &AttemptEnd| {
            let shared = shared_drain(job, attempt).filter(|_| wants_stderr);
            shared.is_some_and(|(drain, run)| {
                drains.may_go_on(&run.pod, &drain, run.restart, attempts.is_over(&run.pod))
            })
        };
        let read: Vec<AttemptEnd> = unread
            .extract_if(.., |attempt| !attempt.logs.iter().any(is_open) && !may_go_on(attempt))
            .collect();
        for mut attempt in read {
            let taken = attempt.logs.iter().filter_map(|log| match logs.remove(log) {
                Some(Log::Read(followed)) => Some((log.clone(), followed)),
                _ => None,
            });
            let mut followed: Logs = taken.collect();
            if let Some((drain, run)) = shared_drain(job, &attempt) {
                let (pod, sections) = (run.pod.clone(), drains.take(&run.pod, &drain, run.restart));
                match sections.is_empty() {
                    true => attempt.logs.extend(attempts.logs_of_drain(&pod, &drain)),
                    false => attempt.logs.extend(sections.keys().cloned().collect::<BTreeSet<_>>()),
                }
                followed.extend(sections);
            }
            let job = Arc::clone(job);
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

/// The drain that an attempt shares with the others of its container, and the run that it was.
fn shared_drain<'a>(job: &Job, attempt: &'a AttemptEnd) -> Option<(String, &'a LogId)> {
    let run = attempt.logs.first().filter(|_| attempt.in_place && job.streams == Streams::Wrapped)?;
    let place = job.containers.iter().position(|container| *container == run.container)?;
    Some((wrap::drain_of(place), run))
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

impl Handler<LogRead> for JobRunner {
    type Result = ();

    fn handle(&mut self, LogRead { log, followed, is_shared }: LogRead, ctx: &mut Self::Context) {
        let Stage::Following(Following { logs, drains, .. }) = &mut self.stage else { return };
        if is_shared {
            logs.remove(&log);
            drains.read(&log, followed, None);
        } else {
            logs.insert(log, Log::Read(followed));
        }
        self.tell_read();
        self.end_if_complete(ctx);
    }
}

impl Handler<SectionRead> for JobRunner {
    type Result = ();

    fn handle(&mut self, SectionRead { log, section, next }: SectionRead, ctx: &mut Self::Context) {
        if let Stage::Following(Following { drains, .. }) = &mut self.stage {
            drains.read(&log, Followed::whole_section(section), Some(next));
        }
        self.tell_read();
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
