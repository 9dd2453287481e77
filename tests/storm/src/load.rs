//! How hard it storms, and which storms there are, as the user says it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::scenarios::Scenario;

/// What the command line says about the storms.
#[derive(Args)]
pub(crate) struct Load {
    /// Pods of a storm [default: 500, or 100 with --short]
    // Fewer would leave some of the groups empty that a crowd is divided into; more would meet the operator's
    // brake of 10,000 runs, and the patience of two cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=3000))]
    pods: Option<u16>,

    /// How long leaders are killed, or asked to stop, one after the other [default: 2, or 20 seconds with --short]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: Option<u64>,

    /// Small storms, and only those that take seconds
    #[arg(long)]
    short: bool,

    /// Not the storms, but faults of what the operator lives on
    #[arg(long)]
    faults: bool,

    /// The operator's program, linked dynamically, for the scenario in which its clock is set
    #[arg(long, value_name = "PATH")]
    dynamic_operator: Option<PathBuf>,

    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    only: Vec<Scenario>,
}

impl Load {
    /// The number of pods.
    pub(crate) fn pods(&self) -> usize {
        self.pods.unwrap_or(if self.short { 100 } else { 500 }).into()
    }

    /// How long leaders end one after the other.
    pub(crate) fn time(&self) -> Duration {
        let default = Duration::from_secs(if self.short { 20 } else { 120 });
        self.minutes.map_or(default, |minutes| Duration::from_secs(60 * minutes))
    }

    /// Only what takes seconds.
    pub(crate) fn is_short(&self) -> bool {
        self.short
    }

    /// The operator, linked dynamically.
    pub(crate) fn dynamic_operator(&self) -> Result<&Path> {
        self.dynamic_operator.as_deref().context("no --dynamic-operator is given")
    }

    /// The scenarios, in their order.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        match (&self.only[..], self.faults) {
            ([], true) => Scenario::faults(),
            ([], false) => Scenario::storms(self.short),
            (only, _) => only.to_vec(),
        }
    }
}
