//! What is measured, and with how many.

mod burst;
mod latency;
mod resident;

use std::fmt;

use anyhow::{Context, Result};
use clap::ValueEnum;
use crowds::target::Target;

use crate::figures::Figures;

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// From one pod's change to its Job, one pod after the other
    Latency,
    /// 1,000 pods at once, 2,000, 4,000, and beside 1,000 ExtendedJobs that they do not match
    Burst,
    /// 500 ExtendedJobs with one pod each
    FanOut,
    /// Memory and idleness with 10,000 pods and 1,000 ExtendedJobs, and the time to start there
    Resident,
}

/// What a scenario needs to know.
pub(crate) struct Bench<'a> {
    pub(crate) target: &'a Target,
    /// In hundredths.
    size: u32,
    pub(crate) figures: Figures,
}

impl Bench<'_> {
    /// So many at full size, and at least some.
    pub(crate) fn sized(&self, full: usize) -> usize {
        (full * self.size as usize / 100).max(10)
    }
}

/// The parts of the control plane that would work on what the load makes.
const RESTING: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// Measures these, or all, and shows the figures as they come.
pub(crate) async fn measure(target: &Target, only: &[Scenario], size: u32) -> Result<Figures> {
    for component in RESTING {
        target.to_cluster(move |cluster| cluster.stop_component(component)).await?;
    }
    let mut bench = Bench { target, size, figures: Figures::default() };
    let all = Scenario::value_variants().iter().copied();
    let mut measured = Ok(());
    for scenario in all.filter(|scenario| only.is_empty() || only.contains(scenario)) {
        println!("==> {scenario}");
        measured = bench.measure(scenario).await.with_context(|| format!("{scenario} went wrong"));
        if measured.is_err() {
            break;
        }
    }
    for component in RESTING {
        target.to_cluster(move |cluster| cluster.start_component(component)).await?;
    }
    measured.map(|()| bench.figures)
}

impl Bench<'_> {
    async fn measure(&mut self, scenario: Scenario) -> Result<()> {
        match scenario {
            Scenario::Latency => latency::measure(self).await,
            Scenario::Burst => burst::measure(self).await,
            Scenario::FanOut => burst::fan_out(self).await,
            Scenario::Resident => resident::measure(self).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.pad(value.get_name()))
    }
}
