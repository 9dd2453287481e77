//! What is measured, and with how many.

mod burst;
mod calls;
mod churn;
mod latency;
mod output;
mod resident;

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use crowds::namespace;
use crowds::target::Target;

use crate::figures::{Figure, Figures, Limit};

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
    /// 10 minutes of 50 transitions a second on 10,000 pods: memory, and what etcd gets
    Churn,
    /// Requests per run whose output is stored
    Calls,
    /// 100 outputs of a megabyte
    Output,
}

/// What a scenario needs to know.
pub(crate) struct Bench<'a> {
    target: &'a Target,
    /// In hundredths.
    size: u32,
    figures: Figures,
}

impl Bench<'_> {
    /// So many at full size, and at least some.
    fn sized(&self, full: usize) -> usize {
        (full * self.size as usize / 100).max(10)
    }

    /// Takes down an exponent, which is to be that of linear growth; among small crowds it is one of chance.
    fn push_growth(&mut self, exponent: Figure) {
        self.figures.push(if self.size == 100 { exponent.within(Limit::Most(1.1)) } else { exponent });
    }

    /// How large etcd's data is, as the API server tells.
    async fn stored_bytes(&self) -> Result<f64> {
        let request = http::Request::get("/metrics").body(vec![])?;
        let metrics = self.target.client.request_text(request).await?;
        let sizes = metrics.lines().filter(|line| line.starts_with("apiserver_storage_size_bytes"));
        Ok(sizes.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// The parts of the control plane that would work on what the load makes.
const RESTING: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// Measures these, or all, and shows the figures as they come. What went wrong keeps nothing else from being measured.
pub(crate) async fn measure(target: &Target, only: &[Scenario], size: u32) -> Figures {
    let mut bench = Bench { target, size, figures: Figures::default() };
    let all = Scenario::value_variants().iter().copied();
    for scenario in all.filter(|scenario| only.is_empty() || only.contains(scenario)) {
        println!("==> {scenario}");
        if let Err(error) = bench.measure_apart(scenario).await {
            eprintln!("error: {scenario} went wrong: {error:#}");
            bench.figures.lack_some();
        }
    }
    bench.figures
}

impl Scenario {
    /// Whether its Jobs are to be carried out.
    fn needs_controllers(self) -> bool {
        matches!(self, Self::Calls | Self::Output)
    }
}

impl Bench<'_> {
    /// Beside nothing that others have left.
    async fn measure_apart(&mut self, scenario: Scenario) -> Result<()> {
        let measured = self.clear_and_measure(scenario).await;
        // Also where something went wrong; that is then what is told.
        let awake = self.wake().await;
        measured.and(awake)
    }

    async fn clear_and_measure(&mut self, scenario: Scenario) -> Result<()> {
        if scenario.needs_controllers() {
            self.clear().await?;
        } else {
            self.clear_and_rest().await?;
        }
        self.measure(scenario).await
    }

    /// Waits until what was measured before is gone.
    async fn clear(&self) -> Result<()> {
        self.wake().await?;
        namespace::clear(&self.target.client).await
    }

    /// The same, and lets the controllers rest again.
    async fn clear_and_rest(&self) -> Result<()> {
        self.clear().await?;
        for component in RESTING {
            self.target.to_cluster(move |cluster| cluster.stop_component(component)).await?;
        }
        Ok(())
    }

    async fn wake(&self) -> Result<()> {
        for component in RESTING {
            self.target.to_cluster(move |cluster| cluster.start_component(component)).await?;
        }
        Ok(())
    }

    async fn measure(&mut self, scenario: Scenario) -> Result<()> {
        match scenario {
            Scenario::Latency => latency::measure(self).await,
            Scenario::Burst => burst::measure(self).await,
            Scenario::FanOut => burst::fan_out(self).await,
            Scenario::Resident => resident::measure(self).await,
            Scenario::Churn => churn::measure(self).await,
            Scenario::Calls => calls::measure(self).await,
            Scenario::Output => output::measure(self).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.pad(value.get_name()))
    }
}
