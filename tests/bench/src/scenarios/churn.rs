//! Pods that turn ready and unready for minutes: whether memory stays what it is, and what that does to etcd.
//!
//! Each Job is ended as it comes, in the place of the Job controller, and cleaned up by the operator.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crowds::extended_jobs::triggered_by;
use crowds::finish::end;
use crowds::names::{POD_UID, TRANSITION};
use crowds::namespace::Namespace;
use crowds::pods::Pod;
use crowds::target::Target;
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Bench;
use crate::figures::{Figure, Limit};
use crate::lines::{self, Event};
use crate::runner::{Runner, Who};

const PODS: usize = 10_000;
const EXTENDED_JOBS: usize = 20;
/// Transitions in a second.
const PACE: usize = 50;
const TIME: Duration = Duration::from_secs(600);
/// Memory is what it will be after this part of the time.
const WARM_UP: u32 = 5;
/// How much more of it there may be at the end.
const GROWTH: f64 = 1.1;
/// Jobs that are ended at a time.
const AT_A_TIME: usize = 8;
/// Until all transitions have their Jobs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Until the last Jobs are cleaned up.
const SETTLING: Duration = Duration::from_secs(20);

pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    let runner = Runner::start(bench.target, Who::Operator, "churn").await?;
    let (namespace, process) = (runner.namespace.clone(), runner.process.context("no operator runs")?);
    let label = |number: usize| format!("group-{}", number % EXTENDED_JOBS);
    let declared = (0..EXTENDED_JOBS).map(|number| {
        let mut spec = triggered_by("ready", &label(number));
        spec["successfulRunsHistoryLimit"] = 0.into();
        (format!("ready-{number}"), spec)
    });
    namespace.declare_all(declared).await?;
    let pods = namespace.create_pods_labelled("pod", bench.sized(PODS), label).await?;
    let jobs = Jobs::end_as_they_come(bench.target, &namespace).await?;

    let (begin, stored) = (process.processor()?, bench.stored_bytes().await?);
    let (mut early, mut transitions, mut second, start) = (0, 0, 0_u8, Instant::now());
    let time = TIME * bench.size / 100;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks_in_all = time.as_secs().max(10);
    for tick in 0..ticks_in_all {
        ticks.tick().await;
        let of_now: Vec<Pod> = pods.iter().cycle().skip(transitions).take(PACE).cloned().collect();
        // Each goes back at once: it can turn ready again when its turn comes.
        // No divisor of how long it takes until it is the turn of the same pod: it never comes with the same time.
        second = (second + 1) % 49;
        namespace.turn_ready(&of_now, second).await?;
        namespace.turn_unready(&of_now, second).await?;
        transitions += of_now.len();
        if tick == ticks_in_all / u64::from(WARM_UP) {
            early = process.memory()?;
        }
    }
    let (late, pace) = (process.memory()?, transitions as f64 / start.elapsed().as_secs_f64());
    let all_came = jobs.until(transitions).await;
    sleep(SETTLING).await;
    let (found, gone, double) = jobs.look();
    let made = found + double;
    let each = (process.processor()? - begin).as_secs_f64() * 1e3 / transitions as f64;
    let grown = bench.stored_bytes().await? - stored;
    runner.stop().await?;

    let figures = &mut bench.figures;
    figures.push(Figure::new("churn", "transitions a second", "", pace));
    let missing = transitions.saturating_sub(found) as f64;
    let double = double + found.saturating_sub(transitions);
    figures.push(Figure::new("churn", "Jobs missing", "", missing).within(Limit::Most(0.0)));
    figures.push(Figure::new("churn", "Jobs double", "", double as f64).within(Limit::Most(0.0)));
    let left = (made - gone) as f64;
    figures.push(Figure::new("churn", "Jobs that are not cleaned up", "", left).within(Limit::Most(0.0)));
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    figures.push(Figure::new("churn", "memory after a fifth of the time", "MiB", mebibytes(early)));
    let late = Figure::new("churn", "memory at the end", "MiB", mebibytes(late));
    figures.push(late.within(Limit::Most(mebibytes(early) * GROWTH)));
    figures.push(Figure::new("churn", "CPU per transition and its cleanup", "ms", each));
    let per_thousand = grown / 1024.0 / 1024.0 * 1000.0 / transitions as f64;
    figures.push(Figure::new("churn", "etcd, per 1,000 transitions, history and all", "MiB", per_thousand));
    all_came
}

/// The Jobs of a namespace, each of which is ended when it appears.
struct Jobs {
    seen: watch::Receiver<Seen>,
    ending: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The pods and the transitions that had one.
    of: HashSet<(String, String)>,
    double: usize,
    gone: usize,
}

impl Seen {
    fn note<S>(&mut self, Event { kind, object }: &Event<S>) {
        let annotation = |name| object.metadata.annotations.get(name).cloned().unwrap_or_default();
        match kind.as_str() {
            "ADDED" if self.of.insert((annotation(POD_UID), annotation(TRANSITION))) => {}
            "ADDED" => self.double += 1,
            "DELETED" => self.gone += 1,
            _ => {}
        }
    }
}

impl Jobs {
    async fn end_as_they_come(target: &Target, namespace: &Namespace) -> Result<Self> {
        let events = lines::watch::<Job, IgnoredAny>(&target.client, &namespace.name).await?;
        let (sender, seen) = watch::channel(Seen::default());
        let namespace = namespace.clone();
        let ending = tokio::spawn(async move {
            let ended = events.try_for_each_concurrent(AT_A_TIME, async |event| {
                sender.send_modify(|seen| seen.note(&event));
                let metadata = event.object.metadata;
                match event.kind.as_str() {
                    "ADDED" => end(&namespace, &metadata.name, &metadata.creation_timestamp).await,
                    _ => Ok(()),
                }
            });
            if let Err(error) = ended.await {
                eprintln!("the Jobs are no longer ended: {error:#}");
            }
        });
        Ok(Self { seen, ending })
    }

    /// Waits until so many transitions had one.
    async fn until(&self, count: usize) -> Result<()> {
        let mut seen = self.seen.clone();
        let all = timeout(PATIENCE, seen.wait_for(|seen| seen.of.len() >= count)).await;
        all.map_err(|_| anyhow!("{} Jobs of {count} within {PATIENCE:?}", self.look().0))??;
        Ok(())
    }

    /// How many transitions had one, how many Jobs went, and how many there were beyond one for each.
    fn look(&self) -> (usize, usize, usize) {
        let seen = self.seen.borrow();
        (seen.of.len(), seen.gone, seen.double)
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.ending.abort();
    }
}
