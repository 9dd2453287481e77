//! Outputs of a megabyte, many at a time: what it costs to read and store them. And logs that are followed, many at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crowds::extended_jobs::{once, running};
use crowds::logs::Logs;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Bench;
use crate::figures::Figure;
use crate::runner::{Runner, Who};
use crate::statistics::exponent;

const JOBS: usize = 100;
/// Containers whose logs are followed at a time, and how many of them a pod has.
const LOGS: usize = 500;
const CONTAINERS: usize = 10;
/// How long they print: the last of them starts minutes after the first.
const LOGS_LAST: Duration = Duration::from_secs(900);
/// How long it is looked at what they cost.
const LOOK: Duration = Duration::from_secs(20);
/// What each prints: less than a ConfigMap holds.
const BYTES: usize = 1_000_000;

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let (full, mut points) = (bench.sized(JOBS), vec![]);
    for jobs in [full / 4, full / 2, full] {
        points.push((jobs as f64, of_jobs(bench, jobs).await?));
        bench.clear().await?;
    }
    let growth = Figure::new("output", "exponent of CPU by Jobs", "", exponent(&points));
    bench.push_growth(growth);
    followed(bench).await
}

/// Says how much processor time it took, in milliseconds.
async fn of_jobs(bench: &mut Bench<'_>, jobs: usize) -> Result<f64> {
    let runner = Runner::start(bench.target, Who::Operator, "output").await?;
    let (namespace, process) = (&runner.namespace, runner.process.context("no operator runs")?);
    process.forget_peak()?;
    let (memory, processor, begin) = (process.memory()?, process.processor()?, Instant::now());
    let names: Vec<String> = (0..jobs).map(|number| format!("out-{number}")).collect();
    for name in &names {
        namespace.create_extended_job(name, printing(name)).await?;
    }
    for name in &names {
        namespace.until_written(name, 1).await?;
    }
    let took = begin.elapsed().as_secs_f64();
    let used = (process.processor()? - processor).as_secs_f64() * 1e3;
    let more = process.peak()?.saturating_sub(memory) as f64 / 1024.0;
    runner.stop().await?;
    let what = |what: &str| format!("{jobs} Jobs of 1 MB, {what}");
    bench.figures.push(Figure::new("output", what("until all is stored, pods and all"), "s", took));
    bench.figures.push(Figure::new("output", what("CPU per Job"), "ms", used / jobs as f64));
    bench.figures.push(Figure::new("output", what("memory at its peak, beyond that before"), "MiB", more));
    Ok(used)
}

/// Logs that are followed, while little is printed.
async fn followed(bench: &mut Bench<'_>) -> Result<()> {
    let runner = Runner::start(bench.target, Who::Operator, "followed").await?;
    let (namespace, process) = (&runner.namespace, runner.process.context("no operator runs")?);
    sleep(LOOK).await;
    let (memory, logs) =
        (process.memory()?, Logs { pods: bench.sized(LOGS).div_ceil(CONTAINERS), containers: CONTAINERS });
    namespace.create_extended_job("many", logs.printed_for(LOGS_LAST)).await?;
    namespace.until_containers_run(logs.count()).await?;
    sleep(LOOK).await;
    let processor = process.processor()?;
    sleep(LOOK).await;
    let share = (process.processor()? - processor).as_secs_f64() / LOOK.as_secs_f64() * 100.0;
    let more = process.memory()?.saturating_sub(memory) as f64 / 1024.0;
    runner.stop().await?;
    let what = |what: &str| format!("{} followed logs, {what}", logs.count());
    bench.figures.push(Figure::new("output", what("memory beyond that before"), "MiB", more));
    bench.figures.push(Figure::new("output", what("a line in 5 s each"), "% of a core", share));
    Ok(())
}

/// One that runs once, prints so much, and has it stored in a ConfigMap of its own.
fn printing(name: &str) -> Value {
    let script = format!("yes {} | head -c {BYTES}; sleep 2", "x".repeat(999));
    let mut spec = running(once(), json!(["sh", "-c", script]));
    spec["output"] = json!({"stdout": {"configRef": name}});
    spec
}
