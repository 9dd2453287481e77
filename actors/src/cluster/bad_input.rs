//! Whatever an object looks like of which the API server tells, the operator goes on.

use extendedjob_api::TargetKind;
use mangled::mangled_text;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{configs, extendedjobs, jobs, pods, targets};

fn metadata() -> Value {
    let owner = |version: &str, kind: &str| json!({ "apiVersion": version, "kind": kind, "name": "o", "uid": "owner", "controller": true });
    json!({
        "name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": { "fissile.cloudfoundry.org/extendedjob": "x", "app": "web" },
        "annotations": {
            "batch.kubernetes.io/job-completion-index": "3",
            "fissile.cloudfoundry.org/affected-pod-labels": r#"{"a": "b"}"#,
            "fissile.cloudfoundry.org/config-revision": "2",
            "fissile.cloudfoundry.org/term": "5",
            "fissile.cloudfoundry.org/transition": "ready/u/1",
            "output.fissile.cloudfoundry.org/main.stdout": "{}",
        },
        "ownerReferences": [owner("batch/v1", "Job"), owner("fissile.cloudfoundry.org/v1alpha1", "ExtendedJob")],
        "managedFields": [{ "manager": "m", "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": { "f:run": {} } } }],
    })
}

fn pod() -> Value {
    let container = json!({ "name": "main" });
    let terminated = json!({ "exitCode": 3, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z" });
    let status = json!({ "name": "main", "restartCount": 2, "state": { "waiting": { "reason": "ErrImagePull" } },
        "lastState": { "terminated": terminated } });
    let condition =
        json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    json!({
        "metadata": metadata(),
        "spec": { "nodeName": "node", "restartPolicy": "OnFailure", "containers": [container], "initContainers": [container] },
        "status": { "phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.0.0.2", "conditions": [condition],
            "containerStatuses": [status], "initContainerStatuses": [status] },
    })
}

fn job() -> Value {
    let template = json!({ "spec": { "containers": [{ "name": "main" }] } });
    let condition = json!({ "type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "BackoffLimitExceeded" });
    json!({
        "metadata": metadata(),
        "spec": { "template": template, "ttlSecondsAfterFinished": 5, "completionMode": "Indexed", "completions": 3 },
        "status": { "succeeded": 1, "failed": 2, "completedIndexes": "0-1", "conditions": [condition] },
    })
}

fn extended_job() -> Value {
    let run = json!({ "job": "j", "number": 1, "attempts": 1, "result": "Succeeded", "cause": { "type": "Manual" } });
    json!({
        "metadata": metadata(),
        "spec": { "run": "now", "output": { "stdout": { "configRef": "c" } }, "template": { "spec": {} } },
        "status": { "observedGeneration": 2, "runNumber": 1, "completedRunNumber": 1, "lastRun": run, "runs": [run] },
    })
}

fn config_map() -> Value {
    json!({ "metadata": metadata(), "data": { "main.stdout": "text" }, "binaryData": { "b": "AAE=" }, "immutable": true })
}

#[test]
fn good_objects_are_understood() {
    assert!((pods::SOURCE.decode)(&pod().to_string()).unwrap().own.is_some());
    assert!((jobs::SOURCE.decode)(&job().to_string()).unwrap().end.is_some());
    let extended_job = (extendedjobs::SOURCE.decode)(&extended_job().to_string()).unwrap();
    assert_eq!(extended_job.run_manager.as_deref(), Some("m"));
    for kind in [TargetKind::ConfigMap, TargetKind::Secret] {
        assert_eq!((configs::source(kind).decode)(&config_map().to_string()).unwrap().name, "n");
        assert_eq!(targets::present(kind, &config_map().to_string()).unwrap().records.len(), 1);
    }
}

proptest! {
    /// Each is understood or refused, and of what is understood it is known which object it is.
    #[test]
    fn no_object_makes_a_decoder_panic(
        pod in mangled_text(pod()), job in mangled_text(job()), extended_job in mangled_text(extended_job()),
        config_map in mangled_text(config_map()),
    ) {
        let uid = |json: &str| {
            let object: Value = serde_json::from_str(json).unwrap();
            object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
        };
        if let Ok(decoded) = (pods::SOURCE.decode)(&pod) {
            prop_assert_eq!(decoded.pod.uid, uid(&pod));
        }
        if let Ok(decoded) = (jobs::SOURCE.decode)(&job) {
            prop_assert_eq!(decoded.uid, uid(&job));
        }
        if let Ok(decoded) = (extendedjobs::SOURCE.decode)(&extended_job) {
            prop_assert_eq!(decoded.uid, uid(&extended_job));
        }
        // A text that was cut is no JSON any more.
        let is_json = serde_json::from_str::<Value>(&config_map).is_ok();
        for kind in [TargetKind::ConfigMap, TargetKind::Secret] {
            prop_assert!(is_json || (configs::source(kind).decode)(&config_map).is_err());
            prop_assert!(is_json || targets::present(kind, &config_map).is_err());
        }
    }
}
