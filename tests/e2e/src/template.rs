//! Job templates.

use serde_json::{Value, json};

use crate::names::POD_NAME;

/// A Job that is accepted and starts no pod: enough where only the Job matters. It counts as under way, and
/// succeeds once it is released.
pub fn parked() -> Value {
    let mut template = script("true");
    template["spec"]["suspend"] = json!(true);
    template
}

/// The same, with this label on the Job.
pub fn parked_edition(edition: &str) -> Value {
    let mut template = parked();
    template["metadata"] = json!({"labels": {"edition": edition}});
    template
}

/// A Job with nothing to do: it succeeds at once, without a pod.
pub fn nothing() -> Value {
    let mut template = script("true");
    template["spec"]["completions"] = json!(0);
    template
}

/// A Job whose one container, `main`, runs this shell script, once.
pub fn script(text: &str) -> Value {
    of_containers([container("main", text)])
}

/// The same, with the name of the affected pod in $POD.
pub fn script_on_pod(text: &str) -> Value {
    let mut template = script(text);
    let annotation = format!("metadata.annotations['{POD_NAME}']");
    template["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": annotation}}}]);
    template
}

/// A Job whose container is started again in its pod when it fails, until the Job is given up after so many times;
/// what it puts under /kept is there for its next run.
pub fn restarted(script: &str, again: u32) -> Value {
    let mut template = self::script(script);
    template["spec"]["backoffLimit"] = json!(again);
    let pod = &mut template["spec"]["template"]["spec"];
    pod["restartPolicy"] = json!("OnFailure");
    pod["volumes"] = json!([{"name": "kept", "emptyDir": {}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "kept", "mountPath": "/kept"}]);
    template
}

/// A script that prints so many bytes, in numbered lines of 1,000.
pub fn printing(bytes: usize) -> String {
    // Long lines, because a runtime works by the line. The pause is for older versions of containerd, which lose what
    // a container prints right before its end.
    let (lines, rest) = (bytes / 1000, bytes % 1000);
    let print = format!(r#"awk 'BEGIN {{ for (i = 1; i <= {lines}; i++) printf "%0999d\n", i }}'"#);
    format!("{print}; head -c {rest} /dev/zero | tr '\\0' x; sleep 2")
}

/// An Indexed Job with this many pods, all at once.
pub fn indexed(script: &str, completions: u32) -> Value {
    let mut template = self::script(script);
    template["spec"]["completionMode"] = json!("Indexed");
    template["spec"]["completions"] = json!(completions);
    template["spec"]["parallelism"] = json!(completions);
    template
}

/// The same template with all of this ConfigMap in the environment of its first container.
pub fn using(template: Value, config_map: &str) -> Value {
    in_container(template, "envFrom", json!([{"configMapRef": {"name": config_map}}]))
}

/// The same template with this field of its first container.
pub fn in_container(mut template: Value, field: &str, value: Value) -> Value {
    template["spec"]["template"]["spec"]["containers"][0][field] = value;
    template
}

/// The same template with this field of its pod.
pub fn in_pod(mut template: Value, field: &str, value: Value) -> Value {
    template["spec"]["template"]["spec"][field] = value;
    template
}

/// A Job whose pod has these containers, and is not tried again when one fails.
pub fn of_containers(containers: impl IntoIterator<Item = Value>) -> Value {
    let containers: Vec<Value> = containers.into_iter().collect();
    json!({
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 0,
                    "containers": containers,
                },
            },
        },
    })
}

/// A container that runs this shell script.
pub fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox", "command": ["sh", "-c", script]})
}
