//! All pods of the namespaces that are watched: a [`Tracker`] for each part, because only what one watch tells has an
//! order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    pod::{Pod, Version},
    scope::{Part, Scope, holds},
    track::{Observation, Start, Tracker, Written},
    transition::Move,
};

/// Keeps all pods, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trackers(BTreeMap<Part, Tracker>);

impl Trackers {
    /// Know no pods yet, but what was written down of them.
    #[must_use]
    pub fn new(scope: &Scope, start: &Start, written: impl IntoIterator<Item = Written>) -> Self {
        let mut written: Vec<Written> = written.into_iter().collect();
        let tracker = |part: Part| {
            let of_part = written.extract_if(.., |written| holds(&part, &written.pod.namespace));
            let tracker = Tracker::new(start.clone(), of_part);
            (part, tracker)
        };
        Self(scope.parts().map(tracker).collect())
    }

    /// Whether the first list of each part is complete.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.0.values().all(Tracker::is_complete)
    }

    /// Whether the first list of one part is complete.
    #[must_use]
    pub fn is_complete(&self, part: &Part) -> bool {
        self.0.get(part).is_some_and(Tracker::is_complete)
    }

    /// All that happened to pods up to here has been told. Of a namespace where nothing happens that is known only
    /// from the bookmarks of its watch, which come each minute.
    #[must_use]
    pub fn position(&self) -> Version {
        self.0.values().map(Tracker::position).min().unwrap_or_default()
    }

    /// All that happened to pods of this namespace up to here has been told.
    #[must_use]
    pub fn position_in(&self, namespace: &str) -> Version {
        self.part_of(namespace).map(Tracker::position).unwrap_or_default()
    }

    /// See [`Tracker::known_since`]: from here on everything is known of every part.
    #[must_use]
    pub fn known_since(&self) -> Version {
        self.0.values().map(Tracker::known_since).max().unwrap_or_default()
    }

    /// What happened in any part behind the first list of all has been told.
    #[must_use]
    pub fn first_listed(&self) -> Version {
        self.0.values().map(Tracker::known_since).min().unwrap_or_default()
    }

    /// The newest creation of a pod up to `version`, if any is known.
    #[must_use]
    pub fn newest_by(&self, version: Version) -> Option<Timestamp> {
        self.0.values().filter_map(|tracker| tracker.newest_by(version)).max()
    }

    /// Those of these pods, by their UIDs, that are there.
    pub fn pods_of<'a>(&'a self, uids: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.0.values().flat_map(|tracker| tracker.pods_of(uids))
    }

    /// The pods of a namespace.
    pub fn pods_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Pod>> {
        let pods = self.part_of(namespace).into_iter().flat_map(Tracker::pods);
        pods.filter(move |pod| pod.namespace == namespace)
    }

    /// How many pods there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(|tracker| tracker.pods().len()).sum()
    }

    /// Take in what the watch on a part says, and say what happened.
    pub fn observe(&mut self, part: &Part, observation: Observation<Pod>) -> Vec<Move> {
        self.0.get_mut(part).map(|tracker| tracker.observe(observation)).unwrap_or_default()
    }

    /// The checkpoint stands at `version`: edges up to it are only counted from now on.
    pub fn pass(&mut self, version: Version) {
        self.0.values_mut().for_each(|tracker| tracker.pass(version));
    }

    fn part_of(&self, namespace: &str) -> Option<&Tracker> {
        self.0.iter().find(|(part, _)| holds(part, namespace)).map(|(_, tracker)| tracker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, pod};

    fn both() -> Trackers {
        Trackers::new(&Scope::of(&["a".into(), "b".into()]), &Start::Nowhere, [])
    }

    fn part(namespace: &str) -> Part {
        Some(namespace.into())
    }

    fn pod_in(namespace: &str, version: Version) -> Pod {
        let created = Some(at(i64::try_from(version).unwrap()));
        Pod { uid: format!("{namespace}-{version}"), namespace: namespace.into(), version, created, ..pod() }
    }

    fn list(trackers: &mut Trackers, namespace: &str, version: Version) {
        trackers.observe(&part(namespace), Observation::RelistBegun);
        trackers.observe(&part(namespace), Observation::RelistEnded(version));
    }

    #[test]
    fn they_are_as_far_as_the_part_that_is_behind_all_others() {
        let mut trackers = both();
        list(&mut trackers, "a", 10);
        assert!(!trackers.are_complete() && trackers.is_complete(&part("a")));
        list(&mut trackers, "b", 20);
        assert!(trackers.are_complete());
        assert_eq!((trackers.position(), trackers.first_listed(), trackers.known_since()), (10, 10, 20));
        trackers.observe(&part("b"), Observation::Seen(pod_in("b", 30)));
        assert_eq!((trackers.position(), trackers.position_in("a"), trackers.position_in("b")), (10, 10, 30));
        trackers.observe(&part("a"), Observation::Bookmark(40));
        assert_eq!(trackers.position(), 30);
    }

    #[test]
    fn what_one_part_tells_late_is_told_all_the_same() {
        let mut trackers = both();
        list(&mut trackers, "a", 10);
        list(&mut trackers, "b", 10);
        assert_eq!(trackers.observe(&part("b"), Observation::Seen(pod_in("b", 30))).len(), 1);
        assert_eq!(trackers.observe(&part("a"), Observation::Seen(pod_in("a", 20))).len(), 1);
        assert_eq!(trackers.newest_by(20), Some(at(20)));
        assert_eq!(trackers.newest_by(30), Some(at(30)));
    }

    #[test]
    fn pods_are_those_of_their_namespace_and_a_list_of_one_says_nothing_of_the_other() {
        let mut trackers = both();
        for namespace in ["a", "b"] {
            list(&mut trackers, namespace, 10);
            trackers.observe(&part(namespace), Observation::Seen(pod_in(namespace, 11)));
        }
        list(&mut trackers, "a", 20);
        assert_eq!((trackers.pods_in("a").count(), trackers.pods_in("b").count()), (0, 1));
    }

    #[test]
    fn what_was_written_of_pods_goes_to_their_part() {
        let known = |namespace| Written { pod: Arc::new(pod_in(namespace, 5)), gone: None };
        let start = Start::Behind { checkpoint: Some(7), booked: BTreeMap::new() };
        let scope = Scope::of(&["a".into()]);
        let mut trackers = Trackers::new(&scope, &start, [known("a"), known("elsewhere")]);
        trackers.observe(&part("a"), Observation::RelistBegun);
        let moves = trackers.observe(&part("a"), Observation::RelistEnded(9));
        let gone: Vec<&str> = moves.iter().map(|moved| moved.after.namespace.as_str()).collect();
        assert_eq!(gone, ["a"]);
    }
}
