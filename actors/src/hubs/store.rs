//! What a watch has said so far, and what each of its observations changes.

use std::{collections::HashMap, sync::Arc};

use extendedjob_decide::{declared::Declared, job::Job, track::Observation};
use tracing::warn;

/// An object that is told from others by its UID, so that one that was deleted and made anew
/// under its name is another.
pub(crate) trait Identified {
    fn uid(&self) -> &str;
}

impl Identified for Job {
    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Identified for Declared {
    fn uid(&self) -> &str {
        &self.uid
    }
}

/// What an observation changes.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// An object appeared, or is not as it was.
    Set { before: Option<Arc<T>>, after: Arc<T> },
    /// An object is no more.
    Removed(Arc<T>),
    /// The first list, or the first after a refresh, is complete: all that there is, is known.
    Complete,
}

struct Entry<T> {
    object: Arc<T>,
    /// The list in which it was last seen, or after which.
    list: u64,
}

/// The objects of one watch by UID.
pub(crate) struct Store<T> {
    entries: HashMap<String, Entry<T>>,
    list: u64,
    complete: bool,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), list: 0, complete: false }
    }
}

impl<T: Identified> Store<T> {
    /// Whether all that there is, is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What is kept may be out of date until another list has been taken in.
    pub(crate) fn refresh(&mut self) {
        self.complete = false;
    }

    pub(crate) fn objects(&self) -> impl ExactSizeIterator<Item = &Arc<T>> {
        self.entries.values().map(|entry| &entry.object)
    }

    pub(crate) fn get(&self, uid: &str) -> Option<&Arc<T>> {
        self.entries.get(uid).map(|entry| &entry.object)
    }

    /// Takes in an observation.
    pub(crate) fn take(&mut self, observation: Observation<T>) -> Vec<Change<T>> {
        match observation {
            Observation::Lost | Observation::Bookmark(_) => vec![],
            Observation::RelistBegun => {
                self.list += 1;
                vec![]
            }
            Observation::Seen(object) => {
                let uid = object.uid().to_owned();
                let before = self.entries.remove(&uid).map(|entry| entry.object);
                let after = Arc::new(object);
                self.entries.insert(uid, Entry { object: Arc::clone(&after), list: self.list });
                vec![Change::Set { before, after }]
            }
            Observation::Gone(object) => {
                let known = self.entries.remove(object.uid());
                known.map(|known| Change::Removed(known.object)).into_iter().collect()
            }
            Observation::RelistEnded(_) => {
                let list = self.list;
                let gone = self.entries.extract_if(|_, entry| entry.list != list);
                let mut changes: Vec<_> = gone.map(|(_, entry)| Change::Removed(entry.object)).collect();
                if !std::mem::replace(&mut self.complete, true) {
                    changes.push(Change::Complete);
                }
                changes
            }
            Observation::Undecodable(undecodable) => {
                // As last seen: what can't be read is not gone.
                if let Some(entry) = self.entries.get_mut(&undecodable.uid) {
                    entry.list = self.list;
                }
                warn!(object = undecodable.name, error = undecodable.error, "can't understand an object");
                vec![]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(uid: &str, attempts: u32) -> Job {
        Job { uid: uid.into(), attempts, ..Job::default() }
    }

    fn take(store: &mut Store<Job>, observation: Observation<Job>) -> Vec<String> {
        let changes = store.take(observation);
        changes
            .iter()
            .map(|change| match change {
                Change::Set { before, after } => {
                    format!("{}{}", if before.is_some() { "~" } else { "+" }, after.uid)
                }
                Change::Removed(job) => format!("-{}", job.uid),
                Change::Complete => "complete".into(),
            })
            .collect()
    }

    #[test]
    fn what_a_later_list_does_not_name_is_gone() {
        let mut store = Store::default();
        for observation in
            [Observation::RelistBegun, Observation::Seen(job("a", 1)), Observation::Seen(job("b", 1))]
        {
            take(&mut store, observation);
        }
        assert_eq!(take(&mut store, Observation::RelistEnded(1)), ["complete"]);
        take(&mut store, Observation::RelistBegun);
        assert_eq!(take(&mut store, Observation::Seen(job("a", 2))), ["~a"]);
        assert_eq!(take(&mut store, Observation::RelistEnded(1)), ["-b"]);
    }

    #[test]
    fn an_object_seen_between_lists_outlives_a_list_that_names_it() {
        let mut store = Store::default();
        take(&mut store, Observation::RelistBegun);
        take(&mut store, Observation::RelistEnded(1));
        assert_eq!(take(&mut store, Observation::Seen(job("a", 1))), ["+a"]);
        take(&mut store, Observation::RelistBegun);
        take(&mut store, Observation::Seen(job("a", 1)));
        assert!(take(&mut store, Observation::RelistEnded(1)).is_empty());
        assert_eq!(take(&mut store, Observation::Gone(job("a", 1))), ["-a"]);
        assert!(take(&mut store, Observation::Gone(job("a", 1))).is_empty());
    }
}
