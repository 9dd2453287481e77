//! Many pods turn ready at once: how long until each has its Job, and what that costs.
//!
//! From the first change until a watch has shown the last Job; the changes themselves take most of it, from the floor and
//! from the operator alike, so what is left when they are done is told as well.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::{triggered, triggered_by};
use crowds::pods::{IN_SELECTOR, Pod};
use serde_json::Value;
use tokio::time::sleep;

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::runner::{Runner, Who};
use crate::statistics::{exponent, percentile};

/// Pods at 1 x.
const PODS: usize = 1000;
/// ExtendedJobs that no pod matches.
const OTHERS: usize = 1000;
/// ExtendedJobs with one pod each.
const SINGLE: usize = 500;

/// How often each is measured; the median counts.
const ROUNDS: usize = 3;
/// Longer than anything that the operator gathers before it writes it: what a burst costs is over then.
const SETTLING: Duration = Duration::from_secs(6);

/// What a burst came to.
#[derive(Clone, Copy)]
struct Burst {
    /// From the first change to the last Job.
    took: Duration,
    /// From the answer to the last change to the last Job.
    lag: Duration,
    /// The operator's processor time, in the end.
    processor: Duration,
}

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let mut points = vec![];
    for times in [1, 2, 4] {
        let count = bench.sized(PODS) * times;
        let burst = contest(bench, "burst", &format!("{count} pods"), count, Declared::OneBeside(0)).await?;
        points.push((count as f64, burst.processor.as_secs_f64()));
    }
    let growth = Figure::new("burst", "exponent of CPU by pods", "", exponent(&points));
    bench.push_growth(growth);
    let (count, others) = (bench.sized(PODS), bench.sized(OTHERS));
    let what = format!("{count} pods beside {others} ExtendedJobs");
    contest(bench, "burst", &what, count, Declared::OneBeside(others)).await?;
    Ok(())
}

pub(super) async fn fan_out(bench: &mut Bench<'_>) -> Result<()> {
    let mut points = vec![];
    for times in [1, 2, 4] {
        let count = bench.sized(SINGLE) * times;
        let what = format!("{count} ExtendedJobs");
        let burst = contest(bench, "fan-out", &what, count, Declared::OneForEach).await?;
        points.push((count as f64, burst.processor.as_secs_f64()));
    }
    let growth = Figure::new("fan-out", "exponent of CPU by ExtendedJobs", "", exponent(&points));
    bench.push_growth(growth);
    Ok(())
}

/// The floor and the operator in turns, each beside nothing that another has left.
async fn contest(
    bench: &mut Bench<'_>,
    scenario: &'static str,
    what: &str,
    count: usize,
    declared: Declared,
) -> Result<Burst> {
    let (mut floors, mut operators) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        bench.clear_and_rest().await?;
        floors.push(burst(bench, Who::Floor, count, declared).await?);
        bench.clear_and_rest().await?;
        operators.push(burst(bench, Who::Operator, count, declared).await?);
    }
    let (floor, operator) = (median(floors), median(operators));
    let seconds = |what: String, of: fn(&Burst) -> Duration| {
        let figure = Figure::new(scenario, what, "s", of(&operator).as_secs_f64());
        figure.beside(of(&floor).as_secs_f64())
    };
    let total = seconds(format!("{what}, until the last Job"), |burst| burst.took);
    bench.figures.push(total.within(Limit::TimesFloor(1.1)));
    bench.figures.push(seconds(format!("{what}, from the last change to the last Job"), |burst| burst.lag));
    let each = operator.processor.as_secs_f64() * 1e3 / count as f64;
    let each = Figure::new(scenario, format!("{what}, CPU per run"), "ms", each);
    bench.figures.push(match declared {
        Declared::OneBeside(_) => each.within(Limit::Most(0.5)),
        // Each run has a status and an Event of its own.
        Declared::OneForEach => each.within(Limit::Most(1.5)),
    });
    Ok(operator)
}

/// Of each of its parts.
fn median(bursts: Vec<Burst>) -> Burst {
    let of = |part: fn(&Burst) -> Duration| {
        let mut parts: Vec<Duration> = bursts.iter().map(part).collect();
        percentile(&mut parts, 50)
    };
    Burst { took: of(|it| it.took), lag: of(|it| it.lag), processor: of(|it| it.processor) }
}

/// What is declared for the operator.
#[derive(Clone, Copy)]
enum Declared {
    /// One for all pods, and so many for none.
    OneBeside(usize),
    OneForEach,
}

async fn burst(bench: &Bench<'_>, who: Who, count: usize, declared: Declared) -> Result<Burst> {
    let runner = Runner::start(bench.target, who, "burst").await?;
    let namespace = &runner.namespace;
    if who == Who::Operator {
        let others = match declared {
            Declared::OneBeside(others) => {
                namespace.declare("ready", triggered("ready")).await?;
                (0..others).map(|number| waiting_for(&format!("other-{number}"))).collect()
            }
            Declared::OneForEach => (0..count).map(|number| waiting_for(&name(number))).collect::<Vec<_>>(),
        };
        namespace.declare_all(others).await?;
    }
    let pods: Vec<Pod> = match declared {
        Declared::OneForEach => namespace.create_pods_labelled("pod", count, name).await?,
        _ => namespace.create_pods("pod", count, IN_SELECTOR).await?,
    };
    let processor = || runner.process.map_or(Ok(Duration::ZERO), |process| process.processor());
    let before = processor()?;
    let begin = Instant::now();
    namespace.turn_ready(&pods, 0).await?;
    let changed = Instant::now();
    let last = runner.arrivals.until(count).await?;
    let (took, lag) = (last.duration_since(begin), last.saturating_duration_since(changed));
    sleep(SETTLING).await;
    let processor = processor()? - before;
    runner.stop().await?;
    Ok(Burst { took, lag, processor })
}

/// An ExtendedJob and the label of its pods.
fn name(number: usize) -> String {
    format!("single-{number}")
}

/// An ExtendedJob that waits for pods with its name as their label.
fn waiting_for(name: &str) -> (String, Value) {
    (name.to_owned(), triggered_by("ready", name))
}
