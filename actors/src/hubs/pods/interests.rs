//! Which watchers a pod can concern, found by namespace and label.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use extendedjob_decide::{
    pod::{Pod, Version},
    selector::IndexTerms,
    transition::{Move, Trigger, What},
};

use crate::messages::{BookNews, PodSubscriber, PodsWatched};

/// The triggers of all ExtendedJobs that have one, by the ExtendedJobs' UIDs.
#[derive(Default)]
pub(super) struct Interests {
    by_owner: HashMap<String, Interest>,
    index: HashMap<String, NamespaceIndex>,
}

/// What one ExtendedJob wants to know of.
pub(super) struct Interest {
    pub(super) namespace: String,
    pub(super) trigger: Trigger,
    /// Where it wants to be told, and the number of the subscription that says so; `None` as long as it has
    /// not said.
    pub(super) subscriber: Option<(u64, PodSubscriber)>,
    /// It waits for word that what was there at this version is in the book.
    pub(super) awaits_book: Option<Version>,
    /// How many pods there are that concern it.
    pub(super) watched: usize,
}

impl Interest {
    /// In pods of a namespace, of someone who has not said yet where it wants to be told.
    pub(super) fn in_pods_of(namespace: String, trigger: Trigger) -> Self {
        Self { namespace, trigger, subscriber: None, awaits_book: None, watched: 0 }
    }
}

/// The owners of one namespace, by the labels that can concern them.
#[derive(Default)]
struct NamespaceIndex {
    every: BTreeSet<String>,
    by_label: HashMap<(String, String), BTreeSet<String>>,
}

impl Interests {
    /// Takes up an interest, in place of the one that this owner had.
    pub(super) fn set(&mut self, owner: String, interest: Interest) {
        self.remove(&owner);
        let index = self.index.entry(interest.namespace.clone()).or_default();
        index.add(interest.trigger.selector.index_terms(), &owner);
        self.by_owner.insert(owner, interest);
    }

    pub(super) fn get(&self, owner: &str) -> Option<&Interest> {
        self.by_owner.get(owner)
    }

    /// Gives an interest up; says its namespace if it was the last one there.
    pub(super) fn remove(&mut self, owner: &str) -> Option<String> {
        let Interest { namespace, .. } = self.by_owner.remove(owner)?;
        let Entry::Occupied(mut index) = self.index.entry(namespace) else { return None };
        index.get_mut().remove(owner);
        index.get().is_empty().then(|| index.remove_entry().0)
    }

    /// Whether anyone is interested in pods of a namespace.
    pub(super) fn has_any_in(&self, namespace: &str) -> bool {
        self.index.contains_key(namespace)
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &String> {
        self.index.keys()
    }

    /// Those whose triggers are about the pod.
    pub(super) fn in_pod(&self, pod: &Pod) -> Vec<(String, &Interest)> {
        let candidates =
            self.index.get(&pod.namespace).map(|index| index.candidates(pod)).unwrap_or_default();
        let interests =
            candidates.into_iter().filter_map(|owner| Some((owner.clone(), self.by_owner.get(owner)?)));
        interests.filter(|(_, interest)| interest.trigger.concerns(pod)).collect()
    }

    /// Those who wait for the book of a namespace, of which all older than `unwritten` is written:
    /// they need not wait any more. Each with the number of its subscription.
    pub(super) fn told_of_book(
        &mut self,
        namespace: &str,
        unwritten: Option<Version>,
    ) -> Vec<(u64, PodSubscriber)> {
        let written = |since: Version| unwritten.is_none_or(|unwritten| since < unwritten);
        let of_namespace = self.by_owner.values_mut().filter(|interest| interest.namespace == namespace);
        let told = of_namespace.filter_map(|interest| {
            let subscriber = interest.subscriber.as_ref()?;
            interest.awaits_book.take_if(|since| written(*since))?;
            Some(subscriber.clone())
        });
        told.collect()
    }

    /// Counts the pods that concern each owner, and tells them.
    pub(super) fn count(&mut self, moved: &Move) {
        let Move { before, after, what, .. } = moved;
        let before = before.as_ref();
        if *what != What::Vanished && before.is_some_and(|before| before.labels == after.labels) {
            return;
        }
        let owners = |pod: Option<&Arc<Pod>>| -> BTreeSet<String> {
            pod.map(|pod| self.in_pod(pod).into_iter().map(|(owner, _)| owner).collect()).unwrap_or_default()
        };
        let was = owners(before);
        let is = owners(Some(after).filter(|_| *what != What::Vanished));
        for owner in was.symmetric_difference(&is) {
            let Some(interest) = self.by_owner.get_mut(owner) else { continue };
            let pods = interest.watched;
            interest.watched = if is.contains(owner) { pods + 1 } else { pods.saturating_sub(1) };
            if let Some((number, subscriber)) = &interest.subscriber {
                subscriber.watched.do_send(PodsWatched { number: *number, pods: interest.watched });
            }
        }
    }

    /// Tells those who wait for the book why it is not written.
    pub(super) fn tell_of_trouble(&self, error: &str) {
        for interest in self.by_owner.values() {
            if let (Some((number, subscriber)), Some(_)) = (&interest.subscriber, interest.awaits_book) {
                subscriber.book.do_send(BookNews { number: *number, error: Some(error.to_owned()) });
            }
        }
    }
}

impl NamespaceIndex {
    fn add(&mut self, terms: IndexTerms, owner: &str) {
        match terms {
            IndexTerms::Every => {
                self.every.insert(owner.to_owned());
            }
            IndexTerms::AnyOf(pairs) => {
                for pair in pairs {
                    self.by_label.entry(pair).or_default().insert(owner.to_owned());
                }
            }
        }
    }

    fn remove(&mut self, owner: &str) {
        self.every.remove(owner);
        self.by_label.retain(|_, owners| {
            owners.remove(owner);
            !owners.is_empty()
        });
    }

    fn is_empty(&self) -> bool {
        self.every.is_empty() && self.by_label.is_empty()
    }

    /// The owners that a pod may concern.
    fn candidates(&self, pod: &Pod) -> BTreeSet<&String> {
        let mut owners: BTreeSet<&String> = self.every.iter().collect();
        if !self.by_label.is_empty() {
            for (key, value) in &pod.labels {
                owners.extend(self.by_label.get(&(key.clone(), value.clone())).into_iter().flatten());
            }
        }
        owners
    }
}
