//! Reads what a container wrote: what was kept while its log was followed, else the log itself.

use extendedjob_decide::{
    attempts::LogId,
    fault::Class,
    tail::{Kept, Tail},
};

use super::{
    desk::Desk,
    words::{self, Obstacle},
};
use crate::{
    cluster::logs::{Followed, LogName},
    messages::{Attempted, WriteOutput},
};

/// How often a container may be started again while its log is read.
const RESTARTS: usize = 3;

/// What was read of a log.
pub(super) struct Read {
    pub(super) kept: Kept,
    pub(super) possibly_rotated: bool,
}

impl Desk {
    /// What a container wrote to the log of the container of this name, if it is still there to be read.
    pub(super) async fn log(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        container: &str,
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let logs: Vec<&LogId> = attempted.end.logs.iter().filter(|log| log.container == container).collect();
        match &logs[..] {
            [] => Ok(None),
            [log] => self.run_log(order, attempted, log, false, limit).await,
            logs => self.joined(order, attempted, logs, limit).await,
        }
    }

    /// A container that was started again has gone on where it ended.
    async fn joined(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        logs: &[&LogId],
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let last = logs.last().map_or(0, |log| log.restart);
        let (mut tail, mut seen, mut is_whole, mut is_there) = (Tail::new(limit), 0, true, false);
        for log in logs {
            let previous = log.restart < last;
            match self.run_log(order, attempted, log, previous, limit).await? {
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
        log: &LogId,
        previous: bool,
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let (job, Attempted { end, followed }) = (&order.job, attempted);
        let name = LogName {
            namespace: job.namespace.clone(),
            pod: end.pod.clone(),
            container: log.container.clone(),
        };
        // Of a run whose end nobody has seen no other one is known, either.
        let is_told = end.in_place && !end.containers.is_empty();
        let is_of_it = |followed: &&Followed| !is_told || followed.began_by(end.at);
        let followed = followed.get(log).filter(|it| it.capture.is_kept()).filter(is_of_it);
        if let Some(followed) = followed.filter(|followed| followed.ended) {
            return kept(followed, limit).await.map(Some);
        }
        let log = Some(log).filter(|_| end.in_place);
        let mut restarts = log.map(|log| log.restart);
        for _ in 0..RESTARTS {
            let previous = match (log, restarts) {
                (Some(log), Some(restarts)) if restarts == log.restart + 1 => true,
                (Some(log), Some(restarts)) if restarts != log.restart => return Ok(None),
                _ => previous,
            };
            let read = self.cluster.log(&name, previous, limit).await;
            // A container that failed is started again at any time, and its log then is another one.
            if log.is_some() && !end.succeeded {
                let now = self.cluster.restarts(&name).await.map_err(words::not_read)?;
                if now != restarts {
                    restarts = now;
                    continue;
                }
            }
            return match read {
                Ok(kept) => Ok(Some(Read { kept, possibly_rotated: end.rotatable })),
                // The pod is gone, or the container never started.
                Err(error) if matches!(error.class(), Class::NotFound | Class::Senseless) => match followed {
                    // As far as it was read before.
                    Some(followed) => kept(followed, limit).await.map(Some),
                    None => Ok(None),
                },
                // What was read before is better than nothing.
                Err(error) => match followed.filter(|_| self.is_hopeless(order)) {
                    Some(followed) => kept(followed, limit).await.map(Some),
                    None => Err(words::not_read(error)),
                },
            };
        }
        Ok(None)
    }
}

async fn kept(followed: &Followed, limit: usize) -> Result<Read, Obstacle> {
    let kept = followed.capture.tail(limit).await.map_err(words::not_read)?;
    Ok(Read { kept, possibly_rotated: followed.possibly_rotated })
}
