//! Writes what ended Jobs of one ExtendedJob wrote to one ConfigMap or Secret.
//!
//! Duty: each wish is answered by [`OutputSettled`], and tried until then. One writer per target
//! keeps the order, and lets a restart judge all earlier Jobs by one read.

use std::{collections::BTreeMap, ops::Bound};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::{OutputResult, OutputStatus, Stream, Target, conditions::reasons};
use extendedjob_decide::{
    fault::Class,
    output::{self, Attempt, Present, Record, Verdict},
    retry::Backoff,
    status::{Settled, Trouble},
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
    desk: Desk,
    supervisor: Addr<Supervisor>,
    /// Wishes not tried yet, and those of which trying again may help.
    queue: Queue,
    state: State,
    backoff: Backoff,
    _lifeline: Lifeline<ChildId>,
}

/// Open wishes by the order of their attempts, so that a later output is written last.
type Queue = BTreeMap<(Timestamp, String), WriteOutput>;

enum State {
    /// Nothing to do.
    Idle,
    /// One wish is being tried.
    Busy,
    /// Some wishes have failed; the next round comes after a delay.
    Pausing,
}

/// What is needed to try a wish.
#[derive(Clone)]
struct Desk {
    cluster: Cluster,
    target: Target,
    /// `namespace/name` of the ExtendedJob.
    extended_job: String,
}

/// Try the first wish behind this one; `None` begins a round.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Work {
    behind: Option<(Timestamp, String)>,
    /// The target as last read in this round; one read serves all wishes that need no write.
    present: Option<Option<Present>>,
    failed: bool,
}

/// What became of a wish.
struct Tried {
    settled: Settled,
    done: bool,
    present: Option<Option<Present>>,
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
            desk: Desk { cluster, target, extended_job },
            supervisor,
            queue: Queue::new(),
            state: State::Idle,
            backoff: Backoff::default(),
            _lifeline: lifeline,
        }
    }

    /// Tries the next wish of this round, or ends the round.
    fn work(&mut self, Work { behind, present, failed }: Work, ctx: &mut Context<Self>) {
        let next = match &behind {
            Some(behind) => self.queue.range((Bound::Excluded(behind), Bound::Unbounded)).next(),
            None => self.queue.iter().next(),
        };
        let Some((place, wish)) = next else { return self.round_over(failed, ctx) };
        self.state = State::Busy;
        let (desk, place, wish) = (self.desk.clone(), place.clone(), wish.clone());
        let trying = async move { desk.try_wish(&wish, present).await };
        ctx.spawn(trying.into_actor(self).map(move |tried, writer, ctx| {
            let failed = failed || !tried.done;
            let present = writer.tried(&place, tried);
            writer.work(Work { behind: Some(place), present, failed }, ctx);
        }));
    }

    /// Tells what became of a wish.
    fn tried(&mut self, place: &(Timestamp, String), tried: Tried) -> Option<Option<Present>> {
        let Tried { settled, done, present } = tried;
        if done {
            self.queue.remove(place);
        }
        let (job, Desk { target, extended_job, .. }) = (place.1.clone(), &self.desk);
        match &settled.trouble {
            None => info!(extended_job, %target, job, "output settled"),
            Some(Trouble { reason, message }) => {
                warn!(extended_job, %target, job, reason, message, "output not written");
            }
        }
        self.supervisor.do_send(OutputSettled { job, settled, done });
        present
    }

    fn round_over(&mut self, failed: bool, ctx: &mut Context<Self>) {
        let next_round = Work { behind: None, present: None, failed: false };
        if failed {
            self.state = State::Pausing;
            ctx.notify_later(next_round, self.backoff.after_failure(Timestamp::now()));
            return;
        }
        self.state = State::Idle;
        self.backoff.reset();
        // What came in meanwhile, and belongs before what this round was at.
        if !self.queue.is_empty() {
            self.work(next_round, ctx);
        }
    }
}

stops_when_told!(OutputWriter);

impl Actor for OutputWriter {
    type Context = Context<Self>;
}

impl Handler<Work> for OutputWriter {
    type Result = ();

    fn handle(&mut self, work: Work, ctx: &mut Self::Context) {
        self.work(work, ctx);
    }
}

impl Handler<WriteOutput> for OutputWriter {
    type Result = ();

    fn handle(&mut self, wish: WriteOutput, ctx: &mut Self::Context) {
        let attempt = self.desk.attempt(&wish);
        let idle = matches!(self.state, State::Idle);
        self.queue.insert((attempt.ended, attempt.job), wish);
        // Else the round under way, or the next one, comes to it.
        if idle {
            self.work(Work { behind: None, present: None, failed: false }, ctx);
        }
    }
}

/// Why a wish can't be fulfilled now.
enum Obstacle {
    /// Someone else wrote the target in between: read and decide anew.
    Conflict,
    /// Said to the user; `retry` if it may pass.
    Trouble { trouble: Trouble, retry: bool },
}

impl Desk {
    async fn try_wish(&self, wish: &WriteOutput, mut present: Option<Option<Present>>) -> Tried {
        let attempt = self.attempt(wish);
        let mut result = self.fulfil(&attempt, wish, &mut present).await;
        // Each conflict means that someone else has got on: decide anew on what is there now.
        for _ in 0..CONFLICTS {
            if !matches!(result, Err(Obstacle::Conflict)) {
                break;
            }
            present = None;
            result = self.fulfil(&attempt, wish, &mut present).await;
        }
        let (settled, done) = match result {
            Ok(settled) => (settled, true),
            Err(Obstacle::Conflict) => {
                let message = format!("{} is written by others all the time", self.target);
                (Settled { outputs: vec![], trouble: Some(failed(message)) }, false)
            }
            Err(Obstacle::Trouble { trouble, retry }) => {
                (Settled { outputs: vec![], trouble: Some(trouble) }, !retry)
            }
        };
        Tried { settled, done, present }
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
    ) -> Result<Settled, Obstacle> {
        let mut settled = Settled::default();
        if !attempt.succeeded && !wish.wish.write_on_failure {
            return Ok(settled);
        }
        let now = match present {
            Some(present) => present,
            None => present.insert(self.cluster.target(&self.target).await.map_err(obstacle)?),
        };
        let mut to_write = vec![];
        for container in &wish.job.containers {
            let key = output::key(container);
            match output::judge(now.as_ref(), &key, attempt, wish.wish.overwrite) {
                Verdict::Write => to_write.push((container.as_str(), key)),
                Verdict::Done(record) => {
                    let (seen, kept) = (record.bytes_seen, record.bytes_kept);
                    settled.outputs.push(self.told(&key, seen, kept, OutputResult::Written));
                }
                Verdict::Superseded => {}
                Verdict::KeyExists(record) => {
                    settled.outputs.push(self.told(&key, 0, 0, OutputResult::KeyExists));
                    settled.trouble.get_or_insert_with(|| self.key_exists(&key, record.as_ref()));
                }
                Verdict::Immutable => return Err(self.immutable()),
            }
        }
        if to_write.is_empty() {
            return Ok(settled);
        }
        let keys: Vec<String> = to_write.iter().map(|(_, key)| key.clone()).collect();
        let limit = output::room(now.as_ref(), &keys).ok_or_else(|| self.full())?;
        let Some(pod) = self.pod(attempt, wish).await? else {
            settled.outputs.extend(keys.iter().map(|key| self.told(key, 0, 0, OutputResult::Lost)));
            settled.trouble = Some(lost(format!("no pod of Job {} is left to read it of", attempt.job)));
            return Ok(settled);
        };
        let mut writes = vec![];
        for (container, key) in to_write {
            match self.cluster.log(&wish.job.namespace, &pod.name, container, limit).await {
                Ok(kept) => {
                    let length = kept.bytes.len() as u64;
                    settled.outputs.push(self.told(&key, kept.seen, length, OutputResult::Written));
                    let record = attempt.record(&kept);
                    writes.push((key, kept, record));
                }
                // The pod is gone, or the container never started. The others' output is written.
                Err(error) if matches!(error.class(), Class::NotFound | Class::Senseless) => {
                    settled.outputs.push(self.told(&key, 0, 0, OutputResult::Lost));
                    settled.trouble.get_or_insert_with(|| lost(error.to_string()));
                }
                Err(error) => {
                    return Err(Obstacle::Trouble { trouble: failed(error.to_string()), retry: true });
                }
            }
        }
        if !writes.is_empty() {
            let body = output::body(self.target.kind, &writes);
            let written = self.cluster.write_target(&self.target, now.as_ref(), body).await;
            *now = Some(written.map_err(obstacle)?);
        }
        Ok(settled)
    }

    /// The pod of the Job's last attempt; `None` if it is gone.
    async fn pod(&self, attempt: &Attempt, wish: &WriteOutput) -> Result<Option<EndedPod>, Obstacle> {
        match self.cluster.ended_pods(&wish.job).await {
            Ok(pods) => Ok(pods.into_iter().rfind(|pod| pod.succeeded == attempt.succeeded)),
            Err(error) => Err(Obstacle::Trouble { trouble: failed(error.to_string()), retry: true }),
        }
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

    fn key_exists(&self, key: &str, record: Option<&Record>) -> Trouble {
        let writer = match record {
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

fn lost(message: String) -> Trouble {
    Trouble { reason: reasons::OUTPUT_LOST, message }
}

fn failed(message: String) -> Trouble {
    Trouble { reason: reasons::WRITE_FAILED, message }
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
