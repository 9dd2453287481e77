//! Pods that turn ready and unready for minutes: whether memory stays what it is, and what that does to etcd.
//!
//! Each Job is ended as it comes, in the place of the Job controller, and cleaned up by the operator.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use crowds::extended_jobs::triggered_by;
use crowds::finish::end;
use crowds::namespace::Namespace;
use crowds::pods::Pod;
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Bench;
use crate::figures::{Figure, Target};
use crate::lines::{self, Event};
use crate::runner::{Runner, Who};

const PODS: usize = 10_000;
const EXTENDED_JOBS: usize = 20;
/// Transitions in a second, at full size.
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
    let (mut early, mut transitions, mut second) = (0, 0, 0_u8);
    let (time, pace) = (TIME * bench.size / 100, PACE);
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks_in_all = time.as_secs().max(10);
    for tick in 0..ticks_in_all {
        ticks.tick().await;
        let of_now: Vec<Pod> = pods.iter().cycle().skip(transitions).take(pace).cloned().collect();
        // Each goes back at once: it can turn ready again when its turn comes.
        second = (second + 1) % 50;
        namespace.turn_ready(&of_now, second).await?;
        namespace.turn_unready(&of_now, second).await?;
        transitions += of_now.len();
        if tick == ticks_in_all / u64::from(WARM_UP) {
            early = process.memory()?;
        }
    }
    let late = process.memory()?;
    jobs.until(transitions).await?;
    sleep(SETTLING).await;
    let Counts { found, gone } = *jobs.counts.borrow();
    let each = (process.processor()? - begin).as_secs_f64() * 1e3 / transitions as f64;
    let grown = bench.stored_bytes().await? - stored;
    runner.stop().await?;

    let figures = &mut bench.figures;
    let difference = found.abs_diff(transitions) as f64;
    let what = format!("Jobs missing or double of {transitions} transitions");
    figures.push(Figure::new("churn", what, "", difference).within(Target::Most(0.0)));
    figures.push(
        Figure::new("churn", "Jobs that are not cleaned up", "", (found - gone) as f64)
            .within(Target::Most(0.0)),
    );
    let memory =
        Figure::new("churn", "memory at the end, beside that after a fifth", "MiB", late as f64 / 1024.0);
    figures.push(memory.beside(early as f64 / 1024.0).within(Target::TimesFloor(GROWTH)));
    figures.push(Figure::new("churn", "CPU per transition and its cleanup", "ms", each));
    let per_thousand = grown / 1024.0 / 1024.0 * 1000.0 / transitions as f64;
    figures.push(Figure::new("churn", "etcd, per 1,000 transitions, history and all", "MiB", per_thousand));
    Ok(())
}

/// The Jobs of a namespace, each of which is ended when it appears.
struct Jobs {
    counts: watch::Receiver<Counts>,
    ending: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    found: usize,
    gone: usize,
}

impl Jobs {
    async fn end_as_they_come(target: &crowds::target::Target, namespace: &Namespace) -> Result<Self> {
        let events = lines::watch::<Job, IgnoredAny>(&target.client, &namespace.name).await?;
        let (sender, counts) = watch::channel(Counts::default());
        let namespace = namespace.clone();
        let ending = tokio::spawn(async move {
            let ended = events.try_for_each_concurrent(AT_A_TIME, async |Event { kind, object }| {
                sender.send_modify(|counts| {
                    counts.found += usize::from(kind == "ADDED");
                    counts.gone += usize::from(kind == "DELETED");
                });
                match kind.as_str() {
                    "ADDED" => {
                        end(&namespace, &object.metadata.name, &object.metadata.creation_timestamp).await
                    }
                    _ => Ok(()),
                }
            });
            if let Err(error) = ended.await {
                eprintln!("the Jobs are no longer ended: {error:#}");
            }
        });
        Ok(Self { counts, ending })
    }

    /// Waits until there were so many.
    async fn until(&self, count: usize) -> Result<()> {
        let mut counts = self.counts.clone();
        let all = timeout(PATIENCE, counts.wait_for(|counts| counts.found >= count)).await;
        all.map_err(|_| anyhow!("{} Jobs of {count} within {PATIENCE:?}", self.counts.borrow().found))??;
        Ok(())
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.ending.abort();
    }
}
