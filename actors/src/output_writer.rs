//! Writes what ended Jobs of one ExtendedJob wrote to one ConfigMap or Secret.
//!
//! Duty: each wish is answered by [`OutputSettled`], and tried until then. One writer per target
//! keeps the order, and lets a restart judge all earlier Jobs by one read.

use std::collections::BTreeMap;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::{OutputResult, OutputStatus, Stream, Target, conditions::reasons};
use extendedjob_decide::{
    fault::Class,
    output::{self, Attempt, Present, Verdict},
    retry::Backoff,
    status::{Settled, Trouble},
    tail::Kept,
};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    cluster::{Cluster, pods::EndedPod, targets::TargetError},
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, OutputSettled, WriteOutput},
    supervisor::Supervisor,
};

/// How often a write that others got ahead of is decided anew at once.
const CONFLICTS: usize = 10;

/// The writer of one target.
pub(crate) struct OutputWriter {
    cluster: Cluster,
    target: Target,
    /// `namespace/name` of the ExtendedJob.
    extended_job: String,
    supervisor: Addr<Supervisor>,
    /// Wishes by the name of their Job.
    open: BTreeMap<String, WriteOutput>,
    busy: bool,
    backoff: Backoff,
    _lifeline: Lifeline<ChildId>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Work;

/// What became of one wish in one round.
struct Tried {
    job: String,
    settled: Settled,
    done: bool,
}

impl OutputWriter {
    /// A writer for `target`, on behalf of `extended_job` (`namespace/name`).
    pub(crate) fn new(
        cluster: Cluster,
        target: Target,
        extended_job: String,
        supervisor: Addr<Supervisor>,
        lifeline: Lifeline<ChildId>,
    ) -> Self {
        Self {
            cluster,
            target,
            extended_job,
            supervisor,
            open: BTreeMap::new(),
            busy: false,
            backoff: Backoff::default(),
            _lifeline: lifeline,
        }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        if self.busy || self.open.is_empty() {
            return;
        }
        self.busy = true;
        let round = Round {
            cluster: self.cluster.clone(),
            target: self.target.clone(),
            extended_job: self.extended_job.clone(),
            wishes: self.open.values().cloned().collect(),
        };
        ctx.spawn(round.run().into_actor(self).map(Self::round_over));
    }

    fn round_over(tried: Vec<Tried>, writer: &mut Self, ctx: &mut Context<Self>) {
        writer.busy = false;
        let mut again = false;
        for Tried { job, settled, done } in tried {
            if done {
                writer.open.remove(&job);
            }
            again |= !done;
            let (target, trouble) = (&writer.target, settled.trouble.as_ref());
            match trouble {
                None => info!(extended_job = writer.extended_job, %target, job, "output settled"),
                Some(Trouble { reason, message }) => {
                    warn!(extended_job = writer.extended_job, %target, job, reason, message, "output not written");
                }
            }
            writer.supervisor.do_send(OutputSettled { job, settled, done });
        }
        if again {
            let delay = writer.backoff.after_failure(Timestamp::now());
            ctx.notify_later(Work, delay);
        } else {
            writer.backoff.reset();
            writer.work(ctx);
        }
    }
}

stops_when_told!(OutputWriter);

impl Actor for OutputWriter {
    type Context = Context<Self>;
}

impl Handler<Work> for OutputWriter {
    type Result = ();

    fn handle(&mut self, _: Work, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<WriteOutput> for OutputWriter {
    type Result = ();

    fn handle(&mut self, wish: WriteOutput, ctx: &mut Self::Context) {
        self.open.insert(wish.job.name.clone(), wish);
        self.work(ctx);
    }
}

/// One pass over all open wishes.
struct Round {
    cluster: Cluster,
    target: Target,
    extended_job: String,
    wishes: Vec<WriteOutput>,
}

/// Why a wish can't be fulfilled in this round.
enum Obstacle {
    /// Someone else wrote the target in between: read and decide anew.
    Conflict,
    /// Said to the user; `retry` if it may pass.
    Trouble { trouble: Trouble, retry: bool },
}

impl Round {
    async fn run(self) -> Vec<Tried> {
        let mut wishes: Vec<(Attempt, &WriteOutput)> =
            self.wishes.iter().map(|wish| (self.attempt(wish), wish)).collect();
        wishes.sort_by(|(a, _), (b, _)| a.order().cmp(&b.order()));
        let mut present = None;
        let mut tried = vec![];
        for (attempt, wish) in wishes {
            let mut result = self.fulfil(&attempt, wish, &mut present).await;
            // Each conflict means that someone else has got on: decide anew on what is there now.
            for _ in 0..CONFLICTS {
                if !matches!(result, Err(Obstacle::Conflict)) {
                    break;
                }
                present = None;
                result = self.fulfil(&attempt, wish, &mut present).await;
            }
            let (settled, done) = self.settle(result, present.as_ref().and_then(Option::as_ref));
            if done && let Err(error) = self.cluster.mark_settled(&wish.job).await {
                // The next operator judges it again, and finds it done.
                warn!(extended_job = self.extended_job, %error, "settled output not marked");
            }
            tried.push(Tried { job: attempt.job, settled, done });
        }
        tried
    }

    /// What to tell of a wish, and whether that is the last word.
    fn settle(
        &self,
        result: Result<Vec<OutputStatus>, Obstacle>,
        present: Option<&Present>,
    ) -> (Settled, bool) {
        match result {
            Ok(outputs) => {
                let exists = outputs.iter().find(|output| output.result == OutputResult::KeyExists);
                let trouble = exists.map(|output| self.key_exists(&output.key, present));
                (Settled { outputs, trouble }, true)
            }
            Err(Obstacle::Conflict) => {
                let message = format!("{} is written by others all the time", self.target);
                let trouble = Trouble { reason: reasons::WRITE_FAILED, message };
                (Settled { outputs: vec![], trouble: Some(trouble) }, false)
            }
            Err(Obstacle::Trouble { trouble, retry }) => {
                (Settled { outputs: vec![], trouble: Some(trouble) }, !retry)
            }
        }
    }

    fn attempt(&self, wish: &WriteOutput) -> Attempt {
        Attempt {
            extended_job: self.extended_job.clone(),
            job: wish.job.name.clone(),
            run: wish.job.key.clone().unwrap_or_default(),
            attempt: wish.job.attempts,
            succeeded: wish.end.failure.is_none(),
            ended: wish.end.time.or(wish.job.created).unwrap_or_default(),
        }
    }

    /// Reads, decides, writes. `present` is the target as last read; `None` if not read yet.
    async fn fulfil(
        &self,
        attempt: &Attempt,
        wish: &WriteOutput,
        present: &mut Option<Option<Present>>,
    ) -> Result<Vec<OutputStatus>, Obstacle> {
        if !attempt.succeeded && !wish.wish.write_on_failure {
            return Ok(vec![]);
        }
        let now = match present {
            Some(present) => present,
            None => present.insert(self.cluster.target(&self.target).await.map_err(obstacle)?),
        };
        let keys: Vec<String> = wish.job.containers.iter().map(|container| output::key(container)).collect();
        let mut outputs = vec![];
        let mut to_read = vec![];
        for (container, key) in wish.job.containers.iter().zip(&keys) {
            match output::judge(now.as_ref(), key, attempt, wish.wish.overwrite) {
                Verdict::Write => to_read.push((container, key)),
                Verdict::Done(record) => {
                    outputs.push(self.told(key, record.bytes_seen, record.bytes_kept, OutputResult::Written));
                }
                Verdict::Superseded(_) => {}
                Verdict::KeyExists(_) => outputs.push(self.told(key, 0, 0, OutputResult::KeyExists)),
                Verdict::Immutable => return Err(self.immutable()),
            }
        }
        if to_read.is_empty() {
            return Ok(outputs);
        }
        let limit = output::room(now.as_ref(), &keys).ok_or_else(|| self.full())?;
        let pod = self.pod(attempt, wish).await?;
        let mut writes = vec![];
        for (container, key) in to_read {
            let kept = self.read(wish, &pod, container, limit).await?;
            outputs.push(self.told(key, kept.seen, kept.bytes.len() as u64, OutputResult::Written));
            let record = attempt.record(&kept);
            writes.push((key.clone(), kept, record));
        }
        let body = output::body(self.target.kind, &writes);
        *now = Some(self.cluster.write_target(&self.target, now.as_ref(), body).await.map_err(obstacle)?);
        Ok(outputs)
    }

    /// The pod of the Job's last attempt.
    async fn pod(&self, attempt: &Attempt, wish: &WriteOutput) -> Result<EndedPod, Obstacle> {
        let pods = self.cluster.ended_pods(&wish.job).await.map_err(|error| Obstacle::Trouble {
            trouble: Trouble { reason: reasons::WRITE_FAILED, message: error.to_string() },
            retry: true,
        })?;
        pods.into_iter()
            .rfind(|pod| pod.succeeded == attempt.succeeded)
            .ok_or_else(|| lost(format!("no pod of Job {} is left to read the output of", attempt.job)))
    }

    async fn read(
        &self,
        wish: &WriteOutput,
        pod: &EndedPod,
        container: &str,
        limit: usize,
    ) -> Result<Kept, Obstacle> {
        self.cluster.log(&wish.job.namespace, &pod.name, container, limit).await.map_err(|error| match error
            .class()
        {
            Class::NotFound | Class::Senseless => lost(error.to_string()),
            _ => Obstacle::Trouble {
                trouble: Trouble { reason: reasons::WRITE_FAILED, message: error.to_string() },
                retry: true,
            },
        })
    }

    fn told(&self, key: &str, seen: u64, kept: u64, result: OutputResult) -> OutputStatus {
        OutputStatus {
            stream: Stream::Stdout,
            target: self.target.to_string(),
            key: key.to_owned(),
            bytes_seen: i64::try_from(seen).unwrap_or(i64::MAX),
            bytes_kept: i64::try_from(kept).unwrap_or(i64::MAX),
            result,
        }
    }

    fn key_exists(&self, key: &str, present: Option<&Present>) -> Trouble {
        let writer = match present.and_then(|present| present.record(key)) {
            Some(record) => format!("ExtendedJob {} with Job {}", record.extended_job, record.job),
            None => "someone else".to_owned(),
        };
        let message = format!(
            "key {key} of {} was written by {writer}; set overwrite: true to replace it, or name another target",
            self.target
        );
        Trouble { reason: reasons::KEY_EXISTS, message }
    }

    fn immutable(&self) -> Obstacle {
        let message = format!("{} is immutable; name another target, or delete it", self.target);
        Obstacle::Trouble { trouble: Trouble { reason: reasons::TARGET_IMMUTABLE, message }, retry: true }
    }

    fn full(&self) -> Obstacle {
        let message =
            format!("{} has no room left; name another target, or remove keys from it", self.target);
        Obstacle::Trouble { trouble: Trouble { reason: reasons::TARGET_FULL, message }, retry: true }
    }
}

fn lost(message: String) -> Obstacle {
    Obstacle::Trouble { trouble: Trouble { reason: reasons::OUTPUT_LOST, message }, retry: false }
}

fn obstacle(error: TargetError) -> Obstacle {
    let reason = match (&error, error.fault().class()) {
        (_, Class::Conflict | Class::AlreadyExists) => return Obstacle::Conflict,
        // Reading says that the object is missing; only creating it, that its namespace is.
        (TargetError::Create(..), Class::NotFound) => reasons::TARGET_NAMESPACE_MISSING,
        // It was deleted after it was read.
        (TargetError::Write(..), Class::NotFound) => return Obstacle::Conflict,
        (_, Class::Refused | Class::Invalid | Class::Quota | Class::Terminating) => reasons::TARGET_REFUSED,
        _ => reasons::WRITE_FAILED,
    };
    Obstacle::Trouble { trouble: Trouble { reason, message: error.to_string() }, retry: true }
}
