//! Logs that are long, and logs that are many: what they cost the operator.

use anyhow::{Context, Result, ensure};
use crowds::logs::{Logs, container, printing};
use crowds::patience::{answered, until_within};
use crowds::usage::{Process, mebibytes};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::stage::Stage;

/// So many bytes come of one container.
const LONG: u64 = 2 << 30;
/// What that may cost at most, in KiB.
const COST_OF_LONG: u64 = 4 * 1024;
/// Those that are many.
const LOGS: Logs = Logs { pods: 50, containers: 10 };
/// How long they print: the containers need minutes to start.
const LAST: Duration = Duration::from_secs(300);
/// How long it is looked at what they cost.
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
    let (memory, sockets) = (operator.memory()?, operator.sockets()?);
    let count = LOGS.count();
    let writing = written(stage, "many", LOGS.printed_for(LAST));
    let looking = async {
        stage.namespace.until_containers_run(count).await?;
        sleep(LOOK).await;
        let begin = operator.processor()?;
        sleep(LOOK).await;
        let used = (operator.processor()? - begin).as_millis() * 1000 / LOOK.as_millis();
        let more = mebibytes(operator.memory()?.saturating_sub(memory));
        let connections = operator.sockets()?.saturating_sub(sockets);
        let (percent, tenth) = (used / 10, used % 10);
        println!(
            "    {count} logs: {more} and {connections} sockets more, {percent}.{tenth} % of a processor"
        );
        Ok(())
    };
    let (outputs, ()) = futures::try_join!(writing, looking)?;
    let broken: Vec<&String> = outputs.iter().filter(|output| !output.ends_with("line\nend\n")).collect();
    ensure!(outputs.len() == count, "{} outputs of {count} logs", outputs.len());
    ensure!(broken.is_empty(), "{} logs are not whole, such as {:?}", broken.len(), broken.first());
    Ok(())
}

async fn leading(stage: &mut Stage<'_>) -> Result<Process> {
    stage.operators.start()?;
    stage.operators.leading_process().await
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
