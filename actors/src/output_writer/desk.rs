//! Tries one wish: read the target, decide, read the logs, write.

use extendedjob_api::{OutputResult, OutputStatus, Stream, Target, conditions::reasons};
use extendedjob_decide::{
    attempts,
    fault::Class,
    output::{self, Attempt, Present, Record, Verdict},
    tail::Kept,
    view::{Settled, Trouble},
};

use crate::{
    cluster::{
        Cluster,
        logs::{Followed, LogName},
        targets::TargetError,
    },
    messages::WriteOutput,
};

/// How often a write that others got ahead of is decided anew at once.
const CONFLICTS: usize = 10;

/// How often a container may be started again while its log is read.
const RESTARTS: usize = 3;

/// What is needed to try a wish.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) cluster: Cluster,
    pub(super) target: Target,
    /// `namespace/name` of the ExtendedJob.
    pub(super) extended_job: String,
}

/// What became of a wish.
pub(super) struct Tried {
    pub(super) settled: Settled,
    pub(super) done: bool,
    /// The target as last read.
    pub(super) present: Option<Option<Present>>,
}

/// What was read of a log.
struct Read {
    kept: Kept,
    possibly_rotated: bool,
}

/// Why a wish can't be fulfilled now.
enum Obstacle {
    /// Someone else wrote the target in between: read and decide anew.
    Conflict,
    /// Said to the user; `retry` if it may pass.
    Trouble { trouble: Trouble, retry: bool },
}

impl Desk {
    pub(super) async fn try_wish(&self, wish: &WriteOutput, mut present: Option<Option<Present>>) -> Tried {
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

    pub(super) fn attempt(&self, wish: &WriteOutput) -> Attempt {
        Attempt {
            extended_job: self.extended_job.clone(),
            job: wish.job.name.clone(),
            run: wish.job.key.clone().unwrap_or_default(),
            attempt: wish.attempt.id.clone(),
            succeeded: wish.attempt.succeeded,
            ended: wish.attempt.at.or(wish.job.created).unwrap_or_default(),
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
        // Of an attempt that nobody saw all containers are asked for.
        let unseen = wish.attempt.logs.is_empty();
        let all = wish.job.containers.iter().filter(|_| unseen);
        for container in all.chain(wish.attempt.logs.iter().map(|log| &log.container)) {
            let key = output::key(container);
            match output::judge(now.as_ref(), &key, attempt, wish.wish.overwrite) {
                Verdict::Write => to_write.push((container.as_str(), key)),
                Verdict::Done(record) => settled.outputs.push(self.written(&key, &record)),
                Verdict::Superseded => {}
                Verdict::KeyExists(record) => {
                    settled.outputs.push(self.told(&key, OutputResult::KeyExists));
                    settled.trouble.get_or_insert_with(|| self.key_exists(&key, attempt, record.as_ref()));
                }
                Verdict::Immutable => return Err(self.immutable()),
            }
        }
        if to_write.is_empty() {
            return Ok(settled);
        }
        let keys: Vec<String> = to_write.iter().map(|(_, key)| key.clone()).collect();
        let limit = output::room(now.as_ref(), &keys).ok_or_else(|| self.full())?;
        if unseen {
            settled.outputs.extend(keys.iter().map(|key| self.told(key, OutputResult::Lost)));
            settled.trouble =
                Some(lost(format!("no pod of Job {} is left to read its output from", attempt.job)));
            return Ok(settled);
        }
        let mut writes = vec![];
        for (container, key) in to_write {
            // The others' output is written also if one is lost.
            match self.log(wish, container, limit).await? {
                Some(Read { kept, possibly_rotated }) => {
                    let record = Record { possibly_rotated, ..attempt.record(&kept) };
                    settled.outputs.push(self.written(&key, &record));
                    writes.push((key, kept, record));
                }
                None => {
                    settled.outputs.push(self.told(&key, OutputResult::Lost));
                    let gone =
                        format!("the log of container {container} of pod {} is gone", wish.attempt.pod);
                    settled.trouble.get_or_insert_with(|| lost(gone));
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

    /// The log of a container, if it is still there to be read.
    async fn log(&self, wish: &WriteOutput, container: &str, limit: usize) -> Result<Option<Read>, Obstacle> {
        let WriteOutput { job, attempt, followed, .. } = wish;
        let failed = |error: String| Obstacle::Trouble { trouble: failed(error), retry: true };
        let name = LogName {
            namespace: job.namespace.clone(),
            pod: attempt.pod.clone(),
            container: container.to_owned(),
        };
        let followed = followed.get(container);
        let kept = |followed: Followed| async move {
            let kept = followed.capture.tail(limit).await;
            let kept = kept.map_err(|error| failed(format!("can't read what was kept of a log: {error}")))?;
            Ok(Some(Read { kept, possibly_rotated: followed.possibly_rotated }))
        };
        if let Some(followed) = followed.filter(|followed| followed.ended && followed.capture.is_kept()) {
            return kept(followed.clone()).await;
        }
        let log = attempt.logs.iter().find(|log| log.container == container).filter(|_| attempt.in_place);
        let mut restarts = log.map(|log| log.restart);
        for _ in 0..RESTARTS {
            let previous = match (log, restarts) {
                (Some(log), Some(restarts)) if restarts == log.restart + 1 => true,
                (Some(log), Some(restarts)) if restarts != log.restart => return Ok(None),
                _ => false,
            };
            let read = self.cluster.log(&name, previous, limit).await;
            // A container that failed is started again at any time, and its log then is another one.
            if let (Some(log), false) = (log, attempt.succeeded) {
                let pods = self.cluster.job_pods(job).await.map_err(|error| failed(error.to_string()))?;
                let now = attempts::restarts(&pods, log);
                if now != restarts {
                    restarts = now;
                    continue;
                }
            }
            return match read {
                Ok(kept) => Ok(Some(Read { kept, possibly_rotated: attempt.rotatable })),
                // The pod is gone, or the container never started.
                Err(error) if matches!(error.class(), Class::NotFound | Class::Senseless) => match followed {
                    // As far as it was read before.
                    Some(followed) if followed.capture.is_kept() => kept(followed.clone()).await,
                    _ => Ok(None),
                },
                Err(error) => Err(failed(error.to_string())),
            };
        }
        Ok(None)
    }

    fn written(&self, key: &str, record: &Record) -> OutputStatus {
        OutputStatus {
            bytes_seen: i64::try_from(record.bytes_seen).unwrap_or(i64::MAX),
            bytes_kept: i64::try_from(record.bytes_kept).unwrap_or(i64::MAX),
            possibly_rotated: record.possibly_rotated,
            ..self.told(key, OutputResult::Written)
        }
    }

    fn told(&self, key: &str, result: OutputResult) -> OutputStatus {
        let (target, key) = (self.target.to_string(), key.to_owned());
        let (bytes_seen, bytes_kept, possibly_rotated) = (0, 0, false);
        OutputStatus { stream: Stream::Stdout, target, key, bytes_seen, bytes_kept, possibly_rotated, result }
    }

    fn key_exists(&self, key: &str, attempt: &Attempt, record: Option<&Record>) -> Trouble {
        let writer = match record {
            Some(record) if record.job == attempt.job => {
                format!("an earlier attempt of the same Job ({})", record.attempt)
            }
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
