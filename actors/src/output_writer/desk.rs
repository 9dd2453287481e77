//! Tries one order: read the target, decide, read the logs, write.

use std::time::Duration;

use extendedjob_api::{Format, OUTPUT_KEY_MAX, OutputResult, Target};
use extendedjob_decide::{
    output::{self, Attempt, Piece, Present, Record, Verdict, Write},
    view::{Replaced, Settled, Trouble},
};
use jiff::Timestamp;

use super::{
    fields::Places,
    reading::Read,
    words::{self, Obstacle, Retry},
};
use crate::{
    cluster::Cluster,
    messages::{Attempted, WriteOutput},
};

/// How often a write that others got ahead of is decided anew at once.
const CONFLICTS: usize = 10;

/// What is needed to try an order.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) cluster: Cluster,
    /// The object; of versioned output, what its name begins with.
    pub(super) target: Target,
    /// `namespace/name` of the ExtendedJob.
    pub(super) extended_job: String,
    /// For how long a write is tried again.
    pub(super) patience: Duration,
    /// Of versioned output, the first number that may be free.
    pub(super) least: u64,
}

/// What became of an order.
pub(super) struct Tried {
    pub(super) settled: Settled,
    pub(super) done: bool,
    /// Why no order for this target can be fulfilled now.
    pub(super) blocks: Option<Trouble>,
    /// The target as last read.
    pub(super) present: Option<Option<Present>>,
    /// See [`Desk::least`].
    pub(super) least: u64,
}

/// What one try has come to so far.
#[derive(Default)]
pub(super) struct Trial {
    pub(super) settled: Settled,
    /// Where the fields of the object stand.
    pub(super) places: Places,
    /// What could not be read now. The rest is written all the same.
    pub(super) unread: Vec<Unread>,
}

/// Why something of a container could not be read.
pub(super) struct Unread {
    pub(super) container: String,
    pub(super) obstacle: Obstacle,
}

impl Trial {
    /// Why not all is done: what may pass comes first, for as long as there is such, it is tried again.
    pub(super) fn obstacle(&mut self) -> Option<Obstacle> {
        let lasts = |it: &Unread| matches!(it.obstacle, Obstacle::Trouble { retry: Retry::Never, .. });
        self.unread.sort_by_key(lasts);
        (!self.unread.is_empty()).then(|| self.unread.swap_remove(0).obstacle)
    }
}

impl Desk {
    pub(super) async fn try_order(&self, order: &WriteOutput, mut present: Option<Option<Present>>) -> Tried {
        let _turn = self.cluster.turn_to_write().await;
        let mut least = self.least;
        let mut result = self.fulfil(order, &mut present, &mut least).await;
        // Each conflict means that someone else has got on: decide anew on what is there now.
        for _ in 0..CONFLICTS {
            if !matches!(result, Err(Obstacle::Conflict)) {
                break;
            }
            present = None;
            result = self.fulfil(order, &mut present, &mut least).await;
        }
        let (settled, obstacle) = match result {
            Ok(mut trial) => match trial.obstacle() {
                None => return Tried { settled: trial.settled, done: true, blocks: None, present, least },
                Some(obstacle) => (trial.settled, obstacle),
            },
            Err(obstacle) => (Settled::default(), obstacle),
        };
        let (trouble, retry) = match obstacle {
            Obstacle::Conflict => (words::contended(&self.target), Retry::This),
            Obstacle::Trouble { trouble, retry } => (trouble, retry),
            Obstacle::NotSeparated { trouble, .. } => (trouble, Retry::This),
        };
        let blocks = (retry == Retry::All).then(|| trouble.clone());
        let (settled, done) = self.not_now(order, settled, trouble, retry != Retry::Never);
        Tried { settled, done, blocks, present, least }
    }

    /// An order can't be fulfilled now, beyond what is settled; says whether that is the last word.
    pub(super) fn not_now(
        &self,
        order: &WriteOutput,
        settled: Settled,
        trouble: Trouble,
        retry: bool,
    ) -> (Settled, bool) {
        let hopeless = self.is_hopeless(order);
        let trouble = if retry && hopeless { words::given_up(self.patience, &trouble) } else { trouble };
        (self.unwritten(order, settled, trouble), !retry || hopeless)
    }

    /// Whether it has been tried for long enough.
    pub(super) fn is_hopeless(&self, order: &WriteOutput) -> bool {
        self.has_waited(order, self.patience)
    }

    pub(super) fn has_waited(&self, order: &WriteOutput, time: Duration) -> bool {
        output::is_hopeless(self.ended(order), Timestamp::now(), time)
    }

    /// Nothing of it could be written, but for what is settled.
    fn unwritten(&self, order: &WriteOutput, settled: Settled, trouble: Trouble) -> Settled {
        let mut all = Settled { trouble: Some(trouble), replaced: settled.replaced, ..Settled::default() };
        for attempted in self.wished(order) {
            for piece in order.wish.pieces(&order.job, &attempted.end) {
                all.tell(self.told(&piece, OutputResult::Failed));
            }
        }
        settled.outputs.into_iter().for_each(|output| all.tell(output));
        all
    }

    /// The attempts whose output is to be written.
    pub(super) fn wished<'a>(&self, order: &'a WriteOutput) -> impl Iterator<Item = &'a Attempted> {
        let attempts = order.attempts.iter().map(AsRef::as_ref);
        attempts.filter(|attempted| order.wish.is_for(attempted.end.succeeded))
    }

    /// When the last of the attempts ended.
    pub(super) fn ended(&self, order: &WriteOutput) -> Timestamp {
        let ended = order.attempts.iter().filter_map(|attempted| attempted.end.at).max();
        ended.or(order.job.created).unwrap_or_default()
    }

    pub(super) fn attempt(&self, order: &WriteOutput, attempted: &Attempted) -> Attempt {
        Attempt {
            extended_job: self.extended_job.clone(),
            job: order.job.name.clone(),
            run: order.job.key.clone().unwrap_or_default(),
            attempt: attempted.end.id.clone(),
            succeeded: attempted.end.succeeded,
            ended: attempted.end.at.or(order.job.created).unwrap_or_default(),
            streams: order.wish.streams,
        }
    }

    /// Reads, decides, writes. `present` is the target as last read; `None` if not read yet. `least`: see
    /// [`Desk::least`].
    async fn fulfil(
        &self,
        order: &WriteOutput,
        present: &mut Option<Option<Present>>,
        least: &mut u64,
    ) -> Result<Trial, Obstacle> {
        if order.wish.versioned {
            let settled = self.make_version(order, least).await?;
            return Ok(Trial { settled, ..Trial::default() });
        }
        let mut trial = Trial::default();
        for attempted in self.wished(order) {
            let now = match present {
                Some(present) => present,
                None => present.insert(self.cluster.target(&self.target).await.map_err(words::obstacle)?),
            };
            trial.places.clear();
            let pieces = order.wish.pieces(&order.job, &attempted.end);
            let writes = self.apart_or_merged(order, attempted, pieces, now.as_ref(), &mut trial).await?;
            if writes.is_empty() {
                continue;
            }
            output::annotations_fit(now.as_ref(), &writes).map_err(|full| words::full(&self.target, full))?;
            let body = output::body(&order.wish, writes);
            let written = self.cluster.write_target(&self.target, now.as_ref(), body).await;
            *now = Some(written.map_err(words::obstacle)?);
        }
        Ok(trial)
    }

    /// What is to be written of these pieces of an attempt, told apart as the order says.
    pub(super) async fn writes(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        pieces: Vec<Piece>,
        present: Option<&Present>,
        trial: &mut Trial,
    ) -> Result<Vec<Write>, Obstacle> {
        let (texts, objects): (Vec<_>, Vec<_>) =
            pieces.into_iter().partition(|piece| piece.format == Format::Text);
        let fields = self.fields(order, attempted, objects, present, trial).await;
        let mut writes = self.texts(order, attempted, texts, present, trial).await?;
        match fields {
            Ok(fields) => {
                let both = |field: &Write| writes.iter().any(|text| text.key == field.key);
                if let Some(field) = fields.iter().find(|field| both(field)) {
                    let place = words::some_field(&field.record.container);
                    return Err(words::collide(&place, &format!("the log under {}", field.key)));
                }
                writes.extend(fields);
                output::values_fit(present, &writes).map_err(|full| words::full(&self.target, full))?;
            }
            // What else was printed is written all the same: it may say why.
            Err(obstacle) => trial.unread.push(Unread { container: String::new(), obstacle }),
        }
        Ok(writes)
    }

    /// Each container's log is one value.
    async fn texts(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        pieces: Vec<Piece>,
        present: Option<&Present>,
        trial: &mut Trial,
    ) -> Result<Vec<Write>, Obstacle> {
        let settled = &mut trial.settled;
        let attempt = self.attempt(order, attempted);
        let mut due = vec![];
        for piece in pieces {
            if piece.key.len() > OUTPUT_KEY_MAX {
                settled.stumble(words::key_too_long(&piece.key));
                continue;
            }
            match output::judge(present, &piece.key, &attempt, order.wish.overwrite) {
                Verdict::Write(replaced) => due.push((piece, replaced)),
                Verdict::Done(record) => settled.tell(self.written(&piece, &record)),
                Verdict::Superseded => {}
                Verdict::KeyExists(record) => {
                    let key = format!("key {}", piece.key);
                    settled.stumble(words::key_exists(&self.target, &key, &attempt, record.as_ref()));
                    settled.tell(self.told(&piece, OutputResult::KeyExists));
                }
                Verdict::Immutable => return Err(words::immutable(&self.target)),
            }
        }
        if due.is_empty() {
            return Ok(vec![]);
        }
        if attempted.end.is_unseen() {
            settled.stumble(words::no_pod_left(&attempt.job));
            due.iter().for_each(|(piece, _)| settled.tell(self.told(piece, OutputResult::Lost)));
            return Ok(vec![]);
        }
        let keys: Vec<String> = due.iter().map(|(piece, _)| piece.key.clone()).collect();
        let share = order.wish.share(&order.job);
        let limit = output::room(present, &self.extended_job, &keys, share, order.wish.limit)
            .map_err(|full| words::full(&self.target, full))?;
        let mut writes = vec![];
        for (piece, replaced) in due {
            // The others' output is written also if one is lost.
            match self.log(order, attempted, &piece, limit).await {
                Ok(Some(Read { kept, possibly_rotated })) => {
                    self.note_replaced(&piece.key, replaced, settled);
                    let record = attempt.record(&piece.container, &kept, possibly_rotated);
                    settled.tell(self.written(&piece, &record));
                    writes.push(Write { key: piece.key, bytes: kept.bytes, record });
                }
                Ok(None) => {
                    settled.stumble(words::log_gone(&piece.container, &attempted.end.pod));
                    settled.tell(self.told(&piece, OutputResult::Lost));
                }
                Err(obstacle) => trial.unread.push(Unread { container: piece.container, obstacle }),
            }
        }
        Ok(writes)
    }

    /// The output of another ExtendedJob is about to go.
    pub(super) fn note_replaced(&self, key: &str, record: Option<Record>, settled: &mut Settled) {
        if let Some(record) = record.filter(|record| record.extended_job != self.extended_job) {
            let (extended_job, job) = (record.extended_job, record.job);
            settled.replaced.push(Replaced { extended_job, job, what: format!("{key} of {}", self.target) });
        }
    }
}
