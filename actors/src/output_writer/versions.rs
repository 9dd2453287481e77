//! Output for which each run makes an object of its own.

use std::collections::BTreeSet;

use extendedjob_api::{Format, OutputResult};
use extendedjob_decide::{
    output::{self, Piece, Version, Write},
    view::Settled,
};

use super::{
    desk::{Desk, Trial},
    words::{self, Obstacle},
};
use crate::messages::{Attempted, WriteOutput};

impl Desk {
    /// Makes the object of a run, unless it is there. The create takes the number; one that is taken, by another run
    /// in between or by anyone, is a conflict, and passed over at the next try.
    pub(super) async fn make_version(
        &self,
        order: &WriteOutput,
        least: &mut u64,
    ) -> Result<Settled, Obstacle> {
        let mut trial = Trial::default();
        let there = self.cluster.versions(&self.target).await.map_err(words::obstacle)?;
        let mut attempts: Vec<&Attempted> = self.wished(order).collect();
        attempts.sort_by_key(|attempted| {
            let attempt = self.attempt(order, attempted);
            (attempt.ended, attempt.attempt)
        });
        let Some(last) = attempts.last().map(|attempted| self.attempt(order, attempted)) else {
            return Ok(trial.settled);
        };
        if let Some(version) = there.iter().find(|version| version.is_of(&last)) {
            self.tell_version(order, version, &mut trial.settled);
            return Ok(trial.settled);
        }
        let number = output::next(&there).max(*least);
        *least = number + 1;
        let made = Self { target: output::version(&self.target, number), ..self.clone() };
        let writes = made.last_of_each_key(order, &attempts, &mut trial).await?;
        if let Some(obstacle) = trial.obstacle() {
            return Err(obstacle);
        }
        if writes.is_empty() {
            return Ok(trial.settled);
        }
        output::annotations_fit(None, &writes).map_err(|full| words::full(&made.target, full))?;
        let mut body = output::body(&order.wish, writes);
        for (label, value) in output::labels(&self.target, number) {
            body["metadata"]["labels"][label] = value.into();
        }
        body["immutable"] = true.into();
        self.cluster.write_target(&made.target, None, body).await.map_err(words::obstacle)?;
        Ok(trial.settled)
    }

    /// Of each key what was written last: in an Indexed Job that of each index.
    async fn last_of_each_key(
        &self,
        order: &WriteOutput,
        attempts: &[&Attempted],
        trial: &mut Trial,
    ) -> Result<Vec<Write>, Obstacle> {
        let (mut writes, mut taken) = (vec![], BTreeSet::new());
        for attempted in attempts.iter().rev() {
            let pieces = order.wish.pieces(&order.job, &attempted.end);
            // Which keys a JSON object has, shows only when it is read.
            let name = |piece: Piece| match piece.format {
                Format::Text => piece.key,
                Format::Json => format!("{} {:?}", piece.container, attempted.end.index),
            };
            let pieces: Vec<Piece> =
                pieces.into_iter().filter(|piece| taken.insert(name(piece.clone()))).collect();
            writes.extend(self.apart_or_merged(order, attempted, pieces, None, trial).await?);
            // What is too much is not gathered further.
            output::values_fit(None, &writes).map_err(|full| words::full(&self.target, full))?;
        }
        Ok(writes)
    }

    /// What stands in an object that was made before a crash.
    fn tell_version(&self, order: &WriteOutput, version: &Version, settled: &mut Settled) {
        let made = Self { target: output::version(&self.target, version.number), ..self.clone() };
        for attempted in self.wished(order) {
            for piece in Self::all_pieces(order, attempted) {
                match version.present.record(&piece.key) {
                    _ if piece.format == Format::Json => {
                        settled.tell(made.told(&piece, OutputResult::Written));
                    }
                    Some(record) => settled.tell(made.written(&piece, &record)),
                    None => {}
                }
            }
        }
    }
}
