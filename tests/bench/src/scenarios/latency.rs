//! One pod at a time turns ready: how long until there is its Job.
//!
//! From the return of the change to its status until a watch shows the Job. Floor and operator take turns, so that what
//! else goes on on the machine meets both. How much of it the API server takes to create the Job, is told as well, by its
//! audit log: the operator's Job says more than the floor's, and passes two admission policies.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;
use crowds::audit::AuditLog;
use crowds::extended_jobs::triggered;
use crowds::namespace::Namespace;
use crowds::pods::{IN_SELECTOR, Pod};
use k8s_openapi::jiff::Timestamp;

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::runner::{Runner, Who};
use crate::statistics::percentile;

/// Pods in all.
const PODS: usize = 1000;
/// Those of one turn.
const TURN: usize = 50;
/// The HTTP status of what was created.
const CREATED: u16 = 201;
/// What is not measured: connections are opened, pages are touched.
const WARM_UP: usize = 20;

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let count = bench.sized(PODS);
    let floor = Side::set(bench, Who::Floor, count).await?;
    let operator = Side::set(bench, Who::Operator, count).await?;
    let (mut of_floor, mut of_operator) = (vec![], vec![]);
    floor.latencies(0..WARM_UP).await?;
    operator.latencies(0..WARM_UP).await?;
    let log = AuditLog::begin(bench.target)?;
    for first in (WARM_UP..WARM_UP + count).step_by(TURN) {
        let turn = first..(first + TURN).min(WARM_UP + count);
        // It would hear of the floor's pods, too.
        operator.runner.freeze()?;
        of_floor.extend(floor.latencies(turn.clone()).await?);
        operator.runner.thaw()?;
        of_operator.extend(operator.latencies(turn).await?);
    }
    let (mut for_floor, mut for_operator) =
        (creates(log.clone(), &floor.runner.namespace)?, creates(log, &operator.runner.namespace)?);
    floor.runner.stop().await?;
    operator.runner.stop().await?;
    let at_once = |of: &[Duration]| of.iter().filter(|latency| latency.is_zero()).count() as f64;
    let figure = Figure::new("latency", "Jobs that were there before the answer", "", at_once(&of_operator));
    bench.figures.push(figure.beside(at_once(&of_floor)));
    for hundredths in [50, 90, 99] {
        let milliseconds = |of: &mut [Duration]| percentile(of, hundredths).as_secs_f64() * 1e3;
        let what = format!("p{hundredths} of the create alone, in the API server");
        let create = Figure::new("latency", what, "ms", milliseconds(&mut for_operator));
        let create = create.beside(milliseconds(&mut for_floor));
        let figure = Figure::new("latency", format!("p{hundredths}"), "ms", milliseconds(&mut of_operator));
        let figure = figure.beside(milliseconds(&mut of_floor));
        bench.figures.push(if hundredths == 90 { figure } else { figure.within(Limit::TimesFloor(1.15)) });
        bench.figures.push(create);
    }
    Ok(())
}

/// How long the API server took for each Job that was created in a namespace.
fn creates(mut log: AuditLog, namespace: &Namespace) -> Result<Vec<Duration>> {
    let mut took = vec![];
    for event in log.about("jobs", &namespace.name)? {
        let is_made = event["verb"] == "create" && event["responseStatus"]["code"] == CREATED;
        let is_tried = event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun"));
        if is_made && !is_tried {
            let time = |name: &str| serde_json::from_value::<Timestamp>(event[name].clone());
            let duration = time("stageTimestamp")?.duration_since(time("requestReceivedTimestamp")?);
            took.push(duration.try_into().unwrap_or_default());
        }
    }
    Ok(took)
}

/// One of the two, and its pods.
struct Side<'a> {
    runner: Runner<'a>,
    pods: Vec<Pod>,
}

impl<'a> Side<'a> {
    async fn set(bench: &Bench<'a>, who: Who, count: usize) -> Result<Self> {
        let runner = Runner::start(bench.target, who, "latency").await?;
        if who == Who::Operator {
            runner.namespace.declare("ready", triggered("ready")).await?;
        }
        let pods = runner.namespace.create_pods("pod", WARM_UP + count, IN_SELECTOR).await?;
        Ok(Self { runner, pods })
    }

    /// How long each pod's Job took after the answer to the change; nothing for a Job that was there before the answer was
    /// read.
    async fn latencies(&self, range: Range<usize>) -> Result<Vec<Duration>> {
        let mut latencies = vec![];
        for pod in &self.pods[range] {
            self.runner.namespace.turn_ready(std::slice::from_ref(pod), 0).await?;
            let returned = Instant::now();
            latencies.push(self.runner.arrivals.of(&pod.uid).await?.saturating_duration_since(returned));
        }
        Ok(latencies)
    }
}
