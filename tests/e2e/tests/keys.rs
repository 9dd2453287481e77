//! Under which keys output is stored, in which objects, and how much of it.

use anyhow::Result;
use e2e::{ExtendedJob, Namespace, extended_job, pod, scenario, template, text};
use serde_json::{Value, json};

fn once(name: &str, script: &str) -> ExtendedJob {
    extended_job(name).once().running(template::script(script))
}

/// The data of the ConfigMap `out`, when the output is written.
fn data_of(ns: &Namespace, extended_job: ExtendedJob) -> Result<Value> {
    let name = extended_job.name();
    ns.create(extended_job)?;
    ns.condition_of(&name, "OutputWritten", "True")?;
    Ok(ns.kubectl.get(&["configmap", "out"])?["data"].take())
}

fn record(object: &Value, key: &str) -> Result<Value> {
    let annotation = &object["metadata"]["annotations"][format!("output.fissile.cloudfoundry.org/{key}")];
    Ok(serde_json::from_str(text(annotation))?)
}

#[test]
fn streams_of_one_object_that_disagree_are_told_also_where_only_the_namespace_tells() -> Result<()> {
    scenario(|ns| {
        let qualified = json!(format!("{}/out", ns.name));
        let ejob = once("torn", "echo out").stdout_to("out").with("/output/stderr/configRef", qualified);
        ns.create(ejob.with("/output/stderr/overwrite", json!(true)))?;
        let message = ns.reason_of("torn", "Ready", "InvalidSpec")?;
        assert!(message.contains("must agree on overwrite"), "{message}");
        Ok(())
    })
}

#[test]
fn a_key_is_named_by_its_placeholders() -> Result<()> {
    scenario(|ns| {
        let two = template::of_containers([
            template::container("left", "echo l"),
            template::container("right", "echo r"),
        ]);
        let ejob = extended_job("named").on("created").of("app", "a").running(two).stdout_to("out");
        ns.declare(ejob.with("/output/stdout/key", json!("{pod}_{container}.{stream}.txt")))?;
        ns.start(pod("redis-0").labelled("app", "a"))?;
        ns.condition_of("named", "OutputWritten", "True")?;
        let expected = json!({"redis-0_left.stdout.txt": "l\n", "redis-0_right.stdout.txt": "r\n"});
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], expected);
        Ok(())
    })
}

#[test]
fn each_pod_of_an_indexed_job_has_its_key_and_its_share() -> Result<()> {
    scenario(|ns| {
        let script = "echo $JOB_COMPLETION_INDEX";
        let ejob = extended_job("three").once().running(template::indexed(script, 3)).stdout_to("out");
        let expected = json!({"main.0.stdout": "0\n", "main.1.stdout": "1\n", "main.2.stdout": "2\n"});
        assert_eq!(data_of(ns, ejob)?, expected);
        let key = json!("{index}");
        let script = template::printing(500_000);
        let big = extended_job("big").once().running(template::indexed(&script, 4)).stdout_to("big");
        ns.create(big.with("/output/stdout/key", key))?;
        ns.condition_of("big", "OutputWritten", "True")?;
        let big = ns.kubectl.get(&["configmap", "big"])?;
        for index in ["0", "1", "2", "3"] {
            let kept = text(&big["data"][index]);
            assert!(kept.ends_with("000500\n") && kept.len() > 250_000, "{index}: {}", kept.len());
        }
        Ok(())
    })
}

#[test]
fn a_key_that_becomes_too_long_is_told_and_the_job_goes_on() -> Result<()> {
    scenario(|ns| {
        let key = json!(format!("{}{{container}}", "k".repeat(242)));
        let template = template::of_containers([template::container(&"c".repeat(20), "echo x")]);
        let ejob = extended_job("long").once().running(template).stdout_to("out");
        ns.create(ejob.with("/output/stdout/key", key))?;
        let message = ns.reason_of("long", "OutputWritten", "KeyTooLong")?;
        assert!(message.contains("262 characters"), "{message}");
        ns.condition_of("long", "Complete", "True")?;
        Ok(())
    })
}

#[test]
fn a_limit_keeps_the_newest_and_the_cut_is_told() -> Result<()> {
    scenario(|ns| {
        let ejob = once("chatty", "echo first; echo second; echo third").stdout_to("out");
        let data = data_of(ns, ejob.with("/output/stdout/limit", json!(13)))?;
        assert_eq!(data, json!({"main.stdout": "second\nthird\n"}));
        let record = record(&ns.kubectl.get(&["configmap", "out"])?, "main.stdout")?;
        assert_eq!((&record["bytesSeen"], &record["bytesKept"]), (&json!(19), &json!(13)));
        let told = "of main.stdout only the newest 13 of 19 bytes are kept";
        ns.extended_job_until("chatty", told, |seen| {
            let condition = e2e::condition(seen, "OutputWritten")?;
            text(&condition["message"]).contains(told).then_some(())
        })?;
        ns.event_of("chatty", "OutputCut", |event| {
            (event["reason"] == "OutputCut" && text(&event["message"]).contains(told)).then_some(())
        })
    })
}

#[test]
fn labels_and_annotations_are_set_on_the_object_whoever_made_it() -> Result<()> {
    scenario(|ns| {
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "theirs", "labels": {"kept": "yes"}},
        });
        ns.create(theirs)?;
        for target in ["ours", "theirs"] {
            let ejob = once(target, "echo x").stdout_to(target);
            let ejob = ejob.with("/output/stdout/labels", json!({"example.com/team": "a"}));
            ns.create(ejob.with("/output/stdout/annotations", json!({"note": "é"})))?;
            ns.condition_of(target, "OutputWritten", "True")?;
            let metadata = &ns.kubectl.get(&["configmap", target])?["metadata"];
            assert_eq!(metadata["labels"]["example.com/team"], "a");
            assert_eq!(metadata["annotations"]["note"], "é");
            let is_ours = target == "ours";
            let manager = &metadata["labels"]["app.kubernetes.io/managed-by"];
            assert_eq!(manager == "extendedjob-operator", is_ours);
            assert_eq!(metadata["labels"]["kept"] == "yes", !is_ours);
        }
        Ok(())
    })
}

#[test]
fn who_loses_output_to_another_extended_job_is_told_and_so_is_who_takes_its_place() -> Result<()> {
    scenario(|ns| {
        let bold =
            |name: &str| once(name, "echo x").stdout_to("out").with("/output/stdout/overwrite", json!(true));
        data_of(ns, bold("first"))?;
        data_of(ns, bold("second"))?;
        for (name, words) in [("first", "was replaced by Job second-"), ("second", "written by ExtendedJob")]
        {
            ns.event_of(name, "OutputReplaced", |event| {
                let message = text(&event["message"]);
                (event["reason"] == "OutputReplaced" && message.contains(words)).then_some(())
            })?;
        }
        Ok(())
    })
}

#[test]
fn output_waits_for_room_in_its_object() -> Result<()> {
    scenario(|ns| {
        let full = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "out"},
            "data": {"theirs": "x".repeat((1 << 20) - 100)},
        });
        ns.create(full)?;
        ns.create(once("late", "echo ours").stdout_to("out"))?;
        ns.reason_of("late", "OutputWritten", "TargetFull")?;
        ns.condition_of("late", "Complete", "True")?;
        ns.patch("configmap/out", &json!({"data": {"theirs": null}}))?;
        ns.condition_of("late", "OutputWritten", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "ours\n");
        Ok(())
    })
}
