//! The attempts of a Job: which of its pods and containers ran, and how each ended.
//!
//! With `restartPolicy: Never` a pod is one attempt, with `OnFailure` each run of each container is one.
//!
//! ```text
//! a container runs ──► Follow ──► it ended ──► Ended (its log is complete)
//!                                     └─ the attempt's last one ──► Over
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use extendedjob_api::ContainerEnd;
use jiff::Timestamp;

use crate::job::Job;

/// A pod of a Job of ours, slimmed to what tells its attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPod {
    /// The object's UID.
    pub uid: String,
    /// The pod's name.
    pub name: String,
    /// UID of its Job.
    pub job: String,
    /// Which completion of an Indexed Job it is for.
    pub index: Option<u32>,
    /// When the API server created it.
    pub created: Option<Timestamp>,
    /// Where it runs.
    pub node: Option<Node>,
    /// How far it is.
    pub phase: Phase,
    /// `restartPolicy: OnFailure`: its containers are started again in it.
    pub restarts: bool,
    /// Its containers; init containers and native sidecars are none of them.
    pub containers: Vec<Container>,
    /// What drains their standard error, see [`crate::wrap`]: their logs are theirs.
    pub drains: Vec<Container>,
    /// Why the image of what we have added to it can't be pulled, in the kubelet's words.
    pub image_trouble: Option<String>,
}

/// A node, as its kubelet is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its address within the cluster.
    pub address: String,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not ended.
    #[default]
    Open,
    /// All its containers did their work.
    Succeeded,
    /// It failed, or was evicted.
    Failed,
}

/// How a container of a pod is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// How often it was started again.
    pub restarts: u32,
    /// It runs.
    pub runs: bool,
    /// When its present run began, while it runs.
    pub began: Option<Timestamp>,
    /// It can't be started, such as for want of its image.
    pub barred: bool,
    /// How its present run has ended.
    pub ended: Option<Ended>,
    /// How the run before it has ended.
    pub before: Option<Ended>,
}

/// How a run of a container has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The exit code of its program.
    pub exit_code: i32,
    /// The kubelet's word for it, such as `OOMKilled`.
    pub reason: String,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub at: Option<Timestamp>,
}

impl Ended {
    fn is_rotatable(&self) -> bool {
        let length = self.began.zip(self.at).map(|(began, at)| at.as_second() - began.as_second());
        length.is_none_or(|seconds| seconds >= LOOKS_EACH)
    }
}

/// How often the kubelet looks whether logs are to be rotated, in seconds
/// (<https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>, containerLogMonitorInterval).
const LOOKS_EACH: i64 = 10;

/// Of an Indexed Job whose pods nobody has seen no more indexes than this are told of.
pub(crate) const UNSEEN_INDEXES: u32 = 1000;

/// The kubelet's word where it has lost sight of a container, such as in a pod that it evicts: it counts that as one more
/// run.
const NO_LONGER_KNOWN: &str = "ContainerStatusUnknown";

/// Whether the log of a container that began then may have been rotated before it is read from `now` on.
#[must_use]
pub fn is_late(began: Option<Timestamp>, now: Timestamp) -> bool {
    began.is_some_and(|began| now.as_second() - began.as_second() >= LOOKS_EACH)
}

/// Whether a log begins later than its container, so that what was before may be gone; `None`: one of the two is unknown.
#[must_use]
pub fn begins_late(began: Option<Timestamp>, first: Option<Timestamp>) -> Option<bool> {
    began.zip(first).map(|(began, first)| first.as_second() > began.as_second() + 1)
}

/// One run of one container, which has a log of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// UID of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// How often it had been started before.
    pub restart: u32,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// What tells it from the others of its Job: the pod's name, and for a run of a container that too.
    pub id: String,
    /// The pod's name.
    pub pod: String,
    /// Where it ran.
    pub node: Option<Node>,
    /// Which completion of an Indexed Job it was for.
    pub index: Option<u32>,
    /// It was a run of a container that may be started again in its pod.
    pub in_place: bool,
    /// Whether it did its work.
    pub succeeded: bool,
    /// When that run began, as far as that is known.
    pub began: Option<Timestamp>,
    /// When it ended; where nobody says, when that was noticed.
    pub at: Option<Timestamp>,
    /// It ran long enough for the kubelet, which looks at logs each ten seconds, to rotate one.
    pub rotatable: bool,
    /// The logs that it left.
    pub logs: Vec<LogId>,
    /// How its containers ended, as far as that is known.
    pub containers: Vec<ContainerEnd>,
}

impl AttemptEnd {
    /// A try of a Job that nobody saw: its pod went before anyone looked.
    #[must_use]
    pub fn unseen(index: Option<u32>, succeeded: bool, at: Option<Timestamp>) -> Self {
        let (id, pod, logs, containers) = (String::new(), String::new(), vec![], vec![]);
        let (node, in_place, began, rotatable) = (None, false, None, true);
        Self { id, pod, node, index, in_place, succeeded, began, at, rotatable, logs, containers }
    }

    /// Whether its container may be started again, and the log of that run then stands in the place of this one's.
    #[must_use]
    pub fn may_be_started_again(&self) -> bool {
        self.in_place && !self.succeeded
    }

    /// Whether the log that stands in the place of its own is already that of the next run, of which the pod has not
    /// told yet. Judged by the seconds in which the first lines of that log and of the one before it were written;
    /// `before`: `None` if there is no log before it, `Some(None)` if nothing stands in that one.
    ///
    /// The end alone says little: a line may get its stamp after the end of the program that has written it.
    #[must_use]
    pub fn next_has_begun(&self, present: Option<Timestamp>, before: Option<Option<Timestamp>>) -> bool {
        let Some(before) = before else { return false };
        if self.logs.first().is_some_and(|run| run.restart == 0) {
            // What stands before it can be none but this run's.
            return true;
        }
        match (before, self.began) {
            (Some(before), Some(began)) => before.as_second() >= began.as_second(),
            _ => present.zip(self.at).is_some_and(|(present, end)| present.as_second() > end.as_second() + 1),
        }
    }

    /// Whether nobody saw it.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        self.id.is_empty()
    }
}

/// A run of a container that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its log.
    pub log: LogId,
    /// The container may be started again in its pod.
    pub in_place: bool,
    /// When it began.
    pub at: Option<Timestamp>,
}

/// What follows from what is seen of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The run of a container has begun to write a log: follow it.
    Follow(Begun),
    /// It has ended: its log grows no more.
    Ended(LogId),
    /// An attempt is over.
    Over(AttemptEnd),
}

/// What is known of the pods of one Job.
#[derive(Debug, Default)]
pub struct Attempts {
    pods: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    pod: Arc<JobPod>,
    followed: BTreeSet<LogId>,
    ended: BTreeSet<LogId>,
    /// It has ended, or is gone: nothing more comes of it.
    over: bool,
    /// It has done its work.
    succeeded: bool,
}

/// The pods in the order in which they ended, and those last that have not.
#[must_use]
pub fn by_end(mut pods: Vec<Arc<JobPod>>) -> Vec<Arc<JobPod>> {
    pods.sort_by_cached_key(|pod| {
        let at = last_end(pod);
        (pod.phase == Phase::Open, at, pod.name.clone())
    });
    pods
}

/// When the last of its containers ended.
fn last_end(pod: &JobPod) -> Option<Timestamp> {
    pod.containers.iter().filter_map(|container| container.ended.as_ref()?.at).max()
}

impl Attempts {
    /// A pod is as it is told to be, at `now`.
    pub fn observe(&mut self, pod: &Arc<JobPod>, now: Timestamp) -> Vec<Step> {
        let known = self.pods.entry(pod.uid.clone()).or_default();
        if known.over {
            return vec![];
        }
        known.pod = Arc::clone(pod);
        let mut steps = vec![];
        for container in pod.containers.iter().chain(&pod.drains) {
            known.take_in(container, now, &mut steps);
        }
        if pod.phase != Phase::Open {
            known.end(pod.phase == Phase::Succeeded, now, &mut steps);
        }
        steps
    }

    /// A pod is no more, or nothing more is heard of it by `now`. One that had not ended has failed.
    pub fn gone(&mut self, uid: &str, now: Timestamp) -> Vec<Step> {
        let mut steps = vec![];
        if let Some(known) = self.pods.get_mut(uid).filter(|known| !known.over) {
            known.end(false, now, &mut steps);
        }
        steps
    }

    /// Whether nothing more comes of a pod.
    #[must_use]
    pub fn is_over(&self, uid: &str) -> bool {
        self.pods.get(uid).is_none_or(|known| known.over)
    }

    /// All logs of a drain of a pod.
    pub fn logs_of_drain(&self, uid: &str, drain: &str) -> impl Iterator<Item = LogId> {
        let known = self.pods.get(uid);
        let found =
            known.and_then(|known| Some((known, known.pod.drains.iter().find(|it| it.name == drain)?)));
        found
            .into_iter()
            .flat_map(|(known, drain)| (0..=drain.restarts).map(|run| known.log(&drain.name, run)))
    }

    /// The pods that have not ended, by their UIDs.
    pub fn open(&self) -> impl Iterator<Item = &String> {
        self.pods.iter().filter(|(_, known)| !known.over).map(|(uid, _)| uid)
    }

    /// How many pods have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.pods.values().filter(|known| known.over).count()
    }

    /// How many pods have done their work.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        self.pods.values().filter(|known| known.succeeded).count()
    }

    /// The attempts by which a Job has ended and that nobody has seen: their pods went before anyone looked.
    #[must_use]
    pub fn unseen(&self, job: &Job) -> Vec<AttemptEnd> {
        let Some(end) = &job.end else { return vec![] };
        let succeeded = || self.pods.values().filter(|known| known.succeeded);
        let is_missing = |index: &u32| !succeeded().any(|known| known.pod.index == Some(*index));
        let missing = job.completed().filter(is_missing).take(UNSEEN_INDEXES as usize);
        let missing: Vec<AttemptEnd> =
            missing.map(|index| AttemptEnd::unseen(Some(index), true, end.time)).collect();
        if !missing.is_empty() {
            return missing;
        }
        let a_success = job.succeeded > self.succeeded();
        let a_failure = end.failure.is_some() && self.ended() == 0 && job.pods_ended > 0;
        let unseen = (a_success || a_failure).then(|| AttemptEnd::unseen(None, a_success, end.time));
        unseen.into_iter().collect()
    }

    /// How the containers of the pod that ended last have ended, as far as that is known.
    #[must_use]
    pub fn last_containers(&self) -> Vec<ContainerEnd> {
        let ended = self.pods.values().filter(|known| known.over);
        ended.max_by_key(|known| last_end(&known.pod)).map(|known| known.container_ends()).unwrap_or_default()
    }
}

impl Known {
    fn log(&self, container: &str, restart: u32) -> LogId {
        LogId { pod: self.pod.uid.clone(), container: container.to_owned(), restart }
    }

    fn is_drain(&self, container: &str) -> bool {
        self.pod.drains.iter().any(|drain| drain.name == container)
    }

    fn take_in(&mut self, container: &Container, now: Timestamp, steps: &mut Vec<Step>) {
        let present = self.log(&container.name, container.restarts);
        // What ran before the present run has ended, whether its end was seen or not.
        for earlier in 0..container.restarts {
            let end = container.before.as_ref().filter(|_| earlier + 1 == container.restarts);
            self.end_log(self.log(&container.name, earlier), end, now, steps);
        }
        // A watch that begins anew may tell of it as it was, when its end is known already.
        let is_drain = self.is_drain(&container.name);
        if container.runs && !self.ended.contains(&present) && self.followed.insert(present.clone()) {
            let (log, in_place, at) = (present.clone(), self.pod.restarts, container.began);
            steps.push(Step::Follow(Begun { log, in_place, at }));
        }
        if let Some(end) = &container.ended {
            // Its pod may go on for long, and take its log away when it is deleted.
            let may_wait = self.pod.phase == Phase::Open && !self.pod.restarts && !is_drain;
            let is_early = may_wait && !self.ended.contains(&present);
            if is_early && self.followed.insert(present.clone()) {
                steps.push(Step::Follow(Begun { log: present.clone(), in_place: false, at: end.began }));
            }
            self.end_log(present, Some(end), now, steps);
        }
    }

    /// A run of a container has ended; without an `end` all that is known is that it did.
    fn end_log(&mut self, log: LogId, end: Option<&Ended>, now: Timestamp, steps: &mut Vec<Step>) {
        if !self.ended.insert(log.clone()) {
            return;
        }
        steps.push(Step::Ended(log.clone()));
        // A drain is none of the user's containers.
        if self.is_drain(&log.container) {
            return;
        }
        // A run that nobody saw, and of which nobody knows the end, has left nothing to read.
        let is_known = end.is_some_and(|end| end.reason != NO_LONGER_KNOWN);
        if !self.pod.restarts || !(is_known || self.followed.contains(&log)) {
            return;
        }
        steps.push(Step::Over(AttemptEnd {
            id: format!("{}/{}/{}", self.pod.name, log.container, log.restart),
            pod: self.pod.name.clone(),
            node: self.pod.node.clone(),
            index: self.pod.index,
            in_place: true,
            succeeded: end.is_some_and(|end| end.exit_code == 0),
            began: end.and_then(|end| end.began),
            at: end.and_then(|end| end.at).or(Some(now)),
            rotatable: end.is_none_or(Ended::is_rotatable),
            containers: end.map(|end| container_end(&log.container, end)).into_iter().collect(),
            logs: vec![log],
        }));
    }

    fn end(&mut self, succeeded: bool, now: Timestamp, steps: &mut Vec<Step>) {
        (self.over, self.succeeded) = (true, succeeded);
        let left: Vec<LogId> = self.followed.difference(&self.ended).cloned().collect();
        for log in left {
            self.end_log(log, None, now, steps);
        }
        if self.pod.restarts {
            return;
        }
        // A container that could not start has left nothing; any other may have run without anyone's being told. What
        // was followed is its log, whatever the kubelet counts.
        let log_of = |container: &Container| {
            let followed = self.followed.iter().rfind(|log| log.container == container.name).cloned();
            let may_have_run = container.before.is_some() || !container.barred;
            followed.or_else(|| may_have_run.then(|| self.log(&container.name, container.restarts)))
        };
        let logs = self.pod.containers.iter().filter_map(log_of);
        // One that was started again went on with the same pipe: all its logs count.
        let of_drain = |drain: &Container| {
            let present = self.log(&drain.name, drain.restarts);
            let has_run = drain.ended.is_some() || self.followed.contains(&present);
            let before = (0..drain.restarts).map(|restart| self.log(&drain.name, restart));
            before.chain(Some(present).filter(|_| has_run)).collect::<Vec<_>>()
        };
        let logs = logs.chain(self.pod.drains.iter().flat_map(of_drain));
        steps.push(Step::Over(AttemptEnd {
            id: self.pod.name.clone(),
            pod: self.pod.name.clone(),
            node: self.pod.node.clone(),
            index: self.pod.index,
            in_place: false,
            succeeded,
            began: None,
            at: last_end(&self.pod).or(Some(now)),
            rotatable: self.pod.containers.iter().any(|it| it.ended.as_ref().is_none_or(Ended::is_rotatable)),
            containers: self.container_ends(),
            logs: logs.collect(),
        }));
    }

    fn container_ends(&self) -> Vec<ContainerEnd> {
        let end = |container: &Container| {
            let end = container.ended.as_ref().or(container.before.as_ref())?;
            Some(container_end(&container.name, end))
        };
        self.pod.containers.iter().filter_map(end).collect()
    }
}

fn container_end(name: &str, end: &Ended) -> ContainerEnd {
    ContainerEnd { name: name.to_owned(), exit_code: end.exit_code, reason: end.reason.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::at,
        job::{End, Failure},
    };

    fn pod(restarts: bool, phase: Phase, containers: Vec<Container>) -> Arc<JobPod> {
        let (uid, name) = ("uid".to_owned(), "p".to_owned());
        Arc::new(JobPod { uid, name, restarts, phase, containers, ..JobPod::default() })
    }

    fn runs(restarts: u32) -> Container {
        Container { name: "c".into(), runs: true, restarts, ..Container::default() }
    }

    fn ended(restarts: u32, exit_code: i32, second: i64) -> Container {
        let ended = Some(Ended { exit_code, at: Some(at(second)), ..Ended::default() });
        Container { name: "c".into(), restarts, ended, ..Container::default() }
    }

    /// What follows, in short: `f0` follow run 0, `e0` it ended, `+p`, `-p` attempt p succeeded, failed.
    fn short(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Follow(begun) => format!("f{}", begun.log.restart),
            Step::Ended(log) => format!("e{}", log.restart),
            Step::Over(end) => format!("{}{}", if end.succeeded { '+' } else { '-' }, end.id),
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn a_pod_whose_containers_are_not_restarted_is_one_attempt() {
        let mut attempts = Attempts::default();
        let mut see = |phase, container| short(&attempts.observe(&pod(false, phase, vec![container]), at(9)));
        assert_eq!(see(Phase::Open, runs(0)), ["f0"]);
        assert!(see(Phase::Open, runs(0)).is_empty(), "it is followed already");
        assert_eq!(see(Phase::Open, ended(0, 1, 5)), ["e0"]);
        assert_eq!(see(Phase::Failed, ended(0, 1, 5)), ["-p"]);
        assert!(see(Phase::Failed, ended(0, 1, 5)).is_empty(), "an attempt ends once");
    }

    #[test]
    fn what_is_told_late_does_not_bring_an_ended_container_back() {
        let mut attempts = Attempts::default();
        let mut see = |phase, container| short(&attempts.observe(&pod(false, phase, vec![container]), at(9)));
        assert_eq!(see(Phase::Open, ended(0, 0, 5)), ["f0", "e0"], "its pod may go on for long");
        assert!(see(Phase::Open, runs(0)).is_empty());
        assert_eq!(see(Phase::Succeeded, ended(0, 0, 5)), ["+p"]);
    }

    #[test]
    fn a_pod_that_is_seen_only_when_it_has_ended_is_an_attempt_all_the_same() {
        let mut attempts = Attempts::default();
        let steps = attempts.observe(&pod(false, Phase::Succeeded, vec![ended(0, 0, 5)]), at(9));
        assert_eq!(short(&steps), ["e0", "+p"]);
        assert!(matches!(&steps[1], Step::Over(end) if end.at == Some(at(5)) && end.logs.len() == 1));
    }

    #[test]
    fn each_run_of_a_container_that_is_restarted_is_an_attempt() {
        let mut attempts = Attempts::default();
        let mut see = |phase, container| short(&attempts.observe(&pod(true, phase, vec![container]), at(9)));
        assert_eq!(see(Phase::Open, runs(0)), ["f0"]);
        assert_eq!(see(Phase::Open, ended(0, 1, 5)), ["e0", "-p/c/0"]);
        assert_eq!(see(Phase::Open, runs(1)), ["f1"]);
        assert_eq!(see(Phase::Succeeded, ended(1, 0, 9)), ["e1", "+p/c/1"]);
    }

    #[test]
    fn drains_are_followed_and_are_no_attempts() {
        let drain = |container: Container| Container { name: "drain".into(), ..container };
        let with_drain = |restarts, phase, container, drain| {
            Arc::new(JobPod { drains: vec![drain], ..JobPod::clone(&pod(restarts, phase, vec![container])) })
        };
        for restarts in [false, true] {
            let mut attempts = Attempts::default();
            let mut see = |pod: Arc<JobPod>| attempts.observe(&pod, at(9));
            assert_eq!(short(&see(with_drain(restarts, Phase::Open, runs(0), drain(runs(0))))), ["f0", "f0"]);
            let steps = see(with_drain(restarts, Phase::Succeeded, ended(0, 0, 5), drain(ended(1, 0, 6))));
            let over: Vec<&Step> = steps.iter().filter(|step| matches!(step, Step::Over(_))).collect();
            let [Step::Over(end)] = over[..] else { panic!("{steps:?}") };
            let logs: Vec<_> = end.logs.iter().map(|log| (log.container.as_str(), log.restart)).collect();
            // The pod's containers share one drain log each; of a run of a container it is a part.
            let drains = if restarts { vec![] } else { vec![("drain", 0), ("drain", 1)] };
            assert_eq!(logs, [vec![("c", 0)], drains].concat());
            assert_eq!(attempts.logs_of_drain("uid", "drain").count(), 2);
            assert!(attempts.is_over("uid"));
        }
    }

    #[test]
    fn the_log_of_the_next_run_is_known_by_its_first_line_or_by_the_one_before_it() {
        let run = |restart, began, end| {
            let log = LogId { pod: "u".into(), container: "a".into(), restart };
            AttemptEnd { began, logs: vec![log], ..AttemptEnd::unseen(None, false, end) }
        };
        let (first, second) = (run(0, Some(at(5)), Some(at(9))), run(1, Some(at(5)), Some(at(9))));
        let nobody_knows = run(1, None, Some(at(9)));
        for (run, present, before, expected) in [
            (&first, Some(9), None, false),
            // Its last words, stamped when it had ended.
            (&first, Some(10), None, false),
            (&first, None, None, false),
            (&first, None, Some(Some(6)), true),
            (&first, Some(9), Some(Some(6)), true),
            (&first, Some(9), Some(None), true),
            (&second, Some(10), Some(Some(4)), false),
            (&second, None, Some(Some(4)), false),
            (&second, None, Some(Some(5)), true),
            (&second, Some(9), Some(Some(9)), true),
            (&second, None, None, false),
            (&second, None, Some(None), false),
            (&second, Some(10), Some(None), false),
            (&second, Some(11), Some(None), true),
            (&nobody_knows, Some(9), Some(Some(4)), false),
            (&nobody_knows, Some(11), Some(Some(4)), true),
        ] {
            let told = run.next_has_begun(present.map(at), before.map(|first| first.map(at)));
            assert_eq!(told, expected, "{run:?} {present:?} {before:?}");
        }
    }

    #[test]
    fn a_run_whose_end_was_not_seen_is_known_by_the_next_one() {
        let mut attempts = Attempts::default();
        attempts.observe(&pod(true, Phase::Open, vec![runs(0)]), at(1));
        let before = ended(0, 3, 5).ended;
        let next = Container { before, ..runs(1) };
        let steps = attempts.observe(&pod(true, Phase::Open, vec![next]), at(9));
        assert_eq!(short(&steps), ["e0", "-p/c/0", "f1"]);
        assert!(matches!(&steps[1], Step::Over(end) if end.containers[0].exit_code == 3));
    }

    #[test]
    fn a_pod_that_is_removed_while_it_runs_has_failed_and_its_log_is_complete() {
        for (restarts, attempt) in [(false, "-p"), (true, "-p/c/0")] {
            let mut attempts = Attempts::default();
            attempts.observe(&pod(restarts, Phase::Open, vec![runs(0)]), at(1));
            assert_eq!(attempts.open().count(), 1);
            assert_eq!(short(&attempts.gone("uid", at(9))), ["e0", attempt]);
            assert_eq!((attempts.open().count(), attempts.ended()), (0, 1));
            assert!(attempts.gone("uid", at(9)).is_empty());
        }
    }

    #[test]
    fn an_end_that_nobody_states_is_that_at_which_it_was_noticed() {
        for restarts in [false, true] {
            let mut attempts = Attempts::default();
            attempts.observe(&pod(restarts, Phase::Open, vec![runs(0)]), at(1));
            // The node is gone, and the controller says that the pod has failed.
            let steps = attempts.observe(&pod(restarts, Phase::Failed, vec![runs(0)]), at(60));
            assert!(matches!(&steps[1], Step::Over(end) if end.at == Some(at(60)) && !end.succeeded));
        }
    }

    #[test]
    fn a_container_of_which_the_kubelet_has_lost_sight_was_not_started_again() {
        for (restarts, attempt) in [(false, "-p"), (true, "-p/c/0")] {
            let mut attempts = Attempts::default();
            attempts.observe(&pod(restarts, Phase::Open, vec![runs(0)]), at(1));
            let mut evicted = ended(1, 137, 9);
            evicted.ended = evicted.ended.map(|end| Ended { reason: NO_LONGER_KNOWN.into(), ..end });
            let steps = attempts.observe(&pod(restarts, Phase::Failed, vec![evicted]), at(9));
            let over: Vec<&Step> = steps.iter().filter(|step| matches!(step, Step::Over(_))).collect();
            let [Step::Over(end)] = over[..] else { panic!("{steps:?}") };
            assert_eq!((format!("-{}", end.id).as_str(), end.logs[0].restart), (attempt, 0));
        }
    }

    #[test]
    fn a_container_that_could_not_start_has_left_nothing() {
        let mut attempts = Attempts::default();
        let waits = Container { name: "waits".into(), barred: true, ..Container::default() };
        let steps = attempts.observe(&pod(false, Phase::Failed, vec![ended(0, 1, 5), waits]), at(9));
        let Some(Step::Over(end)) = steps.last() else { panic!("{steps:?}") };
        assert_eq!(end.logs.iter().map(|log| log.container.as_str()).collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn what_a_job_has_counted_and_nobody_saw_is_told_once_for_each_index() {
        let job = |succeeded: usize, failed: usize, indexes: Option<u32>, completed: &str| {
            let failure = (failed > 0).then(|| Failure { reason: "x".into(), message: String::new() });
            let (end, completed) = (Some(End { time: Some(at(9)), failure }), completed.to_owned());
            Job { succeeded, pods_ended: succeeded + failed, indexes, completed, end, ..Job::default() }
        };
        let mut seen = Attempts::default();
        let mut first = JobPod::clone(&pod(false, Phase::Succeeded, vec![ended(0, 0, 5)]));
        first.index = Some(0);
        seen.observe(&Arc::new(first), at(5));
        let (none, some, no) = (Attempts::default(), |index| (Some(index), true), Vec::new());
        for (attempts, job, expected) in [
            (&none, job(1, 0, None, ""), vec![(None, true)]),
            (&none, job(0, 2, None, ""), vec![(None, false)]),
            (&none, job(0, 0, None, ""), no.clone()),
            (&none, Job { end: None, ..job(1, 0, None, "") }, no.clone()),
            (&seen, job(1, 0, None, ""), no.clone()),
            (&seen, job(1, 1, None, ""), no.clone()),
            (&seen, job(1, 0, Some(1), "0"), no),
            (&seen, job(4, 0, Some(4), "0-3"), vec![some(1), some(2), some(3)]),
        ] {
            let unseen = attempts.unseen(&job);
            let told: Vec<_> = unseen.iter().map(|end| (end.index, end.succeeded)).collect();
            assert_eq!(told, expected, "{job:?}");
            assert!(unseen.iter().all(|end| end.is_unseen() && end.at == Some(at(9))));
        }
    }

    #[test]
    fn pods_are_told_of_in_the_order_in_which_they_ended() {
        let named = |name: &str, phase, container| {
            Arc::new(JobPod { name: name.into(), ..JobPod::clone(&pod(false, phase, vec![container])) })
        };
        let pods = vec![
            named("a-open", Phase::Open, runs(0)),
            named("b-late", Phase::Failed, ended(0, 1, 9)),
            named("c-early", Phase::Failed, ended(0, 1, 5)),
        ];
        let names: Vec<String> = by_end(pods).iter().map(|pod| pod.name.clone()).collect();
        assert_eq!(names, ["c-early", "b-late", "a-open"]);
    }

    #[test]
    fn the_containers_of_the_pod_that_ended_last_are_told() {
        let mut attempts = Attempts::default();
        for (uid, exit_code, second) in [("a", 1, 5), ("b", 2, 9), ("c", 3, 7)] {
            let mut pod = JobPod::clone(&pod(false, Phase::Failed, vec![ended(0, exit_code, second)]));
            pod.uid = uid.to_owned();
            attempts.observe(&Arc::new(pod), at(9));
        }
        assert_eq!(attempts.last_containers()[0].exit_code, 2);
    }
}
