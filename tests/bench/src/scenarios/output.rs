//! Outputs of a megabyte, many at a time: what it costs to read and store them.

use std::time::Instant;

use anyhow::{Context, Result};
use crowds::extended_jobs::{once, running};
use serde_json::{Value, json};

use super::Bench;
use crate::figures::Figure;
use crate::runner::{Runner, Who};

const JOBS: usize = 100;
/// What each prints: less than a ConfigMap holds.
const BYTES: usize = 1_000_000;

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let jobs = bench.sized(JOBS);
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
    let used = (process.processor()? - processor).as_secs_f64() * 1e3 / jobs as f64;
    let more = process.peak()?.saturating_sub(memory) as f64 / 1024.0;
    runner.stop().await?;
    let what = |what: &str| format!("{jobs} Jobs of 1 MB, {what}");
    bench.figures.push(Figure::new("output", what("until all is stored, pods and all"), "s", took));
    bench.figures.push(Figure::new("output", what("CPU per Job"), "ms", used));
    bench.figures.push(Figure::new("output", what("memory at its peak, beyond that before"), "MiB", more));
    Ok(())
}

/// One that runs once, prints so much, and has it stored in a ConfigMap of its own.
fn printing(name: &str) -> Value {
    let script = format!("yes {} | head -c {BYTES}; sleep 2", "x".repeat(999));
    let mut spec = running(once(), json!(["sh", "-c", script]));
    spec["output"] = json!({"stdout": {"configRef": name}});
    spec
}
