//! Standard output and standard error on a node that does not tell them apart although it was to: what may not be mixed
//! is not written, and what may is told to be mixed. Run only where the API server can be asked for one stream, and the
//! kubelet knows nothing of it.

use anyhow::{Context, Result};
use e2e::{Namespace, condition, extended_job, scenario, template, text};
use serde_json::{Value, json};

use crate::streams::apart;

/// With a pause, because nobody promises that two streams meet in the log in the order of their writing.
const BOTH: &str = "echo out; sleep 0.2; echo err >&2";

/// What is in the ConfigMap `out`, which has this key, and on what way its record says that it came.
fn stored(ns: &Namespace, name: &str, key: &str) -> Result<(Value, Value)> {
    let seen = ns.condition_of(name, "OutputWritten", "True")?;
    assert_eq!(seen["status"]["lastRun"]["outputs"][0]["merged"], true);
    let written = condition(&seen, "OutputWritten").context("no condition")?;
    assert!(text(&written["message"]).contains("holds stdout and stderr"), "{written}");
    let mut out = ns.kubectl.get(&["configmap", "out"])?;
    let record = &out["metadata"]["annotations"][format!("output.fissile.cloudfoundry.org/{key}")];
    let mut record: Value = serde_json::from_str(text(record))?;
    Ok((out["data"].take(), record["streams"].take()))
}

#[test]
fn two_objects_get_nothing_and_the_node_is_named() -> Result<()> {
    scenario(|ns| {
        ns.create(apart("mixed", template::script(BOTH)))?;
        let message = ns.reason_of("mixed", "OutputWritten", "StreamsNotSeparated")?;
        let pods = ns.kubectl.list(&["pods"])?;
        let node = text(&pods[0]["spec"]["nodeName"]);
        assert!(!node.is_empty() && message.contains(node), "{message}");
        ns.condition_of("mixed", "OutputWritten", "False")?;
        ns.condition_of("mixed", "Complete", "True")?;
        assert_eq!(ns.kubectl.get(&["secret", "out"])?, Value::Null);
        assert_eq!(ns.kubectl.get(&["configmap", "errors"])?, Value::Null);
        Ok(())
    })
}

#[test]
fn one_object_for_both_gets_the_whole_log() -> Result<()> {
    scenario(|ns| {
        let ejob = extended_job("both").once().running(template::script(BOTH)).stdout_to("out");
        ns.create(ejob.with("/output/stderr/configRef", json!("out")))?;
        let whole = json!({"main.log": "out\nerr\n"});
        assert_eq!(stored(ns, "both", "main.log")?, (whole, json!("Merged")));
        Ok(())
    })
}

#[test]
fn one_stream_alone_is_the_whole_log() -> Result<()> {
    for stream in ["stdout", "stderr"] {
        scenario(|ns| {
            let ejob = extended_job("alone").once().running(template::script(BOTH));
            ns.create(ejob.with(&format!("/output/{stream}/configRef"), json!("out")))?;
            let key = format!("main.{stream}");
            let found = stored(ns, "alone", &key)?;
            assert_eq!(found, (json!({ key: "out\nerr\n" }), json!("Merged")));
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_program_that_writes_nothing_has_nothing_to_be_told_apart() -> Result<()> {
    scenario(|ns| {
        ns.create(apart("silent", template::script("true")))?;
        ns.condition_of("silent", "OutputWritten", "True")?;
        assert_eq!(ns.kubectl.get(&["secret", "out"])?["data"], json!({"main.stdout": ""}));
        assert_eq!(ns.kubectl.get(&["configmap", "errors"])?["data"], json!({"main.stderr": ""}));
        Ok(())
    })
}
