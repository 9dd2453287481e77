//! A cluster's life, from nothing to nothing. It needs root and, the first time, minutes:
//! `cargo test --package local-cluster --test lifecycle -- --ignored`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use local_cluster::{Cluster, Options};

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  restartPolicy: Never
  containers: [{name: shell, image: busybox, imagePullPolicy: Always, command: [sh, -c, "echo out; echo err >&2"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: pi}
spec:
  restartPolicy: Never
  containers: [{name: pi, image: perl, command: [perl, "-Mbignum=bpi", "-wle", "print bpi(2000)"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec:
  restartPolicy: Never
  containers: [{name: sleeper, image: 127.0.0.1:5000/team/sleeper:dev, command: [sleep, "100000"]}]
"#;

#[test]
#[ignore = "makes a cluster, for which it needs root"]
fn a_cluster_runs_pods_survives_its_parts_and_leaves_nothing() -> Result<()> {
    let options = Options { name: "lifecycle".to_owned(), ..Options::default() };
    let cluster = Cluster::named(&options.name)?;
    cluster.down()?;
    let before = traces()?;

    Cluster::up(&options)?;
    ensure!(cluster.is_up(), "not up after `up`: {}", cluster.status()?);
    build_sleeper(&cluster)?;
    pods_run(&cluster)?;
    a_container_is_killed(&cluster)?;
    the_api_server_comes_back(&cluster)?;

    for component in cluster.status()?.components {
        let pid = component.pid.context(component.name)?.to_string();
        ensure!(Command::new("kill").args(["-KILL", &pid]).status()?.success(), "kill {}", component.name);
    }
    ensure!(!cluster.is_up(), "up, though all is killed");
    Cluster::up(&options)?;
    ensure!(cluster.is_up(), "not up after it was made anew: {}", cluster.status()?);
    ensure!(kubectl(&cluster, &["get", "pods"])?.is_empty(), "pods of the cluster before");

    cluster.down()?;
    cluster.down()?;
    let left: Vec<String> = traces()?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

fn build_sleeper(cluster: &Cluster) -> Result<()> {
    let context = std::env::temp_dir().join(format!("sleeper-{}", std::process::id()));
    fs::create_dir_all(&context)?;
    fs::write(context.join("Dockerfile"), "FROM busybox\nCOPY Dockerfile /Dockerfile\n")?;
    let built = cluster.build_image(&context, "team/sleeper:dev");
    fs::remove_dir_all(&context)?;
    built
}

fn pods_run(cluster: &Cluster) -> Result<()> {
    let manifest = std::env::temp_dir().join(format!("pods-{}.yaml", std::process::id()));
    fs::write(&manifest, PODS)?;
    kubectl(cluster, &["apply", "--filename", &manifest.display().to_string()])?;
    fs::remove_file(&manifest)?;
    for (pod, phase) in [("shell", "Succeeded"), ("pi", "Succeeded"), ("sleeper", "Running")] {
        wait_for_phase(cluster, pod, phase)?;
    }
    let shell = kubectl(cluster, &["logs", "shell"])?;
    ensure!(shell == "out\nerr\n" || shell == "err\nout\n", "the shell's log: {shell:?}");
    let pi = kubectl(cluster, &["logs", "pi"])?;
    ensure!(pi.starts_with("3.14159265358979") && pi.len() == 2002, "not pi: {pi:?}");
    Ok(())
}

fn a_container_is_killed(cluster: &Cluster) -> Result<()> {
    let status = "jsonpath={.status.containerStatuses[0].";
    let id = kubectl(cluster, &["get", "pod", "sleeper", "-o", &format!("{status}containerID}}")])?;
    cluster.signal_container(&id, "KILL")?;
    wait_for_phase(cluster, "sleeper", "Failed")?;
    let code =
        kubectl(cluster, &["get", "pod", "sleeper", "-o", &format!("{status}state.terminated.exitCode}}")])?;
    ensure!(code == "137", "exit code {code}");
    Ok(())
}

fn the_api_server_comes_back(cluster: &Cluster) -> Result<()> {
    cluster.stop_component("kube-apiserver")?;
    ensure!(!cluster.is_up(), "up without an API server");
    ensure!(kubectl(cluster, &["get", "pods"]).is_err(), "an answer, though the API server is stopped");
    cluster.start_component("kube-apiserver")?;
    ensure!(kubectl(cluster, &["get", "pods", "--output", "name"])?.lines().count() == 3, "pods were lost");
    ensure!(cluster.is_up(), "not up after the API server came back: {}", cluster.status()?);
    Ok(())
}

fn wait_for_phase(cluster: &Cluster, pod: &str, phase: &str) -> Result<()> {
    let condition = format!("--for=jsonpath={{.status.phase}}={phase}");
    kubectl(cluster, &["wait", &condition, "--timeout=120s", &format!("pod/{pod}")]).map(drop)
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let output = cluster.kubectl().args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {errors}", args.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// All that a cluster of this name leaves on a machine: its folder, its mounts, its control groups and its
/// processes.
fn traces() -> Result<BTreeSet<String>> {
    let mut traces = BTreeSet::new();
    let mine = |text: &str| {
        text.contains("extendedjob-cluster/lifecycle/") || text.contains("extendedjob-lifecycle")
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    traces.extend(mounts.lines().filter(|line| mine(line)).map(String::from));
    if Path::new("/var/lib/extendedjob-cluster/lifecycle").exists() {
        traces.insert("the folder".to_owned());
    }
    for process in fs::read_dir("/proc")?.flatten() {
        for file in ["cmdline", "cgroup"] {
            let text = fs::read_to_string(process.path().join(file)).unwrap_or_default();
            traces.extend(mine(&text).then(|| format!("{}: {text}", process.path().display())));
        }
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup")?.flatten() {
        let group = hierarchy.path().join("extendedjob-lifecycle");
        traces.extend(group.exists().then(|| group.display().to_string()));
    }
    Ok(traces)
}
