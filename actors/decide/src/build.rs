//! The native Job for a run, built from the template as the user wrote it.

use extendedjob_api::{Streams, names};
use serde_json::{Map, Value, json};

use crate::{boundary::Boundary, declared::Declared, run::Run, streams::Ways, wrap};

/// Labels and annotations that begin so are ours.
const OURS: &str = "fissile.cloudfoundry.org/";

/// Why no Job can be built from a template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// The template, or a part of it that must be a map, is something else.
    #[error("spec.template{0} must be a map")]
    NotAMap(&'static str),
}

/// The `batch/v1` Job for a run, made from the template as the user wrote it.
///
/// As in CronJob, only labels and annotations of `template.metadata` are used. Labels and
/// annotations of ours that the template bears, such as when it was copied from a Job, are taken
/// out: the operator knows its Jobs by them.
/// `ttlSecondsAfterFinished` is withheld: a Job that vanishes before its run is recorded would be
/// made again.
pub fn build(declared: &Declared, run: &Run, ways: &Ways) -> Result<Value, BuildError> {
    let template: Value = serde_json::from_str(declared.spec.template.get()).unwrap_or_default();
    let mut template = into_map(template, "")?;
    let mut spec = into_map(template.remove("spec").unwrap_or_default(), ".spec")?;
    spec.remove("ttlSecondsAfterFinished");

    let pod_template = spec.entry("template").or_insert_with(|| json!({}));
    let pod_template = as_map(pod_template, ".spec.template")?;
    let pod_metadata = pod_template.entry("metadata").or_insert_with(|| json!({}));
    if pod_metadata.is_null() {
        *pod_metadata = json!({});
    }
    mark(as_map(pod_metadata, ".spec.template.metadata")?, declared, run);
    let pod = pod_template.get_mut("spec");
    let streams = ways.of_pod(declared.spec.output.as_ref(), pod.as_deref().unwrap_or(&Value::Null)).streams;
    if let (Streams::Wrapped, Some(wrapper), Some(pod)) = (streams, &ways.wrapper, pod) {
        let pod = as_map(pod, ".spec.template.spec")?;
        let boundary = Boundary::of(&declared.uid, &run.job);
        let is_restarted = pod.get("restartPolicy").is_some_and(|policy| policy == "OnFailure");
        wrap::wrap(pod, wrapper, Some(&boundary).filter(|_| is_restarted));
    }

    let given = template.remove("metadata").unwrap_or_default();
    let mut metadata = Map::new();
    for part in ["labels", "annotations"] {
        if let Some(value) = given.get(part).filter(|value| value.is_object()) {
            metadata.insert(part.to_owned(), value.clone());
        }
    }
    mark(&mut metadata, declared, run);
    if declared.spec.output.is_some() {
        metadata["annotations"][names::STREAMS] = json!(streams.name());
    } else {
        metadata["annotations"][names::OUTPUT_SETTLED] = json!("true");
    }
    metadata.insert("name".to_owned(), json!(run.job));
    metadata.insert("namespace".to_owned(), json!(declared.namespace));
    metadata.insert("ownerReferences".to_owned(), owner_references(declared));
    Ok(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec }))
}

/// Puts our labels and annotations on the metadata of a Job or of its pods.
fn mark(metadata: &mut Map<String, Value>, declared: &Declared, run: &Run) {
    let mut labels = vec![(names::EXTENDEDJOB_LABEL, names::label_value(&declared.name))];
    if let Some(pod) = run.reason.pod() {
        labels.push((names::AFFECTED_POD_LABEL, names::label_value(&pod.name)));
    }
    put_all(metadata, "labels", labels);
    put_all(metadata, "annotations", run.annotations());
}

fn put_all(metadata: &mut Map<String, Value>, part: &str, pairs: Vec<(&'static str, String)>) {
    let mut all = match metadata.remove(part) {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    all.retain(|key, _| key != names::AFFECTED_POD_LABEL && !key.starts_with(OURS));
    all.extend(pairs.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))));
    metadata.insert(part.to_owned(), Value::Object(all));
}

/// The reference by which an object belongs to an ExtendedJob, and goes with it.
#[must_use]
pub fn owner_references(declared: &Declared) -> Value {
    json!([{
        "apiVersion": format!("{}/v1alpha1", names::GROUP),
        "kind": "ExtendedJob",
        "name": declared.name,
        "uid": declared.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

fn into_map(value: Value, path: &'static str) -> Result<Map<String, Value>, BuildError> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(BuildError::NotAMap(path)),
    }
}

fn as_map<'a>(value: &'a mut Value, path: &'static str) -> Result<&'a mut Map<String, Value>, BuildError> {
    value.as_object_mut().ok_or(BuildError::NotAMap(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mangled::mangled;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{at, declared, pod},
        pod::Status,
        transition::Transition,
        wrap::Wrapper,
    };

    fn with_template(template: Value) -> Declared {
        let spec = json!({ "triggers": { "when": "ready" }, "template": template }).to_string();
        Declared { spec: serde_json::from_str(&spec).unwrap(), ..declared() }
    }

    fn run(declared: &Declared) -> Run {
        let when = extendedjob_api::When::Ready;
        let transition = Transition { when, status: Status::True, time: Some(at(1)), n: 0 };
        Run::for_transition(declared, Arc::new(pod().labelled("tier", "cache")), transition)
    }

    #[test]
    fn labels_and_annotations_reach_job_and_pods_and_ours_stand() {
        let declared = with_template(json!({
            "metadata": { "name": "ignored", "labels": { "a": "job", "affected-pod": "forged" } },
            "spec": { "template": { "metadata": { "annotations": { "b": "pod" } }, "spec": {} } },
        }));
        let run = run(&declared);
        let job = build(&declared, &run, &Ways::default()).unwrap();
        let pods = &job["spec"]["template"]["metadata"];
        assert_eq!(job["metadata"]["name"], run.job);
        assert_eq!(job["metadata"]["labels"]["a"], "job");
        assert_eq!(pods["annotations"]["b"], "pod");
        for metadata in [&job["metadata"], pods] {
            assert_eq!(metadata["labels"]["affected-pod"], "pod1");
            assert_eq!(metadata["labels"][names::EXTENDEDJOB_LABEL], "ejob1");
            assert_eq!(metadata["annotations"][names::AFFECTED_POD_NAME], "pod1");
            assert_eq!(metadata["annotations"][names::AFFECTED_POD_LABELS], r#"{"tier":"cache"}"#);
            assert_eq!(metadata["annotations"][names::TRANSITION], run.reason.key());
        }
        assert!(pods["labels"]["a"].is_null());
    }

    #[test]
    fn what_a_template_copied_from_a_job_bears_of_ours_is_taken_out() {
        let copied = json!({ names::OUTPUT_SETTLED: "true", names::AFFECTED_POD_UID: "another", "a": "b" });
        let mut declared = with_template(json!({
            "metadata": { "annotations": copied },
            "spec": { "template": { "metadata": { "annotations": copied } } },
        }));
        declared.spec.output = serde_json::from_value(json!({ "stdout": { "configRef": "c" } })).unwrap();
        let job = build(&declared, &Run::on_trial(&declared), &Ways::default()).unwrap();
        let annotations = |metadata: &Value| {
            let annotations = metadata["annotations"].as_object().unwrap();
            annotations.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(annotations(&job["metadata"]), ["a", names::STREAMS, names::TRANSITION]);
        assert_eq!(annotations(&job["spec"]["template"]["metadata"]), ["a", names::TRANSITION]);
    }

    #[test]
    fn where_no_output_is_wanted_none_is_still_to_be_written() {
        let declared = with_template(json!({ "spec": { "template": {} } }));
        let job = build(&declared, &run(&declared), &Ways::default()).unwrap();
        assert_eq!(job["metadata"]["annotations"][names::OUTPUT_SETTLED], "true");
    }

    #[test]
    fn the_rest_of_the_template_is_left_as_it_was_written() {
        let pod_spec = json!({
            "containers": [{ "name": "c", "resources": { "limits": { "cpu": 0.5 } }, "ports": [{ "containerPort": 80 }] }],
            "aFieldOfALaterVersion": { "x": [1, "2"] },
        });
        let declared = with_template(json!({
            "spec": { "backoffLimit": 4, "newer": true, "ttlSecondsAfterFinished": 5, "template": { "spec": pod_spec } },
        }));
        let job = build(&declared, &run(&declared), &Ways::default()).unwrap();
        assert_eq!(job["spec"]["template"]["spec"], pod_spec);
        assert_eq!(job["spec"]["backoffLimit"], 4);
        assert_eq!(job["spec"]["newer"], true);
        assert_eq!(job["spec"].get("ttlSecondsAfterFinished"), None);
    }

    #[test]
    fn the_job_is_owned_and_holds_its_owner_back() {
        let declared = with_template(json!({ "spec": { "template": { "spec": {} } } }));
        let job = build(&declared, &run(&declared), &Ways::default()).unwrap();
        let owner = &job["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], declared.uid);
        assert_eq!(owner["controller"], true);
        assert_eq!(owner["blockOwnerDeletion"], true);
    }

    #[test]
    fn a_template_that_is_no_map_is_named() {
        for (template, path) in [
            (json!({ "spec": null }), ".spec"),
            (json!({ "spec": { "template": 1 } }), ".spec.template"),
            (json!([]), ""),
        ] {
            let declared = with_template(template);
            assert_eq!(build(&declared, &run(&declared), &Ways::default()), Err(BuildError::NotAMap(path)));
        }
    }

    fn whole_template() -> Value {
        let container = json!({
            "name": "main", "image": "busybox", "command": ["sh", "-c", "true"], "args": ["x"],
            "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } }],
            "resources": { "limits": { "cpu": "1", "memory": "1Mi" } }, "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
        });
        let pod = json!({
            "restartPolicy": "OnFailure", "containers": [container], "initContainers": [container],
            "volumes": [{ "name": "v", "emptyDir": {} }], "imagePullSecrets": [{ "name": "s" }],
        });
        let metadata = json!({ "labels": { "a": "b" }, "annotations": { names::TRANSITION: "forged" } });
        json!({ "metadata": metadata, "spec": { "backoffLimit": 1, "template": { "metadata": metadata, "spec": pod } } })
    }

    proptest! {
        /// Whatever a template is, the Job made of it is the run's, and known as such; or there is none, and a word why.
        #[test]
        fn no_template_passes_its_job_off_as_another(template in mangled(whole_template())) {
            let mut declared = with_template(template);
            let output = json!({ "stdout": { "configRef": "c" }, "stderr": { "secretRef": "s" } });
            declared.spec.output = serde_json::from_value(output).unwrap();
            let run = run(&declared);
            let wrapper = Wrapper { image: "registry/operator:1".into(), pull_secrets: vec!["p".into()] };
            let ways = Ways { wrapper: Some(wrapper), ..Ways::default() };
            if let Ok(job) = build(&declared, &run, &ways) {
                let (metadata, pods) = (&job["metadata"], &job["spec"]["template"]["metadata"]);
                prop_assert_eq!(&metadata["name"], &run.job);
                prop_assert_eq!(&metadata["ownerReferences"], &owner_references(&declared));
                for marked in [metadata, pods] {
                    prop_assert_eq!(&marked["labels"][names::EXTENDEDJOB_LABEL], "ejob1");
                    prop_assert_eq!(&marked["annotations"][names::TRANSITION], &run.reason.key());
                }
            }
        }
    }
}
