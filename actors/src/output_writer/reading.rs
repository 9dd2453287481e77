//! Reads what a container wrote: what was kept while its log was followed, else the log itself.

use extendedjob_decide::{fault::Class, tail::Kept};

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
    /// The log of a container, if it is still there to be read.
    pub(super) async fn log(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        container: &str,
        limit: usize,
    ) -> Result<Option<Read>, Obstacle> {
        let (job, Attempted { end, followed }) = (&order.job, attempted);
        let name = LogName {
            namespace: job.namespace.clone(),
            pod: end.pod.clone(),
            container: container.to_owned(),
        };
        // Of a run whose end nobody has seen no other one is known, either.
        let is_told = end.in_place && !end.containers.is_empty();
        let is_of_it = |followed: &&Followed| !is_told || followed.began_by(end.at);
        let followed = followed.get(container).filter(|it| it.capture.is_kept()).filter(is_of_it);
        if let Some(followed) = followed.filter(|followed| followed.ended) {
            return kept(followed, limit).await.map(Some);
        }
        let log = end.logs.iter().find(|log| log.container == container).filter(|_| end.in_place);
        let mut restarts = log.map(|log| log.restart);
        for _ in 0..RESTARTS {
            let previous = match (log, restarts) {
                (Some(log), Some(restarts)) if restarts == log.restart + 1 => true,
                (Some(log), Some(restarts)) if restarts != log.restart => return Ok(None),
                _ => false,
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
