//! What is counted of one ExtendedJob. It goes with its Supervisor: one that comes again counts anew what is there.

use std::{collections::HashMap, time::Duration};

use extendedjob_api::{RunResult, conditions::reasons};
use extendedjob_decide::run::{Reason, Run};
use tokio::time::Instant;

use super::Supervisor;
use crate::metrics::{Brake, Metrics, Share, SizeOf};

/// Its part of the metrics.
pub(super) struct Counts {
    metrics: Metrics,
    pending: Share,
    active: Share,
    ledger: SizeOf,
    /// The brakes that hold runs back.
    brakes: Vec<(Brake, Share)>,
    observed: Observed,
}

/// When the transitions were observed that have no Job yet, by the roots of their runs.
#[derive(Default)]
struct Observed(HashMap<String, Instant>);

/// So many more than runs that wait may be kept, such as of those that were merged into others.
const SLACK: usize = 100;

impl Observed {
    fn note(&mut self, root: &str, at: Instant) {
        self.0.entry(root.to_owned()).or_insert(at);
    }

    /// A run has its Job now: how long that took.
    fn take(&mut self, root: &str, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.0.remove(root)?))
    }

    /// Forgets those that wait no more, if there are many; so many do.
    fn prune(&mut self, waiting: usize, waits: impl Fn(&str) -> bool) {
        if self.0.len() > 2 * waiting + SLACK {
            self.0.retain(|root, _| waits(root));
        }
    }
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            pending: metrics.pending(),
            active: metrics.active(),
            ledger: metrics.ledger(),
            brakes: vec![],
            observed: Observed::default(),
            metrics: metrics.clone(),
        }
    }

    fn set_brake(&mut self, brake: Brake, is_open: bool) {
        let was_open = self.brakes.iter().any(|(open, _)| *open == brake);
        match (was_open, is_open) {
            (false, true) => {
                let mut share = self.metrics.brake_open(brake);
                share.set(1);
                self.brakes.push((brake, share));
                self.metrics.brake_opens(brake);
            }
            (true, false) => self.brakes.retain(|(open, _)| *open != brake),
            _ => {}
        }
    }

    /// A transition counts that was not known before.
    pub(super) fn fired(&self, run: &Run) {
        if let Reason::Pod { transition, .. } = &run.reason {
            self.metrics.transition(transition.when);
        }
    }

    /// The watch told of the transition that a run is for, which has no Job yet.
    pub(super) fn observed(&mut self, run: &Run, at: Instant) {
        self.observed.note(&run.root, at);
    }
}

impl Supervisor {
    /// Brings the gauges up to date.
    pub(super) fn count(&mut self) {
        let counts = &mut self.counts;
        counts.pending.set(self.desk.len() + usize::from(self.requests.waits));
        counts.active.set(self.runs.as_ref().map_or(0, |runs| runs.busy.len()));
        counts.ledger.set(self.keeper.size());
        let braked = self.hindrances.brake_of_runs();
        counts.set_brake(Brake::Pod, braked == Some(Brake::Pod));
        counts.set_brake(Brake::All, braked == Some(Brake::All));
        let trouble = self.requests.trouble.as_ref();
        let is_braked = trouble.is_some_and(|trouble| trouble.reason == reasons::TOO_MANY_RUNS);
        counts.set_brake(Brake::Requests, is_braked);
        counts.set_brake(Brake::Restarts, self.config.restarts.is_held());
        let desk = &self.desk;
        let waits = |root: &str| desk.newest(root).is_some_and(|job| desk.waiting(job).is_some());
        counts.observed.prune(desk.len(), waits);
    }

    /// The Job of a run was made, by this operator in this term; `root`: that of the run, if it waited.
    pub(super) fn count_start(&mut self, root: Option<&str>) {
        let metrics = &self.counts.metrics;
        self.declared.mode().into_iter().for_each(|mode| metrics.run_started(mode));
        let latency = root.and_then(|root| self.counts.observed.take(root, Instant::now()));
        latency.into_iter().for_each(|latency| metrics.triggered(latency));
    }

    /// A run is over.
    pub(super) fn count_end(&self, result: RunResult) {
        self.declared.mode().into_iter().for_each(|mode| self.counts.metrics.run_ended(mode, result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn latency_runs_from_the_first_word_of_a_transition_to_its_job() {
        let (mut observed, begin) = (Observed::default(), Instant::now());
        observed.note("a", begin);
        observed.note("b", begin + SECOND);
        // Delivered again to a watcher that fell.
        observed.note("a", begin + 2 * SECOND);
        assert_eq!(observed.take("a", begin + 5 * SECOND), Some(5 * SECOND));
        assert_eq!(observed.take("a", begin + 6 * SECOND), None);
        assert_eq!(observed.take("b", begin + 6 * SECOND), Some(5 * SECOND));
    }

    #[test]
    fn what_waits_no_more_is_forgotten_when_there_is_much_of_it() {
        let (mut observed, now) = (Observed::default(), Instant::now());
        (0..=SLACK).for_each(|n| observed.note(&n.to_string(), now));
        observed.prune(1, |root| root == "7");
        assert_eq!(observed.0.len(), SLACK + 1);
        observed.prune(0, |root| root == "7");
        assert_eq!(observed.0.len(), 1);
    }

    #[test]
    fn a_brake_that_stays_open_has_opened_once() {
        let metrics = Metrics::default();
        let mut counts = Counts::new(&metrics);
        let told = |lines: &[&str]| {
            let text = metrics.text().unwrap();
            assert!(lines.iter().all(|line| text.contains(line)), "{text}");
        };
        counts.set_brake(Brake::Pod, true);
        counts.set_brake(Brake::Pod, true);
        told(&["brake_openings_total{brake=\"pod\"} 1\n", "brakes_open{brake=\"pod\"} 1\n"]);
        counts.set_brake(Brake::Pod, false);
        counts.set_brake(Brake::Pod, true);
        drop(counts);
        told(&["brake_openings_total{brake=\"pod\"} 2\n", "brakes_open{brake=\"pod\"} 0\n"]);
    }
}
