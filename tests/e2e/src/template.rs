//! Job templates.

use serde_json::{Value, json};

/// A Job that is accepted and never starts a pod: enough where only the Job matters.
pub fn parked() -> Value {
    let mut template = script("true");
    template["spec"]["suspend"] = json!(true);
    template
}

/// A Job whose one container, `main`, runs this shell script, once.
pub fn script(text: &str) -> Value {
    of_containers([container("main", text)])
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
