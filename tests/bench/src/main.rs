//! What the operator costs, measured on a real control plane; where the barest program can do the same, beside that: the
//! floor, in the same run and under the same load.
//!
//! It runs inside the cluster's network, so that no forwarder stands between. Pods have no node, and the controllers of
//! Kubernetes rest, so that it is the operator that is measured; but for the scenarios about what real pods print.
//! `cargo xtask bench` brings up a cluster and starts this program.
//!
//! `scenario → runner → (floor | operator) → arrivals → figures`.

mod arrivals;
mod figures;
mod floor;
mod lines;
mod runner;
mod scenarios;
mod statistics;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use crowds::target::Target;
use local_cluster::Cluster;

use crate::figures::Figures;
use crate::scenarios::Scenario;

/// Measures the operator in a local cluster
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The local cluster
    #[arg(long, value_name = "NAME")]
    cluster: String,

    /// The operator's program, built for this machine
    #[arg(long, value_name = "PATH")]
    operator: PathBuf,

    /// The administrator's, for use inside the cluster's network, where this program runs
    #[arg(long, env = "KUBECONFIG", value_name = "PATH")]
    kubeconfig: PathBuf,

    /// How large the crowds are, in hundredths of those that the targets are about
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    size: u32,

    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    only: Vec<Scenario>,

    /// Write the figures here as JSON, too
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(figures) if figures.are_met() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Figures> {
    // One thread does, for the load and for the floor: the cores are for the cluster and the operator.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let cluster = Cluster::named(&arguments.cluster)?;
        let target = Target::prepare(cluster, &arguments.kubeconfig, arguments.operator.clone()).await?;
        let figures = scenarios::measure(&target, &arguments.only, arguments.size).await;
        println!("\n{figures}");
        if let Some(path) = &arguments.json {
            let json = serde_json::to_string_pretty(&figures)?;
            fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        target.leave(figures.are_whole()).await?;
        Ok(figures)
    })
}
