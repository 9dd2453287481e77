//! Output that is one flat JSON object, of which each field becomes a key.
//!
//! The names of fields are output, too: neither status nor Events tell them.

use std::collections::BTreeMap;

use extendedjob_api::{OutputResult, OutputStatus};
use extendedjob_decide::{
    output::{self, MOST, Piece, Present, Record, Verdict, Write},
    tail::Kept,
};

use super::{
    desk::{Desk, Trial},
    reading::Read,
    words::{self, Obstacle},
};
use crate::messages::{Attempted, WriteOutput};

/// How the keys of all fields are told.
pub(super) const ALL: &str = "*";

/// Where each field stands that was found for an object.
pub(super) type Places = BTreeMap<String, String>;

impl Desk {
    /// Each field of the object that a container printed is one value.
    pub(super) async fn fields(
        &self,
        order: &WriteOutput,
        attempted: &Attempted,
        pieces: Vec<Piece>,
        present: Option<&Present>,
        Trial { settled, places, .. }: &mut Trial,
    ) -> Result<Vec<Write>, Obstacle> {
        let attempt = self.attempt(order, attempted);
        let Some(first) = pieces.first() else { return Ok(vec![]) };
        if attempted.end.is_unseen() {
            let is_there = |present: &Present| present.records().any(|record| record.job == attempt.job);
            if !present.is_some_and(is_there) {
                settled.stumble(words::no_pod_left(&attempt.job));
                settled.tell(self.told(first, OutputResult::Lost));
            }
            return Ok(vec![]);
        }
        let limit = order.wish.limit.unwrap_or(MOST).min(MOST);
        let mut writes: Vec<Write> = vec![];
        for piece in pieces {
            let container = &piece.container;
            let Some(Read { kept, possibly_rotated }) = self.log(order, attempted, &piece, limit).await?
            else {
                let is_of_it = |it: Record| it.is_of(&attempt) && it.container == *container;
                if present.is_some_and(|present| present.records().any(is_of_it)) {
                    // Before a crash.
                    settled.tell(self.told(&piece, OutputResult::Written));
                    continue;
                }
                settled.stumble(words::log_gone(container, &attempted.end.pod));
                settled.tell(self.told(&piece, OutputResult::Lost));
                continue;
            };
            if kept.is_cut() {
                return Err(words::not_json(container, &format!("it is longer than {limit} bytes")));
            }
            let found = output::fields(&kept.bytes)
                .map_err(|error| words::not_json(container, &error.to_string()))?;
            let mut result = OutputResult::Written;
            for field in found {
                let place = words::place(container, field.place);
                if let Some(other) = places.insert(field.name.clone(), place.clone()) {
                    return Err(words::collide(&other, &place));
                }
                if let Some(record) = present.and_then(|present| present.record(&field.name))
                    && record.job == attempt.job
                    && record.container != *container
                {
                    return Err(words::collide(&words::some_field(&record.container), &place));
                }
                match output::judge(present, &field.name, &attempt, order.wish.overwrite) {
                    Verdict::Write(replaced) => {
                        self.note_replaced(&place, replaced, settled);
                        let value = Kept { seen: field.value.len() as u64, bytes: field.value.into_bytes() };
                        let record = attempt.record(container, &value, possibly_rotated);
                        writes.push(Write { key: field.name, bytes: value.bytes, record });
                    }
                    Verdict::Done(_) | Verdict::Superseded => {}
                    Verdict::KeyExists(record) => {
                        let key = format!("the key of {place}");
                        settled.stumble(words::key_exists(&self.target, &key, &attempt, record.as_ref()));
                        result = OutputResult::KeyExists;
                    }
                    Verdict::Immutable => return Err(words::immutable(&self.target)),
                }
            }
            let record = attempt.record(container, &kept, possibly_rotated);
            let told = self.written(&piece, &record);
            settled.tell(OutputStatus { result, ..told });
        }
        // A part of a JSON object would be none.
        output::values_fit(present, &writes).map_err(|full| words::full(&self.target, full))?;
        Ok(writes)
    }
}
