//! Standard output and standard error, told apart within the pod: what that takes of a pod, and what must not go wrong
//! with it.

use anyhow::Result;
use e2e::{Operator, scenario, template, text};
use serde_json::{Value, json};

use crate::streams::{apart, stored};

#[test]
fn each_container_has_its_streams_as_its_own_user_on_a_read_only_disk() -> Result<()> {
    scenario(|ns| {
        let mut left = template::container("left", "id -u >&2");
        left["securityContext"] = json!({"runAsUser": 1234, "readOnlyRootFilesystem": true});
        let mut right = template::container("right", "pwd >&2");
        right["workingDir"] = json!("/tmp");
        right["command"] = json!(["sh"]);
        right["args"] = json!(["-c", "pwd >&2"]);
        ns.create(apart("pair", template::of_containers([left, right])))?;
        let (_, errors) = stored(ns, "pair")?;
        assert_eq!(errors, json!({"left.stderr": "1234\n", "right.stderr": "/tmp\n"}));
        Ok(())
    })
}

#[test]
fn a_namespace_that_lets_in_only_the_restricted_lets_it_in() -> Result<()> {
    scenario(|ns| {
        let namespace = format!("namespace/{}", ns.name);
        ns.kubectl.run(&["label", &namespace, "pod-security.kubernetes.io/enforce=restricted"])?;
        let mut template = template::script("echo out; echo err >&2");
        template["spec"]["template"]["spec"]["securityContext"] =
            json!({"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}});
        template["spec"]["template"]["spec"]["containers"][0]["securityContext"] =
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        ns.create(apart("careful", template))?;
        let (_, errors) = stored(ns, "careful")?;
        assert_eq!(errors, json!({"main.stderr": "err\n"}));
        Ok(())
    })
}

#[test]
fn a_namespace_with_a_quota_and_a_limit_range_lets_it_in() -> Result<()> {
    scenario(|ns| {
        let hard = json!({"requests.cpu": "1", "requests.memory": "256Mi", "limits.cpu": "2", "limits.memory": "256Mi"});
        let limit =
            json!({"type": "Container", "max": {"cpu": "1", "memory": "128Mi"}, "min": {"memory": "4Mi"}});
        let objects = [
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}),
            json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [limit]}}),
        ];
        for object in objects {
            ns.kubectl.run_with_input(&["create", "--filename=-"], &object.to_string())?;
        }
        let mut template = template::script("echo err >&2");
        template["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"cpu": "100m", "memory": "32Mi"}});
        ns.create(apart("frugal", template))?;
        assert_eq!(stored(ns, "frugal")?.1, json!({"main.stderr": "err\n"}));
        Ok(())
    })
}

#[test]
fn a_drain_that_is_killed_loses_nothing_and_stops_no_program() -> Result<()> {
    scenario(|ns| {
        // The kubelet soon removes what a drain has left that was started again; until then it must be followed.
        let _undisturbed = Operator::undisturbed();
        // More than a pipe holds comes after it.
        let script =
            "seq 1 10000 >&2; sleep 2; kill -9 $(pidof extendedjob-streams); seq 10001 30000 >&2; echo done";
        let mut template = template::script(script);
        template["spec"]["template"]["spec"]["shareProcessNamespace"] = json!(true);
        ns.create(apart("robbed", template))?;
        let (stdout, errors) = stored(ns, "robbed")?;
        // "done\n"
        assert_eq!(stdout, json!({"main.stdout": "ZG9uZQo="}));
        let whole: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
        assert!(errors["main.stderr"] == json!(whole), "{} bytes", text(&errors["main.stderr"]).len());
        Ok(())
    })
}

#[test]
fn an_image_that_can_not_be_pulled_is_told_until_it_can() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo err >&2");
        template["spec"]["template"]["spec"]["schedulingGates"] = json!([{"name": "example.com/not-yet"}]);
        ns.create(apart("waits", template))?;
        let find = |pods: &Value| Some(pods["items"].as_array()?.first()?.clone());
        let pod = ns.kubectl.until(&["pods"], "the pod", find)?;
        let patch = |operations: Value| {
            let name = text(&pod["metadata"]["name"]);
            ns.kubectl.run(&["patch", "pod", name, "--type=json", "--patch", &operations.to_string()])
        };
        let image =
            |image: &Value| json!({"op": "replace", "path": "/spec/initContainers/0/image", "value": image});
        let begin = json!({"op": "remove", "path": "/spec/schedulingGates"});
        patch(json!([image(&json!("no-such-image:1")), begin]))?;
        let message = ns.reason_of("waits", "Ready", "WrapperImageUnavailable")?;
        assert!(message.contains("no-such-image"), "{message}");
        patch(json!([image(&pod["spec"]["initContainers"][0]["image"])]))?;
        assert_eq!(stored(ns, "waits")?.1, json!({"main.stderr": "err\n"}));
        ns.condition_of("waits", "Ready", "True").map(drop)
    })
}

#[test]
fn a_container_that_states_no_command_is_refused_with_its_name() -> Result<()> {
    scenario(|ns| {
        let mut image_alone = template::script("");
        image_alone["spec"]["template"]["spec"]["containers"][0]["command"] = json!(null);
        ns.create(apart("image-alone", image_alone))?;
        let message = ns.reason_of("image-alone", "Ready", "StreamsNotSeparable")?;
        assert!(message.contains("container main states no command"), "{message}");
        assert!(ns.jobs_of("image-alone")?.is_empty());
        Ok(())
    })
}

#[test]
fn what_a_program_leaves_behind_ends_with_its_container() -> Result<()> {
    scenario(|ns| {
        ns.create(apart("forks", template::script("(sleep 3600; echo late >&2) & echo e >&2")))?;
        assert_eq!(stored(ns, "forks")?.1, json!({"main.stderr": "e\n"}));
        Ok(())
    })
}
