//! Output of what comes to a bad end, and into what does: nothing hangs, nothing is lost that can be read, and what is
//! lost is told.

use anyhow::Result;
use e2e::{Namespace, Operator, extended_job, name, scenario, template};
use serde_json::{Value, json};

/// It failed, and this is what it had written.
fn left(ns: &Namespace, name: &str, output: &str) -> Result<Value> {
    ns.condition_of(name, "Failed", "True")?;
    let seen = ns.condition_of(name, "OutputWritten", "True")?;
    assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], output);
    Ok(seen)
}

#[test]
fn what_a_program_wrote_before_it_took_too_much_memory_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo so far; sleep 1; tail /dev/zero");
        template["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"memory": "16Mi"}});
        ns.create(extended_job("greedy").once().telling().running(template))?;
        let seen = left(ns, "greedy", "so far\n")?;
        assert_eq!(seen["status"]["lastRun"]["containers"][0]["reason"], "OOMKilled");
        Ok(())
    })
}

#[test]
fn what_a_pod_wrote_before_the_kubelet_evicted_it_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes may be lost.
        let _undisturbed = Operator::undisturbed();
        let script = "echo so far; head -c 4000000 /dev/zero > /kept/too-much; sleep 1000";
        let mut template = template::script(script);
        let pod = &mut template["spec"]["template"]["spec"];
        pod["volumes"] = json!([{"name": "kept", "emptyDir": {"sizeLimit": "1Mi"}}]);
        pod["containers"][0]["volumeMounts"] = json!([{"name": "kept", "mountPath": "/kept"}]);
        ns.create(extended_job("hoarder").once().telling().running(template))?;
        left(ns, "hoarder", "so far\n")?;
        let pods = ns.kubectl.list(&["pods"])?;
        assert_eq!(pods[0]["status"]["reason"], "Evicted");
        Ok(())
    })
}

#[test]
fn a_job_with_no_time_to_live_stays_until_its_output_is_written() -> Result<()> {
    scenario(|ns| {
        // A restart puts cleanup off.
        let _undisturbed = Operator::undisturbed();
        let mut template = template::script("echo patience");
        template["spec"]["ttlSecondsAfterFinished"] = json!(0);
        let target = json!(format!("{}-later/out", ns.name));
        let brief = extended_job("brief").once().running(template);
        ns.create(brief.with("/output/stdout/configRef", target))?;
        ns.reason_of("brief", "OutputWritten", "TargetNamespaceMissing")?;
        ns.condition_of("brief", "Complete", "True")?;
        assert_eq!(ns.jobs_of("brief")?.len(), 1);
        let later = ns.sibling("later")?;
        ns.condition_of("brief", "OutputWritten", "True")?;
        ns.until_no("jobs")?;
        assert_eq!(later.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "patience\n");
        Ok(())
    })
}

#[test]
fn a_target_namespace_that_is_deleted_keeps_nobody_from_anything() -> Result<()> {
    scenario(|ns| {
        let vault = ns.sibling("vault")?;
        let target = json!(format!("{}/out", vault.name));
        let errand = extended_job("again").with("/run", json!("now")).running(template::script("echo x"));
        ns.create(errand.with("/output/stdout/configRef", target))?;
        ns.condition_of("again", "OutputWritten", "True")?;
        ns.kubectl.run(&["delete", "namespace", &vault.name])?;
        ns.edit("again", &json!({"run": "now"}))?;
        ns.status_until("again", &json!({"completedRunNumber": 2}))?;
        ns.reason_of("again", "OutputWritten", "TargetNamespaceMissing")?;
        Ok(())
    })
}

#[test]
fn a_namespace_goes_with_the_jobs_that_run_in_it() -> Result<()> {
    scenario(|ns| {
        let doomed = ns.sibling("doomed")?;
        let slow = extended_job("slow").once().running(template::script("echo so far; sleep 1000"));
        doomed.create(slow.stdout_to("out"))?;
        doomed.until_running()?;
        ns.kubectl.run(&["delete", "namespace", &doomed.name, "--timeout=60s"]).map(drop)
    })
}

#[test]
fn output_of_a_pod_whose_node_is_gone_is_told_to_be_lost() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo unheard");
        template["spec"]["template"]["spec"]["nodeName"] = json!("a-node-that-is-gone");
        ns.create(extended_job("unheard").once().running(template).stdout_to("out"))?;
        let pod = ns.kubectl.until(&["pods"], "the pod", |pods| {
            Some(format!("pod/{}", pods["items"][0]["metadata"]["name"].as_str()?))
        })?;
        // What its node wrote last.
        let ended = json!({"status": {"phase": "Succeeded", "containerStatuses": [{
            "name": "main", "image": "busybox", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "containerd://0",
            "state": {"terminated": {
                "exitCode": 0, "reason": "Completed", "containerID": "containerd://0",
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
            }},
        }]}});
        let patch = format!("--patch={ended}");
        ns.kubectl.run(&["patch", &pod, "--subresource=status", "--type=merge", &patch])?;
        ns.condition_of("unheard", "Complete", "True")?;
        ns.reason_of("unheard", "OutputWritten", "OutputLost")?;
        ns.event_of("unheard", "OutputLost", |event| (event["reason"] == "OutputLost").then_some(()))
    })
}

#[test]
fn what_a_pod_wrote_before_it_went_for_its_backoff_limit_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        // Long enough for that: of one that ends in the moment in which it starts the kubelet tells when the pod goes already.
        let template = template::restarted("echo so far; echo trouble >&2; sleep 5; exit 1", 0);
        let ejob = extended_job("hopeless").once().telling().running(template);
        let errors = json!({"configRef": "out", "writeOnFailure": true});
        ns.create(ejob.with("/output/stderr", errors))?;
        ns.condition_of("hopeless", "Failed", "True")?;
        // The Job controller may let it run once more before it takes the pod away: the first run's output stands.
        let written = json!({"main.stdout": "so far\n", "main.stderr": "trouble\n"});
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], written);
        Ok(())
    })
}

#[test]
fn what_a_pod_wrote_before_it_went_for_another_ones_exit_code_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        // The other has begun long before.
        let script = "echo so far $JOB_COMPLETION_INDEX; [ $JOB_COMPLETION_INDEX = 0 ] && sleep 1000; sleep 15; exit 42";
        let mut template = template::indexed(script, 2);
        let on_exit = json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}});
        template["spec"]["podFailurePolicy"] = json!({"rules": [on_exit]});
        ns.create(extended_job("strict").once().telling().running(template))?;
        ns.condition_of("strict", "Failed", "True")?;
        ns.condition_of("strict", "OutputWritten", "True")?;
        let written = json!({"main.0.stdout": "so far 0\n", "main.1.stdout": "so far 1\n"});
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], written);
        Ok(())
    })
}

#[test]
fn what_a_pod_wrote_before_its_job_was_suspended_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        let template = template::script("echo so far; sleep 1000");
        ns.create(extended_job("paused").once().telling().running(template))?;
        ns.until_running()?;
        let job = format!("job/{}", name(&ns.jobs_until("paused", 1)?[0]));
        ns.kubectl.run(&["patch", &job, "--type=merge", r#"--patch={"spec":{"suspend":true}}"#])?;
        let written = ns.data_until("out", "what it wrote", |data| Some(data["main.stdout"].clone()))?;
        assert_eq!(written, "so far\n");
        Ok(())
    })
}
