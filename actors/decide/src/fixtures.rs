//! Objects for tests, built with verbs.

use extendedjob_api::{ExtendedJobStatus, When};
use jiff::Timestamp;

use crate::{
    declared::Declared,
    pod::{Pod, Readiness, Status},
    selector::Selector,
    transition::Trigger,
};

/// A moment, in seconds after a fixed one.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A pod `pod1` in namespace `ns`, created at second 0, without a Ready condition.
pub(crate) fn pod() -> Pod {
    Pod {
        uid: "uid-pod1".into(),
        name: "pod1".into(),
        namespace: "ns".into(),
        created: Some(at(0)),
        ..Pod::default()
    }
}

impl Pod {
    pub(crate) fn ready(mut self, since: Timestamp) -> Self {
        self.ready = Readiness { status: Status::True, since: Some(since) };
        self
    }

    pub(crate) fn not_ready(mut self, status: Status, since: Timestamp) -> Self {
        self.ready = Readiness { status, since: Some(since) };
        self
    }

    pub(crate) fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    pub(crate) fn created(mut self, when: Timestamp) -> Self {
        self.created = Some(when);
        self
    }

    pub(crate) fn ours(mut self) -> Self {
        self.ours = true;
        self
    }
}

/// An ExtendedJob `ejob1` in namespace `ns`, created at second 0, triggered by any ready pod.
pub(crate) fn declared() -> Declared {
    let spec = serde_json::json!({"triggers": {"when": "ready"}, "template": {}}).to_string();
    Declared {
        uid: "uid-ejob1".into(),
        name: "ejob1".into(),
        namespace: "ns".into(),
        resource_version: "1".into(),
        generation: 1,
        created: at(0),
        deleting: false,
        requested_at: None,
        reset: None,
        run_manager: None,
        spec: serde_json::from_str(&spec).unwrap(),
        status: ExtendedJobStatus::default(),
    }
}

/// A trigger for pods labelled `tier: cache`.
pub(crate) fn on_caches(when: When) -> Trigger {
    let labels = [("tier".to_owned(), "cache".to_owned())].into();
    let selector = extendedjob_api::Selector { match_labels: labels, match_expressions: vec![] };
    Trigger { when, selector: Selector::new(Some(&selector)) }
}
