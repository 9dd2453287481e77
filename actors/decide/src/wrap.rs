//! The pod of a Job, with what takes its containers' standard error apart from their standard output.
//!
//! ```text
//! init container   extendedjob-prepare    copies a small program into a volume, and makes a named pipe for each container
//! native sidecars  extendedjob-stderr-0…  each drains one pipe to its own standard output, and so to a log of its own
//! containers       as in the template; before the command stands that program, which opens the pipe as standard error,
//!                  and becomes the command
//! ```
//!
//! All else is as in the template.

use serde_json::{Map, Value, json};

use crate::boundary::Boundary;

/// What the volume, its place in containers, and the program in it are called.
const VOLUME: &str = "extendedjob-streams";
const FOLDER: &str = "/extendedjob";
const PROGRAM: &str = "/extendedjob/extendedjob-streams";
/// The same program in the image.
const PROGRAM_IN_IMAGE: &str = "/extendedjob-streams";
const PREPARE: &str = "extendedjob-prepare";
const DRAIN: &str = "extendedjob-stderr-";

/// Where the program that does it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// An image with it.
    pub image: String,
    /// Secrets of a namespace with which the image is pulled there, for pods that name some of their own.
    pub pull_secrets: Vec<String>,
}

/// Why the streams of a template's containers can't be taken apart within its pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Without a command, only the image knows what is run.
    #[error("container {0} states no command: state it")]
    NoCommand(String),
    /// A terminal has one stream.
    #[error("container {0} has tty: true, whose output is one stream by nature: leave that out")]
    Terminal(String),
    /// A name that is needed.
    #[error("the name {0} is taken")]
    NameTaken(String),
    /// There are no named pipes.
    #[error("its pods run on Windows")]
    Windows,
    /// It is no pod.
    #[error("the template has no containers")]
    NoContainers,
}

/// The container that holds the standard error of the `index`th container.
#[must_use]
pub fn drain_of(index: usize) -> String {
    format!("{DRAIN}{index}")
}

/// Whether this is the name of such a container.
#[must_use]
pub fn is_drain(name: &str) -> bool {
    name.starts_with(DRAIN)
}

/// Whether this is the name of a container that [`wrap`] adds.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name == PREPARE || is_drain(name)
}

/// Its first container whose streams nobody can tell apart.
#[must_use]
pub fn terminal(pod: &Value) -> Option<Obstacle> {
    let terminal = list(pod, "containers").iter().find(|container| container["tty"] == json!(true))?;
    Some(Obstacle::Terminal(terminal["name"].as_str().unwrap_or_default().to_owned()))
}

fn list<'a>(pod: &'a Value, part: &str) -> &'a [Value] {
    pod[part].as_array().map_or(&[], Vec::as_slice)
}

/// Why [`wrap`] can't be done to this pod spec, if it can't.
#[must_use]
pub fn obstacle(pod: &Value) -> Option<Obstacle> {
    let of = |part: &str| list(pod, part);
    let containers = of("containers");
    if containers.is_empty() {
        return Some(Obstacle::NoContainers);
    }
    if pod["os"]["name"] == "windows" || pod["nodeSelector"]["kubernetes.io/os"] == "windows" {
        return Some(Obstacle::Windows);
    }
    if let Some(terminal) = terminal(pod) {
        return Some(terminal);
    }
    for container in containers {
        let name = || container["name"].as_str().unwrap_or_default().to_owned();
        if container["command"].as_array().is_none_or(Vec::is_empty) {
            return Some(Obstacle::NoCommand(name()));
        }
        let mounts = container["volumeMounts"].as_array();
        if mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == FOLDER)) {
            return Some(Obstacle::NameTaken(FOLDER.to_owned()));
        }
    }
    let is_taken = |name: &&str| *name == VOLUME || is_ours(name);
    let named = ["containers", "initContainers", "volumes"].into_iter().flat_map(of);
    let taken = named.filter_map(|it| it["name"].as_str()).find(is_taken)?;
    Some(Obstacle::NameTaken(taken.to_owned()))
}

/// Wraps a pod spec that has no [`obstacle`]. `boundary`: what marks where runs begin, if containers are started again in
/// their pod.
pub fn wrap(pod: &mut Map<String, Value>, wrapper: &Wrapper, boundary: Option<&Boundary>) {
    let run = |pipe: &str| match boundary {
        Some(boundary) => [PROGRAM, "run-marked", boundary.token(), pipe].map(Value::from).to_vec(),
        None => [PROGRAM, "run", pipe].map(Value::from).to_vec(),
    };
    let resources = resources(pod);
    let small = |name: &str, arguments: Value, beside: &Map<String, Value>| {
        let mut container = small(name, arguments, beside, wrapper);
        container["resources"] = resources.clone();
        container
    };
    let mut added = vec![json!(null)];
    change(pod, "containers", |containers| {
        for (index, container) in containers.iter_mut().filter_map(Value::as_object_mut).enumerate() {
            let drain = drain_of(index);
            let pipe = format!("{FOLDER}/{drain}");
            let mut sidecar = small(&drain, json!(["drain", pipe]), container);
            // That makes an init container a native sidecar: one that ends when the containers have (KEP-753).
            sidecar["restartPolicy"] = json!("Always");
            if index == 0 {
                added[0] = small(PREPARE, json!(["prepare", FOLDER]), container);
            }
            if let Some(arguments) = added[0]["args"].as_array_mut() {
                arguments.push(json!(drain));
            }
            added.push(sidecar);
            change(container, "command", |command| {
                command.splice(0..0, run(&pipe));
            });
            change(container, "volumeMounts", |mounts| mounts.push(mount()));
        }
    });
    change(pod, "initContainers", |containers| containers.extend(added));
    change(pod, "volumes", |volumes| {
        volumes.push(json!({"name": VOLUME, "emptyDir": {"sizeLimit": "16Mi"}}));
    });
    // To a pod that names none the API server gives those of its service account, which has its own.
    if pod.get("imagePullSecrets").and_then(Value::as_array).is_some_and(|given| !given.is_empty()) {
        let secrets = wrapper.pull_secrets.iter().map(|name| json!({ "name": name }));
        change(pod, "imagePullSecrets", |given| {
            let new: Vec<Value> = secrets.filter(|secret| !given.contains(secret)).collect();
            given.extend(new);
        });
    }
}

/// Changes a list, which is empty where it is missing or null.
fn change(map: &mut Map<String, Value>, name: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let mut list = match map.remove(name) {
        Some(Value::Array(list)) => list,
        _ => vec![],
    };
    change(&mut list);
    map.insert(name.to_owned(), Value::Array(list));
}

/// A container of ours beside one of the template, within the restricted Pod Security Standard.
fn small(name: &str, arguments: Value, beside: &Map<String, Value>, wrapper: &Wrapper) -> Value {
    json!({
        "name": name,
        "image": wrapper.image,
        "command": [PROGRAM_IN_IMAGE],
        "args": arguments,
        "volumeMounts": [mount()],
        "securityContext": security_context(beside),
    })
}

/// What each container of ours may use: little, so that a quota has room for it; and as much as it asks for where all
/// others do so, or the pod would lose its class Guaranteed
/// (<https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>).
fn resources(pod: &Map<String, Value>) -> Value {
    let limits = json!({"cpu": "200m", "memory": "32Mi"});
    let is_guaranteed = |container: &Value| {
        let (limits, requests) = (&container["resources"]["limits"], &container["resources"]["requests"]);
        ["cpu", "memory"].iter().all(|resource| {
            let limit = &limits[resource];
            !limit.is_null() && (requests[resource].is_null() || requests[resource] == *limit)
        })
    };
    let containers = pod.get("containers").and_then(Value::as_array);
    if containers.is_some_and(|containers| containers.iter().all(is_guaranteed)) {
        return json!({"requests": limits, "limits": limits});
    }
    json!({"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": limits})
}

fn mount() -> Value {
    json!({"name": VOLUME, "mountPath": FOLDER})
}

/// The user is that of the container, because a namespace may let in no other.
fn security_context(beside: &Map<String, Value>) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    for field in ["runAsUser", "runAsGroup", "runAsNonRoot"] {
        if let Some(value) = beside.get("securityContext").and_then(|given| given.get(field)) {
            context[field] = value.clone();
        }
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapper() -> Wrapper {
        Wrapper { image: "registry/operator:1".into(), pull_secrets: vec![] }
    }

    fn wrapped(mut pod: Value) -> Value {
        assert_eq!(obstacle(&pod), None);
        wrap(pod.as_object_mut().unwrap(), &wrapper(), None);
        pod
    }

    #[test]
    fn the_command_is_run_by_us_and_all_else_stays() {
        let container = json!({
            "name": "main", "image": "busybox", "command": ["sh", "-c"], "args": ["echo $(POD)"],
            "workingDir": "/work", "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        });
        let pod = json!({
            "restartPolicy": "Never", "containers": [container], "volumes": [{"name": "work", "emptyDir": {}}],
            "initContainers": [{"name": "first", "image": "busybox"}],
        });
        let mut wrapped = wrapped(pod.clone());
        let now = &mut wrapped["containers"][0];
        assert_eq!(now["command"], json!([PROGRAM, "run", "/extendedjob/extendedjob-stderr-0", "sh", "-c"]));
        assert_eq!(now["volumeMounts"].as_array_mut().unwrap().pop(), Some(mount()));
        now["command"] = json!(["sh", "-c"]);
        let init = wrapped["initContainers"].as_array_mut().unwrap();
        let names: Vec<&str> = init.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["first", "extendedjob-prepare", "extendedjob-stderr-0"]);
        init.truncate(1);
        wrapped["volumes"].as_array_mut().unwrap().pop();
        assert_eq!(wrapped, pod);
    }

    #[test]
    fn each_container_has_a_pipe_and_a_drain_of_its_own_user() {
        let container = |name: &str, user: u32| json!({"name": name, "command": ["x"], "securityContext": {"runAsUser": user, "privileged": true}});
        let wrapped = wrapped(json!({ "containers": [container("a", 1), container("b", 2)] }));
        let init = &wrapped["initContainers"];
        let pipes = ["extendedjob-stderr-0", "extendedjob-stderr-1"];
        assert_eq!(init[0]["args"], json!(["prepare", FOLDER, pipes[0], pipes[1]]));
        for (index, user) in [(1, 1), (2, 2)] {
            assert_eq!(init[index]["name"], pipes[index - 1]);
            assert_eq!(init[index]["restartPolicy"], "Always");
            assert_eq!(init[index]["securityContext"]["runAsUser"], user);
            assert_eq!(init[index]["securityContext"]["privileged"], Value::Null);
        }
    }

    #[test]
    fn where_containers_are_started_again_the_begin_of_each_run_is_marked() {
        let mut pod = json!({ "containers": [{"name": "main", "command": ["x"]}] });
        let boundary = Boundary::of("uid", "job");
        wrap(pod.as_object_mut().unwrap(), &wrapper(), Some(&boundary));
        let pipe = "/extendedjob/extendedjob-stderr-0";
        assert_eq!(
            pod["containers"][0]["command"],
            json!([PROGRAM, "run-marked", boundary.token(), pipe, "x"])
        );
    }

    #[test]
    fn pull_secrets_join_those_of_the_template() {
        let mut pod = json!({
            "containers": [{"name": "main", "command": ["x"]}], "imagePullSecrets": [{"name": "theirs"}],
        });
        let wrapper = Wrapper { pull_secrets: vec!["ours".into()], ..wrapper() };
        wrap(pod.as_object_mut().unwrap(), &wrapper, None);
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "theirs"}, {"name": "ours"}]));
        let mut pod = json!({ "containers": [{"name": "main", "command": ["x"]}] });
        wrap(pod.as_object_mut().unwrap(), &wrapper, None);
        assert_eq!(pod["imagePullSecrets"], Value::Null, "those of the service account would be gone");
    }

    #[test]
    fn a_guaranteed_pod_stays_one() {
        let limits = json!({"cpu": "1", "memory": "64Mi"});
        let pod = |requests: Value| {
            let resources = json!({"limits": limits, "requests": requests});
            json!({ "containers": [{"name": "main", "command": ["x"], "resources": resources}] })
        };
        for (requests, is_guaranteed) in
            [(Value::Null, true), (limits.clone(), true), (json!({"cpu": "1m"}), false)]
        {
            let ours = &wrapped(pod(requests))["initContainers"][1]["resources"];
            assert_eq!(ours["requests"] == ours["limits"], is_guaranteed);
        }
    }

    #[test]
    fn what_can_not_be_wrapped_is_told() {
        let main = json!({"name": "main", "command": ["x"]});
        let table = [
            (json!({}), "the template has no containers"),
            (json!({"containers": [{"name": "main"}]}), "container main states no command: state it"),
            (json!({"containers": [main], "os": {"name": "windows"}}), "its pods run on Windows"),
            (
                json!({"containers": [{"name": "c", "command": ["x"], "volumeMounts": [{"mountPath": FOLDER}]}]}),
                "the name /extendedjob is taken",
            ),
            (
                json!({"containers": [main, {"name": "b", "command": []}]}),
                "container b states no command: state it",
            ),
            (
                json!({"containers": [{"name": "main", "command": ["x"], "tty": true}]}),
                "container main has tty: true, whose output is one stream by nature: leave that out",
            ),
            (
                json!({"containers": [main], "volumes": [{"name": VOLUME}]}),
                "the name extendedjob-streams is taken",
            ),
        ];
        for (pod, told) in table {
            assert_eq!(obstacle(&pod).map(|it| it.to_string()).as_deref(), Some(told));
        }
    }
}
