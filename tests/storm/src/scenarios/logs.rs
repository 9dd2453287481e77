//! Logs that are long, and logs that are many: what they cost the operator.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use crowds::extended_jobs::once;
use crowds::patience::{answered, until_within};
use crowds::usage::{Process, mebibytes};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::stage::Stage;

/// So many bytes come of one container.
const LONG: u64 = 2 << 30;
/// What that may cost at most, in KiB.
const COST_OF_LONG: u64 = 4 * 1024;
/// Pods of one Job, and containers in each.
const PODS: usize = 50;
const CONTAINERS: usize = 10;
/// The containers are given so much time to start, and then looked at for so long.
const START: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_secs(20);
/// Until all is written.
const PATIENCE: Duration = Duration::from_secs(600);

/// One log of 2 GiB.
pub(super) async fn one_long(stage: &mut Stage<'_>) -> Result<()> {
    let operator = leading(stage).await?;
    stage.expected.without_pod(1, "short");
    stage.expected.without_pod(1, "long");
    // Anything that was ever needed once is there.
    written(stage, "short", printing(json!([container("main", "echo short")]), 1)).await?;
    operator.forget_peak()?;
    let before = operator.memory()?;
    let line = "x".repeat(15_000);
    // The pause is for older versions of containerd, which lose what a container prints right before its end.
    let script = format!("yes {line} | head -c {LONG}; echo; sleep 2; echo end; sleep 2");
    let outputs = written(stage, "long", printing(json!([container("main", &script)]), 1)).await?;
    let cost = operator.peak()?.saturating_sub(before);
    let seen = stage.namespace.extended_jobs().get("long").await?.data["status"]["lastRun"]["outputs"][0]
        ["bytesSeen"]
        .clone();
    println!("    of {LONG} bytes {seen} were read: {} more", mebibytes(cost));
    ensure!(outputs.iter().all(|output| output.ends_with("x\nend\n")), "the end is missing");
    ensure!(cost <= COST_OF_LONG, "it cost {}, more than {}", mebibytes(cost), mebibytes(COST_OF_LONG));
    Ok(())
}

/// 500 logs at a time.
pub(super) async fn many(stage: &mut Stage<'_>) -> Result<()> {
    let operator = leading(stage).await?;
    stage.expected.without_pod(1, "many");
    let logs = PODS * CONTAINERS;
    let (memory, sockets) = (operator.memory()?, operator.sockets()?);
    let end = SystemTime::now().duration_since(UNIX_EPOCH)? + START + 3 * LOOK;
    let script = format!(
        "while [ $(date +%s) -lt {} ]; do echo line; sleep 5; done; echo end; sleep 5",
        end.as_secs()
    );
    let containers = (0..CONTAINERS).map(|number| container(&format!("c{number}"), &script));
    let writing = written(stage, "many", printing(containers.collect(), PODS));
    let looking = async {
        until_within(START, "500 containers that run", async || {
            Ok((running(stage).await? == logs).then_some(()))
        })
        .await?;
        sleep(LOOK).await;
        let begin = operator.processor()?;
        sleep(LOOK).await;
        let used = (operator.processor()? - begin).as_millis() * 1000 / LOOK.as_millis();
        let more = mebibytes(operator.memory()?.saturating_sub(memory));
        let connections = operator.sockets()?.saturating_sub(sockets);
        let (percent, tenth) = (used / 10, used % 10);
        println!(
            "    {logs} logs: {more} and {connections} sockets more, {percent}.{tenth} % of a processor"
        );
        Ok(())
    };
    let (outputs, ()) = futures::try_join!(writing, looking)?;
    let broken: Vec<&String> = outputs.iter().filter(|output| !output.ends_with("line\nend\n")).collect();
    ensure!(outputs.len() == logs, "{} outputs of {logs} logs", outputs.len());
    ensure!(broken.is_empty(), "{} logs are not whole, such as {:?}", broken.len(), broken.first());
    Ok(())
}

async fn leading(stage: &mut Stage<'_>) -> Result<Process> {
    stage.operators.start()?;
    stage.operators.leading_process().await
}

/// How many containers run.
async fn running(stage: &Stage<'_>) -> Result<usize> {
    let (pods, all) = (stage.namespace.api::<Pod>(), ListParams::default());
    let pods = answered("list the pods", || pods.list(&all)).await?;
    let statuses = pods.items.into_iter().filter_map(|pod| pod.status?.container_statuses).flatten();
    Ok(statuses.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some())).count())
}

/// Runs it, and gives what stands in its ConfigMap in the end.
async fn written(stage: &Stage<'_>, name: &str, mut spec: Value) -> Result<Vec<String>> {
    spec["output"] = json!({"stdout": {"configRef": name}});
    stage.namespace.create_extended_job(name, spec).await?;
    let extended_jobs = stage.namespace.extended_jobs();
    until_within(PATIENCE, &format!("the output of {name}"), async || {
        let seen = answered("read an ExtendedJob", || extended_jobs.get(name)).await?;
        let mut conditions = seen.data["status"]["conditions"].as_array().into_iter().flatten();
        Ok(conditions.any(|it| it["type"] == "OutputWritten" && it["status"] == "True").then_some(()))
    })
    .await?;
    let config_maps = stage.namespace.api::<ConfigMap>();
    let found = answered("read a ConfigMap", || config_maps.get(name)).await?;
    Ok(found.data.context("nothing was written")?.into_values().collect())
}

fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox", "command": ["sh", "-c", script]})
}

/// One that runs once, in so many pods.
fn printing(containers: Value, pods: usize) -> Value {
    let mut spec = once();
    let job = &mut spec["template"]["spec"];
    job["suspend"] = json!(false);
    job["completionMode"] = json!("Indexed");
    job["completions"] = json!(pods);
    job["parallelism"] = json!(pods);
    job["template"]["spec"]["containers"] = containers;
    spec
}
