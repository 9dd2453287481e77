//! How many Jobs there should be for each pod, and the comparison with those that were seen.

use std::collections::{BTreeMap, BTreeSet};

use crowds::jobs_seen::{Run, Seen};
use crowds::pods::Pod;

/// What a scenario has caused so far.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// By ExtendedJob and pod.
    due: BTreeMap<Key, Due>,
    /// UIDs of pods that only show how far the operator is.
    sentinels: BTreeSet<String>,
}

/// An ExtendedJob's name and a pod's UID.
type Key = (String, String);

#[derive(Debug, Default)]
struct Due {
    pod: String,
    count: usize,
}

/// The comparison, as numbers of Jobs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) expected: usize,
    pub(crate) found: usize,
    /// Transitions without a Job.
    pub(crate) missing: usize,
    /// Jobs for a transition that has one already, or that is none.
    pub(crate) double: usize,
    /// A line for each pod where the numbers differ.
    pub(crate) differences: Vec<String>,
}

impl Expected {
    /// One more Job of this ExtendedJob is due for each of these pods.
    pub(crate) fn one(&mut self, extended_job: &str, pods: &[Pod]) {
        self.times(1, extended_job, pods);
    }

    /// So many more Jobs are due.
    pub(crate) fn times(&mut self, count: usize, extended_job: &str, pods: &[Pod]) {
        for Pod { name, uid } in pods {
            let due = self.due.entry((extended_job.to_owned(), uid.clone())).or_default();
            due.pod.clone_from(name);
            due.count += count;
        }
    }

    /// So many more Jobs are due that run for no pod.
    pub(crate) fn without_pod(&mut self, count: usize, extended_job: &str) {
        self.times(count, extended_job, &[Pod { name: "no pod".to_owned(), uid: String::new() }]);
    }

    /// The Jobs for this pod are not counted.
    pub(crate) fn ignore(&mut self, sentinel: &Pod) {
        self.sentinels.insert(sentinel.uid.clone());
    }

    /// Whether each transition has its Job.
    pub(crate) fn is_met(&self, seen: &Seen) -> bool {
        // The first question is cheap, and this is asked again with each Job.
        seen.runs.len() >= self.total() && self.tally(seen).missing == 0
    }

    /// Compares.
    pub(crate) fn tally(&self, seen: &Seen) -> Tally {
        let mut found: BTreeMap<Key, Vec<&Run>> = BTreeMap::new();
        for run in seen.runs.values().filter(|run| !self.sentinels.contains(&run.pod_uid)) {
            found.entry((run.extended_job.clone(), run.pod_uid.clone())).or_default().push(run);
        }
        let mut tally = Tally { expected: self.total(), ..Tally::default() };
        let keys: BTreeSet<&Key> = self.due.keys().chain(found.keys()).collect();
        for key in keys {
            tally.add(key, self.due.get(key), found.get(key).map_or(&[], Vec::as_slice));
        }
        tally
    }

    fn total(&self) -> usize {
        self.due.values().map(|due| due.count).sum()
    }
}

impl Tally {
    fn add(&mut self, (extended_job, _): &Key, due: Option<&Due>, runs: &[&Run]) {
        let count = due.map_or(0, |due| due.count);
        let transitions: Vec<&str> = runs.iter().map(|run| run.transition.as_str()).collect();
        let distinct = transitions.iter().collect::<BTreeSet<_>>().len();
        let missing = count.saturating_sub(distinct);
        let double = transitions.len() - distinct.min(count);
        self.found += transitions.len();
        self.missing += missing;
        self.double += double;
        if missing + double > 0 {
            let pod = due.map(|due| &due.pod).or(runs.first().map(|run| &run.pod));
            let pod = pod.map_or("", String::as_str);
            let seen = transitions.join(", ");
            self.differences.push(format!("{extended_job} for {pod}: {count} due, seen: [{seen}]"));
        }
    }

    /// Whether the numbers agree.
    pub(crate) fn is_exact(&self) -> bool {
        self.missing == 0 && self.double == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(runs: &[(&str, &str)]) -> Seen {
        let run = |(pod_uid, transition): &(&str, &str)| Run {
            extended_job: "ready".to_owned(),
            pod_uid: (*pod_uid).to_owned(),
            transition: (*transition).to_owned(),
            ..Run::default()
        };
        let mut seen = Seen::default();
        seen.runs = runs.iter().enumerate().map(|(number, of)| (number.to_string(), run(of))).collect();
        seen
    }

    fn counted(due: usize, runs: &[(&str, &str)]) -> (usize, usize, usize) {
        let mut expected = Expected::default();
        expected.times(due, "ready", &[Pod { name: "p".to_owned(), uid: "1".to_owned() }]);
        let tally = expected.tally(&seen(runs));
        assert_eq!(tally.is_exact(), tally.differences.is_empty());
        (tally.found, tally.missing, tally.double)
    }

    #[test]
    fn a_second_job_for_a_transition_does_not_make_up_for_a_missing_one() {
        assert_eq!(counted(2, &[("1", "a"), ("1", "b")]), (2, 0, 0));
        assert_eq!(counted(2, &[("1", "a"), ("1", "a")]), (2, 1, 1));
        assert_eq!(counted(1, &[("1", "a"), ("1", "a")]), (2, 0, 1));
        assert_eq!(counted(1, &[]), (0, 1, 0));
    }

    #[test]
    fn a_job_for_what_is_no_transition_is_one_too_many() {
        assert_eq!(counted(1, &[("1", "a"), ("1", "b")]), (2, 0, 1));
        assert_eq!(counted(1, &[("1", "a"), ("2", "a")]), (2, 0, 1));
        assert_eq!(counted(0, &[("1", "a")]), (1, 0, 1));
    }

    #[test]
    fn jobs_for_sentinels_do_not_count() {
        let mut expected = Expected::default();
        expected.ignore(&Pod { name: "s".to_owned(), uid: "1".to_owned() });
        assert_eq!(expected.tally(&seen(&[("1", "a")])), Tally::default());
    }
}
