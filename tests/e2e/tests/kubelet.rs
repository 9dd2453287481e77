//! Streams from the kubelet, when that can't be reached. Run only where that is the way.

use anyhow::Result;
use e2e::{ShutKubelet, extended_job, scenario_alone, template, text};
use serde_json::{Value, json};

use crate::streams::{apart, stored};

/// With a pause, because nobody promises that two streams meet in the log in the order of their writing.
const BOTH: &str = "echo out; sleep 0.2; echo err >&2";

#[test]
fn of_a_node_that_can_not_be_reached_nothing_is_mixed_and_all_is_written_when_it_can_be_again() -> Result<()>
{
    scenario_alone(|ns| {
        let shut = ShutKubelet::shut()?;
        ns.create(apart("apart", template::script(BOTH)))?;
        let together = extended_job("together").once().running(template::script(BOTH)).stdout_to("log");
        ns.create(together.with("/output/stderr/configRef", json!("log")))?;
        let message = ns.reason_of("apart", "OutputWritten", "StreamsNotSeparated")?;
        let pods = ns.kubectl.list(&["pods"])?;
        let node = text(&pods[0]["spec"]["nodeName"]);
        assert!(!node.is_empty() && message.contains(node), "{message}");
        ns.condition_of("apart", "Complete", "True")?;
        // What goes to one object need not be apart, and is written when the node has had its time to come back.
        let seen = ns.condition_of("together", "OutputWritten", "True")?;
        assert_eq!(seen["status"]["lastRun"]["outputs"][0]["merged"], true);
        let log = ns.kubectl.get(&["configmap", "log"])?;
        assert_eq!(log["data"], json!({"main.log": "out\nerr\n"}));
        let missing = [&["secret", "out"], &["configmap", "errors"]].map(|object| ns.kubectl.get(object));
        assert!(missing.into_iter().all(|object| object.is_ok_and(|it| it == Value::Null)));
        drop(shut);
        // "out\n"
        let stdout = json!({"main.stdout": "b3V0Cg=="});
        assert_eq!(stored(ns, "apart")?, (stdout, json!({"main.stderr": "err\n"})));
        Ok(())
    })
}
