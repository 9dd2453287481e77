//! A large cluster in which nothing happens: memory, idleness, and how long an operator takes to be ready there.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crowds::extended_jobs::triggered_by;
use crowds::operators::Operators;
use crowds::pods::IN_SELECTOR;
use kube::api::ListParams;
use kube::core::Request;
use tokio::time::sleep;

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::runner::{Runner, Who};

const PODS: usize = 10_000;
const EXTENDED_JOBS: usize = 1000;
/// What an operator holds that has been idle for a while is what it needs.
const SETTLING: Duration = Duration::from_secs(30);
/// For how long it is then looked at.
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let empty = Runner::start(bench.target, Who::Operator, "empty").await?;
    sleep(SETTLING).await;
    memory(bench, &empty, "nothing", 15.0)?;

    let (pods, count) = (bench.sized(PODS), bench.sized(EXTENDED_JOBS));
    let namespace = &empty.namespace;
    // The first of them is for all pods, the others for none.
    let label = |number| if number == 0 { IN_SELECTOR.to_owned() } else { format!("other-{number}") };
    let declared =
        (0..count).map(|number| (format!("ready-{number}"), triggered_by("ready", &label(number))));
    namespace.declare_all(declared).await?;
    let created = namespace.create_pods("pod", pods, IN_SELECTOR).await?;
    sleep(SETTLING).await;
    memory(bench, &empty, &format!("{pods} pods pending, {count} ExtendedJobs"), 60.0)?;
    namespace.turn_ready(&created, 0).await?;
    empty.arrivals.until(pods).await?;
    sleep(SETTLING).await;
    memory(bench, &empty, &format!("{pods} pods ready with a Job each, {count} ExtendedJobs"), 60.0)?;
    idle(bench, &empty).await?;
    start(bench, empty).await
}

fn memory(bench: &mut Bench<'_>, runner: &Runner<'_>, beside: &str, most: f64) -> Result<()> {
    let held = runner.process.context("no operator runs")?.memory()? as f64 / 1024.0;
    bench
        .figures
        .push(Figure::new("resident", format!("memory, {beside}"), "MiB", held).within(Limit::Most(most)));
    Ok(())
}

async fn idle(bench: &mut Bench<'_>, runner: &Runner<'_>) -> Result<()> {
    let process = runner.process.context("no operator runs")?;
    let before = process.processor()?;
    sleep(IDLE).await;
    let share = (process.processor()? - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    bench.figures.push(Figure::new("resident", "idle", "% of a core", share).within(Limit::Most(0.1)));
    Ok(())
}

/// The floor here is one list of all pods, and nothing but its bytes.
async fn start(bench: &mut Bench<'_>, mut runner: Runner<'_>) -> Result<()> {
    runner.stop_operator().await?;
    let list = Request::new("/api/v1/pods").list(&ListParams::default())?;
    let begin = Instant::now();
    bench.target.client.request_text(list).await?;
    let floor = begin.elapsed();
    let mut operators = Operators::none(bench.target);
    let begin = Instant::now();
    operators.start()?;
    operators.until_ready().await?;
    let took = begin.elapsed();
    operators.kill_all().await?;
    let figure = Figure::new("resident", "start to ready", "s", took.as_secs_f64());
    bench.figures.push(figure.beside(floor.as_secs_f64()).within(Limit::TimesFloor(1.5)));
    runner.stop().await
}
