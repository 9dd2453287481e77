//! A run: one Job for one cause, with all that is needed to make it, now or later.

use std::{collections::BTreeSet, sync::Arc};

use extendedjob_api::{Cause, CauseType, Mode, When, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    config::listed,
    declared::Declared,
    identity::job_name,
    job::{Job, PodFacts},
    pod::Pod,
    references::Object,
    transition::Transition,
};

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
    /// A request.
    Request {
        /// Its number.
        number: i64,
        /// Who has asked.
        by: By,
    },
}

/// Who has asked for a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The creation of a one-off.
    Creation,
    /// A `now`, set by this field manager, if that is known.
    Now(Option<String>),
    /// This value of the annotation.
    Annotation(String),
    /// An operator before this one took the request up.
    Someone,
}

/// One run of an ExtendedJob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The name of its Job, computed from the rest.
    pub job: String,
    /// The same under revision 0: what is the same of all runs for one reason.
    pub root: String,
    /// What it is for.
    pub reason: Reason,
    /// The config revision under which it starts.
    pub revision: u64,
    /// The ConfigMaps and Secrets whose change makes it start again; none if it is the first one for its reason.
    pub changed: BTreeSet<Object>,
}

impl Run {
    /// The run for a transition of a pod, under revision 0.
    #[must_use]
    pub fn for_transition(declared: &Declared, pod: Arc<Pod>, transition: Transition) -> Self {
        Self::new(declared, Reason::Pod { pod, transition })
    }

    /// The run for a request, under revision 0.
    #[must_use]
    pub fn for_request(declared: &Declared, number: i64, by: By) -> Self {
        Self::new(declared, Reason::Request { number, by })
    }

    /// A run that is only tried.
    #[must_use]
    pub fn on_trial(declared: &Declared) -> Self {
        Self::for_request(declared, 0, By::Someone)
    }

    /// A run for this reason under revision 0.
    #[must_use]
    pub fn new(declared: &Declared, reason: Reason) -> Self {
        let root = name(declared, &reason, 0);
        Self { job: root.clone(), root, reason, revision: 0, changed: BTreeSet::new() }
    }

    /// The same under this revision.
    #[must_use]
    pub fn under(self, declared: &Declared, revision: u64) -> Self {
        if revision == self.revision {
            return self;
        }
        Self { job: name(declared, &self.reason, revision), revision, ..self }
    }

    /// Whether a Job that bears this run's name is this run's: our owner UID, the whole key and the revision,
    /// not the hash in the name alone.
    #[must_use]
    pub fn is_job(&self, declared: &Declared, job: &Job) -> bool {
        job.owner.as_deref() == Some(declared.uid.as_str())
            && job.key.as_deref() == Some(self.reason.key().as_str())
            && job.pod_uid.as_deref() == self.reason.pod().map(|pod| pod.uid.as_str())
            && job.revision == self.revision
    }

    /// The cause in a few words, for Events and logs.
    #[must_use]
    pub fn because(&self) -> String {
        let first = self.reason.because();
        match (self.changed.is_empty(), self.reason.pod()) {
            (true, _) => first,
            (false, None) => format!("{} changed", listed(&self.changed)),
            (false, Some(_)) => format!("{} changed ({first})", listed(&self.changed)),
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
        if self.revision > 0 {
            annotations.push((names::CONFIG_REVISION, self.revision.to_string()));
        }
        if !self.changed.is_empty() {
            annotations.push((names::CHANGED_CONFIG, listed(&self.changed)));
        }
        annotations
    }
}

fn name(declared: &Declared, reason: &Reason, revision: u64) -> String {
    let pod_uid = reason.pod().map(|pod| pod.uid.as_str());
    name_for(declared, pod_uid, &reason.key(), revision)
}

/// The name of the Job of a run: of the pod's UID, too, which stands in no key.
fn name_for(declared: &Declared, pod_uid: Option<&str>, key: &str, revision: u64) -> String {
    let Declared { name, uid, .. } = declared;
    match pod_uid {
        Some(pod_uid) => job_name(name, uid, &format!("{pod_uid}/{key}"), revision),
        None => job_name(name, uid, key, revision),
    }
}

/// What is the same of the Jobs of all runs for one reason, see [`Run::root`].
#[must_use]
pub fn root_of(declared: &Declared, job: &Job) -> String {
    match &job.key {
        Some(key) if job.revision > 0 => name_for(declared, job.pod_uid.as_deref(), key, 0),
        _ => job.name.clone(),
    }
}

impl Reason {
    /// What a Job of ours was made for; `None` if that can't be told, or not any more because the Job is over.
    #[must_use]
    pub fn of(declared: &Declared, job: &Job) -> Option<Self> {
        let Some(uid) = &job.pod_uid else {
            let number = number_of(job);
            return (number > 0).then_some(Self::Request { number, by: By::Someone });
        };
        let transition = job.key.as_deref()?.parse().ok()?;
        let PodFacts { labels, ip, node } = PodFacts::clone(job.pod.as_deref()?);
        let (namespace, name) = (declared.namespace.clone(), job.pod_name.clone()?);
        let pod = Pod { uid: uid.clone(), name, namespace, labels, ip, node, ..Pod::default() };
        Some(Self::Pod { pod: Arc::new(pod), transition })
    }

    fn because(&self) -> String {
        match self {
            Reason::Pod { pod, transition } => {
                let what = match transition.when {
                    When::Created => "was created",
                    When::Ready => "became ready",
                    When::NotReady => "ceased to be ready",
                    When::Deleted => "was deleted",
                };
                format!("pod {} {what}", pod.name)
            }
            Reason::Request { by, .. } => match by {
                By::Creation => "the ExtendedJob was created".to_owned(),
                By::Now(Some(manager)) => format!("run was set to now by {manager}"),
                By::Now(None) => "run was set to now".to_owned(),
                By::Annotation(value) => format!("a run was requested at {value}"),
                By::Someone => "it was asked for".to_owned(),
            },
        }
    }

    /// The key, without the pod's UID, which has an annotation of its own.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pod { transition, .. } => transition.to_string(),
            Self::Request { number, .. } => format!("{REQUEST}{number}"),
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
            Self::Request { .. } => None,
        }
    }
}

/// The key of a request's run begins so.
const REQUEST: &str = "run/";

/// The number of the request that a Job is for; 0 for the Job of a pod.
#[must_use]
pub fn number_of(job: &Job) -> i64 {
    let number = job.key.as_deref().and_then(|key| key.strip_prefix(REQUEST)?.parse().ok());
    number.unwrap_or_default()
}

/// The cause of a run as the status tells it, from its Job alone.
#[must_use]
pub fn cause_of(declared: &Declared, job: &Job) -> Cause {
    if let Some(object) = &job.changed {
        let (pod, object, time) = (job.pod_name.clone(), Some(object.clone()), job.created.map(Time));
        return Cause { r#type: CauseType::ConfigChanged, pod, object, time };
    }
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
            Cause { r#type, pod: Some(pod.clone()), object: None, time: time.map(Time) }
        }
        None => {
            let (r#type, time) = match declared.mode() {
                Some(Mode::Once) if number_of(job) == 1 => (CauseType::Once, Some(declared.created)),
                _ => (CauseType::Manual, job.created),
            };
            Cause { r#type, pod: None, object: None, time: time.map(Time) }
        }
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
        for (when, told) in [
            (When::Created, CauseType::Created),
            (When::Ready, CauseType::Ready),
            (When::NotReady, CauseType::NotReady),
            (When::Deleted, CauseType::Deleted),
        ] {
            let run = run_of(pod(), Transition { when, ..transition() });
            let job = Job { key: Some(run.reason.key()), pod_name: Some("pod1".into()), ..Job::default() };
            let cause =
                Cause { r#type: told, pod: Some("pod1".into()), object: None, time: Some(Time(at(1))) };
            assert_eq!(cause_of(&declared(), &job), cause);
        }
    }

    #[test]
    fn the_first_run_of_a_one_off_is_for_its_creation_and_all_others_were_asked_for() {
        for (run, number, told) in
            [("once", 1, CauseType::Once), ("once", 2, CauseType::Manual), ("now", 1, CauseType::Manual)]
        {
            let spec = serde_json::json!({ "run": run, "template": {} }).to_string();
            let declared = Declared { spec: serde_json::from_str(&spec).unwrap(), ..declared() };
            let key = Run::for_request(&declared, number, By::Someone).reason.key();
            let job = Job { key: Some(key), created: Some(at(9)), ..Job::default() };
            let time = if told == CauseType::Once { declared.created } else { at(9) };
            assert_eq!(
                cause_of(&declared, &job),
                Cause { r#type: told, pod: None, object: None, time: Some(Time(time)) }
            );
        }
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

    #[test]
    fn each_revision_has_a_job_of_its_own_and_all_have_one_root() {
        let first = run_of(pod(), transition());
        let second = first.clone().under(&declared(), 1);
        let third = second.clone().under(&declared(), 2);
        assert_eq!(BTreeSet::from([&first.job, &second.job, &third.job]).len(), 3);
        assert_eq!((&first.job, &second.root, &third.root), (&first.root, &first.root, &first.root));
        assert_eq!(second.under(&declared(), 0), first);
        let ours = |revision| Job {
            owner: Some(declared().uid),
            name: third.job.clone(),
            key: Some(third.reason.key()),
            pod_uid: Some(pod().uid),
            revision,
            ..Job::default()
        };
        assert!(third.is_job(&declared(), &ours(2)) && !third.is_job(&declared(), &ours(1)));
        assert_eq!(root_of(&declared(), &ours(2)), first.root);
    }

    #[test]
    fn what_a_job_is_for_can_be_told_from_it_while_it_is_under_way() {
        let cache = Pod { ip: Some("10.0.0.1".into()), node: None, ..pod().labelled("tier", "cache") };
        let run = run_of(cache.clone(), transition());
        let facts = PodFacts { labels: cache.labels, ip: cache.ip, node: None };
        let job = Job {
            key: Some(run.reason.key()),
            pod_uid: Some(cache.uid),
            pod_name: Some(cache.name),
            pod: Some(Arc::new(facts)),
            ..Job::default()
        };
        let again = Run::new(&declared(), Reason::of(&declared(), &job).unwrap());
        assert_eq!((&again.job, again.annotations()), (&run.job, run.annotations()));
        assert_eq!(Reason::of(&declared(), &Job { pod: None, ..job }), None);
        let asked = Job { key: Some("run/3".into()), ..Job::default() };
        assert_eq!(Reason::of(&declared(), &asked), Some(Reason::Request { number: 3, by: By::Someone }));
        assert_eq!(Reason::of(&declared(), &Job::default()), None);
    }

    #[test]
    fn a_run_that_starts_again_says_for_what_change() {
        let object = Object { kind: extendedjob_api::TargetKind::Secret, name: "db".into() };
        let run = Run { changed: [object].into(), ..run_of(pod(), transition()).under(&declared(), 3) };
        assert_eq!(run.because(), "Secret/db changed (pod pod1 became ready)");
        let annotations = run.annotations();
        assert!(annotations.contains(&(names::CONFIG_REVISION, "3".into())));
        assert!(annotations.contains(&(names::CHANGED_CONFIG, "Secret/db".into())));
        let job = Job {
            pod_name: Some("pod1".into()),
            changed: Some("Secret/db".into()),
            created: Some(at(9)),
            ..Job::default()
        };
        let (pod, object, time) = (Some("pod1".into()), Some("Secret/db".into()), Some(Time(at(9))));
        let expected = Cause { r#type: CauseType::ConfigChanged, pod, object, time };
        assert_eq!(cause_of(&declared(), &job), expected);
    }
}
