//! Reads what a container wrote: what was kept while its log was followed, else the log itself.

use std::time::Duration;

use extendedjob_api::{Stream, Streams};
use extendedjob_decide::{
    attempts::{AttemptEnd, LogId},
    fault::Class,
    output::Piece,
    tail::{Kept, Tail},
    wrap,
};

use super::{
    desk::Desk,
    words::{self, Obstacle},
};
use crate::{
    cluster::logs::{Followed, LogError, LogName, OneRun},
    messages::{Attempted, WriteOutput},
};

/// How often a container may be started again while its log is read.
const RESTARTS: usize = 3;

/// A kubelet that has lost a log says so in the words that it has while its container runtime is started again.
const MISSING_FOR: Duration = Duration::from_secs(10 * 60);

/// After this time Kubernetes gives up the pods of a node that it does not hear from.
const NODE_LOST_AFTER: Duration = Duration::from_secs(5 * 60);

/// What was read of a log.
pub(super) struct Read {
    pub(super) kept: Kept,
    pub(super) possibly_rotated: bool,
}

impl Desk {
    /// What a container wrote, if it is still there to be read.
    pub(super) async fn log(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        piece: &Piece,
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let (logs, part) = (attempted.end.logs.iter(), piece.part());
        let logs: Vec<&LogId> = logs.filter(|log| log.container == piece.log).collect();
        match &logs[..] {
            [] => Ok(None),
            [log] => self.run_log(order, attempted, (log, part), limit).await,
            logs => self.joined(order, attempted, logs, part, limit).await,
        }
    }

    /// A container that was started again has gone on where it ended.
    async fn joined(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        logs: &[&LogId],
        part: Stream,
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let (mut tail, mut seen, mut is_whole, mut is_there) = (Tail::new(limit), 0, true, false);
        for log in logs {
            match self.run_log(order, attempted, (log, part), limit).await? {
                Some(Read { kept, possibly_rotated }) => {
                    tail.push(&kept.bytes);
                    seen += kept.seen;
                    is_whole &= !possibly_rotated;
                    is_there = true;
                }
                None => is_whole = false,
            }
        }
        let kept = Kept { seen, ..tail.finish() };
        Ok(is_there.then_some(Read { kept, possibly_rotated: !is_whole }))
    }

    /// The log of one run of a container.
    async fn run_log(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        (log, part): (&LogId, Stream),
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let Attempted { end, followed } = attempted;
        // Of a run whose end nobody has seen no other one is known, either.
        let is_told = end.in_place && !end.containers.is_empty();
        let is_of_it = |followed: &&Followed| !is_told || followed.began_by(end.at);
        let followed = followed.get(&(log.clone(), part)).filter(|it| it.capture.is_kept()).filter(is_of_it);
        let Some(followed) = followed else { return self.read_log(order, end, (log, part), limit).await };
        // Of a run that was silent, the log may have been opened when the next one had begun.
        let is_certain = !end.may_be_started_again() || !followed.is_silent();
        if followed.ended && is_certain {
            return kept(followed, limit).await.map(Some);
        }
        match self.read_log(order, end, (log, part), limit).await {
            // It was followed from its start; what is there now may begin after a rotation.
            Ok(Some(read)) if read.kept.seen >= followed.capture.seen() => Ok(Some(read)),
            Err(obstacle) if !self.is_in_vain(order, &obstacle) => Err(obstacle),
            // Nothing was heard of it, which does not say that it was silent.
            read if followed.is_silent() && !followed.ended => read,
            // What was read before is better than nothing.
            _ => kept(followed, limit).await.map(Some),
        }
    }

    /// Whether it need not be tried any further to read what was followed for a while.
    fn is_in_vain(&self, order: &WriteOutput, obstacle: &Obstacle) -> bool {
        match obstacle {
            Obstacle::NotSeparated { may_pass, .. } => !may_pass || self.has_waited(order, NODE_LOST_AFTER),
            _ => self.is_hopeless(order),
        }
    }

    /// Reads the log as it is now; `None`: it is there no more.
    async fn read_log(
        &self,
        order: &WriteOutput,
        end: &AttemptEnd,
        (log, part): (&LogId, Stream),
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let name = LogName {
            namespace: order.job.namespace.clone(),
            pod: end.pod.clone(),
            uid: log.pod.clone(),
            node: end.node.clone(),
            container: log.container.clone(),
            restart: log.restart,
            part,
        };
        // What may have been started again has another log then.
        let may_be_another = end.may_be_started_again() || wrap::is_drain(&log.container);
        let streams = if part == Stream::Log { Streams::Merged } else { order.wish.streams };
        // Files have the number of their run.
        let may_be_another = may_be_another && streams != Streams::Kubelet;
        // A container that is started again in its pod has one drain for all its runs.
        let run = end.logs.first().filter(|_| end.in_place && wrap::is_drain(&log.container));
        let section = run.map(|run| OneRun {
            boundary: order.job.boundary(),
            run: run.restart,
            is_last: end.succeeded,
        });
        let mut restarts = log.restart;
        for _ in 0..RESTARTS {
            let previous = match restarts.checked_sub(log.restart) {
                Some(0) => false,
                Some(1) => true,
                _ => return Ok(None),
            };
            let read = match &section {
                Some(section) => self.cluster.section(&name, previous, section, limit).await,
                None => self.cluster.stream(streams, &name, previous, limit).await.map(Some),
            };
            // A container that failed is started again at any time, and its log then is another one.
            if may_be_another
                && let Some(now) = self.cluster.restarts(&name).await.map_err(words::not_read)?
                && now > restarts
            {
                restarts = now;
                continue;
            }
            // The kubelet knows of it before the pod tells. What is read of a drain has marks of its own.
            if may_be_another && !previous && section.is_none() && self.next_has_begun(end, &name).await? {
                restarts += 1;
                continue;
            }
            return match read {
                Ok(found) => Ok(found
                    .map(|(kept, is_rotated)| Read { kept, possibly_rotated: is_rotated || end.rotatable })),
                // With the pod its files are gone, too, whether its node answers or not; files that are nowhere, while
                // the pod is there, the kubelet keeps elsewhere.
                Err(error @ LogError::Files(_)) => match self.is_there(&name).await? {
                    true => Err(words::not_read(error)),
                    false => Ok(None),
                },
                // The pod is gone, or the container never started.
                Err(error) if matches!(error.class(), Class::NotFound | Class::Senseless) => Ok(None),
                Err(LogError::Missing(..)) if self.has_waited(order, MISSING_FOR) => Ok(None),
                Err(error) => Err(words::not_read(error)),
            };
        }
        Ok(None)
    }
}

impl Desk {
    /// Whether the log that stands in the place of a run's is already that of the next run.
    async fn next_has_begun(&self, end: &AttemptEnd, log: &LogName) -> Result<bool, Obstacle> {
        if !end.may_be_started_again() || end.containers.is_empty() {
            return Ok(false);
        }
        let first_line =
            async |previous| self.cluster.first_line(log, previous).await.map_err(words::not_read);
        let before = first_line(true).await?;
        let present = if before.is_some() { first_line(false).await? } else { None };
        Ok(end.next_has_begun(present.flatten(), before))
    }

    async fn is_there(&self, log: &LogName) -> Result<bool, Obstacle> {
        self.cluster.restarts(log).await.map(|restarts| restarts.is_some()).map_err(words::not_read)
    }
}

async fn kept(followed: &Followed, limit: usize) -> Result<Read, Obstacle> {
    let kept = followed.capture.tail(limit).await.map_err(words::not_kept)?;
    Ok(Read { kept, possibly_rotated: followed.possibly_rotated })
}
