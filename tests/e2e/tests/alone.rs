//! What can't be done beside other tests. (By its name this module comes first: later it would have to wait until the slowest
//! of the others is over, and all that are to come with it.)

use anyhow::Result;
use e2e::{Operator, TRANSITIONS, at, extended_job, pod, scenario_alone, template};
use serde_json::{Value, json};

use crate::triggers::{assert_runs, cache, caches_on};

#[test]
fn after_an_outage_that_the_watch_cannot_bridge_pods_are_compared_with_those_known_before() -> Result<()> {
    scenario_alone(|ns| {
        let operator = Operator::hold();
        let swept = |when| caches_on(when).running(template::script("true")).keeping(0, 0);
        ns.declare_all(TRANSITIONS.map(swept))?;
        for pod in ["dips", "flips", "goes", "leaves"] {
            ns.start(cache(pod).ready_at(&at(1)))?;
        }
        ns.turn_unready("dips", &at(2))?;
        for (extended_job, runs) in [("created", 4), ("ready", 4), ("notready", 1)] {
            ns.status_until(extended_job, &json!({"active": 0, "succeeded": runs}))?;
        }
        // A Job is cleaned up when what is known of its pod is on record. Later ones stay.
        ns.until_no("jobs")?;
        for when in TRANSITIONS {
            ns.edit(when, &json!({"template": template::parked()}))?;
        }

        let stopped = operator.stop()?;
        ns.turn_ready("dips", &at(3))?;
        ns.turn_unready("dips", &at(4))?;
        ns.turn_unready("flips", &at(3))?;
        ns.turn_ready("flips", &at(4))?;
        ns.delete("pod/goes")?;
        ns.relabel("leaves", "app=web")?;
        ns.start(cache("comes"))?;
        stopped.lose_checkpoint()?;
        drop(stopped);

        // Of a pod that was not ready and is not ready since another time one change is certain: it has turned not
        // ready. That it was ready in between nobody has seen.
        assert_runs(
            ns,
            [("created", &["comes"]), ("ready", &["flips"]), ("notready", &["dips"]), ("deleted", &["goes"])],
        )
    })
}

#[test]
fn fifty_jobs_that_write_to_one_object_at_once_all_find_their_place() -> Result<()> {
    scenario_alone(|ns| {
        // Beside others, fifty containers wait for their turn to start rather than for each other. They stay for a moment
        // because older versions of containerd lose, of one in a hundred, what is printed right before the end.
        let ejob = extended_job("many").on("created").of("app", "a");
        let ejob = ejob.running(template::script_on_pod("echo from $POD; sleep 2")).stdout_to("out");
        ns.declare(ejob.with("/output/stdout/key", json!("{pod}")))?;
        let names: Vec<String> = (0..50).map(|number| format!("p{number:02}")).collect();
        ns.create_all(names.iter().map(|name| pod(name).labelled("app", "a").into()))?;
        ns.status_until("many", &json!({"succeeded": 50}))?;
        let expected: Value =
            names.iter().map(|name| (name.clone(), json!(format!("from {name}\n")))).collect();
        ns.kubectl.until(&["configmap", "out"], "50 keys with what each pod's Job printed", |out| {
            (out["data"] == expected).then_some(())
        })
    })
}

const CRD: &str = "customresourcedefinition/extendedjobs.fissile.cloudfoundry.org";

#[test]
fn a_definition_that_is_older_than_the_operator_is_told_of() -> Result<()> {
    scenario_alone(|ns| {
        let operator = Operator::hold();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/merged";
        let merged = ns.kubectl.get(&[CRD])?.pointer_mut(path).map(Value::take);
        let edit = |edit: Value| ns.kubectl.run(&["patch", CRD, "--type=json", "--patch", &edit.to_string()]);
        edit(json!([{"op": "remove", "path": path}]))?;
        let says = |words: &[&str]| {
            ns.kubectl.until(&[CRD], "a word of the operator", |_| {
                let log = operator.log().ok()?;
                log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(drop)
            })
        };
        let told = operator.restart().and_then(|()| says(&[".status.merged", "older"]));
        // Whatever came of it, others rely on the definition.
        edit(json!([{"op": "add", "path": path, "value": merged}]))?;
        told?;
        says(&["holds all that this version knows"])
    })
}
