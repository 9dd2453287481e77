//! A run: one Job for one cause, with all that is needed to make it, now or later.

use std::sync::Arc;

use extendedjob_api::{Cause, CauseType, When, names};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{declared::Declared, identity::job_name, job::Job, pod::Pod, transition::Transition};

/// What a run is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A transition of a pod, which is kept as it was then.
    Pod {
        /// The pod, at the transition.
        pod: Arc<Pod>,
        /// The transition.
        transition: Transition,
    },
    /// The creation of a one-off, at this time.
    Once(Timestamp),
}

/// One run of an ExtendedJob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The name of its Job, computed from the rest.
    pub job: String,
    /// What it is for.
    pub reason: Reason,
}

impl Run {
    /// The run for a transition of a pod.
    #[must_use]
    pub fn for_transition(declared: &Declared, pod: Arc<Pod>, transition: Transition) -> Self {
        Self::new(declared, Reason::Pod { pod, transition })
    }

    /// The only run of a one-off.
    #[must_use]
    pub fn once(declared: &Declared) -> Self {
        Self::new(declared, Reason::Once(declared.created))
    }

    fn new(declared: &Declared, reason: Reason) -> Self {
        let key = match &reason {
            Reason::Pod { pod, .. } => format!("{}/{}", pod.uid, reason.key()),
            Reason::Once(_) => reason.key(),
        };
        Self { job: job_name(&declared.name, &declared.uid, &key, 0), reason }
    }

    /// Whether a Job that bears this run's name is this run's: our owner UID and the whole key,
    /// not the hash in the name alone.
    #[must_use]
    pub fn is_job(&self, declared: &Declared, job: &Job) -> bool {
        job.owner.as_deref() == Some(declared.uid.as_str())
            && job.key.as_deref() == Some(self.reason.key().as_str())
            && job.pod_uid.as_deref() == self.reason.pod().map(|pod| pod.uid.as_str())
    }

    /// The run's cause as the status tells it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match &self.reason {
            Reason::Pod { pod, transition } => Cause {
                r#type: cause_type(transition.when),
                pod: Some(pod.name.clone()),
                time: transition.time.map(Time),
            },
            Reason::Once(created) => Cause { r#type: CauseType::Once, pod: None, time: Some(Time(*created)) },
        }
    }

    /// The cause in a few words, for Events and logs.
    #[must_use]
    pub fn because(&self) -> String {
        match &self.reason {
            Reason::Pod { pod, transition } => {
                let what = match transition.when {
                    When::Created => "was created",
                    When::Ready => "became ready",
                    When::NotReady => "ceased to be ready",
                    When::Deleted => "was deleted",
                };
                format!("pod {} {what}", pod.name)
            }
            Reason::Once(_) => "the ExtendedJob was created".to_owned(),
        }
    }

    /// The annotations by which Job and pods know what they run for. Containers reach them
    /// through the downward API.
    #[must_use]
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let mut annotations = vec![(names::TRANSITION, self.reason.key())];
        if let Some(pod) = self.reason.pod() {
            annotations.extend([
                (names::AFFECTED_POD_NAME, pod.name.clone()),
                (names::AFFECTED_POD_UID, pod.uid.clone()),
                (names::AFFECTED_POD_IP, pod.ip.clone().unwrap_or_default()),
                (names::AFFECTED_POD_NODE, pod.node.clone().unwrap_or_default()),
                (names::AFFECTED_POD_LABELS, serde_json::json!(pod.labels).to_string()),
            ]);
        }
        annotations
    }
}

impl Reason {
    /// The key, without the pod's UID, which has an annotation of its own.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pod { transition, .. } => transition.to_string(),
            Self::Once(_) => "once/1".to_owned(),
        }
    }

    /// Whether it is the same kind of transition of the same pod.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pod { pod, transition }, Self::Pod { pod: other, transition: later }) => {
                pod.uid == other.uid && transition.when == later.when
            }
            _ => false,
        }
    }

    /// The affected pod.
    #[must_use]
    pub fn pod(&self) -> Option<&Pod> {
        match self {
            Self::Pod { pod, .. } => Some(pod),
            Self::Once(_) => None,
        }
    }
}

fn cause_type(when: When) -> CauseType {
    match when {
        When::Created => CauseType::Created,
        When::Ready => CauseType::Ready,
        When::NotReady => CauseType::NotReady,
        When::Deleted => CauseType::Deleted,
    }
}

/// The cause of a run of which only the Job is left, as [`Run::cause`] told it.
#[must_use]
pub fn cause_of(declared: &Declared, job: &Job) -> Cause {
    match &job.pod_name {
        Some(pod) => {
            let key = job.key.as_deref().unwrap_or_default();
            let r#type = match key.split('/').next() {
                Some("created") => CauseType::Created,
                Some("notready") => CauseType::NotReady,
                Some("deleted") => CauseType::Deleted,
                _ => CauseType::Ready,
            };
            let time = key.split('/').nth(2).and_then(|time| time.parse().ok());
            Cause { r#type, pod: Some(pod.clone()), time: time.map(Time) }
        }
        None => Cause { r#type: CauseType::Once, pod: None, time: Some(Time(declared.created)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{at, declared, pod},
        pod::Status,
    };

    fn transition() -> Transition {
        Transition { when: extendedjob_api::When::Ready, status: Status::True, time: Some(at(1)), n: 0 }
    }

    fn run_of(pod: Pod, transition: Transition) -> Run {
        Run::for_transition(&declared(), Arc::new(pod), transition)
    }

    #[test]
    fn pod_transition_and_count_each_make_a_job_of_their_own() {
        let run = run_of(pod(), transition());
        let other_pod = run_of(Pod { uid: "other".into(), ..pod() }, transition());
        let again = run_of(pod(), Transition { n: 1, ..transition() });
        assert_ne!(run.job, other_pod.job);
        assert_ne!(run.job, again.job);
        assert_eq!(run.job, run_of(pod().labelled("a", "b"), transition()).job);
    }

    #[test]
    fn the_cause_can_be_told_from_the_job_alone() {
        for when in [When::Created, When::Ready, When::NotReady, When::Deleted] {
            let run = run_of(pod(), Transition { when, ..transition() });
            let job = Job { key: Some(run.reason.key()), pod_name: Some("pod1".into()), ..Job::default() };
            assert_eq!(cause_of(&declared(), &job), run.cause());
        }
        let once = Run::once(&declared());
        let job = Job { key: Some(once.reason.key()), ..Job::default() };
        assert_eq!(cause_of(&declared(), &job), once.cause());
    }

    #[test]
    fn only_a_job_with_our_uid_and_the_whole_key_is_this_runs() {
        let run = run_of(pod(), transition());
        let ours = Job {
            owner: Some(declared().uid),
            key: Some(run.reason.key()),
            pod_uid: Some(pod().uid),
            ..Job::default()
        };
        assert!(run.is_job(&declared(), &ours));
        for other in [
            Job { owner: Some("someone".into()), ..ours.clone() },
            Job { owner: None, ..ours.clone() },
            Job { key: Some("ready/True/-/9".into()), ..ours.clone() },
            Job { pod_uid: Some("another".into()), ..ours.clone() },
        ] {
            assert!(!run.is_job(&declared(), &other), "{other:?}");
        }
    }
}
