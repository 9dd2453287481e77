//! What runs of containers have left in the logs of their drains, where a container is started again in its pod.

use std::collections::{BTreeMap, BTreeSet};

use extendedjob_api::Stream;
use extendedjob_decide::attempts::LogId;

use crate::{cluster::logs::Followed, messages::Logs};

/// By the pod's UID and the drain's name.
#[derive(Default)]
pub(super) struct DrainLogs(BTreeMap<(String, String), Drain>);

/// The logs of one drain: of more than one only if it was started again itself.
#[derive(Default)]
struct Drain {
    /// Those that are being followed.
    open: BTreeSet<u32>,
    /// The run that writes now, as far as is known.
    run: Option<u32>,
    read: BTreeMap<u32, Logs>,
}

impl DrainLogs {
    fn of(&mut self, log: &LogId) -> &mut Drain {
        self.0.entry((log.pod.clone(), log.container.clone())).or_default()
    }

    /// A log is followed.
    pub(super) fn begun(&mut self, log: &LogId) {
        self.of(log).open.insert(log.restart);
    }

    /// A section has been read to its end; the next one is that of the run `next`, or there is none in this log.
    pub(super) fn read(&mut self, log: &LogId, section: Followed, next: Option<u32>) {
        let drain = self.of(log);
        // What stands before the first mark belongs to the run before: it was written through a drain that was started
        // again since, or its mark went with an older part of the log.
        let before = || next.and_then(|next| next.checked_sub(1));
        let run = section.section.or(drain.run).or_else(before);
        if let Some(run) = run {
            drain.read.entry(run).or_default().insert((log.clone(), Stream::Log), section);
        }
        drain.run = drain.run.max(run).max(next);
        if next.is_none() {
            drain.open.remove(&log.restart);
        }
    }

    /// Whether more may come of a run.
    pub(super) fn may_go_on(&self, pod: &str, drain: &str, run: u32, pod_is_over: bool) -> bool {
        let Some(drain) = self.0.get(&(pod.to_owned(), drain.to_owned())) else { return !pod_is_over };
        // While an older log is read to its end, a newer one may have gone further.
        let has_next = drain.run > Some(run) && drain.open.len() <= 1;
        !(has_next || pod_is_over && drain.open.is_empty())
    }

    /// What a run has left.
    pub(super) fn take(&mut self, pod: &str, drain: &str, run: u32) -> Logs {
        let drain = self.0.get_mut(&(pod.to_owned(), drain.to_owned()));
        drain.and_then(|drain| drain.read.remove(&run)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use actix::System;

    use super::*;
    use crate::{
        capture::{Recorder, Spool},
        cluster::logs::Section,
    };

    fn log(restart: u32) -> LogId {
        LogId { pod: "uid".into(), container: "drain".into(), restart }
    }

    /// A section in which this stands.
    async fn section(run: Option<u32>, text: &str) -> Followed {
        let mut recorder = Recorder::new(Spool::without_room(), 1000);
        recorder.push(text.as_bytes()).await;
        let capture = recorder.finish().await;
        Followed::whole_section(Section { run, capture, possibly_rotated: false })
    }

    #[test]
    fn a_run_is_whole_when_the_next_one_begins_or_its_pod_is_over() {
        System::new().block_on(async {
            let mut drains = DrainLogs::default();
            let may_go_on = |drains: &DrainLogs, run, over| drains.may_go_on("uid", "drain", run, over);
            assert!(may_go_on(&drains, 0, false) && !may_go_on(&drains, 0, true));
            drains.begun(&log(0));
            drains.read(&log(0), section(None, "").await, Some(0));
            assert!(may_go_on(&drains, 0, true), "its log is still read");
            drains.read(&log(0), section(Some(0), "first").await, Some(1));
            assert!(!may_go_on(&drains, 0, false));
            assert!(may_go_on(&drains, 1, false));
            drains.read(&log(0), section(Some(1), "second").await, None);
            assert!(may_go_on(&drains, 1, false) && !may_go_on(&drains, 1, true));
            assert_eq!(drains.take("uid", "drain", 0).len(), 1);
            assert!(drains.take("uid", "drain", 0).is_empty());
        });
    }

    #[test]
    fn what_stands_before_a_mark_is_of_the_run_before_it() {
        System::new().block_on(async {
            let mut drains = DrainLogs::default();
            drains.begun(&log(0));
            drains.read(&log(0), section(None, "the rest of a rotated log").await, Some(3));
            assert_eq!(drains.take("uid", "drain", 2).len(), 1);
        });
    }

    #[test]
    fn a_drain_that_was_started_again_goes_on_with_the_same_run() {
        System::new().block_on(async {
            let mut drains = DrainLogs::default();
            drains.begun(&log(0));
            drains.read(&log(0), section(None, "").await, Some(0));
            drains.read(&log(0), section(Some(0), "one").await, None);
            drains.begun(&log(1));
            drains.read(&log(1), section(None, "two").await, Some(1));
            assert!(drains.take("uid", "drain", 1).is_empty());
            let parts = drains.take("uid", "drain", 0);
            let mut logs: Vec<u32> = parts.keys().map(|(log, _)| log.restart).collect();
            logs.sort_unstable();
            assert_eq!(logs, [0, 1]);
        });
    }
}
