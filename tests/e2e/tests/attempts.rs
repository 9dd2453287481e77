//! Whose output is written when a Job takes several attempts, or has several pods.

use anyhow::Result;
use e2e::{Namespace, Operator, extended_job, scenario, template};
use serde_json::{Value, json};

/// A Job that is tried again in a new pod, so often.
fn retried(script: &str, again: u32) -> Value {
    let mut template = template::script(script);
    template["spec"]["backoffLimit"] = json!(again);
    template
}

fn stored(ns: &Namespace) -> Result<(Value, Value)> {
    let out = ns.kubectl.get(&["configmap", "out"])?;
    let record = out["metadata"]["annotations"]["output.fissile.cloudfoundry.org/main.stdout"].as_str();
    Ok((out["data"]["main.stdout"].clone(), serde_json::from_str(record.unwrap_or_default())?))
}

#[test]
fn with_overwrite_the_last_of_several_failed_pods_stands() -> Result<()> {
    scenario(|ns| {
        let ejob = extended_job("stubborn").once().telling().running(retried("echo $HOSTNAME; exit 3", 1));
        ns.create(ejob.with("/output/stdout/overwrite", json!(true)))?;
        ns.condition_of("stubborn", "Failed", "True")?;
        ns.condition_of("stubborn", "OutputWritten", "True")?;
        let mut pods = ns.kubectl.list(&["pods"])?;
        pods.sort_by_key(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"].to_string()
        });
        assert_eq!(pods.len(), 2);
        let last = pods[1]["metadata"]["name"].as_str().unwrap_or_default();
        let (text, record) = stored(ns)?;
        assert_eq!((text, &record["attempt"]), (json!(format!("{last}\n")), &json!(last)));
        assert_eq!(record["result"], "Failed");
        Ok(())
    })
}

#[test]
fn without_overwrite_the_first_failed_pod_stands_and_is_named() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("stubborn").once().telling().running(retried("echo $HOSTNAME; exit 3", 1)))?;
        ns.condition_of("stubborn", "Failed", "True")?;
        let message = ns.reason_of("stubborn", "OutputWritten", "KeyExists")?;
        assert!(message.contains("an earlier attempt of the same Job"), "{message}");
        let (text, record) = stored(ns)?;
        assert_eq!(text, json!(format!("{}\n", record["attempt"].as_str().unwrap_or_default())));
        Ok(())
    })
}

#[test]
fn a_container_that_succeeds_when_it_is_started_again_replaces_what_its_failure_wrote() -> Result<()> {
    scenario(|ns| {
        let script =
            "if [ -e /kept/tried ]; then echo second; else touch /kept/tried; echo first; exit 1; fi";
        ns.create(extended_job("again").once().telling().running(template::restarted(script, 3)))?;
        ns.condition_of("again", "Complete", "True")?;
        ns.condition_of("again", "OutputWritten", "True")?;
        let (text, record) = stored(ns)?;
        assert_eq!((text, &record["result"]), (json!("second\n"), &json!("Succeeded")));
        Ok(())
    })
}

#[test]
fn a_failed_run_of_a_container_is_not_written_unless_asked_for() -> Result<()> {
    scenario(|ns| {
        let script = "if [ -e /kept/tried ]; then sleep 3; echo second; else touch /kept/tried; echo first; exit 1; fi";
        let ejob = extended_job("again").once().telling().running(template::restarted(script, 3));
        ns.create(ejob.with("/output/stdout/writeOnFailure", json!(false)))?;
        ns.condition_of("again", "OutputWritten", "True")?;
        let (text, _) = stored(ns)?;
        // Had the first run been written, the second would not replace it without a word in the status.
        assert_eq!(text, "second\n");
        Ok(())
    })
}

#[test]
fn of_a_job_with_several_completions_the_one_that_ended_last_stands() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo $HOSTNAME");
        template["spec"]["completions"] = json!(3);
        let ejob = extended_job("three").once().running(template).stdout_to("out");
        ns.create(ejob.with("/output/stdout/overwrite", json!(true)))?;
        ns.condition_of("three", "Complete", "True")?;
        ns.condition_of("three", "OutputWritten", "True")?;
        let (text, record) = stored(ns)?;
        assert_eq!(text, json!(format!("{}\n", record["attempt"].as_str().unwrap_or_default())));
        let ended: Vec<String> = ns
            .kubectl
            .list(&["pods"])?
            .iter()
            .map(|pod| {
                let at = &pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"];
                at.as_str().unwrap_or_default().to_owned()
            })
            .collect();
        assert_eq!((ended.len(), record["ended"].as_str()), (3, ended.iter().max().map(String::as_str)));
        Ok(())
    })
}

#[test]
fn an_operator_that_is_killed_while_a_job_writes_loses_nothing_of_it() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.2; done";
        ns.create(extended_job("steady").once().running(template::script(script)).stdout_to("out"))?;
        ns.until_running()?;
        operator.kill()?;
        ns.condition_of("steady", "OutputWritten", "True")?;
        let (text, record) = stored(ns)?;
        let whole: String = (1..=200).map(|number| format!("line {number}\n")).collect();
        assert_eq!((text, &record["possiblyRotated"]), (json!(whole), &Value::Null));
        Ok(())
    })
}

#[test]
fn what_a_pod_wrote_before_someone_deleted_it_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        ns.create(
            extended_job("slow").once().telling().running(template::script("echo so far; sleep 1000")),
        )?;
        let pod = ns.until_running()?;
        ns.kubectl.run(&["delete", "pod", &pod, "--wait=false"])?;
        ns.condition_of("slow", "Failed", "True")?;
        ns.condition_of("slow", "OutputWritten", "True")?;
        let (text, record) = stored(ns)?;
        assert_eq!((text, &record["result"]), (json!("so far\n"), &json!("Failed")));
        Ok(())
    })
}
