//! What a Job tells its containers about the pod that it runs for.

use anyhow::Result;
use e2e::names::{AFFECTED_POD, OWNER, POD_IP, POD_LABELS, POD_NAME, POD_NODE, POD_UID, TRANSITION};
use e2e::{annotation, controller, label, name, scenario, template, text, uid};
use serde_json::{Value, json};

use super::{cache, caches_on};

#[test]
fn a_job_and_its_pods_say_which_pod_they_run_for() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("ready").running(template::script("true")))?;
        ns.start(cache("redis-0").labelled("tier", "back").on_a_node())?;
        let job = ns.job_for("ready", "redis-0")?;
        let affected = ns.kubectl.get(&["pod", "redis-0"])?;
        let extended_job = ns.kubectl.get(&["extendedjob", "ready"])?;

        assert!(name(&job).starts_with("ready-") && name(&job).len() <= 52, "{}", name(&job));
        let owner = controller(&job).cloned().unwrap_or_default();
        assert_eq!(owner["uid"], extended_job["metadata"]["uid"]);
        assert_eq!(owner["blockOwnerDeletion"], true);

        let of_job = |seen: &Value| seen["items"].as_array()?.first().cloned();
        let selector = format!("--selector=job-name={}", name(&job));
        let own_pod = ns.kubectl.until(&["pods", &selector], "a pod of the Job", of_job)?;
        for bearer in [&job, &own_pod] {
            assert_eq!(label(bearer, AFFECTED_POD), "redis-0");
            assert_eq!(label(bearer, OWNER), "ready");
            assert_eq!(annotation(bearer, POD_NAME), "redis-0");
            assert_eq!(annotation(bearer, POD_UID), text(&affected["metadata"]["uid"]));
            assert_eq!(annotation(bearer, POD_IP), text(&affected["status"]["podIP"]));
            assert_eq!(annotation(bearer, POD_NODE), text(&affected["spec"]["nodeName"]));
            let labels: Value = serde_json::from_str(annotation(bearer, POD_LABELS))?;
            assert_eq!(labels, json!({"app": "cache", "tier": "back"}));
            assert_ne!(annotation(bearer, TRANSITION), "");
        }
        Ok(())
    })
}

#[test]
fn of_a_deleted_pod_a_job_tells_what_was_known_last() -> Result<()> {
    scenario(|ns| {
        ns.declare(caches_on("deleted"))?;
        ns.start(cache("redis-0").ready())?;
        ns.relabel("redis-0", "tier=back")?;
        let affected = ns.kubectl.get(&["pod", "redis-0"])?;
        ns.delete("pod/redis-0")?;
        let job = ns.job_for("deleted", "redis-0")?;
        assert_eq!(label(&job, AFFECTED_POD), "redis-0");
        assert_eq!(annotation(&job, POD_UID), uid(&affected));
        let labels: Value = serde_json::from_str(annotation(&job, POD_LABELS))?;
        assert_eq!(labels, json!({"app": "cache", "tier": "back"}));
        Ok(())
    })
}
