//! Many pods turn ready at once: how long until each has its Job, and what that costs.
//!
//! From the first change until a watch has shown the last Job; the changes themselves take most of it, from the floor and
//! from the operator alike.

use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::extended_jobs::{triggered, triggered_by};
use crowds::pods::{IN_SELECTOR, Pod};
use serde_json::Value;

use super::Bench;
use crate::figures::{Figure, Target};
use crate::runner::{Runner, Who};
use crate::statistics::exponent;

/// Pods at 1 x.
const PODS: usize = 1000;
/// ExtendedJobs that no pod matches.
const OTHERS: usize = 1000;
/// ExtendedJobs with one pod each.
const SINGLE: usize = 500;

/// What a burst came to.
struct Burst {
    took: Duration,
    /// The operator's processor time.
    processor: Duration,
}

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let mut points = vec![];
    for times in [1, 2, 4] {
        let count = bench.sized(PODS) * times;
        let burst = contest(bench, "burst", &format!("{count} pods"), count, 0).await?;
        points.push((count as f64, burst.processor.as_secs_f64()));
    }
    bench.figures.push(
        Figure::new("burst", "exponent of CPU by pods", "", exponent(&points)).within(Target::Most(1.1)),
    );
    let (count, others) = (bench.sized(PODS), bench.sized(OTHERS));
    let what = format!("{count} pods beside {others} ExtendedJobs");
    contest(bench, "burst", &what, count, others).await?;
    Ok(())
}

pub(super) async fn fan_out(bench: &mut Bench<'_>) -> Result<()> {
    let count = bench.sized(SINGLE);
    let what = format!("{count} ExtendedJobs");
    let floor = burst(bench, Who::Floor, count, Declared::None).await?;
    let operator = burst(bench, Who::Operator, count, Declared::OneForEach).await?;
    tell(bench, "fan-out", &what, count, &floor, &operator);
    Ok(())
}

/// The floor, then the operator.
async fn contest(
    bench: &mut Bench<'_>,
    scenario: &'static str,
    what: &str,
    count: usize,
    others: usize,
) -> Result<Burst> {
    let floor = burst(bench, Who::Floor, count, Declared::None).await?;
    let operator = burst(bench, Who::Operator, count, Declared::OneBeside(others)).await?;
    tell(bench, scenario, what, count, &floor, &operator);
    Ok(operator)
}

fn tell(
    bench: &mut Bench<'_>,
    scenario: &'static str,
    what: &str,
    count: usize,
    floor: &Burst,
    operator: &Burst,
) {
    let total =
        Figure::new(scenario, format!("{what}, until the last Job"), "s", operator.took.as_secs_f64());
    bench.figures.push(total.beside(floor.took.as_secs_f64()).within(Target::TimesFloor(1.1)));
    let each = operator.processor.as_secs_f64() * 1e3 / count as f64;
    bench
        .figures
        .push(Figure::new(scenario, format!("{what}, CPU per run"), "ms", each).within(Target::Most(0.5)));
}

/// What is declared for the operator.
enum Declared {
    None,
    /// One for all pods, and so many for none.
    OneBeside(usize),
    OneForEach,
}

async fn burst(bench: &Bench<'_>, who: Who, count: usize, declared: Declared) -> Result<Burst> {
    let runner = Runner::start(bench.target, who, "burst").await?;
    let namespace = &runner.namespace;
    match declared {
        Declared::None => {}
        Declared::OneBeside(others) => {
            namespace.declare("ready", triggered("ready")).await?;
            namespace.declare_all((0..others).map(|number| waiting_for(&format!("other-{number}")))).await?;
        }
        Declared::OneForEach => {
            namespace.declare_all((0..count).map(|number| waiting_for(&name(number)))).await?;
        }
    }
    let pods: Vec<Pod> = match declared {
        Declared::OneForEach => namespace.create_pods_labelled("pod", count, name).await?,
        _ => namespace.create_pods("pod", count, IN_SELECTOR).await?,
    };
    let processor = || runner.process.map_or(Ok(Duration::ZERO), |process| process.processor());
    let before = processor()?;
    let begin = Instant::now();
    namespace.turn_ready(&pods, 0).await?;
    let took = runner.arrivals.until(count).await?.duration_since(begin);
    let processor = processor()? - before;
    runner.stop().await?;
    Ok(Burst { took, processor })
}

/// An ExtendedJob and the label of its pods.
fn name(number: usize) -> String {
    format!("single-{number}")
}

/// An ExtendedJob that waits for pods with its name as their label.
fn waiting_for(name: &str) -> (String, Value) {
    (name.to_owned(), triggered_by("ready", name))
}
