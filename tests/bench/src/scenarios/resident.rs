//! A large cluster in which nothing happens: memory, idleness, and how long an operator takes to be ready there.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crowds::extended_jobs::triggered_by;
use crowds::operators::Operators;
use crowds::pods::{IN_SELECTOR, Pod};
use kube::api::ListParams;
use kube::core::Request;
use tokio::time::sleep;

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::runner::{Runner, Who};
use crate::statistics::exponent;

const PODS: usize = 10_000;
const EXTENDED_JOBS: usize = 1000;
/// What it may hold, in MiB, when each of the pods has a Job under way. No target speaks of that: it is to be noticed if it is
/// more one day than when it was looked at first.
const WITH_JOBS: f64 = 160.0;
/// What an operator holds that has been idle for a while is what it needs.
const SETTLING: Duration = Duration::from_secs(30);
/// For how long it is then looked at.
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let mut runner = Runner::start(bench.target, Who::Operator, "resident").await?;
    // What is listed first are pods as they were when the last operator was killed: those of what was measured before.
    runner.begin_here().await?;
    sleep(SETTLING).await;
    let empty = memory(&runner)?;
    bench.figures.push(figure("nothing", empty).within(Limit::Most(15.0)));

    let (pods, count) = (bench.sized(PODS), bench.sized(EXTENDED_JOBS));
    let namespace = &runner.namespace;
    // The first of them is for all pods, the others for none.
    let label = |number| if number == 0 { IN_SELECTOR.to_owned() } else { format!("other-{number}") };
    let declared =
        (0..count).map(|number| (format!("deleted-{number}"), triggered_by("deleted", &label(number))));
    namespace.declare_all(declared).await?;
    sleep(SETTLING).await;
    let alone = memory(&runner)?;
    bench.figures.push(figure(&format!("{count} ExtendedJobs"), alone));
    let (mut created, mut points) = (vec![], vec![]);
    for part in [pods / 4, pods / 2, pods] {
        let more = part - created.len();
        created.extend(namespace.create_pods(&format!("of-{part}"), more, IN_SELECTOR).await?);
        sleep(SETTLING).await;
        points.push((part as f64, (memory(&runner)? - alone).max(0.1)));
    }
    let beside = format!("{pods} pods pending, {count} ExtendedJobs");
    bench.figures.push(figure(&beside, memory(&runner)?).within(Limit::Most(60.0)));
    let growth = Figure::new("resident", "exponent of what pods take by pods", "", exponent(&points));
    bench.push_growth(growth);
    namespace.turn_ready(&created, 0).await?;
    sleep(SETTLING).await;
    let beside = format!("{pods} pods ready, {count} ExtendedJobs");
    bench.figures.push(figure(&beside, memory(&runner)?).within(Limit::Most(60.0)));
    idle(bench, &runner).await?;
    let runner = start(bench, runner).await?;
    with_jobs(bench, runner, &created).await
}

/// Each of the pods has a Job, and all of these are under way.
async fn with_jobs(bench: &mut Bench<'_>, mut runner: Runner<'_>, pods: &[Pod]) -> Result<()> {
    runner.start_operator().await?;
    runner.namespace.declare("notready", triggered_by("notready", IN_SELECTOR)).await?;
    runner.namespace.turn_unready(pods, 1).await?;
    runner.arrivals.until(pods.len()).await?;
    sleep(SETTLING).await;
    let beside = format!("{} pods, each with a Job under way", pods.len());
    bench.figures.push(figure(&beside, memory(&runner)?).within(Limit::Most(WITH_JOBS)));
    runner.stop().await
}

/// What it holds now, in MiB.
fn memory(runner: &Runner<'_>) -> Result<f64> {
    Ok(runner.process.context("no operator runs")?.memory()? as f64 / 1024.0)
}

fn figure(beside: &str, memory: f64) -> Figure {
    Figure::new("resident", format!("memory, {beside}"), "MiB", memory)
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
async fn start<'a>(bench: &mut Bench<'_>, mut runner: Runner<'a>) -> Result<Runner<'a>> {
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
    Ok(runner)
}
