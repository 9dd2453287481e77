//! The template is a native Job's: nothing in it is lost, changed or silently ignored.

use anyhow::Result;
use e2e::names::{AFFECTED_POD, OWNER};
use e2e::{Kubectl, at, condition, extended_job, pod, scenario, template, text};
use serde_json::{Map, Value, json};

/// A template that uses what is easily lost on the way: both levels of metadata, what is an integer or a string,
/// quantities without quotes, zeros and empty strings, lists by key, and fields with intricate defaults.
const EVERY_CORNER: &str = include_str!("every-corner.json");

#[test]
fn the_job_is_the_one_that_a_native_manifest_makes() -> Result<()> {
    scenario(|ns| {
        let template: Value = serde_json::from_str(EVERY_CORNER)?;
        ns.create(extended_job("corner").once().running(template.clone()))?;
        let ours = ns.jobs_until("corner", 1)?.remove(0);

        let mut native = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": template["metadata"], "spec": template["spec"]});
        native["metadata"]["name"] = json!("native");
        let dry_run = ["create", "--dry-run=server", "--output=json", "--filename=-"];
        let mut native: Value =
            serde_json::from_str(&ns.kubectl.run_with_input(&dry_run, &native.to_string())?)?;

        // It is withheld until cleanup is allowed: a Job that goes at once would take its log with it.
        assert_eq!(ours["spec"]["ttlSecondsAfterFinished"], Value::Null);
        native["spec"]["ttlSecondsAfterFinished"].take();
        assert_eq!(format!("{:#}", what_the_user_wrote(ours)), format!("{:#}", what_the_user_wrote(native)));
        Ok(())
    })
}

/// Spec, labels and annotations, without what the operator adds and what the API server generates.
fn what_the_user_wrote(mut job: Value) -> Value {
    let pods = &mut job["spec"]["template"]["metadata"];
    for key in ["labels", "annotations"] {
        keep_users_keys(&mut pods[key]);
    }
    // Its one content is the Job's UID.
    job["spec"]["selector"].take();
    let mut metadata = job["metadata"].take();
    for key in ["labels", "annotations"] {
        keep_users_keys(&mut metadata[key]);
    }
    json!({"labels": metadata["labels"], "annotations": metadata["annotations"], "spec": without_nulls(job["spec"].take())})
}

fn keep_users_keys(metadata: &mut Value) {
    let generated = [
        "batch.kubernetes.io/",
        "controller-uid",
        "job-name",
        AFFECTED_POD,
        OWNER,
        "fissile.cloudfoundry.org/",
    ];
    if let Some(keys) = metadata.as_object_mut() {
        keys.retain(|key, _| !generated.iter().any(|prefix| key.starts_with(prefix)));
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(key, field)| (key, without_nulls(field))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[test]
fn what_only_a_job_can_tell_is_invalid_is_reported_and_can_be_mended() -> Result<()> {
    scenario(|ns| {
        let mut template = template::parked();
        template["spec"]["template"]["spec"]["containers"][0]["name"] = json!("Bad_Name");
        ns.create(extended_job("on-ready").on_ready().running(template))?;
        let message = ns.reason_of("on-ready", "Stalled", "InvalidTemplate")?;
        assert!(message.contains("Bad_Name"), "{message}");
        let invalid = ns.condition_of("on-ready", "Ready", "False")?;
        assert_eq!(condition(&invalid, "Ready").map(|ready| text(&ready["reason"])), Some("InvalidTemplate"));

        ns.patch("extendedjob/on-ready", &json!({"spec": {"template": template::parked()}}))?;
        ns.until_accepted("on-ready")?;
        ns.start(pod("later").ready_at(&at(1)))?;
        ns.job_for("on-ready", "later").map(drop)
    })
}

#[test]
fn an_invalid_one_off_runs_when_it_is_mended() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("true");
        template["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "absent", "mountPath": "/absent"}]);
        ns.create(extended_job("migrate").once().running(template))?;
        let message = ns.reason_of("migrate", "Stalled", "InvalidTemplate")?;
        assert!(message.contains("absent"), "{message}");
        ns.patch("extendedjob/migrate", &json!({"spec": {"template": template::script("true")}}))?;
        ns.condition_of("migrate", "Complete", "True").map(drop)
    })
}

#[test]
fn an_edit_of_the_template_is_for_later_jobs() -> Result<()> {
    scenario(|ns| {
        ns.declare(extended_job("on-ready").on_ready().running(template::parked_edition("first")))?;
        ns.start(pod("before").ready())?;
        let before = ns.job_for("on-ready", "before")?;
        ns.edit("on-ready", &json!({"template": template::parked_edition("second")}))?;
        ns.start(pod("after").ready())?;
        let after = ns.job_for("on-ready", "after")?;
        assert_eq!((e2e::label(&before, "edition"), e2e::label(&after, "edition")), ("first", "second"));
        assert_eq!(ns.jobs_of("on-ready")?.len(), 2);
        Ok(())
    })
}

#[test]
fn a_field_that_this_server_does_not_know_is_reported_and_not_dropped() -> Result<()> {
    // The schema is made from a newer Kubernetes than most servers are. On one that knows the field, a Job
    // may have it, and there is nothing to report.
    let everywhere = Kubectl::in_namespace("default");
    if everywhere.run(&["explain", "job.spec.template.spec.evictionResponders"]).is_ok() {
        return Ok(());
    }
    scenario(|ns| {
        let mut template = template::parked();
        template["spec"]["template"]["spec"]["evictionResponders"] =
            json!([{"name": "example.com/responder", "priority": 1000}]);
        ns.create(extended_job("ahead").once().running(template))?;
        let message = ns.reason_of("ahead", "Stalled", "InvalidTemplate")?;
        assert!(message.contains("evictionResponders"), "{message}");
        assert!(ns.jobs_of("ahead")?.is_empty());
        Ok(())
    })
}
