//! What runs of containers have left in the logs of their drains, where a container is started again in its pod.

use std::collections::BTreeMap;

use extendedjob_decide::attempts::LogId;

use crate::{cluster::logs::Followed, messages::Logs};

/// By the pod's UID and the drain's name.
#[derive(Default)]
pub(super) struct DrainLogs(BTreeMap<(String, String), Drain>);

/// The logs of one drain: of more than one only if it was started again itself.
#[derive(Default)]
struct Drain {
    /// How many of them are being followed.
    open: usize,
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
        self.of(log).open += 1;
    }

    /// A section has been read to its end; the next one is that of the run `next`, or there is none in this log.
    pub(super) fn read(&mut self, log: &LogId, section: Followed, next: Option<u32>) {
        let drain = self.of(log);
        // What stands before the first mark of a drain that was started again belongs to the run before.
        if let Some(run) = section.section.or(drain.run) {
            drain.read.entry(run).or_default().insert(log.clone(), section);
            drain.run = Some(next.unwrap_or(run));
        } else {
            drain.run = next;
        }
        drain.open -= usize::from(next.is_none());
    }

    /// Whether more may come of a run.
    pub(super) fn may_go_on(&self, pod: &str, drain: &str, run: u32, pod_is_over: bool) -> bool {
        let drain = self.0.get(&(pod.to_owned(), drain.to_owned()));
        let has_next = drain.is_some_and(|drain| drain.run > Some(run));
        !(has_next || pod_is_over && drain.is_none_or(|drain| drain.open == 0))
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
        Followed::whole_section(Section { run, capture: recorder.finish().await })
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
    fn a_drain_that_was_started_again_goes_on_with_the_same_run() {
        System::new().block_on(async {
            let mut drains = DrainLogs::default();
            drains.begun(&log(0));
            drains.read(&log(0), section(None, "").await, Some(0));
            drains.read(&log(0), section(Some(0), "one").await, None);
            drains.begun(&log(1));
            drains.read(&log(1), section(None, "two").await, Some(1));
            let parts = drains.take("uid", "drain", 0);
            let mut logs: Vec<u32> = parts.keys().map(|log| log.restart).collect();
            logs.sort_unstable();
            assert_eq!(logs, [0, 1]);
        });
    }
}
