//! What is written of containers whose streams could not be told apart in the way that was fixed.

use std::{collections::BTreeSet, time::Duration};

use extendedjob_api::{Stream, Streams};
use extendedjob_decide::{
    attempts::LogId,
    output::{self, Piece, Present, Wish, Write},
};

use super::{
    desk::{Desk, Trial},
    words::{self, Obstacle},
};
use crate::messages::{Attempted, WriteOutput};

/// How long a node that can't be asked for the streams of a container has time to come back before its whole log is written.
const MERGED_AFTER: Duration = Duration::from_secs(30);

impl Desk {
    /// What is to be written of these pieces of an attempt into a target that is as `present` says. Of containers whose
    /// streams could not be told apart that is the whole log, if it is for this target.
    pub(super) async fn apart_or_merged(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        mut pieces: Vec<Piece>,
        present: Option<&Present>,
        trial: &mut Trial,
    ) -> Result<Vec<Write>, Obstacle> {
        let merged = order.wish.merged();
        let merged = merged.map(|wish| WriteOutput { wish: wish.into(), ..order.clone() });
        let Some(merged) = merged else { return self.writes(order, attempted, pieces, present, trial).await };
        // Before a crash that may have been done: it stays so.
        let mut whole = merged.wish.pieces(&order.job, &attempted.end);
        let attempt = self.attempt(order, attempted);
        let is_done = |piece: &Piece| {
            let record = present.and_then(|present| present.record(&piece.key));
            record.is_some_and(|it| {
                it.is_of(&attempt) && it.container == piece.container && it.streams == Streams::Merged.name()
            })
        };
        let mut done: BTreeSet<String> = whole.iter().filter(|it| is_done(it)).map(container).collect();
        pieces.retain(|piece| !done.contains(&piece.container));

        let before = trial.unread.len();
        let mut writes = self.writes(order, attempted, pieces, present, trial).await?;
        let now: Vec<_> = trial.unread.drain(before..).collect();
        for unread in now {
            if self.may_merge(&unread.obstacle, order, attempted, &unread.container) {
                done.insert(unread.container);
            } else {
                trial.unread.push(unread);
            }
        }
        // One of its streams may have been read.
        writes.retain(|write| !done.contains(&write.record.container));
        whole.retain(|piece| done.contains(&piece.container));
        for piece in order.wish.pieces(&order.job, &attempted.end) {
            if done.contains(&piece.container) {
                trial.settled.take_back(&piece.key);
            }
        }
        writes.extend(self.writes(&merged, attempted, whole, present, trial).await?);
        output::values_fit(present, &writes).map_err(|full| words::full(&self.target, full))?;
        Ok(writes)
    }

    fn may_merge(
        &self,
        obstacle: &Obstacle,
        order: &WriteOutput,
        attempted: &Attempted,
        container: &str,
    ) -> bool {
        let Obstacle::NotSeparated { may_pass, .. } = obstacle else { return false };
        // What was followed of one of them is better.
        let is_followed = |(log, part): &(LogId, Stream)| *part != Stream::Log && log.container == container;
        (!may_pass || self.has_waited(order, MERGED_AFTER)) && !attempted.followed.keys().any(is_followed)
    }

    /// The pieces of an attempt, and those that it has where its streams could not be told apart.
    pub(super) fn all_pieces(order: &WriteOutput, attempted: &Attempted) -> Vec<Piece> {
        let pieces = |wish: &Wish| wish.pieces(&order.job, &attempted.end);
        pieces(&order.wish).into_iter().chain(order.wish.merged().iter().flat_map(pieces)).collect()
    }
}

fn container(piece: &Piece) -> String {
    piece.container.clone()
}
