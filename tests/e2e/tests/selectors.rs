//! `triggers.selector` means what a label selector means anywhere in Kubernetes.

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::{ExtendedJob, extended_job, pod, scenario};
use serde_json::json;

/// Matches every selector below: once its Job is there, the pods before it have been looked at.
const SENTINEL: &str = "production-cache";
const PODS: [(&str, &[(&str, &str)]); 5] = [
    ("bare", &[]),
    ("cache", &[("tier", "cache")]),
    ("dev-cache", &[("tier", "cache"), ("environment", "dev"), ("legacy", "")]),
    ("web", &[("tier", "web"), ("environment", "production")]),
    (SENTINEL, &[("tier", "cache"), ("environment", "production")]),
];

fn on_ready(name: &str) -> ExtendedJob {
    extended_job(name).on_ready()
}

#[test]
fn selectors_match_what_native_ones_match() -> Result<()> {
    let cache = json!({"key": "tier", "operator": "In", "values": ["cache", "store"]});
    let not_dev = json!({"key": "environment", "operator": "NotIn", "values": ["dev", "test"]});
    let staged = json!({"key": "environment", "operator": "Exists"});
    let not_legacy = json!({"key": "legacy", "operator": "DoesNotExist"});
    let no_web = json!({"key": "tier", "operator": "NotIn", "values": ["web"]});

    #[rustfmt::skip]
    let cases = [
        (on_ready("everything"), vec!["bare", "cache", "dev-cache", SENTINEL, "web"]),
        (on_ready("empty").with("/triggers/selector", json!({})), vec!["bare", "cache", "dev-cache", SENTINEL, "web"]),
        (on_ready("labels").of("tier", "cache").of("environment", "production"), vec![SENTINEL]),
        (on_ready("in").matching(json!([cache])), vec!["cache", "dev-cache", SENTINEL]),
        (on_ready("not-in").matching(json!([not_dev])), vec!["bare", "cache", SENTINEL, "web"]),
        (on_ready("exists").matching(json!([staged])), vec!["dev-cache", SENTINEL, "web"]),
        (on_ready("does-not-exist").matching(json!([not_legacy])), vec!["bare", "cache", SENTINEL, "web"]),
        (on_ready("all-must-match").matching(json!([cache, not_dev, staged])), vec![SENTINEL]),
        (on_ready("labels-and-expressions").of("environment", "production").matching(json!([no_web])), vec![SENTINEL]),
    ];
    scenario(|ns| {
        let expected: BTreeMap<String, Vec<&str>> =
            cases.iter().map(|(extended_job, pods)| (extended_job.name(), pods.clone())).collect();
        ns.declare_all(cases.into_iter().map(|(extended_job, _)| extended_job))?;
        for (name, labels) in PODS {
            ns.start(labels.iter().fold(pod(name), |pod, (key, value)| pod.labelled(key, value)).ready())?;
        }
        let mut seen = BTreeMap::new();
        for extended_job in expected.keys() {
            ns.job_for(extended_job, SENTINEL)?;
            seen.insert(extended_job.clone(), ns.runs_of(extended_job)?);
        }
        assert_eq!(format!("{seen:#?}"), format!("{expected:#?}"));
        Ok(())
    })
}
